//! The words in front of a trial's prompts that keep it from finding an earlier trial's cache.

use sha2::{Digest, Sha256};

use crate::plan::draw::{Draw, Purpose};
use crate::plan::words::Words;

/// Tokens of a salt; shorter prompts get half of their own length.
pub const SALT_TOKENS: u32 = 8;

/// The salt of one trial of one case on one side of one run: the same for all its requests, so that prefixes which
/// a workload shares on purpose stay shared, and another for each case, since cases with one seed share their texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt {
    words: Vec<String>,
}

impl Salt {
    /// The salt of `trial` of `case` on `side` of the run named `run`.
    pub fn new(words: &Words, run: &str, case: &str, trial: u32, side: &str) -> Self {
        let digest = Sha256::digest(format!("{run}\n{case}\n{trial}\n{side}"));
        let seed = digest.iter().take(8).fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        let text = words.scatter(SALT_TOKENS, &mut Draw::new(seed, Purpose::Salt));
        Self { words: text.split(' ').map(str::to_owned).collect() }
    }

    /// The first `tokens` words.
    pub fn cut(&self, tokens: u32) -> String {
        self.words[..(tokens as usize).min(self.words.len())].join(" ")
    }
}

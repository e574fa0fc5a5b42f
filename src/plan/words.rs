//! Synthetic text of an exact number of tokens.

use std::collections::HashMap;

use crate::plan::draw::Draw;
use crate::tokens::{Tokenizer, corpus};

/// Corpus words of which each is one token of a given tokenizer, alone and after a space, in running order.
///
/// Joined by single spaces, n of them are n tokens for every tokenizer that splits at spaces, so a prompt's
/// length is exact by construction and costs no tokenizing.
#[derive(Clone, Debug)]
pub struct Words {
    words: Vec<&'static str>,
}

/// A tokenizer under which too few corpus words are one token each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tokenizer `{tokenizer}` has only {found} English words of one token each, too few for synthetic prompts\n\
     hint: give the scenario a `dataset` of prompts"
)]
pub struct TooFewWords {
    tokenizer: String,
    found: usize,
}

const FEWEST: usize = 200;

/// Words in front of a block's passage, each drawn by itself: more than a salt replaces.
const NAME_TOKENS: u32 = 16;

impl Words {
    /// The usable words of `tokenizer`.
    pub fn of(tokenizer: &Tokenizer) -> Result<Self, TooFewWords> {
        if tokenizer.is_bundled() {
            return Ok(Self { words: corpus::words().to_vec() });
        }
        let mut single: HashMap<&str, bool> = HashMap::new();
        let mut is_single = |word: &'static str| {
            *single
                .entry(word)
                .or_insert_with(|| tokenizer.count(word) == 1 && tokenizer.count(&format!("{word} {word} {word}")) == 3)
        };
        let words: Vec<&'static str> = corpus::words().iter().copied().filter(|word| is_single(word)).collect();
        let found = words.iter().collect::<std::collections::HashSet<_>>().len();
        if found < FEWEST {
            return Err(TooFewWords { tokenizer: tokenizer.name().to_owned(), found });
        }
        Ok(Self { words })
    }

    /// `tokens` consecutive words from a drawn place of the corpus.
    pub(crate) fn passage(&self, tokens: u32, draw: &mut Draw) -> String {
        let mut text = String::with_capacity(tokens as usize * 6);
        self.append_passage(tokens, draw, &mut text);
        text
    }

    /// Appends such words to a text that is empty or ends with a space.
    fn append_passage(&self, tokens: u32, draw: &mut Draw, text: &mut String) {
        let start = draw.below(self.words.len());
        for i in 0..tokens as usize {
            if i > 0 {
                text.push(' ');
            }
            text.push_str(self.words[(start + i) % self.words.len()]);
        }
    }

    /// The first `tokens` words of a text of its own for each sequence of draws, without the first `skip` of them (at
    /// most 16). With more or fewer `tokens` it is the same text, cut elsewhere.
    ///
    /// The corpus has few places to start from, so that passages of many draws begin alike. What comes in front of a
    /// passage here does not.
    pub(crate) fn block(&self, tokens: u32, skip: u32, draw: &mut Draw) -> String {
        let mut text = String::with_capacity(tokens as usize * 6);
        for number in 0..tokens.min(NAME_TOKENS) {
            let word = self.words[draw.below(self.words.len())];
            if number >= skip {
                text.push_str(word);
                text.push(' ');
            }
        }
        self.append_passage(tokens.saturating_sub(NAME_TOKENS), draw, &mut text);
        text.truncate(text.trim_end().len());
        text
    }

    /// `tokens` words, each drawn by itself: two different sequences of draws share none of their prefix.
    pub(crate) fn scatter(&self, tokens: u32, draw: &mut Draw) -> String {
        (0..tokens).map(|_| self.words[draw.below(self.words.len())]).collect::<Vec<_>>().join(" ")
    }
}

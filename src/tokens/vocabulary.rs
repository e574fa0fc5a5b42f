//! The words of the bundled tokenizer, read without the `tokenizers` crate so that both builds agree on them.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Deserialize;

use super::span::Span;

/// The bundled `tokenizer.json`.
pub(super) const JSON: &str = include_str!("data/tokenizer.json");

/// How a byte-level vocabulary writes the space in front of a word.
const SPACE: char = 'Ġ';

/// Words that are one token each with the space in front of them.
pub(super) struct Vocabulary {
    ids: HashMap<String, u32>,
}

#[derive(Deserialize)]
struct File {
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    vocab: HashMap<String, u32>,
}

impl Vocabulary {
    /// The bundled one.
    pub(super) fn bundled() -> &'static Self {
        static BUNDLED: OnceLock<Vocabulary> = OnceLock::new();
        BUNDLED.get_or_init(|| {
            let file: File = serde_json::from_str(JSON).expect("the bundled tokenizer.json has a vocabulary");
            let words = file.model.vocab.into_iter().filter_map(|(token, id)| {
                // Letters only: digits, punctuation and spaces are split off by the tokenizer before it looks for
                // words, so that such an entry may not be what a text's piece becomes.
                let word = token.strip_prefix(SPACE)?;
                let letters = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
                letters.then(|| (word.to_owned(), id))
            });
            Self { ids: words.collect() }
        })
    }

    /// The token that `word` with a space in front of it is, if it is one.
    pub(super) fn id(&self, word: &str) -> Option<u32> {
        self.ids.get(word).copied()
    }

    /// The tokens of `text` if it is words of this vocabulary joined by single spaces, with or without one in front;
    /// `None` for any other text. Each item is what the tokenizer would give, which is what makes this a short cut.
    pub(super) fn spans(&self, text: &str) -> Option<Vec<Span>> {
        let mut end = text.len() - strip_space(text).len();
        strip_space(text)
            .split(' ')
            .map(|word| {
                let id = self.id(word)?;
                let span = Span { id, end: end + word.len() };
                end = span.end + 1;
                Some(span)
            })
            .collect()
    }

    /// The length of [`Self::spans`], without making them.
    pub(super) fn count(&self, text: &str) -> Option<u32> {
        strip_space(text).split(' ').try_fold(0, |count, word| self.id(word).map(|_| count + 1))
    }

    /// All words, in no order.
    #[cfg(all(test, feature = "tokenizers"))]
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.ids.keys().map(String::as_str)
    }
}

/// The tokenizer puts a space in front of a text that has none, so one that is there makes no difference.
fn strip_space(text: &str) -> &str {
    text.strip_prefix(' ').unwrap_or(text)
}

//! Tokens of a text: the bundled tokenizer with its corpus, and a user's own `tokenizer.json`.

#[cfg(feature = "tokenizers")]
mod bpe;
pub mod corpus;
#[cfg(any(test, not(feature = "tokenizers")))]
mod pieces;
mod span;
mod tokenizer;
mod vocabulary;

pub use tokenizer::{Tokenizer, TokenizerError};

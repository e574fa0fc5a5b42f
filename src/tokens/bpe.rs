//! The one file that touches the `tokenizers` crate.

use super::span::Span;

/// A tokenizer read from a `tokenizer.json`, with special tokens, truncation and padding left out.
pub(super) struct Bpe(tokenizers::Tokenizer);

impl Bpe {
    /// Reads a `tokenizer.json`; the error says what is wrong with it.
    pub(super) fn parse(json: &[u8]) -> Result<Self, String> {
        let mut tokenizer = tokenizers::Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
        // Files often carry the limits of the model's training set-up, which would cut long texts silently.
        tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
        tokenizer.with_padding(None);
        // Some models fail on what they do not know; better here than in the middle of a run.
        tokenizer.encode_fast("Ab c1, ~ß€\n", false).map_err(|error| error.to_string())?;
        Ok(Self(tokenizer))
    }

    /// Number of tokens of `text`; a text that the model refuses has none.
    pub(super) fn count(&self, text: &str) -> u32 {
        self.0.encode_fast(text, false).map_or(0, |encoding| encoding.len() as u32)
    }

    /// The tokens of `text` in order; a text that the model refuses has none.
    pub(super) fn spans(&self, text: &str) -> Vec<Span> {
        let Ok(encoding) = self.0.encode(text, false) else { return Vec::new() };
        let mut end = 0;
        encoding
            .get_ids()
            .iter()
            .zip(encoding.get_offsets())
            .map(|(&id, offsets)| {
                // Tokens that a normaliser inserted have an empty place of their own, sometimes before the last.
                end = end.max(offsets.1).min(text.len());
                Span { id, end }
            })
            .collect()
    }
}

//! How many tokens each chunk of an answer carries.

use crate::record::TokenSource;
use crate::tokens::Tokenizer;

/// An answer's text in the pieces in which it came, before their tokens are known.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    text: String,
    /// Of each piece: where it ends in `text`, and the answer's tokens up to and with it, if the server said so with it.
    ends: Vec<(usize, Option<u32>)>,
}

impl Pieces {
    /// Adds a piece that comes in parts, all empty if it is a token that shows no text.
    pub(super) fn push(&mut self, parts: [&str; 2], tokens_so_far: Option<u32>) {
        self.text.extend(parts);
        self.ends.push((self.text.len(), tokens_so_far));
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let mut from = 0;
        self.ends.iter().map(move |&(end, _)| &self.text[std::mem::replace(&mut from, end)..end])
    }
}

/// Tokens of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Counts {
    /// Of each piece.
    pub(super) pieces: Vec<u32>,
    /// Of the answer.
    pub(super) total: u32,
    /// Where `pieces` come from.
    pub(super) source: TokenSource,
}

/// Bytes of the longest text that is given to a tokenizer, which may take seconds for a megabyte: a million tokens.
const LONGEST_COUNTED: usize = 8 << 20;

/// Counts tokens by the best source there is.
///
/// `total` is the server's count of the whole answer, `stopped` whether the model ended the answer by itself. In order:
///
/// 1. The server's running counts, if each piece has one, each is larger than the one before and none is above the total.
/// 2. One token a piece, if that is the server's total. A model that stopped by itself has also made a token that ends
///    the answer and shows no text; some servers count it, so one more than the pieces is as good. A single piece has
///    the whole total.
/// 3. The tokenizer, on the whole text. The total stays the server's, if there is one.
/// 4. One token a piece, if the tokenizer cannot read the text, or the text is longer than anybody asks for.
pub(super) fn count(texts: &Pieces, total: Option<u32>, stopped: bool, tokenizer: &Tokenizer) -> Counts {
    // Servers and proxies that do not count say 0.
    let total = total.filter(|&total| total > 0);
    let pieces = texts.len() as u32;
    if let Some(total) = total {
        if let Some(pieces) = running(texts, total) {
            return Counts { pieces, total, source: TokenSource::ContinuousUsage };
        }
        if texts.len() == 1 {
            return Counts { pieces: vec![total], total, source: TokenSource::Usage };
        }
        if total == pieces || pieces == 0 || (stopped && total == pieces + 1) {
            return Counts { pieces: vec![1; texts.len()], total, source: TokenSource::Usage };
        }
    }
    if texts.text.len() > LONGEST_COUNTED {
        return uncounted(texts, total);
    }
    let parts: Vec<&str> = texts.iter().collect();
    let counts = tokenizer.counts_of(&parts);
    let sum: u32 = counts.iter().sum();
    if sum == 0 && pieces > 0 {
        return uncounted(texts, total);
    }
    Counts { pieces: counts, total: total.unwrap_or(sum), source: TokenSource::Tokenizer }
}

/// One token a piece.
fn uncounted(texts: &Pieces, total: Option<u32>) -> Counts {
    let ones = vec![1; texts.len()];
    Counts { pieces: ones, total: total.unwrap_or(texts.len() as u32), source: TokenSource::ChunkCount }
}

/// Tokens a piece from the server's running counts. One piece alone shows no growth, so it is not enough.
fn running(texts: &Pieces, total: u32) -> Option<Vec<u32>> {
    if texts.len() < 2 || texts.ends.last()?.1? > total {
        return None;
    }
    let mut before = 0;
    texts
        .ends
        .iter()
        .map(|&(_, so_far)| {
            let so_far = so_far?;
            let grown = so_far.checked_sub(before).filter(|&grown| grown > 0)?;
            before = so_far;
            Some(grown)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A piece's text and the server's running count with it.
    type Piece = (&'static str, Option<u32>);
    /// Tokens of each piece, of the answer, and the source.
    type Expected<'a> = (&'a [u32], u32, TokenSource);
    /// What it shows, the pieces, the server's total, whether the model stopped, and what is counted.
    type Case<'a> = (&'a str, &'a [Piece], Option<u32>, bool, Expected<'a>);

    fn texts(pieces: &[(&str, Option<u32>)]) -> Pieces {
        let mut all = Pieces::default();
        for &(text, tokens_so_far) in pieces {
            all.push([text, ""], tokens_so_far);
        }
        all
    }

    #[test]
    fn the_best_source_is_taken() {
        use TokenSource::{ContinuousUsage, Tokenizer as Counted, Usage};
        let three = [("the", None), (" house", None), (" and", None)];
        let packed = [("the house", None), (" and", None)];
        let running = [("the house", Some(2)), (" and", Some(3))];
        let constant = [("the house", Some(3)), (" and", Some(3))];
        let half = [("the house", Some(2)), (" and", None)];
        let table: [Case<'_>; 13] = [
            ("running counts", &running, Some(4), false, (&[2, 1], 4, ContinuousUsage)),
            ("running counts beyond the total", &running, Some(2), false, (&[1, 1], 2, Usage)),
            ("one running count is missing", &half, Some(3), false, (&[2, 1], 3, Counted)),
            ("a count that does not grow", &constant, Some(3), false, (&[2, 1], 3, Counted)),
            ("one token a piece", &three, Some(3), false, (&[1, 1, 1], 3, Usage)),
            ("the ending token is counted", &three, Some(4), true, (&[1, 1, 1], 4, Usage)),
            ("one more without a stop", &three[..2], Some(3), false, (&[1, 1], 3, Counted)),
            ("several tokens a piece", &packed, Some(3), false, (&[2, 1], 3, Counted)),
            ("the server's tokens differ from ours", &packed, Some(9), false, (&[2, 1], 9, Counted)),
            ("one piece", &packed[..1], Some(5), false, (&[5], 5, Usage)),
            ("no usage", &packed, None, false, (&[2, 1], 3, Counted)),
            ("usage of zeros", &packed, Some(0), false, (&[2, 1], 3, Counted)),
            ("no text", &[], Some(2), false, (&[], 2, Usage)),
        ];
        for (name, pieces, total, stopped, (expected, total_expected, source)) in table {
            let counts = count(&texts(pieces), total, stopped, &Tokenizer::bundled());
            assert_eq!(counts, Counts { pieces: expected.to_vec(), total: total_expected, source }, "{name}");
        }
    }

    #[test]
    fn nothing_known_and_nothing_said_is_no_token() {
        assert_eq!(count(&Pieces::default(), None, false, &Tokenizer::bundled()).total, 0);
    }

    #[test]
    fn a_text_without_an_end_is_not_tokenised() {
        let text = "x".repeat(LONGEST_COUNTED);
        let pieces = [(text.as_str(), None), ("x", None)];
        let counts = count(&texts(&pieces), None, false, &Tokenizer::bundled());
        assert_eq!(counts, Counts { pieces: vec![1, 1], total: 2, source: TokenSource::ChunkCount });
    }

    #[cfg(not(feature = "tokenizers"))]
    #[test]
    fn a_text_without_tokens_counts_pieces() {
        let counts = count(&texts(&[("\n", None), (" ", None)]), None, false, &Tokenizer::bundled());
        assert_eq!(counts, Counts { pieces: vec![1, 1], total: 2, source: TokenSource::ChunkCount });
    }
}

//! Token counts without the `tokenizers` crate: words of the bundled vocabulary, and four characters a token for
//! any other word.

use super::span::Span;
use super::vocabulary::Vocabulary;

/// Characters that one token of an unknown word stands for, the usual rule of thumb for English.
const CHARS: usize = 4;

/// Counts by words and characters.
pub(super) struct Pieces(pub(super) &'static Vocabulary);

impl Pieces {
    /// Number of pieces of `text`.
    #[cfg(not(feature = "tokenizers"))]
    pub(super) fn count(&self, text: &str) -> u32 {
        self.spans(text).len() as u32
    }

    /// The pieces of `text`, in order; white space belongs to none.
    pub(super) fn spans(&self, text: &str) -> Vec<Span> {
        let mut spans = Vec::new();
        for word in text.split_whitespace() {
            let end = word.as_ptr().addr() - text.as_ptr().addr() + word.len();
            if let Some(id) = self.0.id(word) {
                spans.push(Span { id, end });
                continue;
            }
            let mut rest = word;
            while !rest.is_empty() {
                let length = rest.char_indices().nth(CHARS).map_or(rest.len(), |(at, _)| at);
                let (piece, behind) = rest.split_at(length);
                spans.push(Span { id: piece_id(piece), end: end - behind.len() });
                rest = behind;
            }
        }
        spans
    }
}

/// An identity for a piece outside the vocabulary: FNV-1a of its bytes, kept apart from the vocabulary's by the top bit.
fn piece_id(piece: &str) -> u32 {
    let hash = piece.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash | 0x8000_0000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_are_one_token_and_others_one_for_four_characters() {
        let pieces = Pieces(Vocabulary::bundled());
        let ends = |text| pieces.spans(text).iter().map(|span| span.end).collect::<Vec<_>>();
        assert_eq!(ends("the  house"), [3, 10]);
        assert_eq!(ends("zzzzzzzzz the"), [4, 8, 9, 13]);
        assert_eq!(ends("ééééé"), [8, 10]);
        assert_eq!(ends(" \n "), [0; 0]);
    }

    #[test]
    fn equal_pieces_have_equal_identities() {
        let spans = Pieces(Vocabulary::bundled()).spans("zzzzzzzz yyyy the the");
        let ids = spans.iter().map(|span| span.id).collect::<Vec<_>>();
        assert_eq!((ids[0], ids[3]), (ids[1], ids[4]));
        assert!(ids[0] != ids[2] && ids[2] >= 0x8000_0000 && ids[3] < 4096);
    }
}

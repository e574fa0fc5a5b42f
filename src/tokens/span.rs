//! A token with its place in a text.

/// One token of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Identity of the token within its tokenizer.
    pub(super) id: u32,
    /// Byte offset in the text just behind the token; never less than that of the token before.
    pub(super) end: usize,
}

/// How many of `spans` end in each of the consecutive `pieces` of the text they were made from.
///
/// A token belongs to the piece that holds its last byte: only then is it complete. The sum is `spans.len()` unless
/// there is no piece at all.
pub(super) fn attribute(spans: &[Span], pieces: &[&str]) -> Vec<u32> {
    let mut counts = vec![0; pieces.len()];
    let mut spans = spans.iter().peekable();
    let mut piece_end = 0;
    for (count, piece) in counts.iter_mut().zip(pieces) {
        piece_end += piece.len();
        // A token without a byte of its own can end where an empty piece does; it waits for one with text.
        while !piece.is_empty() && spans.next_if(|span| span.end <= piece_end).is_some() {
            *count += 1;
        }
    }
    if let Some(last) = counts.last_mut() {
        *last += spans.count() as u32;
    }
    counts
}

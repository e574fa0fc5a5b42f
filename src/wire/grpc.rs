//! gRPC's framing: messages in a body, and the status of a call, which comes behind them.
//!
//! A message has a byte that says whether it is compressed and four that say how long it is in front. The status is no
//! part of the body but of the trailers; it is kept as gRPC-Web writes it, in one more frame with a mark of its own, so
//! that an answer is a string of bytes with stamps as in every other protocol.

use std::fmt::Write as _;

use crate::units::Nanos;

/// What an answer's content type is.
pub(crate) const CONTENT_TYPE: &str = "application/grpc";
/// The trailer that tells the status of a call.
pub(crate) const STATUS: &str = "grpc-status";
/// The trailer that tells why, percent-encoded.
pub(crate) const MESSAGE: &str = "grpc-message";

const HEAD: usize = 5;
/// First byte of a message as it is, of a compressed one, and of trailers.
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;
const TRAILERS: u8 = 0x80;

/// `message` as it goes over the wire.
pub(crate) fn frame(message: &[u8]) -> Vec<u8> {
    framed(PLAIN, message)
}

fn framed(mark: u8, data: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + data.len());
    frame.push(mark);
    frame.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(data);
    frame
}

/// The frame of a call's status; `None` if these are no trailers of a call.
pub(super) fn trailers<'h>(value: impl Fn(&str) -> Option<&'h [u8]>) -> Option<Vec<u8>> {
    let mut lines = [STATUS.as_bytes(), b": ", value(STATUS)?].concat();
    if let Some(message) = value(MESSAGE) {
        lines = [&lines, &b"\r\n"[..], MESSAGE.as_bytes(), b": ", message].concat();
    }
    Some(framed(TRAILERS, &lines))
}

/// One frame of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// What it holds.
    pub(super) data: &'a [u8],
    /// These are trailers, no message.
    pub(super) trailers: bool,
    /// Stamp of the read that completed it.
    pub(super) at: Nanos,
}

/// Why a body is not read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    /// No memory is given to what only claims to be there.
    #[error("a message of the stream claims to have {claimed} bytes, and more than {most} are none")]
    TooLong { claimed: u32, most: usize },
    /// Its content cannot be read.
    #[error("a message of the stream is compressed although `identity` was asked for")]
    Compressed,
    /// Frames begin differently.
    #[error("not a stream of gRPC messages (where one should begin is the byte {0:#04x})")]
    NoFrame(u8),
}

/// An incremental parser: bytes in any portions in, frames out, in linear time.
#[derive(Debug)]
pub(super) struct FrameParser {
    most: usize,
    /// The frame that has not ended yet.
    begun: Vec<u8>,
    error: Option<FrameError>,
}

impl FrameParser {
    /// A parser that gives up on a stream with a message of more than `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { most, begun: Vec::new(), error: None }
    }

    /// Takes the bytes of one network read that returned at `at` and gives each frame that they complete to `sink`.
    ///
    /// After an error every further call returns the same error. What has begun when the stream ends is no frame.
    pub(super) fn push(&mut self, bytes: &[u8], at: Nanos, sink: &mut impl FnMut(Frame<'_>)) -> Result<(), FrameError> {
        match self.error {
            None => self.take(bytes, at, sink).inspect_err(|error| self.error = Some(*error)),
            Some(error) => Err(error),
        }
    }

    fn take(&mut self, mut bytes: &[u8], at: Nanos, sink: &mut impl FnMut(Frame<'_>)) -> Result<(), FrameError> {
        let frame = |frame: &[u8], sink: &mut dyn FnMut(Frame<'_>)| {
            sink(Frame { data: &frame[HEAD..], trailers: frame[0] == TRAILERS, at });
        };
        while !bytes.is_empty() {
            if self.begun.is_empty()
                && let Some((whole, rest)) = length(bytes, self.most)?.and_then(|length| bytes.split_at_checked(length))
            {
                // The usual case: the whole frame is in this read and need not be copied.
                frame(whole, sink);
                bytes = rest;
                continue;
            }
            // First its head, then as much as the head says.
            let wanted = length(&self.begun, self.most)?.unwrap_or(HEAD);
            let (part, rest) = bytes.split_at(bytes.len().min(wanted - self.begun.len()));
            self.begun.extend_from_slice(part);
            bytes = rest;
            if length(&self.begun, self.most)? == Some(self.begun.len()) {
                frame(&self.begun, sink);
                self.begun.clear();
            }
        }
        Ok(())
    }
}

/// Length of the frame that begins like this, with its head; `None` if the head is not whole.
fn length(begun: &[u8], most: usize) -> Result<Option<usize>, FrameError> {
    match begun.first() {
        None | Some(&PLAIN | &TRAILERS) => {}
        Some(&COMPRESSED) => return Err(FrameError::Compressed),
        Some(other) => return Err(FrameError::NoFrame(*other)),
    }
    let Some(&[_, a, b, c, d]) = begun.get(..HEAD) else { return Ok(None) };
    let claimed = u32::from_be_bytes([a, b, c, d]);
    if claimed as usize > most { Err(FrameError::TooLong { claimed, most }) } else { Ok(Some(HEAD + claimed as usize)) }
}

/// How a call ended, as its trailers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallStatus {
    /// The number, as it was sent.
    code: String,
    /// The server's words.
    message: String,
}

impl CallStatus {
    /// Reads the content of a frame of trailers.
    pub(super) fn read(lines: &[u8]) -> Self {
        let text = String::from_utf8_lossy(lines);
        let value = |name: &str| {
            let named = |line: &str| {
                Some(line.split_once(':')?).filter(|(key, _)| *key == name).map(|(_, v)| v.trim().to_owned())
            };
            text.split("\r\n").find_map(named).unwrap_or_default()
        };
        Self { code: value(STATUS), message: percent_decoded(&value(MESSAGE)) }
    }

    /// Whether all went well.
    pub(super) fn is_ok(&self) -> bool {
        self.code == "0"
    }

    /// The server's words and the status's name.
    pub(super) fn text(&self) -> String {
        let name = self.code.parse().ok().and_then(|code: usize| NAMES.get(code)).copied().unwrap_or("no known one");
        match self.message.as_str() {
            "" => format!("{STATUS} {} ({name}) without a message", self.code),
            message => format!("{message} ({STATUS} {}, {name})", self.code),
        }
    }
}

/// The names of statuses, by their numbers.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A message as trailers may hold it.
pub(crate) fn percent_encoded(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// What is not encoded as it should be stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Content, whether it is trailers, and the stamp.
    type Seen = (Vec<u8>, bool, Nanos);

    fn run<'b>(reads: impl IntoIterator<Item = &'b [u8]>, most: usize) -> (Vec<Seen>, Result<(), FrameError>) {
        let mut seen = Vec::new();
        let mut parser = FrameParser::new(most);
        let mut result = Ok(());
        for (at, read) in (1..).zip(reads) {
            let mut sink = |frame: Frame<'_>| seen.push((frame.data.to_vec(), frame.trailers, frame.at));
            result = result.and(parser.push(read, at, &mut sink));
            // Nothing but one frame is ever kept.
            assert!(parser.begun.len() < HEAD + most.max(1));
        }
        (seen, result)
    }

    #[test]
    fn a_frame_has_the_stamp_of_the_read_that_completes_it() {
        let (seen, result) =
            run([&b"\0\0\0"[..], b"\0\x02a", b"b\0\0\0\0\0\0\0\0\0\x01", b"c\x80\0\0\0\x01d", b"\0"], 9);
        let plain = |data: &[u8], at| (data.to_vec(), false, at);
        assert_eq!(seen, [plain(b"ab", 3), plain(b"", 3), plain(b"c", 4), (b"d".to_vec(), true, 4)]);
        assert_eq!(result, Ok(()));
    }

    #[test]
    fn what_claims_too_much_gets_no_memory() {
        let whole = frame(b"ab");
        for (stream, error) in [
            (&b"\0\xff\xff\xff\xff"[..], FrameError::TooLong { claimed: u32::MAX, most: 9 }),
            (b"\0\0\0\0\x0a", FrameError::TooLong { claimed: 10, most: 9 }),
            (b"\x01\0\0\0\x01a", FrameError::Compressed),
            (b"<html>", FrameError::NoFrame(b'<')),
            (b"{", FrameError::NoFrame(b'{')),
        ] {
            let stream = [&whole, stream, &whole].concat();
            assert_eq!(run([&stream[..]], 9), (vec![(b"ab".to_vec(), false, 1)], Err(error)));
            assert_eq!(run(stream.chunks(1), 9).1, Err(error));
        }
        let mut parser = FrameParser::new(9);
        assert!(parser.push(b"x", 0, &mut |_| ()).is_err());
        assert_eq!(parser.push(&whole, 1, &mut |_| panic!("it has given up")), Err(FrameError::NoFrame(b'x')));
    }

    fn status(code: &[u8], message: Option<&[u8]>) -> CallStatus {
        let frame = trailers(|name| if name == STATUS { Some(code) } else { message }).unwrap();
        let (seen, _) = run([&frame[..]], 1 << 10);
        assert!(seen[0].1);
        CallStatus::read(&seen[0].0)
    }

    #[test]
    fn trailers_tell_the_status() {
        assert!(status(b"0", None).is_ok());
        let full = status(b"8", Some(b"out of memory: 100%25, caf%C3%A9"));
        assert!(!full.is_ok());
        assert_eq!(full.text(), "out of memory: 100%, caf\u{e9} (grpc-status 8, RESOURCE_EXHAUSTED)");
        assert_eq!(status(b"13", None).text(), "grpc-status 13 (INTERNAL) without a message");
        assert_eq!(status(b"99", Some(b"so")).text(), "so (grpc-status 99, no known one)");
        assert!(!status(b"", None).is_ok());
        assert_eq!(trailers(|_| None), None);
    }

    #[test]
    fn percent_signs_are_read_as_far_as_they_mean_something() {
        for (text, message) in [("a%20b", "a b"), ("100%", "100%"), ("%zz%4", "%zz%4"), ("%E2%82%AC", "\u{20ac}")] {
            assert_eq!(percent_decoded(text), message);
        }
        assert_eq!(percent_encoded("5 % \u{20ac}\n"), "5 %25 %E2%82%AC%0A");
    }

    proptest! {
        #[test]
        fn messages_survive_their_encoding(message in ".{0,40}") {
            prop_assert_eq!(percent_decoded(&percent_encoded(&message)), message);
        }

        #[test]
        fn portions_make_no_difference(
            stream in proptest::collection::vec(prop_oneof![
                4 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(|data| frame(&data)),
                1 => proptest::collection::vec(any::<u8>(), 0..12).prop_map(|data| framed(TRAILERS, &data)),
                1 => proptest::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..7),
            ], 0..12).prop_map(|parts| parts.concat()),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
            most in 0_usize..14,
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(stream.len());
            let mut from = 0;
            let reads: Vec<&[u8]> = cuts.iter().map(|&to| &stream[std::mem::replace(&mut from, to)..to]).collect();
            let timeless = |(seen, result): (Vec<Seen>, _)| {
                (seen.into_iter().map(|(data, trailers, _)| (data, trailers)).collect::<Vec<_>>(), result)
            };
            let whole = timeless(run([&stream[..]], most));
            prop_assert_eq!(timeless(run(reads, most)), whole.clone());
            prop_assert_eq!(timeless(run(stream.chunks(1), most)), whole);
        }
    }
}

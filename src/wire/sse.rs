//! Server-sent events, parsed as the bytes come (the event stream format of the HTML standard).

use crate::units::Nanos;

/// One event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// Its name; `message` if the server gives none. Bytes that are not UTF-8 leave it empty.
    pub name: &'a str,
    /// The values of its `data` lines, joined by line feeds.
    pub data: &'a [u8],
    /// Stamp of the read that completed it.
    pub at: Nanos,
    /// Whether an earlier event was completed by the same read.
    pub coalesced: bool,
    /// The stream ended before the blank line, so that the data may be cut short.
    pub unterminated: bool,
}

/// Why a stream is not read further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {max_event_bytes} bytes")]
pub struct SseError {
    /// The limit that was passed.
    pub max_event_bytes: usize,
}

/// An incremental parser: bytes in any portions in, events out, in linear time.
///
/// Lines end in LF, CR or CRLF. `id` and `retry` are recognised and dropped, since a measured request is never
/// reconnected.
#[derive(Debug)]
pub struct SseParser {
    max_event_bytes: usize,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// Values of the event's `data` lines, each followed by a line feed.
    data: Vec<u8>,
    name: Vec<u8>,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
    /// No line has ended yet: a byte order mark may stand in front.
    first_line: bool,
    /// The stamp of the last read.
    at: Nanos,
    events_in_read: u32,
    comments: u32,
    error: Option<SseError>,
}

impl SseParser {
    /// A parser that gives up on a stream with an event or a line of more than `max_event_bytes`.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            max_event_bytes,
            line: Vec::new(),
            data: Vec::new(),
            name: Vec::new(),
            after_cr: false,
            first_line: true,
            at: 0,
            events_in_read: 0,
            comments: 0,
            error: None,
        }
    }

    /// Takes the bytes of one network read that returned at `at` and gives each event that they complete to `sink`.
    ///
    /// After an error every further call returns the same error.
    pub fn push(&mut self, mut bytes: &[u8], at: Nanos, sink: &mut impl FnMut(SseEvent<'_>)) -> Result<(), SseError> {
        self.at = at;
        self.events_in_read = 0;
        while self.error.is_none() {
            if std::mem::take(&mut self.after_cr) {
                match bytes.first() {
                    Some(b'\n') => bytes = &bytes[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) else {
                self.line.extend_from_slice(bytes);
                self.check_size(self.line.len());
                break;
            };
            self.after_cr = bytes[end] == b'\r';
            if self.line.is_empty() {
                // The usual case: the whole line is in this read and need not be copied.
                self.end_line(&bytes[..end], sink);
            } else {
                self.line.extend_from_slice(&bytes[..end]);
                let mut line = std::mem::take(&mut self.line);
                self.end_line(&line, sink);
                line.clear();
                self.line = line;
            }
            bytes = &bytes[end + 1..];
        }
        self.error.map_or(Ok(()), Err)
    }

    /// The stream has ended: gives what is left to `sink`, marked [`SseEvent::unterminated`].
    ///
    /// The standard drops an event whose blank line is missing, but servers do leave out the last one; whoever reads
    /// the data can tell whether it is whole.
    pub fn finish(mut self, sink: &mut impl FnMut(SseEvent<'_>)) -> Result<(), SseError> {
        let line = std::mem::take(&mut self.line);
        if self.error.is_none() && !line.is_empty() {
            self.end_line(&line, sink);
        }
        if self.error.is_none() {
            self.dispatch(true, sink);
        }
        self.error.map_or(Ok(()), Err)
    }

    /// Comment lines so far; servers send them to keep a connection alive.
    pub fn comments(&self) -> u32 {
        self.comments
    }

    fn check_size(&mut self, line: usize) {
        if line + self.data.len() > self.max_event_bytes {
            self.error = Some(SseError { max_event_bytes: self.max_event_bytes });
        }
    }

    fn end_line(&mut self, mut line: &[u8], sink: &mut impl FnMut(SseEvent<'_>)) {
        self.check_size(line.len());
        if self.error.is_some() {
            return;
        }
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(false, sink);
            return;
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(0) => {
                self.comments += 1;
                return;
            }
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            _ => {}
        }
    }

    /// Ends the event. One without a `data` line is none.
    fn dispatch(&mut self, unterminated: bool, sink: &mut impl FnMut(SseEvent<'_>)) {
        if let Some(data) = self.data.strip_suffix(b"\n") {
            let name = if self.name.is_empty() { b"message" } else { &self.name[..] };
            sink(SseEvent {
                name: std::str::from_utf8(name).unwrap_or_default(),
                data,
                at: self.at,
                coalesced: self.events_in_read > 0,
                unterminated,
            });
            self.events_in_read += 1;
        }
        self.data.clear();
        self.name.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Seen {
        name: String,
        data: String,
        at: Nanos,
        coalesced: bool,
        unterminated: bool,
    }

    fn run<'b>(reads: impl IntoIterator<Item = &'b [u8]>, max: usize) -> (Vec<Seen>, Result<(), SseError>) {
        let mut seen = Vec::new();
        let mut sink = |event: SseEvent<'_>| {
            seen.push(Seen {
                name: event.name.to_owned(),
                data: String::from_utf8_lossy(event.data).into_owned(),
                at: event.at,
                coalesced: event.coalesced,
                unterminated: event.unterminated,
            });
        };
        let mut parser = SseParser::new(max);
        let mut result = Ok(());
        for (at, read) in reads.into_iter().enumerate() {
            result = result.and(parser.push(read, at as Nanos, &mut sink));
        }
        let result = result.and(parser.finish(&mut sink));
        (seen, result)
    }

    fn data_of(stream: &[u8]) -> Vec<String> {
        let (seen, result) = run([stream], 1 << 20);
        result.unwrap();
        seen.into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn framings() {
        let table: [(&str, &[u8], &[&str]); 17] = [
            ("line feeds", b"data: a\n\ndata: b\n\n", &["a", "b"]),
            ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            ("lone CR", b"data: a\r\rdata: b\r\r", &["a", "b"]),
            ("mixed line ends", b"data: a\r\n\ndata: b\n\r", &["a", "b"]),
            ("no space", b"data:a\n\n", &["a"]),
            ("only one space is dropped", b"data:  a\n\n", &[" a"]),
            ("several data lines", b"data: a\ndata: b\n\n", &["a\nb"]),
            ("byte order mark", b"\xEF\xBB\xBFdata: a\n\n", &["a"]),
            ("byte order mark later is part of a field", b"data: a\n\n\xEF\xBB\xBFdata: b\n\n", &["a"]),
            ("comments and pings", b": ping\n\n:\n\ndata: a\n: in between\ndata: b\n\n", &["a\nb"]),
            ("other fields", b"id: 7\nretry: 10\nfoo: bar\ndata: a\n\n", &["a"]),
            ("a field without a colon", b"data\n\n", &[""]),
            ("no data, no event", b"event: ping\n\ndata: a\n\n", &["a"]),
            ("no final blank line", b"data: a\n\ndata: [DONE]\n", &["a", "[DONE]"]),
            ("no final line end", b"data: a\n\ndata: [DONE]", &["a", "[DONE]"]),
            ("a name alike", b"datax: a\nDATA: b\n data: c\n\n", &[]),
            ("colons in data", b"data: {\"a\": 1}\n\n", &["{\"a\": 1}"]),
        ];
        for (name, stream, expected) in table {
            assert_eq!(data_of(stream), expected, "{name}");
        }
    }

    #[test]
    fn names_last_for_one_event() {
        let (seen, _) = run([&b"event: error\ndata: a\n\ndata: b\n\n"[..]], 100);
        assert_eq!(seen.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["error", "message"]);
    }

    #[test]
    fn an_event_has_the_stamp_of_the_read_that_completes_it() {
        let (seen, _) = run([&b"data: a"[..], b"b\n", b"\ndata: c\n\ndata: d\r\n\r", b"\ndata: e\n"], 100);
        let marks: Vec<_> = seen.iter().map(|event| (event.data.as_str(), event.at, event.coalesced)).collect();
        assert_eq!(marks, [("ab", 2, false), ("c", 2, true), ("d", 2, true), ("e", 3, false)]);
        assert_eq!(seen.iter().map(|event| event.unterminated).collect::<Vec<_>>(), [false, false, false, true]);
    }

    #[test]
    fn comments_are_counted() {
        let mut parser = SseParser::new(100);
        parser.push(b": ping\n\n:\n", 0, &mut |_| panic!("a comment is no event")).unwrap();
        assert_eq!(parser.comments(), 2);
    }

    #[test]
    fn a_stream_with_an_event_that_is_too_long_stays_refused() {
        let error = SseError { max_event_bytes: 10 };
        for stream in
            [&b"data: a\n\ndata: 456789\n\n"[..], b"data: a\n\ndata:12\ndata:34567\n\n", b"data: a\n\n:2345678901"]
        {
            let (seen, result) = run([stream], 10);
            assert_eq!((seen.len(), result), (1, Err(error)), "{}", String::from_utf8_lossy(stream));
        }
        let mut parser = SseParser::new(4);
        assert!(parser.push(b"data: a", 0, &mut |_| ()).is_err());
        assert_eq!(parser.push(b"\n\n", 1, &mut |_| ()).unwrap_err().max_event_bytes, 4);
    }

    /// What makes a stream interesting.
    const PARTS: &[&[u8]] = &[
        b"data:",
        b"data: x",
        b"event: e",
        b":",
        b"{}",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\xEF\xBB\xBF",
        b"\xE2\x82\xAC",
    ];

    proptest! {
        #[test]
        fn portions_make_no_difference(
            stream in proptest::collection::vec(prop_oneof![
                8 => prop::sample::select(PARTS).prop_map(<[u8]>::to_vec),
                1 => proptest::collection::vec(any::<u8>(), 0..4),
            ], 0..40).prop_map(|parts| parts.concat()),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
            max in prop_oneof![Just(1_usize << 20), 0_usize..30],
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(stream.len());
            let mut from = 0;
            let reads: Vec<&[u8]> = cuts.iter().map(|&to| &stream[std::mem::replace(&mut from, to)..to]).collect();
            let strip = |(mut seen, result): (Vec<Seen>, _)| {
                for event in &mut seen {
                    (event.at, event.coalesced) = (0, false);
                }
                (seen, result)
            };
            prop_assert_eq!(strip(run(reads, max)), strip(run([&stream[..]], max)));
        }
    }
}

//! What must hold for any bytes of an answer. Fuzz targets check it for bytes that they make up, and the test below for
//! those that they have found.

use tokpace::record::{Failure, RequestRecord};
use tokpace::tokens::Tokenizer;
use tokpace::wire::{RawRequest, Read, SseError, SseEvent, SseParser, openai_chat};

/// Small, so that streams come upon it.
const MOST_EVENT_BYTES: usize = 4096;

/// Name, data, and whether the stream ended before the event's blank line.
type Event = (String, Vec<u8>, bool);

fn events(reads: &[&[u8]]) -> (Vec<Event>, Result<(), SseError>) {
    let mut events = Vec::new();
    let mut sink = |event: SseEvent<'_>| events.push((event.name.to_owned(), event.data.to_vec(), event.unterminated));
    let mut parser = SseParser::new(MOST_EVENT_BYTES);
    let result = (0..).zip(reads).try_for_each(|(at, read)| parser.push(read, at, &mut sink));
    let result = result.and_then(|()| parser.finish(&mut sink));
    (events, result)
}

/// Some ways to divide bytes into reads: each of the first `most` places to cut them in two, and every byte alone.
fn divisions(bytes: &[u8], most: usize) -> impl Iterator<Item = Vec<&[u8]>> {
    let halves = (0..bytes.len().min(most)).map(|at| vec![&bytes[..at], &bytes[at..]]);
    halves.chain([bytes.chunks(1).collect()])
}

/// However a stream is divided into reads, its events are the same, and no byte is in two of them.
pub(crate) fn sse(stream: &[u8], most: usize) {
    let whole = events(&[stream]);
    assert!(whole.0.iter().map(|(_, data, _)| data.len()).sum::<usize>() <= stream.len());
    assert!(whole.0.iter().all(|(_, data, _)| data.len() <= MOST_EVENT_BYTES));
    for reads in divisions(stream, most) {
        assert_eq!(events(&reads), whole, "{reads:?}");
    }
}

fn record(reads: &[&[u8]], status: u16, event_stream: bool) -> RequestRecord {
    let mut end = 0;
    let stamped = (1..).zip(reads).map(|(at, read)| {
        end += read.len() as u32;
        Read { at, end }
    });
    let raw = RawRequest {
        index: 0,
        user: 0,
        max_tokens: 8,
        planned_input_tokens: 3,
        request_id: "r".to_owned(),
        scheduled: 0,
        sent: 0,
        headers: Some(0),
        status: Some(status),
        event_stream,
        reads: stamped.collect(),
        bytes: reads.concat(),
        closed: u64::MAX,
        connect: None,
        to_cancel: false,
        cancelled: false,
        failure: None,
    };
    openai_chat::interpret(&raw, &Tokenizer::bundled())
}

/// A record without what depends on the division into reads.
fn timeless(mut record: RequestRecord) -> RequestRecord {
    record.chunks.iter_mut().for_each(|chunk| chunk.at = 0);
    (record.closed, record.coalesced, record.first_event) = (0, 0, record.first_event.map(|_| 0));
    record
}

/// However an answer is divided into reads, it says the same, and it says so: text, or what is wrong.
pub(crate) fn openai_chat(body: &[u8], most: usize) {
    for (status, event_stream) in [(200, true), (200, false), (500, false)] {
        let whole = record(&[body], status, event_stream);
        assert!(whole.failure.is_some() || !whole.chunks.is_empty());
        assert!(whole.chunks.len() <= body.len() && whole.chunks.is_sorted_by_key(|chunk| chunk.at));
        let longest = whole.failure.iter().map(|failure| failure.message.chars().count()).max();
        assert!(longest.unwrap_or(0) <= Failure::MAX_MESSAGE);
        let whole = timeless(whole);
        for reads in divisions(body, most) {
            assert_eq!(timeless(record(&reads, status, event_stream)), whole, "{reads:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::{Duration, Instant};

    /// The files of a target's corpus with their names. A package that was downloaded has none.
    fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        if !folder.parent().is_some_and(Path::is_dir) {
            eprintln!("skipped: there is no `{}`", folder.display());
            return Vec::new();
        }
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let paths = files.map(|file| file.unwrap().path());
        let mut corpus: Vec<_> = paths.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
        corpus.sort();
        assert!(corpus.len() >= 20, "{target}: only {} files", corpus.len());
        corpus
    }

    /// Says which file it was if `check` panics.
    fn each(target: &str, check: fn(&[u8], usize)) {
        for (name, bytes) in corpus(target) {
            let result = std::panic::catch_unwind(|| check(&bytes, usize::MAX));
            assert!(result.is_ok(), "{name}");
        }
    }

    #[test]
    fn every_division_of_the_corpus_says_the_same() {
        each("sse", super::sse);
        each("openai_chat", super::openai_chat);
    }

    /// Twice the bytes take about twice the time. What grew with the square of them would take minutes.
    #[test]
    fn long_streams_take_linear_time() {
        const LONG: usize = 1 << 17;
        let start = Instant::now();
        for (_, bytes) in corpus("sse") {
            if !bytes.is_empty() {
                let long: Vec<u8> = bytes.iter().copied().cycle().take(LONG).collect();
                super::sse(&long, 0);
                // One line, one event and one name without an end.
                super::sse(
                    &bytes
                        .iter()
                        .copied()
                        .filter(|byte| !b"\r\n".contains(byte))
                        .cycle()
                        .take(LONG)
                        .collect::<Vec<_>>(),
                    0,
                );
            }
        }
        for (_, bytes) in corpus("openai_chat") {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let events: Vec<&str> = text.split_inclusive("\n\n").filter(|event| event.contains("delta")).collect();
            if !events.is_empty() {
                let long: String = events.iter().copied().cycle().take(400).collect();
                super::openai_chat(long.as_bytes(), 0);
            }
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}

//! What must hold for any bytes of an answer. Fuzz targets check it for bytes that they make up, and the test below for
//! those that they have found.

use tokpace::record::{Failure, RequestRecord};
use tokpace::tokens::Tokenizer;
use tokpace::wire::{Protocol, RawRequest, Read, SseError, SseEvent, SseParser};

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

fn record(protocol: Protocol, reads: &[&[u8]], status: u16, event_stream: bool) -> RequestRecord {
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
        resent: 0,
        to_cancel: false,
        cancelled: false,
        failure: None,
    };
    protocol.interpret(&raw, &Tokenizer::bundled())
}

/// A record without what depends on the division into reads.
fn timeless(mut record: RequestRecord) -> RequestRecord {
    record.chunks.iter_mut().for_each(|chunk| chunk.at = 0);
    (record.closed, record.coalesced, record.first_event) = (0, 0, record.first_event.map(|_| 0));
    record
}

/// However an answer is divided into reads, it says the same, and it says so: text, or what is wrong.
pub(crate) fn openai_chat(body: &[u8], most: usize) {
    answer(Protocol::OpenaiChat, body, most);
}

pub(crate) fn openai_completions(body: &[u8], most: usize) {
    answer(Protocol::OpenaiCompletions, body, most);
}

pub(crate) fn openai_embeddings(body: &[u8], most: usize) {
    answer(Protocol::OpenaiEmbeddings, body, most);
}

pub(crate) fn lightllm(body: &[u8], most: usize) {
    answer(Protocol::Lightllm, body, most);
}

pub(crate) fn tgi(body: &[u8], most: usize) {
    answer(Protocol::Tgi, body, most);
}

#[cfg(feature = "grpc")]
pub(crate) fn ppl(body: &[u8], most: usize) {
    answer(Protocol::Ppl, body, most);
}

/// The same of any protocol.
fn answer(protocol: Protocol, body: &[u8], most: usize) {
    for (status, event_stream) in [(200, true), (200, false), (500, false)] {
        let whole = record(protocol, &[body], status, event_stream);
        assert!(whole.failure.is_some() || !whole.chunks.is_empty());
        assert!(whole.chunks.len() <= body.len() && whole.chunks.is_sorted_by_key(|chunk| chunk.at));
        let longest = whole.failure.iter().map(|failure| failure.message.chars().count()).max();
        assert!(longest.unwrap_or(0) <= Failure::MAX_MESSAGE);
        let whole = timeless(whole);
        for reads in divisions(body, most) {
            assert_eq!(timeless(record(protocol, &reads, status, event_stream)), whole, "{protocol}: {reads:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokpace::wire::Protocol;

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
        each("openai_completions", super::openai_completions);
        each("openai_embeddings", super::openai_embeddings);
        each("lightllm", super::lightllm);
        each("tgi", super::tgi);
        #[cfg(feature = "grpc")]
        each("ppl", super::ppl);
    }

    /// The corpus is not only of failures.
    #[test]
    fn the_plain_answer_of_each_corpus_is_good() {
        for (target, protocol) in [
            ("openai_chat", Protocol::OpenaiChat),
            ("openai_completions", Protocol::OpenaiCompletions),
            ("openai_embeddings", Protocol::OpenaiEmbeddings),
            ("lightllm", Protocol::Lightllm),
            ("tgi", Protocol::Tgi),
            #[cfg(feature = "grpc")]
            ("ppl", Protocol::Ppl),
        ] {
            let files = corpus(target);
            let Some((_, plain)) = files.iter().find(|(name, _)| name.ends_with("/plain")) else { continue };
            let record = super::record(protocol, &[plain], 200, false);
            assert_eq!(record.failure, None, "{target}");
            assert_eq!(record.output_tokens, if protocol.has_tokens() { 2 } else { 0 }, "{target}");
        }
    }

    /// Two tokens and their end, as each protocol's servers send them.
    const STREAMS: [(Protocol, &str); 3] = [
        (
            Protocol::OpenaiCompletions,
            "data: {\"choices\":[{\"index\":0,\"text\":\"The\",\"finish_reason\":null}],\"usage\":null}\n\n\
             data: {\"choices\":[{\"index\":0,\"text\":\" Stra\u{df}e\",\"finish_reason\":\"length\"}]}\n\n\
             data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
        ),
        (
            Protocol::Lightllm,
            "data:{\"token\": {\"id\": 5, \"text\": \"The\", \"count_output_tokens\": 1, \"prompt_tokens\": 9}, \
             \"generated_text\": null, \"finished\": false, \"finish_reason\": null}\n\n\
             data:{\"token\": {\"id\": 6, \"text\": \" Stra\u{df}e\", \"count_output_tokens\": 2, \"prompt_tokens\": 9}, \
             \"generated_text\": null, \"finished\": true, \"finish_reason\": \"length\"}\n\n",
        ),
        (
            Protocol::Tgi,
            "data:{\"index\":1,\"token\":{\"id\":5,\"text\":\"The\",\"special\":false},\"generated_text\":null,\"details\":null}\n\n\
             data:{\"index\":2,\"token\":{\"id\":6,\"text\":\" Stra\u{df}e\",\"special\":false},\"generated_text\":\"The Stra\u{df}e\",\
             \"details\":{\"finish_reason\":\"length\",\"generated_tokens\":2,\"input_length\":9}}\n\n",
        ),
    ];

    #[test]
    fn every_protocol_says_the_same_however_it_is_divided() {
        for (protocol, stream) in STREAMS {
            let record = super::record(protocol, &[stream.as_bytes()], 200, true);
            assert_eq!(record.failure, None, "{protocol}");
            assert_eq!((record.chunks.len(), record.input_tokens, record.output_tokens), (2, 9, 2), "{protocol}");
            let second = stream.match_indices("data:").nth(1).unwrap().0;
            for text in [
                stream.to_owned(),
                stream.replace('\n', "\r\n"),
                stream.replace("\n\n", "\n\n: ping\n\n"),
                stream.trim_end().to_owned(),
                // The middle of the second event, a strange one between, an error between.
                stream[..second + 20].to_owned(),
                [&stream[..second], "data: {\"choices\": 7, \"token\": 7}\n\n", &stream[second..]].concat(),
                [&stream[..second], "data: {\"error\":\"overloaded\"}\n\n", &stream[second..]].concat(),
            ] {
                super::answer(protocol, text.as_bytes(), usize::MAX);
            }
        }
        super::answer(Protocol::OpenaiEmbeddings, b"{\"data\":[{\"embedding\":[0.5,-1]}]}", usize::MAX);
    }

    #[test]
    fn no_bytes_are_too_strange_for_any_protocol() {
        for (_, bytes) in corpus("openai_chat") {
            for check in [super::openai_completions, super::openai_embeddings, super::lightllm, super::tgi] {
                check(&bytes, 8);
            }
            #[cfg(feature = "grpc")]
            super::ppl(&bytes, 8);
        }
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

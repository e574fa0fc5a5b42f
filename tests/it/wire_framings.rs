//! Answers as servers, proxies and strangers send them, byte for byte through real sockets: what each comes to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokpace::engine::{Engine, TransportOptions};
use tokpace::record::{FailureClass, RequestRecord, TokenSource, Usage};
use tokpace::tokens::Tokenizer;
use tokpace::wire::openai_chat;

use crate::support::measuring;
use crate::support::script::{Step, round, run, say, scripted, trickle};

/// A stream that ends with its connection.
const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
/// One that is sent in chunks.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn text(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":null}}\n\n")
}

fn usage(output: u32) -> String {
    format!("data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{output}}}}}\n\n")
}

/// Two tokens, as most servers send them.
fn plain() -> String {
    [ROLE, &text("The"), &text(" end"), STOP, &usage(2), DONE].concat()
}

/// A whole stream, which ends with its connection.
fn stream(body: impl AsRef<[u8]>) -> Vec<Step> {
    vec![say([HEAD.as_bytes(), body.as_ref()].concat()), Step::Close]
}

fn chunk(data: &str) -> String {
    format!("{:x}\r\n{data}\r\n", data.len())
}

/// A whole answer of a given length.
fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<Step> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    vec![say([head.as_bytes(), body].concat())]
}

/// What an answer comes to.
enum Outcome {
    /// It is read: tokens of each chunk, and of the answer.
    Read(&'static [u32], u32),
    /// It fails with a class and words, and so many chunks of it are kept.
    Fails(FailureClass, &'static str, usize),
}
use FailureClass::{Connect, Empty, ErrorEvent, HttpStatus, NoProgress, Parse, Timeout, Truncated};
use Outcome::{Fails, Read};

struct Row {
    name: &'static str,
    steps: Vec<Step>,
    outcome: Outcome,
    /// Given up after so many milliseconds in all, and of silence.
    patience: (u64, u64),
    also: fn(&RequestRecord) -> bool,
}

fn row(name: &'static str, steps: Vec<Step>, outcome: Outcome) -> Row {
    Row { name, steps, outcome, patience: (20_000, 10_000), also: |_| true }
}

impl Row {
    /// What else holds for the record.
    fn also(self, also: fn(&RequestRecord) -> bool) -> Self {
        Self { also, ..self }
    }

    fn patience(self, timeout: u64, no_progress: u64) -> Self {
        Self { patience: (timeout, no_progress), ..self }
    }

    /// What is wrong with a record of this row.
    fn wrong(&self, record: &RequestRecord) -> Option<String> {
        let tokens: Vec<u32> = record.chunks.iter().map(|chunk| chunk.tokens).collect();
        let fits = match (&self.outcome, &record.failure) {
            (Read(pieces, output), None) => (tokens.as_slice(), record.output_tokens) == (*pieces, *output),
            (Fails(class, words, chunks), Some(failure)) => {
                failure.class == *class && failure.message.contains(words) && tokens.len() == *chunks
            }
            _ => false,
        };
        (!fits || !(self.also)(record)).then(|| format!("{}: {record:?}", self.name))
    }
}

/// Asks a server of each row's kind once.
#[track_caller]
fn play(rows: Vec<Row>) {
    let _alone = measuring();
    let mut engine = Engine::start(1, &TransportOptions::default()).unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let (address, requests) = scripted(row.steps.clone());
        let (timeout, no_progress) = row.patience;
        let round = round(address, 1, Duration::from_millis(timeout), Duration::from_millis(no_progress));
        let recording = engine.run(round, &AtomicBool::new(false)).unwrap();
        assert_eq!(recording.requests.len(), 1, "{}", row.name);
        let record = openai_chat::interpret(&recording.requests[0], &Tokenizer::bundled());
        wrong.extend(row.wrong(&record));
        // Nothing is sent again behind the user's back.
        assert_eq!(requests.load(Ordering::Relaxed), 1, "{}", row.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_and_events() {
    let plain = plain();
    let (first, rest) = plain.split_at(plain.find("The").unwrap() + 1);
    let sharp = [text("Stra\u{df}e"), STOP.to_owned(), usage(3), DONE.to_owned()].concat();
    let within = sharp.find('\u{df}').unwrap() + 1;
    play(vec![
        row("as usual", stream(&plain), Read(&[1, 1], 2)),
        row("no space after the colon", stream(plain.replace("data: ", "data:")), Read(&[1, 1], 2)),
        row("CRLF", stream(plain.replace('\n', "\r\n")), Read(&[1, 1], 2)),
        row("lone CR", stream(plain.replace('\n', "\r")), Read(&[1, 1], 2)),
        row("comments and pings", stream(plain.replace("\n\n", "\n\n: ping\n\n:\n\n")), Read(&[1, 1], 2)),
        row("data over several lines", stream(plain.replace(",\"", ",\ndata: \"")), Read(&[1, 1], 2)),
        row("byte order mark", stream(format!("\u{feff}{plain}")), Read(&[1, 1], 2)),
        row("no final blank line", stream(plain.trim_end()), Read(&[1, 1], 2)),
        row("named events", stream(plain.replace("data: {", "event: chunk\nid: 4\ndata: {")), Read(&[1, 1], 2)),
        row(
            "a character over two reads",
            vec![
                say(HEAD),
                say(&sharp.as_bytes()[..within]),
                Step::Wait(30),
                say(&sharp.as_bytes()[within..]),
                Step::Close,
            ],
            Read(&[3], 3),
        ),
        row(
            "an event over two reads has the stamp of the second",
            vec![say(HEAD), say(first), Step::Wait(30), say(rest), Step::Close],
            Read(&[1, 1], 2),
        )
        .also(|record| record.chunks[0].at - record.first_event.unwrap() > 20_000_000),
        row(
            "an event over very many reads",
            [vec![say(HEAD)], trickle(&plain), vec![Step::Close]].concat(),
            Read(&[1, 1], 2),
        ),
    ]);
}

#[test]
fn what_chunks_say() {
    let think = |key: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"{key}\":\"Hm\"}}}}]}}\n\n");
    let tool = r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}"#;
    let tool = format!("data: {tool}\n\n");
    let counted =
        |words: &str, tokens: u32| text(words).replace("null", &format!("{{\"completion_tokens\":{tokens}}}"));
    let whole = r#"{"choices":[{"message":{"content":"The end"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":9,"completion_tokens":2}}"#;
    play(vec![
        row(
            "a role first, later the text",
            vec![say(HEAD), say(ROLE), Step::Wait(50), say(text("The")), say(STOP), say(DONE), Step::Close],
            Read(&[1], 1),
        )
        .also(|record| record.chunks[0].at - record.first_event.unwrap() > 40_000_000),
        row(
            "text first, later the usage alone",
            vec![say(HEAD), say(text("The")), say(STOP), Step::Wait(50), say(usage(1)), say(DONE), Step::Close],
            Read(&[1], 1),
        )
        .also(|record| {
            record.closed - record.chunks[0].at > 40_000_000
                && record.usage == Some(Usage { input: 9, output: 1, cached: None, reasoning: None })
        }),
        row("no usage", stream([&text("The"), STOP, DONE].concat()), Read(&[1], 1))
            .also(|record| record.usage.is_none() && record.input_tokens == 3),
        row(
            "reasoning by its older name",
            stream([&think("reasoning_content"), &text("so"), STOP, &usage(2)].concat()),
            Read(&[1, 1], 2),
        )
        .also(|record| record.chunks[0].reasoning && !record.chunks[1].reasoning),
        row(
            "reasoning by its newer name",
            stream([&think("reasoning"), &text("so"), STOP, &usage(2)].concat()),
            Read(&[1, 1], 2),
        )
        .also(|record| record.chunks[0].reasoning && !record.chunks[1].reasoning),
        row("tool-call arguments", stream([&tool, STOP, &usage(5)].concat()), Read(&[5], 5))
            .also(|record| !record.chunks[0].reasoning),
        row(
            "several tokens a chunk",
            stream([&text("The house"), &text(" and the gar"), &text("den"), STOP, &usage(5)].concat()),
            Read(&[2, 2, 1], 5),
        )
        .also(|record| record.token_source == TokenSource::Tokenizer),
        row(
            "several tokens a chunk, counted by the server",
            stream([&counted("The house", 4), &counted(" and", 5), STOP, &usage(6), DONE].concat()),
            Read(&[4, 1], 6),
        )
        .also(|record| record.token_source == TokenSource::ContinuousUsage),
        row(
            "a JSON body in place of a stream",
            answer("200 OK", "content-type: application/json\r\n", whole),
            Read(&[2], 2),
        )
        .also(|record| !record.streamed),
        row(
            "a stream that calls itself JSON",
            answer("200 OK", "content-type: application/json\r\n", plain()),
            Read(&[1, 1], 2),
        )
        .also(|record| record.streamed),
        row(
            "an event of a megabyte",
            stream([&text(&"the ".repeat(1 << 18)), STOP, &usage(9), DONE].concat()),
            Read(&[9], 9),
        ),
    ]);
}

#[test]
fn how_answers_end() {
    let two = [ROLE, &text("The"), &text(" end")].concat();
    let oom = "data: {\"error\":{\"message\":\"out of memory\"}}\n\n";
    let named = "event: error\ndata: {\"message\":\"out of memory\"}\n\n";
    let short = |body: &str| {
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\n\r\n", body.len() + 9);
        vec![say(head + body), Step::Close]
    };
    play(vec![
        row("a finish reason and no end mark", stream(format!("{two}{STOP}")), Read(&[1, 1], 2)),
        row("an end mark and no finish reason", stream(format!("{two}{DONE}")), Read(&[1, 1], 2)),
        row("bytes after the end mark", stream(format!("{two}{DONE}{oom}{}", text(" more"))), Read(&[1, 1], 2)),
        row("neither", stream(&two), Fails(Truncated, "after 2 chunks with text", 2)),
        row("an event that breaks off", stream(format!("{two}data: {{\"choi")), Fails(Truncated, "after 2 chunks", 2)),
        row("nothing at all", stream(""), Fails(Truncated, "before any text", 0)),
        row("fewer bytes than said", short(&two), Fails(Truncated, "broke off", 2)),
        row("fewer bytes than said, after the end", short(&format!("{two}{STOP}")), Read(&[1, 1], 2)),
        row(
            "a chunk that breaks off",
            vec![say(format!("{CHUNKED}{}40\r\nda", chunk(&two))), Step::Close],
            Fails(Truncated, "broke off", 2),
        ),
        row(
            "no last chunk, after the end",
            vec![say(format!("{CHUNKED}{}", chunk(&plain()))), Step::Close],
            Read(&[1, 1], 2),
        ),
        row(
            "a chunk without a size",
            vec![say(format!("{CHUNKED}{}zz\r\n", chunk(&two))), Step::Close],
            Fails(Truncated, "broke off", 2),
        ),
        row(
            "an error among the events",
            stream(format!("{two}{oom}{STOP}{DONE}")),
            Fails(ErrorEvent, "out of memory", 2),
        ),
        row("an error event", stream(format!("{two}{named}{STOP}{DONE}")), Fails(ErrorEvent, "out of memory", 2)),
        row("no text", stream(format!("{ROLE}{STOP}{DONE}")), Fails(Empty, "no text although 8 tokens", 0)),
        row("no JSON", stream(format!("{two}data: oops\n\n{STOP}")), Fails(Parse, "in an event: oops", 2)),
        row(
            "half a JSON body",
            answer("200 OK", "content-type: application/json\r\n", "{\"choices\":[{"),
            Fails(Parse, "in the body: {", 0),
        ),
    ]);
}

#[test]
fn how_bytes_travel() {
    let plain = plain();
    let whole = [HEAD, &plain].concat();
    let trailers = format!("{CHUNKED}{:x};name=value;x\r\n{plain}\r\n0;last\r\nx-checksum: 1\r\n\r\n", plain.len());
    let old = format!("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{plain}");
    let hints = format!("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n{whole}");
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x49\x2c\x49\x04\x00";
    let compressed = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n";
    let named = "content-type: text/event-stream\r\ncontent-encoding: Identity\r\n";
    play(vec![
        row("byte by byte, head and all", [trickle(&whole), vec![Step::Close]].concat(), Read(&[1, 1], 2)),
        row("extensions of chunks, and trailers", vec![say(trailers)], Read(&[1, 1], 2)),
        row("HTTP/1.0 without a length", vec![say(old), Step::Close], Read(&[1, 1], 2)),
        row("hints before the answer", vec![say(hints), Step::Close], Read(&[1, 1], 2)),
        row(
            "compressed unasked",
            answer("200 OK", compressed, gzip),
            Fails(Parse, "compressed (`content-encoding: gzip`)", 0),
        ),
        row("identity by name", answer("200 OK", named, &plain), Read(&[1, 1], 2)),
        row("closed before the answer", vec![Step::Close], Fails(Connect, "", 0))
            .also(|record| record.status.is_none()),
        row("closed within the head", vec![say("HTTP/1.1 200 OK\r\ncontent-ty"), Step::Close], Fails(Connect, "", 0)),
        row("another protocol", vec![say("SSH-2.0-OpenSSH_9.6\r\n"), Step::Close], Fails(Connect, "HTTP", 0)),
        row(
            "an event without an end",
            vec![say(HEAD), say(text("The")), say("data: "), say("x".repeat(5 << 20)), Step::Close],
            Fails(Parse, "an event of the stream is longer than", 1),
        ),
        row(
            "an answer without an end",
            vec![say(HEAD), Step::Repeat(text(&"x".repeat(1 << 20)).into_bytes(), 0)],
            Fails(Parse, "the answer takes more than 16 MiB of memory", 16),
        ),
    ]);
}

#[test]
fn refusals_are_quoted() {
    const HTML: &str = "content-type: text/html\r\n";
    let limit = r#"{"error":{"message":"slow down","type":"rate_limit"}}"#;
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00";
    play(vec![
        row("no such page", answer("404 Not Found", HTML, "<h1>404</h1>"), Fails(HttpStatus, "<h1>404</h1>", 0)),
        row(
            "a gateway",
            answer("502 Bad Gateway", HTML, "<h1>Bad Gateway</h1>"),
            Fails(HttpStatus, "<h1>Bad Gateway</h1>", 0),
        ),
        row(
            "a gateway that compresses",
            answer("502 Bad Gateway", "content-encoding: gzip\r\n", gzip),
            Fails(HttpStatus, "status 502: the body is compressed", 0),
        ),
        row(
            "nothing to say",
            answer("503 Service Unavailable", "", ""),
            Fails(HttpStatus, "status 503 without a body", 0),
        ),
        row(
            "too many requests",
            answer("429 Too Many Requests", "retry-after: 0\r\n", limit),
            Fails(HttpStatus, "slow down", 0),
        )
        .also(|record| record.status == Some(429)),
        row("a page with status 200", answer("200 OK", HTML, "<h1>Welcome</h1>"), Fails(Parse, "Welcome", 0)),
        row(
            "a redirect",
            answer("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", ""),
            Fails(HttpStatus, "307", 0),
        ),
    ]);
}

#[test]
fn patience_has_an_end() {
    let the = format!("{CHUNKED}{}", chunk(&text("The")));
    let finished = format!("{CHUNKED}{}", chunk(&plain()));
    let unmarked = format!("{CHUNKED}{}", chunk(&format!("{}{STOP}", text("The"))));
    let slowly =
        |body: &str| body.as_bytes().chunks(20).flat_map(|part| [say(part), Step::Wait(30)]).collect::<Vec<_>>();
    play(vec![
        row("no head", vec![Step::Wait(1500)], Fails(Timeout, "no end after 300ms (`request.timeout`)", 0))
            .patience(300, 5000),
        row(
            "a head that stops",
            vec![say("HTTP/1.1 200 OK\r\nx:"), Step::Wait(1500)],
            Fails(NoProgress, "no byte for 200ms", 0),
        )
        .patience(5000, 200),
        row(
            "a stall",
            vec![say(&the), Step::Wait(1500)],
            Fails(NoProgress, "no byte for 300ms (`request.no_progress`)", 1),
        )
        .patience(5000, 300),
        row(
            "pings for ever",
            vec![say(&the), Step::Repeat(chunk(": ping\n\n").into_bytes(), 20)],
            Fails(Timeout, "no end after 400ms", 1),
        )
        .patience(400, 300),
        // Every byte is progress: the answer may take longer than the longest silence.
        row("slow but steady", [vec![say(HEAD)], slowly(&plain()), vec![Step::Close]].concat(), Read(&[1, 1], 2))
            .patience(20_000, 400)
            .also(|record| record.closed - record.sent > 400_000_000),
        // Nothing can be missing after the end mark, and the wait for the close is no part of the answer.
        row("an end mark, then silence", vec![say(&finished), Step::Wait(1500)], Read(&[1, 1], 2))
            .patience(5000, 500)
            .also(|record| record.closed - record.chunks[1].at < 400_000_000),
        row("a finish reason, then silence", vec![say(&unmarked), Step::Wait(1500)], Fails(NoProgress, "", 1))
            .patience(5000, 200),
    ]);
}

/// The first of some tries in which what holds on an idle machine holds; a busy one may split any read in two.
fn tries(steps: Vec<Step>, holds: impl Fn(&RequestRecord) -> bool) -> Result<(), Vec<RequestRecord>> {
    let (address, _) = scripted(steps);
    let records = run(round(address, 20, Duration::from_secs(20), Duration::from_secs(10)));
    if records.iter().any(holds) { Ok(()) } else { Err(records) }
}

#[test]
fn events_of_one_read_share_its_stamp_however_they_are_framed() {
    let events = [text("a"), text(" b"), text(" c"), text(" d"), STOP.to_owned(), DONE.to_owned()];
    let shared = |record: &RequestRecord| {
        assert_eq!((&record.failure, record.chunks.len()), (&None, 4));
        record.coalesced == 5 && record.chunks.iter().all(|chunk| chunk.at == record.chunks[0].at)
    };
    tries(stream(events.concat()), shared).unwrap();
    // A chunk an event, as most servers send them: a proxy, or a busy client, finds several in one read.
    let chunks: String = events.iter().map(|event| chunk(event)).collect();
    tries(vec![say(format!("{CHUNKED}{chunks}0\r\n\r\n"))], shared).unwrap();
    // Apart, they have stamps of their own.
    let apart = events.iter().flat_map(|event| [Step::Wait(2), say(chunk(event))]);
    let steps = [say(CHUNKED)].into_iter().chain(apart).chain([say("0\r\n\r\n")]).collect();
    let own = |record: &RequestRecord| {
        assert_eq!((&record.failure, record.chunks.len()), (&None, 4));
        record.coalesced == 0 && record.chunks.windows(2).all(|pair| pair[1].at - pair[0].at > 1_000_000)
    };
    tries(steps, own).unwrap();
}

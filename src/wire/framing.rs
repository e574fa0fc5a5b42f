//! Whole answers as servers really send them, from bytes and stamps to records.

use proptest::prelude::*;

use super::openai_chat::{interpret, progress};
use super::raw::{RawRequest, Read};
use crate::record::{Failure, FailureClass, RequestRecord, TokenSource, Usage};
use crate::tokens::Tokenizer;

/// An answer whose reads have the stamps 10, 20, 30, …
fn raw(reads: &[&[u8]]) -> RawRequest {
    let mut end = 0;
    let stamped = reads.iter().enumerate().map(|(index, read)| {
        end += read.len() as u32;
        Read { at: 10 * (index as u64 + 1), end }
    });
    RawRequest {
        index: 3,
        user: 1,
        max_tokens: 8,
        planned_input_tokens: 12,
        request_id: "r-3".to_owned(),
        scheduled: 1,
        sent: 2,
        headers: Some(5),
        status: Some(200),
        event_stream: true,
        reads: stamped.collect(),
        bytes: reads.concat(),
        closed: 999,
        connect: None,
        resent: 0,
        to_cancel: false,
        cancelled: false,
        failure: None,
    }
}

fn record(reads: &[&str]) -> RequestRecord {
    interpret(&raw(&reads.iter().map(|read| read.as_bytes()).collect::<Vec<_>>()), &Tokenizer::bundled())
}

fn content(text: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}],\"usage\":null}}\n\n")
}

const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const STOP: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn stamps(record: &RequestRecord) -> Vec<u64> {
    record.chunks.iter().map(|chunk| chunk.at).collect()
}

fn class(record: &RequestRecord) -> Option<FailureClass> {
    record.failure.as_ref().map(|failure| failure.class)
}

#[test]
fn a_usual_stream() {
    let record = record(&[ROLE, &content("The"), &content(" end"), STOP, USAGE, DONE]);
    assert_eq!(record.failure, None);
    assert_eq!(record.first_event, Some(10), "the role-only chunk is an event");
    assert_eq!(stamps(&record), [20, 30], "but neither it nor the chunks after the text are text");
    assert_eq!(record.closed, 60, "the end mark closes the stream, not the connection's end");
    assert_eq!(record.usage, Some(Usage { input: 9, output: 2, cached: None, reasoning: None }));
    assert_eq!((record.input_tokens, record.output_tokens, record.token_source), (9, 2, TokenSource::Usage));
    assert_eq!((record.finish_reason.as_deref(), record.coalesced, record.streamed), (Some("stop"), 0, true));
    assert_eq!((record.index, record.user, record.max_tokens, record.request_id.as_str()), (3, 1, 8, "r-3"));
    assert_eq!((record.scheduled, record.sent, record.headers, record.status), (1, 2, Some(5), Some(200)));
}

#[test]
fn either_finish_mark_is_enough_and_none_is_truncated() {
    let table: [(&str, &[&str], Option<FailureClass>); 6] = [
        ("an end mark alone", &[DONE], None),
        ("a finish reason alone", &[STOP], None),
        ("an end mark without a blank line", &["data: [DONE]\n"], None),
        ("an end mark without a line end", &["data:[DONE]"], None),
        ("nothing", &[], Some(FailureClass::Truncated)),
        ("an event that broke off", &["data: {\"choices\":[{\"del"], Some(FailureClass::Truncated)),
    ];
    for (name, end, expected) in table {
        let (first, second) = (content("The"), content(" end"));
        let mut reads = vec![ROLE, &first, &second];
        reads.extend(end);
        let record = record(&reads);
        assert_eq!(class(&record), expected, "{name}");
        assert_eq!(stamps(&record), [20, 30], "{name}");
    }
}

#[test]
fn an_event_over_many_reads_has_the_last_stamp_and_many_in_one_read_share_it() {
    let chunk = content("The");
    let (a, b) = chunk.split_at(30);
    let rest = [content(" end"), content(" of"), STOP.to_owned(), DONE.to_owned()].concat();
    let record = record(&[a, b, &rest]);
    assert_eq!(stamps(&record), [20, 30, 30]);
    assert_eq!(record.coalesced, 3, "three of the last read's four events follow another");
}

#[test]
fn a_character_over_two_reads_is_whole() {
    let stream = [content("Stra\u{df}e"), STOP.to_owned()].concat();
    let at = stream.find('\u{df}').unwrap() + 1;
    let record = interpret(&raw(&[&stream.as_bytes()[..at], &stream.as_bytes()[at..]]), &Tokenizer::bundled());
    assert_eq!(record.failure, None);
    assert_eq!(record.output_tokens, Tokenizer::bundled().count("Stra\u{df}e"));
}

#[test]
fn framing_makes_no_difference() {
    let plain = [ROLE, &content("The"), &content(" end"), STOP, USAGE, DONE].concat();
    let expected = record(&[&plain]);
    let table = [
        ("CRLF", plain.replace('\n', "\r\n")),
        ("lone CR", plain.replace('\n', "\r")),
        ("no space", plain.replace("data: ", "data:")),
        ("byte order mark", format!("\u{feff}{plain}")),
        ("pings", plain.replace("\n\n", "\n\n: ping\n\n")),
        ("empty events", plain.replace("\n\n", "\n\ndata: \n\n")),
        ("data over several lines", plain.replace(",\"", ",\ndata: \"")),
        ("named events", plain.replace("data: {", "event: chunk\nid: 4\ndata: {")),
        ("no final blank line", plain.trim_end().to_owned() + "\n"),
    ];
    for (name, stream) in table {
        assert_ne!(stream, plain, "{name}");
        let mut record = record(&[&stream]);
        record.coalesced = expected.coalesced;
        assert_eq!(record, expected, "{name}");
    }
}

#[test]
fn reasoning_is_a_token_and_not_yet_output() {
    let think = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\n";
    let tool = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"{}\"}}]}}]}\n\n";
    let record = record(&[think, &content(" so"), tool, STOP]);
    assert_eq!(record.failure, None);
    assert_eq!(record.chunks.iter().map(|chunk| chunk.reasoning).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn several_tokens_a_chunk_are_counted_on_the_whole_text() {
    let usage = USAGE.replace(":2}", ":5}");
    let record = record(&[&content("The house"), &content(" and the gar"), &content("den"), STOP, &usage, DONE]);
    assert_eq!(record.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!((record.output_tokens, record.token_source), (5, TokenSource::Tokenizer));
}

#[test]
fn usage_that_grows_with_the_chunks_counts_them() {
    let chunk = |text, so_far| {
        content(text).replace("null", &format!("{{\"prompt_tokens\":9,\"completion_tokens\":{so_far}}}"))
    };
    let record = record(&[&chunk("The", 1), &chunk(" end of it", 4), STOP, DONE]);
    assert_eq!(record.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((record.output_tokens, record.token_source), (4, TokenSource::ContinuousUsage));
}

#[test]
fn without_usage_the_plan_and_the_tokenizer_count() {
    let record = record(&[&content("The house"), STOP]);
    assert_eq!((record.usage, record.input_tokens, record.output_tokens), (None, 12, 2));
    assert_eq!(record.token_source, TokenSource::Tokenizer);
}

#[test]
fn an_error_inside_a_stream_is_a_failure_that_keeps_what_came_before() {
    for error in ["data: {\"error\":{\"message\":\"oom\"}}\n\n", "event: error\ndata: {\"message\":\"oom\"}\n\n"] {
        let record = record(&[&content("The"), error, &content(" end"), STOP, DONE]);
        assert_eq!(record.failure, Some(Failure::new(FailureClass::ErrorEvent, "oom")), "{error}");
        assert_eq!(stamps(&record), [10]);
    }
}

#[test]
fn an_answer_without_text_is_empty_only_if_text_was_asked_for() {
    let mut raw = raw(&[ROLE.as_bytes(), STOP.as_bytes(), DONE.as_bytes()]);
    assert_eq!(class(&interpret(&raw, &Tokenizer::bundled())), Some(FailureClass::Empty));
    raw.max_tokens = 0;
    assert_eq!(class(&interpret(&raw, &Tokenizer::bundled())), None);
}

#[test]
fn data_that_is_not_json_is_a_parse_failure() {
    let record = record(&[&content("The"), "data: oops\n\n", STOP, DONE]);
    assert_eq!(class(&record), Some(FailureClass::Parse));
    let message = record.failure.unwrap().message;
    assert!(message.starts_with("invalid JSON") && message.ends_with("in an event: oops"), "{message}");
}

#[test]
fn http_errors_keep_the_server_s_message() {
    let long = "slow down ".repeat(60);
    let unbroken = "x".repeat(600);
    let table = [
        (429, r#"{"error":{"message":"slow down","type":"rate_limit"}}"#, "slow down"),
        (400, r#"{"object":"error","message":"too long"}"#, "too long"),
        (422, r#"{"detail":[{"msg":"field required"}]}"#, r#"[{"msg":"field required"}]"#),
        (502, "<html>Bad Gateway</html>\n", "<html>Bad Gateway</html>"),
        (503, "", "status 503 without a body"),
        (302, "", "status 302 without a body"),
        (500, &long, &long[..500]),
        (500, &unbroken, "(a word that is too long to quote)"),
    ];
    for (status, body, expected) in table {
        // A body that breaks off does not make an error status anything else.
        for failure in [None, Some(Failure::new(FailureClass::Truncated, "body broke off"))] {
            let raw = RawRequest { status: Some(status), event_stream: false, failure, ..raw(&[body.as_bytes()]) };
            let record = interpret(&raw, &Tokenizer::bundled());
            assert_eq!(record.failure, Some(Failure::new(FailureClass::HttpStatus, expected)), "{status}");
            assert_eq!(record.chunks, []);
        }
    }
}

#[test]
fn a_body_that_cannot_be_read_is_blamed_and_the_status_goes_first() {
    let failure = Failure::new(FailureClass::Parse, "the body is compressed");
    let compressed = RawRequest { failure: Some(failure.clone()), ..raw(&[]) };
    assert_eq!(interpret(&compressed, &Tokenizer::bundled()).failure, Some(failure));
    let refused = RawRequest { status: Some(502), ..compressed };
    let expected = Failure::new(FailureClass::HttpStatus, "status 502: the body is compressed");
    assert_eq!(interpret(&refused, &Tokenizer::bundled()).failure, Some(expected));
}

#[test]
fn an_event_may_be_long_but_not_endless() {
    let long = content(&"the ".repeat(1 << 18));
    let usage = USAGE.replace(":2}", ":262144}");
    let record = record(&[&long, STOP, &usage, DONE]);
    assert_eq!((class(&record), record.chunks.len(), record.output_tokens), (None, 1, 262_144));
    let endless = format!("data: {}", "x".repeat(5 << 20));
    let record = self::record(&[&content("The"), &endless, STOP, DONE]);
    assert_eq!(class(&record), Some(FailureClass::Parse));
    assert_eq!(record.failure.unwrap().message, "an event of the stream is longer than 4194304 bytes");
    assert_eq!(record.chunks.len(), 1, "what came before it is kept");
}

#[test]
fn a_json_body_is_one_chunk_when_it_is_all_read() {
    let body = r#"{"choices":[{"message":{"content":"The end"},"finish_reason":"length"}],
        "usage":{"prompt_tokens":9,"completion_tokens":4}}"#;
    for event_stream in [false, true] {
        let raw = RawRequest { event_stream, ..raw(&[&body.as_bytes()[..20], &body.as_bytes()[20..]]) };
        let record = interpret(&raw, &Tokenizer::bundled());
        assert_eq!((record.failure.as_ref(), record.streamed, record.first_event), (None, false, None));
        assert_eq!((stamps(&record), record.chunks[0].tokens, record.output_tokens), (vec![999], 4, 4));
        assert_eq!(record.token_source, TokenSource::Usage);
    }
    assert_eq!(class(&record(&[r#"{"error":{"message":"oom"}}"#])), Some(FailureClass::ErrorEvent));
    assert_eq!(class(&record(&[r#"{"choices":[{"mess"#])), Some(FailureClass::Parse));
}

#[test]
fn a_page_in_place_of_an_answer_is_a_parse_failure() {
    let raw = RawRequest { event_stream: false, ..raw(&[b"<html>Sign in</html>"]) };
    let failure = interpret(&raw, &Tokenizer::bundled()).failure.unwrap();
    assert_eq!(failure.message, "neither a stream of events nor JSON: <html>Sign in</html>");
}

#[test]
fn a_stream_with_another_content_type_is_read_all_the_same() {
    let raw = RawRequest { event_stream: false, ..raw(&[content("The").as_bytes(), STOP.as_bytes()]) };
    let record = interpret(&raw, &Tokenizer::bundled());
    assert_eq!((class(&record), record.streamed, stamps(&record)), (None, true, vec![10]));
}

#[test]
fn transport_failures_keep_the_chunks_before_them() {
    use FailureClass::{NoProgress, Timeout, Truncated};
    let text = content("The");
    let table: [(&[&str], FailureClass, Option<FailureClass>); 6] = [
        (&[&text], NoProgress, Some(NoProgress)),
        (&[&text, "data: {\"cho"], Truncated, Some(Truncated)),
        (&[&text, STOP], Timeout, Some(Timeout)),
        (&[&text, STOP], Truncated, None),
        (&[&text, STOP, DONE], Timeout, None),
        (&[&text, "data: {\"error\":\"oom\"}\n\n"], Truncated, Some(FailureClass::ErrorEvent)),
    ];
    for (reads, failure, expected) in table {
        let reads: Vec<&[u8]> = reads.iter().map(|read| read.as_bytes()).collect();
        let raw = RawRequest { failure: Some(Failure::new(failure, "transport")), ..raw(&reads) };
        let record = interpret(&raw, &Tokenizer::bundled());
        assert_eq!((class(&record), stamps(&record)), (expected, vec![10]), "{failure:?}");
    }
}

#[test]
fn a_body_that_broke_off_is_not_blamed_on_its_json() {
    let failure = Failure::new(FailureClass::Truncated, "body broke off");
    let raw = RawRequest { failure: Some(failure.clone()), event_stream: false, ..raw(&[b"{\"choices\":[{\"mess"]) };
    assert_eq!(interpret(&raw, &Tokenizer::bundled()).failure, Some(failure));
}

#[test]
fn no_answer_is_the_transport_s_failure() {
    let failure = Failure::new(FailureClass::Connect, "connection refused");
    let none = RawRequest { status: None, headers: None, event_stream: false, ..raw(&[]) };
    let refused = RawRequest { failure: Some(failure.clone()), ..none.clone() };
    assert_eq!(interpret(&refused, &Tokenizer::bundled()).failure, Some(failure));
    assert_eq!(class(&interpret(&none, &Tokenizer::bundled())), Some(FailureClass::Truncated));
}

#[test]
fn what_was_given_up_is_no_failure_unless_it_had_failed_or_ended() {
    let text = content("The");
    let error = "data: {\"error\":\"oom\"}\n\n";
    // Reads, status, and then: given up, chunks with text, failure.
    let table = [
        (&[] as &[&str], None, true, 0, None),
        (&[ROLE], Some(200), true, 0, None),
        (&[ROLE, &text, "data: {\"cho"], Some(200), true, 1, None),
        (&["{\"choices\":[{\"mess"], Some(200), true, 0, None),
        (&[&text, STOP], Some(200), true, 1, None),
        (&[&text, STOP, DONE], Some(200), false, 1, None),
        (&[&text, error], Some(200), false, 1, Some(FailureClass::ErrorEvent)),
        (&["no"], Some(503), false, 0, Some(FailureClass::HttpStatus)),
    ];
    for (reads, status, cancelled, chunks, failure) in table {
        let bytes: Vec<&[u8]> = reads.iter().map(|read| read.as_bytes()).collect();
        let event_stream = status == Some(200) && !reads.iter().any(|read| read.starts_with('{'));
        let raw = RawRequest { status, event_stream, to_cancel: true, cancelled: true, ..raw(&bytes) };
        let record = interpret(&raw, &Tokenizer::bundled());
        assert_eq!((record.cancelled, record.chunks.len(), class(&record)), (cancelled, chunks, failure), "{reads:?}");
        assert!(!record.is_answered() && record.is_set_aside() == failure.is_none());
    }
}

#[test]
fn tokens_are_counted_while_they_come() {
    let mut progress = progress();
    let stream = [ROLE, ": ping\n\n", &content("The"), &content(" end"), "data: ?\n\n", STOP, USAGE, DONE].concat();
    // Byte by byte: an event counts when it is whole.
    let so_far: Vec<u32> = stream.as_bytes().chunks(1).map(|byte| progress.push(byte)).collect();
    let at = |tokens: u32| so_far.iter().position(|so_far| *so_far == tokens).unwrap() + 1;
    assert!(stream[..at(1)].ends_with(&content("The")) && stream[..at(2)].ends_with(&content(" end")));
    assert_eq!(so_far.last(), Some(&2));
    // Where the server counts several tokens an event, so are they here.
    let packed = content("The end of").replace("null", "{\"prompt_tokens\":9,\"completion_tokens\":3}");
    assert_eq!(super::openai_chat::progress().push(packed.as_bytes()), 3);
}

proptest! {
    #[test]
    fn no_bytes_panic(
        parts in proptest::collection::vec(prop_oneof![
            Just(content("The").into_bytes()), Just(STOP.into()), Just(USAGE.into()), Just(DONE.into()),
            Just(b"event: error\n".to_vec()), Just(b"{".to_vec()),
            proptest::collection::vec(any::<u8>(), 0..40),
        ], 0..8),
        status in prop_oneof![4 => Just(Some(200_u16)), 1 => any::<Option<u16>>()],
        ends in proptest::collection::vec(any::<u32>(), 0..3),
        event_stream in any::<bool>(),
    ) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut raw = RawRequest { status, event_stream, ..raw(&parts) };
        raw.reads.extend(ends.iter().map(|&end| Read { at: 500, end }));
        let record = interpret(&raw, &Tokenizer::bundled());
        prop_assert!(record.chunks.is_sorted_by_key(|chunk| chunk.at));
        prop_assert!(record.failure.is_some() || !record.chunks.is_empty());
    }
}

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::record::TokenSource;
use crate::wire::{Protocol, Read};

/// The answer to a call whose reads have the stamps 10, 20, 30, …
fn raw(reads: &[Vec<u8>]) -> RawRequest {
    let mut end = 0;
    let stamped = reads.iter().enumerate().map(|(index, read)| {
        end += read.len() as u32;
        Read { at: 10 * (index as u64 + 1), end }
    });
    RawRequest {
        index: 4,
        user: 1,
        max_tokens: 2,
        planned_input_tokens: 6,
        request_id: "r".into(),
        scheduled: 1,
        sent: 2,
        headers: Some(5),
        status: Some(200),
        event_stream: false,
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

fn record(reads: &[Vec<u8>]) -> RequestRecord {
    Protocol::Ppl.interpret(&raw(reads), &Tokenizer::bundled())
}

/// Two prompts, which are numbers 6 and 7 of the plan.
fn records(reads: &[Vec<u8>]) -> [RequestRecord; 2] {
    let listed = |index, input_tokens| Listed { index, user: 0, max_tokens: 2, input_tokens };
    let records = Protocol::Ppl.interpret_list(&raw(reads), &[listed(6, 4), listed(7, 2)], &Tokenizer::bundled());
    records.try_into().unwrap()
}

fn response(id: u64, generated: &str, status: Status) -> Response {
    Response { status: status.into(), id, generated: generated.into(), tokens: None }
}

fn said(rsp: &[Response]) -> Vec<u8> {
    grpc::frame(&BatchedResponse { rsp: rsp.to_vec() }.encode_to_vec())
}

fn status(code: &'static str, message: &'static str) -> Vec<u8> {
    let of = |name: &str| Some(if name == grpc::STATUS { code.as_bytes() } else { message.as_bytes() });
    grpc::trailers(of).unwrap()
}

fn ok() -> Vec<u8> {
    grpc::trailers(|name| (name == grpc::STATUS).then_some(&b"0"[..])).unwrap()
}

fn token(id: u64, text: &str) -> Vec<u8> {
    said(&[response(id, text, Status::Processing)])
}

fn last(id: u64, text: &str) -> Vec<u8> {
    said(&[response(id, text, Status::Finished)])
}

fn stamps(record: &RequestRecord) -> Vec<u64> {
    record.chunks.iter().map(|chunk| chunk.at).collect()
}

fn class(record: &RequestRecord) -> Option<FailureClass> {
    record.failure.as_ref().map(|failure| failure.class)
}

fn ask<'a>(user: &'a str, max_tokens: u32, extra: &'a BTreeMap<String, Value>) -> Ask<'a> {
    Ask { model: "m", system: None, user, max_tokens, stream: true, extra }
}

#[test]
fn a_call_has_a_request_for_each_prompt() {
    let none = BTreeMap::new();
    let system = Ask { system: Some("be brief"), ..ask("hi", 7, &none) };
    let body = Protocol::Ppl.list_body(&[system, ask("so", 9, &none)]);
    assert_eq!((body[0], u32::from_be_bytes(body[1..5].try_into().unwrap())), (0, body.len() as u32 - 5));
    let batch = BatchedRequest::decode(&body[5..]).unwrap();
    let wanted = |id, prompt: &str, max_new_tokens| Request {
        id,
        temperature: 1.0,
        prompt: prompt.into(),
        tokens: None,
        stopping_parameters: Some(StoppingCriteriaParameters {
            max_new_tokens,
            stop_tokens: None,
            ignore_eos_token: true,
        }),
    };
    assert_eq!(batch.req, [wanted(0, "be brief hi", 7), wanted(1, "so", 9)]);
    // As its bytes are defined: field 1, two bytes that hold field 3.
    assert_eq!(
        BatchedRequest { req: vec![Request { prompt: "a".into(), ..Request::default() }] }.encode_to_vec(),
        b"\x0a\x03\x1a\x01a"
    );
    let batch = BatchedRequest::decode(&Protocol::Ppl.body(&ask("so", 9, &none))[5..]).unwrap();
    assert_eq!(batch.req, [wanted(0, "so", 9)]);
}

#[test]
fn what_the_user_adds_must_fit() {
    let stopping = json!({ "ignore_eos_token": false, "stop_tokens": { "ids": [2, 3] } });
    let extra = BTreeMap::from([("temperature".to_owned(), json!(0.5)), ("stopping_parameters".to_owned(), stopping)]);
    assert_eq!(Protocol::Ppl.misfit(&extra), None);
    let request = request(0, &ask("hi", 7, &extra));
    assert!((request.temperature - 0.5).abs() < f32::EPSILON);
    let stopping = request.stopping_parameters.unwrap();
    assert_eq!((stopping.max_new_tokens, stopping.ignore_eos_token), (7, false));
    assert_eq!(stopping.stop_tokens.unwrap().ids, [2, 3]);
    for (key, value) in [("ignore_eos", json!(true)), ("prompt", json!("hi")), ("temperature", json!("hot"))] {
        let extra = BTreeMap::from([(key.to_owned(), value)]);
        assert!(Protocol::Ppl.misfit(&extra).is_some(), "{key}");
        assert_eq!(Protocol::Tgi.misfit(&extra), None);
    }
}

#[test]
fn each_response_is_a_token() {
    let record = record(&[token(0, "the"), last(0, " house"), ok()]);
    assert_eq!((&record.failure, record.streamed, record.index), (&None, true, 4));
    assert_eq!((stamps(&record), record.closed, record.first_event), (vec![10, 20], 20, Some(10)));
    assert_eq!((record.output_tokens, record.token_source), (2, TokenSource::ContinuousUsage));
    // The server says nothing of the prompt.
    assert_eq!((record.input_tokens, record.finish_reason.as_deref()), (6, Some("finished")));
}

#[test]
fn a_token_without_a_text_is_one_too() {
    let silent =
        |ids: &[u32], status| Response { tokens: Some(Tokens { ids: ids.to_vec() }), ..response(0, "", status) };
    let first = said(&[silent(&[7], Status::Processing)]);
    let mixed = record(&[first.clone(), last(0, "\u{20ac}"), ok()]);
    assert_eq!((&mixed.failure, stamps(&mixed), mixed.output_tokens), (&None, vec![10, 20], 2));
    let numbers = record(&[first, said(&[silent(&[8, 9], Status::Finished)]), ok()]);
    assert_eq!((&numbers.failure, numbers.output_tokens), (&None, 3));
    assert_eq!(numbers.chunks.iter().map(|chunk| chunk.tokens).collect::<Vec<_>>(), [1, 2]);
    assert!(numbers.chunks.iter().all(|chunk| !chunk.reasoning));
    // The end alone is none.
    let ended = record(&[token(0, "the"), token(0, " house"), last(0, ""), ok()]);
    assert_eq!((stamps(&ended), ended.output_tokens, ended.closed), (vec![10, 20], 2, 30));
    assert_eq!(class(&record(&[last(0, ""), ok()])), Some(FailureClass::Empty));
}

#[test]
fn one_stream_answers_several_prompts() {
    let both = said(&[response(1, "and", Status::Processing), response(0, " house", Status::Finished)]);
    let [first, second] = records(&[token(0, "the"), both, last(1, " so"), ok()]);
    assert_eq!((first.index, second.index, &first.failure, &second.failure), (6, 7, &None, &None));
    assert_eq!((stamps(&first), stamps(&second)), (vec![10, 20], vec![20, 30]));
    assert_eq!((first.closed, second.closed), (20, 30));
    assert_eq!((first.output_tokens, second.output_tokens, first.input_tokens, second.input_tokens), (2, 2, 4, 2));
    assert_eq!((first.coalesced, second.coalesced), (0, 0));
    // Two messages in one read, two tokens of one prompt among them.
    let read = [token(0, "the"), last(0, " house"), last(1, "so"), ok()].concat();
    let [first, second] = records(&[read]);
    assert_eq!((first.coalesced, second.coalesced), (1, 0));
    assert_eq!((stamps(&first), class(&second)), (vec![10, 10], None));
}

#[test]
fn a_request_that_failed_does_not_harm_the_others() {
    let silent = said(&[response(0, "", Status::Failed)]);
    let [first, second] = records(&[token(0, "the"), silent, last(1, "so"), ok()]);
    assert_eq!((class(&first), class(&second)), (Some(FailureClass::ErrorEvent), None));
    assert_eq!(first.failure.unwrap().message, "the server says `FAILED` of request 0 and no more");
    let loud = record(&[said(&[response(0, "out of memory", Status::Failed)]), ok()]);
    assert_eq!(loud.failure.unwrap().message, "out of memory");
    let odd = record(&[said(&[Response { status: 9, ..response(0, "x", Status::Processing) }]), ok()]);
    assert_eq!(class(&odd), Some(FailureClass::Parse));
}

#[test]
fn a_status_that_is_not_ok_fails_the_call() {
    let refused = record(&[status("8", "no more than 5%25")]);
    assert_eq!(class(&refused), Some(FailureClass::HttpStatus));
    assert_eq!(refused.failure.unwrap().message, "no more than 5% (grpc-status 8, RESOURCE_EXHAUSTED)");
    let [first, second] = records(&[token(0, "the"), last(1, "so"), status("13", "oom")]);
    for record in [&first, &second] {
        assert_eq!(class(record), Some(FailureClass::ErrorEvent));
        assert_eq!(record.failure.as_ref().unwrap().message, "oom (grpc-status 13, INTERNAL)");
    }
    assert_eq!((first.chunks.len(), second.chunks.len()), (1, 1));
}

#[test]
fn an_answer_that_ends_early_is_truncated() {
    let whole = token(0, " house");
    for reads in [
        vec![],
        vec![ok()],
        vec![token(0, "the")],
        vec![token(0, "the"), ok()],
        vec![token(0, "the"), whole[..whole.len() - 1].to_vec()],
        vec![token(0, "the"), last(1, "so"), ok()],
    ] {
        let record = record(&reads);
        assert_eq!(class(&record), Some(FailureClass::Truncated), "{reads:?}");
    }
    // Nothing can be missing behind the last token.
    assert_eq!(class(&record(&[token(0, "the"), last(0, " house")])), None);
}

#[test]
fn what_is_no_message_is_said() {
    for (bytes, text) in [
        (b"<html>Sign in</html>".to_vec(), "not a stream of gRPC messages"),
        (b"{\"detail\": \"no\"}".to_vec(), "{\"detail\": \"no\"}"),
        (b"\0\xff\xff\xff\xff".to_vec(), "claims to have 4294967295 bytes"),
        (b"\x01\0\0\0\x01a".to_vec(), "compressed"),
        (grpc::frame(b"\x0a\x7f"), "not a message of PPL.LLM"),
    ] {
        let failure = record(&[token(0, "the"), bytes]).failure.unwrap();
        assert_eq!(failure.class, FailureClass::Parse);
        assert!(failure.message.contains(text), "{failure:?}");
    }
    let page = RawRequest { status: Some(502), ..raw(&[b"<html>Bad gateway</html>".to_vec()]) };
    for record in Protocol::Ppl.interpret_list(
        &page,
        &[Listed { index: 6, user: 0, max_tokens: 2, input_tokens: 4 }],
        &Tokenizer::bundled(),
    ) {
        assert_eq!(class(&record), Some(FailureClass::HttpStatus));
        assert_eq!(record.failure.unwrap().message, "<html>Bad gateway</html>");
    }
}

#[test]
fn tokens_are_counted_while_they_come() {
    let mut progress = Protocol::Ppl.progress();
    let whole = token(0, " house");
    assert_eq!(progress.push(&token(0, "the")), 1);
    assert_eq!(progress.push(&whole[..7]), 1);
    assert_eq!(progress.push(&whole[7..]), 2);
    assert_eq!(progress.push(&[last(0, ""), ok()].concat()), 2);
    assert_eq!(progress.push(b"x"), 2);
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(
        parts in proptest::collection::vec(prop_oneof![
            3 => (0_u64..3, 0_i32..4, "[a-z]{0,3}").prop_map(|(id, status, generated)| {
                said(&[Response { status, id, generated, tokens: None }])
            }),
            1 => proptest::collection::vec(any::<u8>(), 0..8).prop_map(|bytes| grpc::frame(&bytes)),
            1 => proptest::collection::vec(any::<u8>(), 0..8),
            1 => Just(status("13", "oom")),
            1 => Just(ok()),
        ], 0..8),
    ) {
        let bytes = parts.concat();
        let whole = records(std::slice::from_ref(&bytes)).map(|record| (class(&record), record.chunks.len(), record.output_tokens));
        let each: Vec<Vec<u8>> = bytes.chunks(1).map(<[u8]>::to_vec).collect();
        let divided = records(&each).map(|record| (class(&record), record.chunks.len(), record.output_tokens));
        prop_assert_eq!(whole, divided);
        prop_assert!(whole.iter().all(|(class, chunks, _)| class.is_some() || *chunks > 0));
    }
}

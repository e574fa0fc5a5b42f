//! Several prompts in one request: an answer with several choices becomes an answer for each prompt.
//!
//! What came is sorted by the choices' indexes, each piece with the stamp that it had, and then read as if every prompt
//! had been asked alone.

use serde_json::{Value, json};

use super::decode::is_json;
use super::raw::{RawRequest, Read};
use super::sse::{SseEvent, SseParser};
use crate::units::Nanos;

/// A prompt of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Position in the plan.
    pub index: u32,
    /// The user that sent it.
    pub user: u32,
    /// Answer tokens that were asked for.
    pub max_tokens: u32,
    /// Prompt tokens by the plan's tokenizer.
    pub input_tokens: u32,
}

/// One event, sorted.
enum Sorted {
    /// Pieces of some choices, with their indexes, and the counts beside them.
    Choices(Vec<(usize, Value)>, Option<Value>),
    /// What is for everybody: an end mark, an error, or what cannot be read.
    All(String),
}

/// The answer to each of `prompts`, as it would have come for it alone.
pub(super) fn split(raw: &RawRequest, prompts: &[Listed]) -> Vec<RawRequest> {
    let events = match raw.is_ok() {
        true if is_json(&raw.bytes) => {
            let whole = String::from_utf8_lossy(&raw.bytes);
            match sorted("message", &whole) {
                event @ Sorted::Choices(..) => vec![(raw.closed, event)],
                // Half a body is nobody's answer, and says so itself.
                Sorted::All(_) => return prompts.iter().map(|prompt| of_prompt(raw, prompt)).collect(),
            }
        }
        true => events(raw),
        false => return prompts.iter().map(|prompt| of_prompt(raw, prompt)).collect(),
    };
    let shares = Shares::of(&events, prompts);
    let streamed = !is_json(&raw.bytes);
    let mut answers: Vec<RawRequest> = prompts
        .iter()
        .map(|prompt| RawRequest { bytes: Vec::new(), reads: Vec::new(), ..of_prompt(raw, prompt) })
        .collect();
    for (at, event) in &events {
        match event {
            Sorted::Choices(pieces, usage) => {
                for (index, choice) in pieces {
                    let Some(answer) = answers.get_mut(*index) else { continue };
                    let usage = if shares.running { usage.clone() } else { shares.usage(*index, choice) };
                    let piece = json!({ "choices": [choice], "usage": usage });
                    let text = if streamed { format!("data: {piece}\n\n") } else { piece.to_string() };
                    keep(answer, *at, &text);
                }
            }
            Sorted::All(text) => answers.iter_mut().for_each(|answer| keep(answer, *at, text)),
        }
    }
    answers
}

/// The request as if it had been made for `prompt` alone.
pub(super) fn of_prompt(raw: &RawRequest, prompt: &Listed) -> RawRequest {
    RawRequest {
        index: prompt.index,
        user: prompt.user,
        max_tokens: prompt.max_tokens,
        planned_input_tokens: prompt.input_tokens,
        ..raw.clone()
    }
}

fn keep(answer: &mut RawRequest, at: Nanos, text: &str) {
    answer.bytes.extend_from_slice(text.as_bytes());
    answer.reads.push(Read { at, end: answer.bytes.len() as u32 });
}

fn events(raw: &RawRequest) -> Vec<(Nanos, Sorted)> {
    let mut events = Vec::new();
    let mut sink = |event: SseEvent<'_>| {
        let data = String::from_utf8_lossy(event.data);
        let sorted = sorted(event.name, &data);
        // Cut short by the stream's end: as if it had not come.
        if !(event.unterminated && matches!(sorted, Sorted::All(_)) && data.trim() != "[DONE]") {
            events.push((event.at, sorted));
        }
    };
    let mut parser = SseParser::new(super::decode::MAX_EVENT_BYTES);
    let result = raw.parts().try_for_each(|(at, bytes)| parser.push(bytes, at, &mut sink));
    if let Err(error) = result.and_then(|()| parser.finish(&mut sink)) {
        events.push((raw.closed, Sorted::All(format!("data: {error}\n\n"))));
    }
    events
}

fn sorted(name: &str, data: &str) -> Sorted {
    let verbatim = || {
        let lines: String = data.split(['\n', '\r']).flat_map(|line| ["data: ", line, "\n"]).collect();
        Sorted::All(format!("event: {name}\n{lines}\n"))
    };
    let Ok(Value::Object(mut event)) = serde_json::from_str::<Value>(data) else { return verbatim() };
    if name == "error" || event.get("error").is_some_and(|error| !error.is_null()) {
        return verbatim();
    }
    let usage = event.remove("usage").filter(Value::is_object);
    let Some(Value::Array(choices)) = event.remove("choices") else { return verbatim() };
    let index = |choice: &Value| choice.get("index").and_then(Value::as_u64).unwrap_or_default() as usize;
    Sorted::Choices(choices.into_iter().map(|choice| (index(&choice), choice)).collect(), usage)
}

/// What of the server's counts, which are of the whole list, belongs to each prompt.
struct Shares {
    /// The server counts each choice by itself.
    running: bool,
    /// Prompt tokens, answer tokens as far as they can be told apart, and cached tokens.
    counts: Vec<(Option<u32>, Option<u32>, Option<u32>)>,
}

impl Shares {
    fn of(events: &[(Nanos, Sorted)], prompts: &[Listed]) -> Self {
        let mut texts = vec![0; prompts.len()];
        let mut stopped = vec![0; prompts.len()];
        let mut counted = vec![false; prompts.len()];
        let mut total = None;
        for (_, event) in events {
            let Sorted::Choices(pieces, usage) = event else { continue };
            for (index, choice) in pieces.iter().filter(|(index, _)| *index < prompts.len()) {
                texts[*index] += u32::from(choice["text"].as_str().is_some_and(|text| !text.is_empty()));
                stopped[*index] |= u32::from(choice["finish_reason"] == "stop");
                counted[*index] |= pieces.len() == 1 && usage.is_some();
            }
            total = usage.as_ref().or(total);
        }
        let running = prompts.len() > 1 && counted.iter().all(|counted| *counted);
        let count = |pointer: &str| {
            let count = total?.pointer(pointer)?.as_u64()?;
            Some(u32::try_from(count).unwrap_or(u32::MAX))
        };
        let planned: Vec<u32> = prompts.iter().map(|prompt| prompt.input_tokens).collect();
        let asked: Vec<u32> = prompts.iter().map(|prompt| prompt.max_tokens).collect();
        let ended: Vec<u32> = texts.iter().zip(&stopped).map(|(texts, stopped)| texts + stopped).collect();
        // One token a text, with or without the one that ends an answer; else all that was asked for.
        let told_apart =
            |output: u32| [texts, ended, asked].into_iter().find(|counts| sum(counts) == u64::from(output));
        let input = count("/prompt_tokens").map(|total| in_proportion(total, &planned));
        let output = count("/completion_tokens").and_then(told_apart);
        let cached = count("/prompt_tokens_details/cached_tokens").map(|total| in_proportion(total, &planned));
        let of = |counts: &Option<Vec<u32>>, index: usize| counts.as_ref().map(|counts| counts[index]);
        let counts = (0..prompts.len()).map(|index| (of(&input, index), of(&output, index), of(&cached, index)));
        Self { running, counts: counts.collect() }
    }

    /// The counts of a prompt, which its last piece brings.
    fn usage(&self, index: usize, choice: &Value) -> Option<Value> {
        let (input, output, cached) = self.counts[index];
        let ends = choice["finish_reason"].as_str().is_some_and(|reason| !reason.is_empty());
        let known = input.is_some() || output.is_some();
        (ends && known).then(|| {
            json!({
                "prompt_tokens": input,
                "completion_tokens": output,
                "prompt_tokens_details": { "cached_tokens": cached },
            })
        })
    }
}

fn sum(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

/// `total` in whole parts that add up to it and are to one another as `weights`.
fn in_proportion(total: u32, weights: &[u32]) -> Vec<u32> {
    let all = sum(weights).max(1);
    let mut before = 0;
    let mut upto = 0;
    weights
        .iter()
        .map(|weight| {
            upto += u64::from(*weight);
            let now = (u128::from(total) * u128::from(upto) / u128::from(all)) as u64;
            let part = (now - before) as u32;
            before = now;
            part
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FailureClass, RequestRecord, TokenSource};
    use crate::tokens::Tokenizer;
    use crate::wire::Protocol;

    fn listed(index: u32, input_tokens: u32) -> Listed {
        Listed { index, user: 0, max_tokens: 2, input_tokens }
    }

    /// The records of the answer to two prompts of 4 and 2 tokens whose reads have the stamps 10, 20, 30, …
    fn records(reads: &[&str], change: impl FnOnce(&mut RawRequest)) -> Vec<RequestRecord> {
        let mut end = 0;
        let stamped = reads.iter().enumerate().map(|(index, read)| {
            end += read.len() as u32;
            Read { at: 10 * (index as u64 + 1), end }
        });
        let mut raw = RawRequest {
            index: 0,
            user: 0,
            max_tokens: 4,
            planned_input_tokens: 6,
            request_id: "r".into(),
            scheduled: 1,
            sent: 2,
            headers: Some(5),
            status: Some(200),
            event_stream: true,
            reads: stamped.collect(),
            bytes: reads.concat().into_bytes(),
            closed: 999,
            connect: None,
            resent: 0,
            to_cancel: false,
            cancelled: false,
            failure: None,
        };
        change(&mut raw);
        Protocol::OpenaiCompletions.interpret_list(&raw, &[listed(6, 4), listed(7, 2)], &Tokenizer::bundled())
    }

    fn chunk(index: u32, text: &str, reason: &str) -> String {
        format!("data: {{\"choices\":[{{\"index\":{index},\"text\":\"{text}\",\"finish_reason\":{reason}}}]}}\n\n")
    }

    const DONE: &str = "data: [DONE]\n\n";

    fn usage(output: u32) -> String {
        let details = "\"prompt_tokens_details\":{\"cached_tokens\":3}";
        format!(
            "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":12,\"completion_tokens\":{output},{details}}}}}\n\n"
        )
    }

    fn stamps(record: &RequestRecord) -> Vec<u64> {
        record.chunks.iter().map(|chunk| chunk.at).collect()
    }

    #[test]
    fn each_prompt_has_its_own_tokens_and_times() {
        let (a, b) = (chunk(0, "the", "null"), chunk(1, "and", "null"));
        let (c, d) = (chunk(1, " so", "\"length\""), chunk(0, " house", "\"length\""));
        let records = records(&[&a, &b, &(c + &d), &usage(4), DONE], |_| ());
        let [first, second] = records.as_slice() else { panic!("{records:?}") };
        assert_eq!((first.index, second.index, &first.failure, &second.failure), (6, 7, &None, &None));
        assert_eq!((stamps(first), stamps(second)), (vec![10, 30], vec![20, 30]));
        assert_eq!((first.output_tokens, second.output_tokens), (2, 2));
        assert_eq!((first.token_source, first.sent, first.closed), (TokenSource::Usage, 2, 50));
        // The server's counts are of both: they are shared as the plan's prompts are.
        assert_eq!((first.input_tokens, second.input_tokens), (8, 4));
        assert_eq!((first.usage.unwrap().cached, second.usage.unwrap().cached), (Some(2), Some(1)));
    }

    #[test]
    fn a_list_may_be_answered_in_one_piece() {
        let body = r#"{"choices":[{"index":1,"text":"and so","finish_reason":"length"},
            {"index":0,"text":"the house","finish_reason":"length"}],"usage":{"prompt_tokens":6,"completion_tokens":4}}"#;
        let records = records(&[body], |raw| raw.event_stream = false);
        for record in &records {
            assert_eq!((&record.failure, record.streamed, stamps(record)), (&None, false, vec![999]));
            assert_eq!((record.output_tokens, record.token_source), (2, TokenSource::Usage));
        }
    }

    #[test]
    fn several_tokens_a_chunk_are_counted_by_the_tokenizer() {
        let (a, b) = (chunk(0, "the house and", "\"stop\""), chunk(1, "so", "\"length\""));
        let records = records(&[&a, &b, &usage(9), DONE], |_| ());
        let counts: Vec<_> = records.iter().map(|record| (record.output_tokens, record.token_source)).collect();
        assert_eq!(counts, [(3, TokenSource::Tokenizer), (1, TokenSource::Tokenizer)]);
    }

    #[test]
    fn what_befalls_the_request_befalls_every_prompt() {
        let first = chunk(0, "the", "null");
        let error = "data: {\"error\":{\"message\":\"oom\"}}\n\n";
        for (end, class) in [
            (error, FailureClass::ErrorEvent),
            ("data: oops\n\n", FailureClass::Parse),
            ("", FailureClass::Truncated),
            ("data: {\"choices\":[{\"ind", FailureClass::Truncated),
        ] {
            let records = records(&[&first, end], |_| ());
            let classes: Vec<_> = records.iter().map(|record| record.failure.as_ref().map(|f| f.class)).collect();
            assert_eq!(classes, [Some(class); 2], "{end}");
            assert_eq!((records[0].chunks.len(), records[1].chunks.len()), (1, 0));
        }
        let refused = records(&["{\"error\":{\"message\":\"too long\"}}"], |raw| raw.status = Some(400));
        assert!(refused.iter().all(|record| record.failure.as_ref().unwrap().message == "too long"));
        let halved = records(&["{\"choices\":[{\"index\":0,\"te"], |raw| raw.event_stream = false);
        assert!(halved.iter().all(|record| record.failure.as_ref().unwrap().class == FailureClass::Parse));
    }

    #[test]
    fn a_prompt_without_an_answer_has_failed() {
        let records = records(&[&chunk(0, "the", "\"length\""), &chunk(5, "who", "null"), DONE], |_| ());
        assert_eq!(records[0].failure, None);
        assert_eq!(records[1].failure.as_ref().map(|f| f.class), Some(FailureClass::Empty));
    }

    #[test]
    fn parts_add_up() {
        assert_eq!(in_proportion(10, &[1, 1, 1]), [3, 3, 4]);
        assert_eq!(in_proportion(7, &[0, 0]), [0, 0]);
        assert_eq!(in_proportion(u32::MAX, &[u32::MAX, u32::MAX]), [u32::MAX / 2, u32::MAX / 2 + 1]);
    }
}

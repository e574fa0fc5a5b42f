use std::sync::Arc;

use super::*;
use crate::plan::{Cancel, Prompt};
use crate::profile::Fault;
use crate::units::Share;

const MS: Nanos = 1_000_000;

/// 40 ms base, 25 µs a prompt token, 4 ms a token, 1 % growth, no jitter.
fn config() -> Embedded {
    Embedded { jitter: Share(0.0), ..Embedded::default() }
}

fn faulty(kind: FaultKind) -> Embedded {
    Embedded { fault: Some(Fault { kind, rate: Share(1.0) }), ..config() }
}

/// Each number in the text is a token.
fn ids(text: &str) -> Vec<u32> {
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

fn numbers(start: u32, count: u32) -> Arc<str> {
    (start..start + count).map(|number| number.to_string()).collect::<Vec<_>>().join(" ").into()
}

/// A request whose prompt of `tokens` tokens nobody shares.
fn planned(index: u32, at: Nanos, tokens: u32, max_tokens: u32) -> PlannedRequest {
    let body = numbers(1_000_000 + index * 10_000, tokens);
    let prompt = Prompt { system: None, prefix: Vec::new(), body, input_tokens: tokens, salt_tokens: 0 };
    PlannedRequest { index, user: 0, at, prompt, max_tokens, cancel: None }
}

fn plan(pacing: Pacing, requests: Vec<PlannedRequest>) -> Plan {
    Plan {
        pacing,
        warmup: Vec::new(),
        prime: Vec::new(),
        requests,
        duration: None,
        shares_prefix: false,
        common_tokens: 0,
        hash: String::new(),
    }
}

fn open(requests: Vec<PlannedRequest>) -> Plan {
    plan(Pacing::Open { max_in_flight: None }, requests)
}

fn times(record: &RequestRecord) -> Vec<Nanos> {
    record.chunks.iter().map(|chunk| chunk.at).collect()
}

#[test]
fn a_closed_loop_to_the_nanosecond() {
    // Two users half a second apart, so that they never meet; 40 prompt tokens take 1 ms.
    let requests = (0..5).map(|index| planned(index, 0, 40, 3)).collect();
    let records =
        Replayer::new(&config(), 1).trial(&plan(Pacing::Closed { users: 2, ramp_up: 1_000 * MS }, requests), "", ids);
    let starts: Vec<Nanos> = records.iter().map(|record| record.sent / MS).collect();
    // A request takes 40 + 1 + 2 · 4 = 49 ms.
    assert_eq!(starts, [0, 500, 49, 549, 98]);
    for record in &records {
        let start = record.sent;
        assert_eq!(times(record), [start + 41 * MS, start + 45 * MS, start + 49 * MS]);
        assert!(record.chunks.iter().all(|chunk| chunk.tokens == 1 && !chunk.reasoning));
        assert_eq!((record.scheduled, record.headers, record.first_event), (start, Some(start), Some(start)));
        assert_eq!(record.closed, start + 49 * MS);
        assert_eq!((record.status, record.streamed, record.coalesced), (Some(200), true, 0));
        assert_eq!(record.usage, Some(Usage { input: 40, output: 3, cached: Some(0), reasoning: None }));
        assert_eq!((record.input_tokens, record.output_tokens), (40, 3));
        assert_eq!(record.token_source, TokenSource::Usage);
        assert_eq!(record.finish_reason.as_deref(), Some("length"));
        assert_eq!((record.failure.clone(), record.connect), (None, None));
    }
    assert_eq!(records[3].request_id, "replay-3");
}

#[test]
fn an_open_loop_sends_at_its_times() {
    let records = Replayer::new(&config(), 1).trial(
        &open(vec![planned(0, 10 * MS, 40, 2), planned(1, 0, 80, 1), planned(2, 200 * MS, 40, 1)]),
        "",
        ids,
    );
    assert_eq!(times(&records[1]), [42 * MS]);
    assert_eq!(times(&records[0]), [51 * MS, 55 * MS]);
    assert_eq!(times(&records[2]), [241 * MS]);
    assert_eq!(records[2].sent, 200 * MS);
}

#[test]
fn batches_wait_for_their_last_answer() {
    let lengths = [2, 5, 1, 1];
    let requests = (0..4).map(|index| planned(index, 0, 40, lengths[index as usize])).collect();
    let records = Replayer::new(&config(), 1).trial(&plan(Pacing::Batch { size: 3 }, requests), "", ids);
    // Three prompts in one step, one decode step of two, then three of one sequence.
    let group_end = 43 * MS + 4 * MS * 101 / 100 + 3 * 4 * MS;
    assert_eq!(records[1].closed, group_end);
    assert_eq!(records.iter().map(|record| record.sent).collect::<Vec<_>>(), [0, 0, 0, group_end]);
    assert_eq!(records[3].closed, group_end + 41 * MS);
}

#[test]
fn nothing_starts_after_the_duration() {
    let requests: Vec<_> = (0..6).map(|index| planned(index, u64::from(index) * 49 * MS, 40, 3)).collect();
    let sent = |pacing| {
        let plan = Plan { duration: Some(98 * MS), ..plan(pacing, requests.clone()) };
        Replayer::new(&config(), 1).trial(&plan, "", ids).iter().map(|record| record.sent / MS).collect::<Vec<_>>()
    };
    // A request takes 49 ms; the third starts exactly at the end and is allowed.
    assert_eq!(sent(Pacing::Closed { users: 1, ramp_up: 0 }), [0, 49, 98]);
    assert_eq!(sent(Pacing::Batch { size: 1 }), [0, 49, 98]);
    assert_eq!(sent(Pacing::Open { max_in_flight: None }), [0, 49, 98]);
}

#[test]
fn primed_prefixes_are_cached_and_unmeasured() {
    let with_prefix = |index| {
        let mut request = planned(index, 0, 8, 1);
        request.prompt.prefix = vec![numbers(0, 100)];
        request
    };
    let measured = || plan(Pacing::Closed { users: 1, ramp_up: 0 }, vec![with_prefix(0)]);
    let primed = Plan { prime: vec![with_prefix(50)], warmup: vec![planned(60, 0, 40, 4)], ..measured() };
    let cold = Replayer::new(&config(), 1).trial(&measured(), "", ids);
    let warm = Replayer::new(&config(), 1).trial(&primed, "", ids);
    assert_eq!(times(&cold[0]), [40 * MS + 108 * 25_000]);
    assert_eq!(warm.len(), 1);
    assert_eq!(warm[0].sent, 0);
    // 96 tokens are full blocks.
    assert_eq!(times(&warm[0]), [40 * MS + 12 * 25_000]);
    assert_eq!(warm[0].usage.and_then(|usage| usage.cached), Some(96));
}

#[test]
fn the_cache_lives_on_and_the_salt_keeps_trials_apart() {
    let mut request = planned(0, 0, 100, 1);
    request.prompt.salt_tokens = 2;
    let plan = plan(Pacing::Closed { users: 1, ramp_up: 0 }, vec![request]);
    let mut server = Replayer::new(&config(), 1);
    let mut cached = |salt| server.trial(&plan, salt, ids)[0].usage.and_then(|usage| usage.cached);
    assert_eq!(cached("7 8 9"), Some(0));
    assert_eq!(cached("7 9 9"), Some(0));
    // Two words of the salt are used, so that this is the first trial's prompt of 102 tokens again.
    assert_eq!(cached("7 8 1"), Some(96));
    assert_eq!(server.stats().prefix_hits, 96);
}

#[test]
fn a_cold_cache_misses_in_its_share_of_the_requests() {
    let requests: Vec<_> = (0..200).map(|index| PlannedRequest { index, ..planned(0, 0, 100, 1) }).collect();
    let plan = plan(Pacing::Closed { users: 1, ramp_up: 0 }, requests);
    let server = |rate: f64| {
        let fault = Some(Fault { kind: FaultKind::ColdCache, rate: Share(rate) });
        let mut server = Replayer::new(&Embedded { fault, ..config() }, 1);
        let records = server.trial(&plan, "", ids);
        assert!(records.iter().all(|record| record.failure.is_none() && record.output_tokens == 1));
        let found = records.iter().filter(|record| record.usage.and_then(|usage| usage.cached) == Some(96)).count();
        let stats = server.stats();
        assert_eq!((stats.prefix_queries, stats.prefix_hits), (20_000, 96 * found as u64));
        (found, records[1].chunks[0].at - records[1].sent)
    };
    // But for the first request, whose prompt nobody has sent before.
    assert_eq!(server(0.0), (199, 40 * MS + 4 * 25_000));
    assert_eq!(server(1.0), (0, 40 * MS + 100 * 25_000));
    let (found, _) = server(0.5);
    assert!(found.abs_diff(100) < 25, "{found}");
}

#[test]
fn system_and_user_texts_follow_each_other() {
    let mut request = planned(0, 0, 3, 1);
    request.prompt.system = Some("1 2".into());
    request.prompt.salt_tokens = 1;
    assert_eq!(prompt_ids(&request, "9 9", &ids), [9, 1, 2, 1_000_000, 1_000_001, 1_000_002]);
}

#[test]
fn a_seed_repeats_a_trial() {
    let jittery = Embedded { jitter: Share(0.1), ..config() };
    let requests: Vec<_> = (0..20).map(|index| planned(index, 0, 40, 8)).collect();
    let plan = plan(Pacing::Closed { users: 4, ramp_up: 100 * MS }, requests);
    let trial = |seed| Replayer::new(&jittery, seed).trial(&plan, "", ids);
    assert_eq!(trial(1), trial(1));
    assert_ne!(trial(1), trial(2));
    let tokenizer = Tokenizer::bundled();
    assert_eq!(replay(&plan, &jittery, 1, "", &tokenizer).len(), 20);
}

#[test]
fn faults_look_as_a_client_sees_them() {
    let one = |kind| {
        let plan = open(vec![planned(0, 0, 40, 4)]);
        Replayer::new(&faulty(kind), 1).trial(&plan, "", ids).remove(0)
    };
    let class = |record: &RequestRecord| record.failure.as_ref().map(|failure| failure.class);
    for (kind, failure, chunks) in [
        (FaultKind::Error, Some(FailureClass::HttpStatus), 0),
        (FaultKind::RateLimit, Some(FailureClass::HttpStatus), 0),
        (FaultKind::ErrorEvent, Some(FailureClass::ErrorEvent), 2),
        (FaultKind::Truncate, Some(FailureClass::Truncated), 2),
        (FaultKind::Stall, Some(FailureClass::NoProgress), 2),
        (FaultKind::Empty, Some(FailureClass::Empty), 0),
        (FaultKind::Garbage, Some(FailureClass::Parse), 2),
        (FaultKind::NoStream, None, 1),
        (FaultKind::NoUsage, None, 4),
        (FaultKind::Short, None, 2),
        (FaultKind::ColdCache, None, 4),
    ] {
        let record = one(kind);
        assert_eq!((class(&record), record.chunks.len()), (failure, chunks), "{kind:?}");
        let complete = failure.is_none() || kind == FaultKind::Empty;
        assert_eq!(record.finish_reason.is_some(), complete, "{kind:?}");
    }
    assert_eq!(one(FaultKind::Error).status, Some(500));
    assert_eq!(one(FaultKind::RateLimit).status, Some(429));
    assert_eq!(one(FaultKind::Short).finish_reason.as_deref(), Some("stop"));
    assert_eq!(one(FaultKind::NoUsage).token_source, TokenSource::Tokenizer);
    let body = one(FaultKind::NoStream);
    assert_eq!((body.streamed, body.chunks[0].tokens, body.output_tokens), (false, 4, 4));
    assert_eq!((body.closed, body.headers), (53 * MS, Some(53 * MS)));
}

#[test]
fn a_user_goes_on_after_a_failure() {
    let requests = (0..3).map(|index| planned(index, 0, 40, 4)).collect();
    let plan = plan(Pacing::Closed { users: 1, ramp_up: 0 }, requests);
    let records = Replayer::new(&faulty(FaultKind::Error), 1).trial(&plan, "", ids);
    assert_eq!(records.iter().map(|record| record.closed).collect::<Vec<_>>(), [0, 0, 0]);
    let tiny = Embedded { kv_blocks: 2, ..config() };
    let records = Replayer::new(&tiny, 1).trial(&plan, "", ids);
    assert!(records.iter().all(|record| record.status == Some(400)));
    assert!(records[0].failure.as_ref().unwrap().message.contains("do not fit"));
}

#[test]
fn a_server_further_away_is_later_twice() {
    let requests: Vec<_> = (0..2).map(|index| planned(index, 0, 40, 3)).collect();
    let plan = plan(Pacing::Closed { users: 1, ramp_up: 0 }, requests);
    let records = Replayer::new(&config(), 1).with_transit(2 * MS).trial(&plan, "", ids);
    assert_eq!(times(&records[0]), [45 * MS, 49 * MS, 53 * MS]);
    // The next one is sent when the last token has been read.
    assert_eq!((records[1].sent, records[1].headers), (53 * MS, Some(57 * MS)));
    assert_eq!(times(&records[1])[0], 98 * MS);
}

fn cancelled(mut request: PlannedRequest, after: Option<Nanos>, after_tokens: Option<u32>) -> PlannedRequest {
    request.cancel = Some(Cancel { after, after_tokens });
    request
}

/// What became of each request: whether it was given up, when it ended, and how many tokens were seen.
fn ends(records: &[RequestRecord]) -> Vec<(bool, Nanos, usize)> {
    records.iter().map(|record| (record.cancelled, record.closed, record.chunks.len())).collect()
}

#[test]
fn requests_are_given_up_after_a_time_or_with_a_token() {
    // 41 ms to the first token, then 4 ms each; nobody meets.
    let alone = |index: u32| planned(index, u64::from(index) * 1_000 * MS, 40, 5);
    let after = |index, ms: Nanos| cancelled(alone(index), Some(ms * MS), None);
    let plan = open(vec![
        after(0, 50),
        after(1, 10),
        after(2, 57),
        after(3, 58),
        cancelled(alone(4), None, Some(2)),
        cancelled(alone(5), None, Some(5)),
        cancelled(alone(6), Some(50 * MS), Some(2)),
        cancelled(alone(7), Some(44 * MS), Some(2)),
    ]);
    let mut server = Replayer::new(&config(), 1);
    let records = server.trial(&plan, "", ids);
    let expected = [
        (true, 50, 3),
        (true, 10, 0),
        // With its last token the answer has ended.
        (false, 57, 5),
        (false, 57, 5),
        (true, 45, 2),
        (false, 57, 5),
        (true, 45, 2),
        (true, 44, 1),
    ];
    let expected: Vec<_> =
        (0..).zip(expected).map(|(at, (given_up, ms, n))| (given_up, (at * 1_000 + ms) * MS, n)).collect();
    assert_eq!(ends(&records), expected);
    // What ended in time is in no statistic either.
    assert!(records.iter().all(RequestRecord::is_set_aside));
    let given_up: Vec<_> = records.iter().filter(|record| record.cancelled).collect();
    assert!(given_up.iter().all(|record| record.failure.is_none() && record.usage.is_none()));
    let stats = server.stats();
    assert_eq!((stats.finished, stats.running, stats.waiting), (3, 0, 0));
    assert!(stats.kv_usage.abs() < 1e-12);
}

#[test]
fn a_user_goes_on_when_it_has_given_up_and_the_batch_is_free() {
    let config = Embedded { max_batch: 1, ..config() };
    let requests = vec![
        cancelled(planned(0, 0, 40, 1_000), Some(100 * MS), None),
        planned(1, 0, 40, 2),
        cancelled(planned(2, 0, 40, 1_000), Some(20 * MS), None),
        planned(3, 0, 40, 2),
    ];
    let records = Replayer::new(&config, 1).trial(&plan(Pacing::Closed { users: 2, ramp_up: 0 }, requests), "", ids);
    // The step under way at 100 ms ends at 101 ms; then the place is the second user's, who waited for it.
    assert_eq!(ends(&records)[..2], [(true, 100 * MS, 15), (false, 106 * MS, 2)]);
    // The first user starts anew when it gives up, not when the step ends.
    assert_eq!(ends(&records)[2], (true, 120 * MS, 0));
    assert_eq!((records[2].sent, records[3].sent), (100 * MS, 106 * MS));
}

#[test]
fn a_stall_is_given_up_as_planned() {
    let plan = open(vec![cancelled(planned(0, 0, 40, 4), Some(500 * MS), None)]);
    let records = Replayer::new(&faulty(FaultKind::Stall), 1).trial(&plan, "", ids);
    assert_eq!((ends(&records), records[0].failure.is_none()), (vec![(true, 500 * MS, 2)], true));
    let plan = open(vec![cancelled(planned(0, 0, 40, 4), None, Some(3))]);
    let records = Replayer::new(&faulty(FaultKind::Stall), 1).trial(&plan, "", ids);
    assert_eq!((records[0].cancelled, records[0].failure.is_some()), (false, true));
}

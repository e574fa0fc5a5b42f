//! An open loop drops no arrival, and says so when it could not keep to its times.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokpace::engine::{Engine, Outgoing, Round, TransportOptions};
use tokpace::measure::{Client, Trial, TrialSummary, check_trust};
use tokpace::plan::Pacing;
use tokpace::profile::{Embedded, TtftCost};
use tokpace::scenario::Slo;
use tokpace::sim::{Server, ServerOptions};
use tokpace::tokens::Tokenizer;
use tokpace::units::Time;
use tokpace::wire::{Protocol, openai_chat};

use crate::support::measuring;

const REQUESTS: u32 = 400;

/// A million arrivals a second, which no client sends in time.
#[test]
fn arrivals_that_come_too_fast_are_all_sent_late_and_measure_nothing() {
    let _alone = measuring();
    let config =
        Embedded { ttft: TtftCost { base: Time(0), per_input_token: Time(0) }, itl: Time(1), ..Embedded::default() };
    let server = Server::start(config, ServerOptions::default()).unwrap();
    let requests = (0..REQUESTS).map(|index| Outgoing {
        index,
        user: 0,
        at: u64::from(index) * 1_000,
        max_tokens: 2,
        input_tokens: 1,
        request_id: format!("burst-{index}"),
        body: openai_chat::body("tokpace-sim", None, "now", 2, true, &BTreeMap::new()).into(),
        cancel: None,
    });
    let round = Round {
        url: format!("{}{}", server.base_url(), openai_chat::PATH),
        protocol: Protocol::OpenaiChat,
        pacing: Pacing::Open { max_in_flight: None },
        duration: None,
        timeout: Duration::from_secs(60),
        no_progress: Duration::from_secs(60),
        requests: requests.collect(),
    };
    let options = TransportOptions { in_process: 1, ..TransportOptions::default() };
    let recording = Engine::start(1, &options).unwrap().run(round, &AtomicBool::new(false)).unwrap();
    assert_eq!(server.counters().requests, u64::from(REQUESTS));
    let tokenizer = Tokenizer::bundled();
    let records: Vec<_> = recording.requests.iter().map(|raw| openai_chat::interpret(raw, &tokenizer)).collect();
    let indexes: Vec<u32> = records.iter().map(|record| record.index).collect();
    assert!(indexes.into_iter().eq(0..REQUESTS));
    // Times are those of the plan, however late the request was: waiting in the client is part of the latency.
    assert!(records.iter().all(|record| record.scheduled == u64::from(record.index) * 1_000));
    assert!(records.iter().all(|record| record.failure.is_none() && record.sent >= record.scheduled));
    let trial = Trial {
        pacing: Pacing::Open { max_in_flight: None },
        records,
        stream: true,
        shares_prefix: true,
        common_tokens: 0,
        client: Client::default(),
    };
    let reasons = check_trust(&trial, &TrialSummary::of(&trial, &Slo::default()), None);
    assert!(reasons.iter().any(|invalid| invalid.reason.starts_with("the client sent requests late")), "{reasons:?}");
}

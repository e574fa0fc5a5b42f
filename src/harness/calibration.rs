//! What the client's own stopwatch is worth on this machine at this moment: a short run against a server of known times.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::{Engine, EngineError, Outgoing, Round, TransportOptions};
use crate::measure::{Errors, RequestMetrics};
use crate::plan::Pacing;
use crate::report::Calibration;
use crate::sim::{Beat, Clockwork};
use crate::tokens::Tokenizer;
use crate::wire::{Protocol, openai_chat};

/// Answers at the same time.
const STREAMS: u32 = 8;
/// Answers in all: two thirds of a second, and enough for a 99th percentile that is not the worst by far.
const REQUESTS: u32 = 64;
/// The pace of a fast server.
const BEAT: Beat = Beat { first: Duration::from_millis(10), next: Duration::from_millis(4), tokens: 16 };

/// Holds the client against known times; `None` if too little of it could be read.
pub(super) fn calibrate(stop: &AtomicBool) -> Result<Option<Calibration>, EngineError> {
    let server = Clockwork::start(BEAT)?;
    let mut engine =
        Engine::start(Engine::default_workers(), &TransportOptions { in_process: 1, ..TransportOptions::default() })?;
    // Opens the connections.
    engine.run(round(&server, "warm-up", STREAMS), stop)?;
    let round = round(&server, "calibration", REQUESTS);
    let pacing = round.pacing;
    let recording = engine.run(round, stop)?;

    let mut recorded = HashMap::new();
    let give_up = Instant::now() + Duration::from_secs(1);
    while recorded.len() < (STREAMS + REQUESTS) as usize && Instant::now() < give_up && !recording.interrupted {
        recorded.extend(server.take_departures().into_iter().map(|one| (one.request_id.clone(), one)));
        std::thread::sleep(Duration::from_millis(1));
    }
    let tokenizer = Tokenizer::bundled();
    let pairs: Vec<_> = recording
        .requests
        .iter()
        .filter_map(|raw| {
            let record = openai_chat::interpret(raw, &tokenizer);
            let metrics = RequestMetrics::of(&record, pacing);
            let [ttft, tpot] = recorded.get(&record.request_id)?.ttft_and_tpot()?;
            Some(((metrics.ttft?, ttft), (metrics.tpot?, tpot)))
        })
        .collect();
    let ttft = Errors::of(pairs.iter().map(|(ttft, _)| *ttft));
    let tpot = Errors::of(pairs.iter().map(|(_, tpot)| *tpot));
    Ok((|| {
        Some(Calibration {
            streams: STREAMS,
            requests: pairs.len() as u32,
            ttft_error_p50_ms: ttft.quantile(0.5)?,
            ttft_error_p99_ms: ttft.quantile(0.99)?,
            tpot_error_p50_ms: tpot.quantile(0.5)?,
            tpot_error_p99_ms: tpot.quantile(0.99)?,
        })
    })())
}

fn round(server: &Clockwork, name: &str, requests: u32) -> Round {
    let body: Bytes = openai_chat::body("clockwork", None, "tick", BEAT.tokens, true, &BTreeMap::new()).into();
    let requests = (0..requests).map(|index| Outgoing {
        index,
        user: index % STREAMS,
        at: 0,
        max_tokens: BEAT.tokens,
        input_tokens: 1,
        request_id: format!("{name}-{index}"),
        body: body.clone(),
        cancel: None,
    });
    let answer = BEAT.first + BEAT.next * (BEAT.tokens - 1);
    Round {
        url: format!("{}{}", server.base_url(), openai_chat::PATH),
        protocol: Protocol::OpenaiChat,
        // Evenly over one answer, so that tokens come one by one.
        pacing: Pacing::Closed { users: STREAMS, ramp_up: answer.as_nanos() as u64 },
        duration: None,
        timeout: Duration::from_secs(5),
        no_progress: Duration::from_secs(5),
        requests: requests.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_close_to_the_servers_own_record() {
        let found = calibrate(&AtomicBool::new(false)).unwrap().unwrap();
        assert_eq!((found.streams, found.requests), (STREAMS, REQUESTS));
        // The client is the later one, by what lies between them; how much depends on the machine's mood.
        assert!(found.ttft_error_p50_ms > 0.0 && found.ttft_error_p50_ms < 50.0, "{found:?}");
        assert!(found.tpot_error_p50_ms < found.ttft_error_p50_ms.max(1.0), "{found:?}");
        assert!(
            found.ttft_error_p99_ms >= found.ttft_error_p50_ms && found.tpot_error_p99_ms >= found.tpot_error_p50_ms
        );
    }

    #[test]
    fn a_stop_ends_it() {
        assert_eq!(calibrate(&AtomicBool::new(true)).unwrap(), None);
    }
}

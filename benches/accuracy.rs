//! How far what tokpace reports of a request is from what the server itself recorded of it.
//!
//! ```text
//! cargo bench --bench accuracy
//! ```
//!
//! Two servers, both with a token every 20 ms at absolute times, and both keep the moment at which each token left: one
//! whose every answer has deadlines of its own, and the embedded one, which emits the tokens of a step together, as real
//! servers do, so that all but one of them are read late. Client and server share the process, as they do in a test, and
//! so one clock.

#![expect(clippy::print_stdout, reason = "a bench is for its output")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokpace::engine::{Engine, Outgoing, Round, TransportOptions};
use tokpace::measure::{Client, Errors, RequestMetrics, Trial, TrialSummary, check_trust};
use tokpace::plan::Pacing;
use tokpace::profile::{Embedded, TtftCost};
use tokpace::record::RequestRecord;
use tokpace::scenario::Slo;
use tokpace::sim::{Beat, Clockwork, Departures, Server, ServerOptions};
use tokpace::tokens::Tokenizer;
use tokpace::units::{Share, Time};
use tokpace::wire::{Protocol, openai_chat};

/// Between two tokens of an answer.
const ITL: Duration = Duration::from_millis(20);
/// Tokens of an answer.
const TOKENS: u32 = 64;
/// Requests of a user.
const REQUESTS: u32 = 4;

/// A server that records when its tokens leave.
enum Recorder {
    Clockwork(Clockwork),
    Embedded(Server),
}

impl Recorder {
    fn clockwork() -> Result<Self, Box<dyn Error>> {
        Ok(Self::Clockwork(Clockwork::start(Beat { first: ITL, next: ITL, tokens: TOKENS })?))
    }

    fn embedded(streams: u32) -> Result<Self, Box<dyn Error>> {
        let config = Embedded {
            ttft: TtftCost { base: Time::from_millis(20), per_input_token: Time(0) },
            itl: Time::from_millis(ITL.as_millis() as u64),
            step_growth: Share(0.0),
            jitter: Share(0.0),
            max_batch: streams,
            kv_blocks: 100_000,
            ..Embedded::default()
        };
        let server = Server::start(config, ServerOptions::default())?;
        server.keep_departures(true);
        Ok(Self::Embedded(server))
    }

    fn base_url(&self) -> String {
        match self {
            Self::Clockwork(server) => server.base_url(),
            Self::Embedded(server) => server.base_url(),
        }
    }

    fn take(&self) -> Vec<Departures> {
        match self {
            Self::Clockwork(server) => server.take_departures(),
            Self::Embedded(server) => server.take_departures(),
        }
    }
}

fn main() -> ExitCode {
    println!(
        "reported - recorded by the server, in ms; {TOKENS} tokens an answer, one every {} ms; {} cores",
        ITL.as_millis(),
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    println!(
        "{:<18} {:>7} {:>8}   {:<22} {:<26} as a trial",
        "tokens leave", "streams", "requests", "ttft: p50 / p99 / max", "tpot: p50 / p99 / max"
    );
    for (streams, requests) in [(1, 8), (32, REQUESTS), (256, REQUESTS)] {
        for alone in [true, false] {
            if let Err(error) = compare(alone, streams, requests) {
                println!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// A round of `streams` users with so many requests each, and the line about it.
fn compare(alone: bool, streams: u32, requests: u32) -> Result<(), Box<dyn Error>> {
    let server = if alone { Recorder::clockwork()? } else { Recorder::embedded(streams)? };
    let mut engine = Engine::start(Engine::default_workers(), &TransportOptions::default())?;
    let stop = AtomicBool::new(false);
    // Opens the connections.
    engine.run(round(&server, "warm-up", streams, streams), &stop)?;
    let round = round(&server, "measured", streams, streams * requests);
    let recording = engine.run(round.clone(), &stop)?;
    let departures = departures(&server, round.requests.len() + streams as usize);
    let tokenizer = Tokenizer::bundled();
    let records: Vec<RequestRecord> =
        recording.requests.iter().map(|raw| openai_chat::interpret(raw, &tokenizer)).collect();
    let [ttft, tpot] = errors(&records, round.pacing, &departures)?;
    let client = Client {
        wake_lags: recording.wake_lags,
        cpu_share: recording.cpu_share,
        peak_in_flight: recording.peak_in_flight,
        ..Client::default()
    };
    let trial = Trial { pacing: round.pacing, records, stream: true, shares_prefix: true, common_tokens: 0, client };
    let invalid = check_trust(&trial, &TrialSummary::of(&trial, &Slo::default()), None);
    println!(
        "{:<18} {streams:>7} {:>8}   {:<22} {:<26} {}",
        if alone { "one by one" } else { "a step at a time" },
        trial.records.len(),
        line(&ttft, 3),
        line(&tpot, 4),
        invalid.first().map_or("valid", |invalid| invalid.reason.as_str())
    );
    Ok(())
}

fn round(server: &Recorder, name: &str, streams: u32, requests: u32) -> Round {
    let body: bytes::Bytes =
        openai_chat::body("tokpace-sim", None, "How far is it from here?", TOKENS, true, &BTreeMap::new()).into();
    let requests = (0..requests).map(|index| Outgoing {
        index,
        user: index % streams,
        at: 0,
        max_tokens: TOKENS,
        input_tokens: 6,
        request_id: format!("{name}-{index}"),
        body: body.clone(),
        cancel: None,
    });
    Round {
        url: format!("{}{}", server.base_url(), openai_chat::PATH),
        protocol: Protocol::OpenaiChat,
        // Users start evenly over one answer, so that requests come one by one while answers overlap.
        pacing: Pacing::Closed { users: streams, ramp_up: u64::from(TOKENS) * ITL.as_nanos() as u64 },
        duration: None,
        timeout: Duration::from_secs(60),
        no_progress: Duration::from_secs(10),
        requests: requests.collect(),
    }
}

/// The server's record by request. It is complete a moment after the client has seen the last answer's end.
fn departures(server: &Recorder, wanted: usize) -> HashMap<String, Departures> {
    let mut all = HashMap::new();
    let give_up = Instant::now() + Duration::from_secs(5);
    while all.len() < wanted && Instant::now() < give_up {
        all.extend(server.take().into_iter().map(|one| (one.request_id.clone(), one)));
        std::thread::sleep(Duration::from_millis(10));
    }
    all
}

/// Errors of TTFT and TPOT.
fn errors(
    records: &[RequestRecord],
    pacing: Pacing,
    departures: &HashMap<String, Departures>,
) -> Result<[Errors; 2], Box<dyn Error>> {
    let mut pairs = [Vec::new(), Vec::new()];
    for record in records {
        let metrics = RequestMetrics::of(record, pacing);
        let told = (metrics.ttft.zip(metrics.tpot)).ok_or_else(|| format!("a request failed: {:?}", record.failure))?;
        let server = departures.get(&record.request_id).ok_or("the server has no record of a request")?;
        let [ttft, tpot] = server.ttft_and_tpot().ok_or("the server sent no tokens")?;
        pairs[0].push((told.0, ttft));
        pairs[1].push((told.1, tpot));
    }
    Ok(pairs.map(Errors::of))
}

fn line(errors: &Errors, digits: usize) -> String {
    let of = |share| errors.quantile(share).unwrap_or(f64::NAN);
    format!("{:.digits$} / {:.digits$} / {:.digits$}", of(0.5), of(0.99), of(1.0))
}

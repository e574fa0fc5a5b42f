//! The two clients: tokpace with all that it does, and a program that reads the bytes and counts them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokpace::engine::{Engine, Outgoing, Recording, Round, TransportOptions};
use tokpace::measure::{Client, Trial, TrialSummary, Value, check_trust};
use tokpace::plan::Pacing;
use tokpace::profile::{Embedded, TtftCost};
use tokpace::scenario::Slo;
use tokpace::sim;
use tokpace::tokens::Tokenizer;
use tokpace::units::{Share, Time};
use tokpace::wire::{Protocol, openai_chat};

use crate::Outcome;
use crate::figures::{Figures, cpu_ns, memory_kib};

/// The servers' model.
const MODEL: &str = "bench";

/// What a client is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Of the server.
    pub(crate) port: u16,
    /// Streams at once.
    pub(crate) users: u32,
    /// Requests of all of them.
    pub(crate) requests: u32,
    /// Tokens of each answer.
    pub(crate) tokens: u32,
    /// Between two tokens of an answer; 0 for none.
    pub(crate) gap_us: u32,
    /// From the first user's start to the last's.
    pub(crate) ramp_ms: u32,
    /// Arrivals a second, in place of users.
    pub(crate) rate: u32,
    /// Against the embedded server, in the client's own process.
    pub(crate) embedded: bool,
}

impl Load {
    /// The embedded server at a speed at which the answers of an open loop overlap: 5 ms, then 1 ms a token.
    fn embedded(&self) -> std::io::Result<Option<sim::Server>> {
        let ttft = TtftCost { base: Time::from_millis(5), per_input_token: Time(0) };
        let config = Embedded {
            model: MODEL.into(),
            ttft,
            itl: Time::from_millis(1),
            step_growth: Share(0.0),
            jitter: Share(0.0),
            max_batch: 1024,
            kv_blocks: 100_000,
            ..Embedded::default()
        };
        self.embedded.then(|| sim::Server::start(config, sim::ServerOptions::default())).transpose()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1/chat/completions?gap_us={}", self.port, self.gap_us)
    }

    fn body(&self) -> Bytes {
        openai_chat::body(MODEL, None, "How many words are enough?", self.tokens, true, &BTreeMap::new()).into()
    }

    /// As much as opens every connection; what it costs is not counted.
    fn warm_up(&self) -> Self {
        let users = if self.rate > 0 { 64 } else { self.users };
        Self { users, requests: users, tokens: 8, rate: 0, ..self.clone() }
    }

    fn round(&self, name: &str) -> Round {
        let pacing = match self.rate {
            0 => Pacing::Closed { users: self.users, ramp_up: u64::from(self.ramp_ms) * 1_000_000 },
            _ => Pacing::Open { max_in_flight: None },
        };
        let mut arrivals = Arrivals { rate: f64::from(self.rate), state: 1, at: 0.0 };
        let requests = (0..self.requests).map(|index| Outgoing {
            index,
            user: index % self.users.max(1),
            at: if self.rate > 0 { arrivals.next() } else { 0 },
            max_tokens: self.tokens,
            input_tokens: 8,
            request_id: format!("{name}-{index}"),
            body: self.body(),
            cancel: None,
        });
        Round {
            url: self.url(),
            protocol: Protocol::OpenaiChat,
            pacing,
            duration: None,
            timeout: Duration::from_secs(120),
            no_progress: Duration::from_secs(30),
            requests: requests.collect(),
        }
    }
}

/// A Poisson process from a multiplicative generator, for arrivals that are the same in every run.
struct Arrivals {
    rate: f64,
    state: u64,
    at: f64,
}

impl Arrivals {
    fn next(&mut self) -> u64 {
        let at = self.at as u64;
        self.state = self.state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let uniform = ((self.state >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        self.at -= uniform.ln() * 1e9 / self.rate;
        at
    }
}

/// The whole path of a trial: engine, interpretation, summary, and whether it was a measurement.
pub(crate) fn tokpace(load: &Load) -> Outcome<Figures> {
    let stop = AtomicBool::new(false);
    let server = load.embedded()?;
    let port = server.as_ref().map_or(load.port, |server| server.addr().port());
    let load = &Load { port, ..load.clone() };
    let options = TransportOptions { in_process: u64::from(load.embedded), ..TransportOptions::default() };
    let mut engine = Engine::start(1, &options)?;
    // Connections of a test of memory are part of what is measured.
    if load.ramp_ms == 0 {
        engine.run(load.warm_up().round("warm-up"), &stop)?;
    }
    let mut figures = Figures { base_kib: memory_kib("VmRSS"), ..Figures::default() };
    let (cpu, begin) = (cpu_ns(), Instant::now());
    let round = load.round("measured");
    let recording = engine.run(round.clone(), &stop)?;
    figures.wall_ns = begin.elapsed().as_nanos() as u64;
    if load.ramp_ms > 0 {
        figures.peak_kib = memory_kib("VmHWM");
    }
    let trial = trial(&round, &recording);
    let summary = TrialSummary::of(&trial, &Slo::default());
    figures.invalid = check_trust(&trial, &summary, None).iter().map(|invalid| invalid.reason.clone()).collect();
    figures.cpu_ns = cpu_ns() - cpu;
    figures.peak_kib = figures.peak_kib.max(if load.ramp_ms > 0 { 0 } else { memory_kib("VmHWM") });
    figures.tokens = trial.records.iter().map(|record| u64::from(record.output_tokens)).sum();
    figures.requests = trial.records.len() as u64;
    figures.failed = summary.errors;
    figures.failure = trial.records.iter().find_map(|record| record.failure.as_ref().map(|f| f.message.clone()));
    figures.in_flight = recording.peak_in_flight;
    figures.worker_share = recording.cpu_share.unwrap_or(f64::NAN);
    let known = |name: &str| match name.parse().map(|id| summary.value(id)) {
        Ok(Value::Known(value)) => value,
        _ => f64::NAN,
    };
    figures.send_lag_ms = [known("send_lag.p50"), known("send_lag.p99")];
    figures.ttft_ms = [known("ttft.p50"), known("ttft.p99")];
    let mut lags: Vec<u64> = recording.wake_lags;
    lags.sort_unstable();
    let lag = |share: usize| lags.get(lags.len() * share / 100).map_or(f64::NAN, |lag| *lag as f64 / 1e6);
    figures.wake_lag_ms = [lag(50), lag(99)];
    Ok(figures)
}

fn trial(round: &Round, recording: &Recording) -> Trial {
    let tokenizer = Tokenizer::bundled();
    let records: Vec<_> = recording.requests.iter().map(|raw| openai_chat::interpret(raw, &tokenizer)).collect();
    let client = Client {
        wake_lags: recording.wake_lags.clone(),
        server_late: None,
        cpu_share: recording.cpu_share,
        unsent: (round.requests.len() - records.len()) as u32,
        peak_in_flight: recording.peak_in_flight,
        max_in_flight: None,
    };
    Trial { pacing: round.pacing, records, stream: true, shares_prefix: false, common_tokens: 0, client }
}

/// The same requests by the same HTTP library and runtime. It counts bytes and knows nothing else.
pub(crate) fn plain(load: &Load) -> Outcome<Figures> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    #[cfg(feature = "tls")]
    // Fails only if there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true).build()?;
    runtime.block_on(read_all(&client, &load.warm_up()))?;
    let mut figures = Figures { base_kib: memory_kib("VmRSS"), ..Figures::default() };
    let (cpu, begin) = (cpu_ns(), Instant::now());
    let bytes = runtime.block_on(read_all(&client, load))?;
    figures.wall_ns = begin.elapsed().as_nanos() as u64;
    figures.cpu_ns = cpu_ns() - cpu;
    figures.peak_kib = memory_kib("VmHWM");
    figures.requests = u64::from(load.requests);
    // It cannot tell tokens from bytes, so it is told.
    figures.tokens = figures.requests * u64::from(load.tokens);
    if bytes < figures.tokens {
        return Err(format!("only {bytes} bytes came").into());
    }
    Ok(figures)
}

async fn read_all(client: &reqwest::Client, load: &Load) -> Outcome<u64> {
    let mut users = tokio::task::JoinSet::new();
    for user in 0..load.users {
        let (client, url, body) = (client.clone(), load.url(), load.body());
        let requests = load.requests / load.users + u32::from(user < load.requests % load.users);
        users.spawn(async move {
            let mut bytes = 0;
            for _ in 0..requests {
                let request = client.post(&url).header("content-type", "application/json").body(body.clone());
                let mut response = request.send().await?;
                while let Some(chunk) = response.chunk().await? {
                    bytes += chunk.len() as u64;
                }
            }
            Ok::<u64, reqwest::Error>(bytes)
        });
    }
    let mut bytes = 0;
    while let Some(user) = users.join_next().await {
        bytes += user??;
    }
    Ok(bytes)
}

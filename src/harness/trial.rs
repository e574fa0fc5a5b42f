//! One round of requests to one side: sent, read, kept, and summarised if it was a trial.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::{Outgoing, Recording, Round};
use crate::gate::TrialValues;
use crate::harness::bench::{Role, Side};
use crate::harness::tally::client_info;
use crate::harness::{MeasureError, RunFolder, Stop, now, watched};
use crate::measure::{Client, RequestMetrics, Trial, TrialSummary, kept, row, template_tokens};
use crate::names;
use crate::pacer::Lateness;
use crate::plan::{Pacing, Plan, PlannedRequest, Salt, Words};
use crate::record::{Failure, FailureClass, Phase, RequestRecord, TokenSource};
use crate::redact::Redactor;
use crate::report::{ClientInfo, TrialReport};
use crate::scenario::Case;
use crate::watch::{Observed, Sample, ServerView};
use crate::wire::{Ask, Listed, RawRequest};

/// What every round of a run shares.
pub(crate) struct Context<'a> {
    /// The name under which prompts are salted.
    pub(crate) run: &'a str,
    pub(crate) folder: &'a RunFolder,
    pub(crate) redactor: &'a Redactor,
    pub(crate) stop: &'a Stop,
    pub(crate) progress: &'a mut dyn FnMut(&str),
}

/// A trial as it was measured.
pub(crate) struct Taken {
    /// From 1; a trial that is repeated gets a new number.
    pub(crate) number: u32,
    pub(crate) trial: Trial,
    pub(crate) summary: TrialSummary,
    pub(crate) row: TrialValues,
    /// A signal ended it early.
    pub(crate) interrupted: bool,
    pub(crate) seconds: f64,
    /// What was seen of the server.
    pub(crate) observed: Observed,
    /// How late the steps of an embedded server were.
    pub(crate) server_late: Option<Lateness>,
    side: &'static str,
    started: String,
    client: ClientInfo,
}

impl Taken {
    /// The trial as `trials.json` holds it; `valid` if it was a measurement.
    pub(crate) fn report(&self, valid: bool) -> TrialReport {
        let summary = &self.summary;
        TrialReport {
            trial: self.number,
            side: self.side.into(),
            valid: valid && !self.interrupted,
            started: self.started.clone(),
            seconds: self.seconds,
            window_seconds: summary.window.seconds(),
            values: self.row.clone(),
            token_source: TokenSource::of_most(&summary.token_sources).map(|source| source.name().to_owned()),
            failures: summary.failures.iter().map(|(class, n)| (class.name().to_owned(), *n)).collect(),
            cancelled: summary.cancelled,
            new_connections: summary.new_connections,
            resent: summary.resent,
            coalesced: summary.coalesced,
            client: self.client.clone(),
            server: ServerView::of(std::slice::from_ref(&self.observed)),
        }
    }
}

/// What the measured requests of a trial left behind.
struct Sent {
    trial: Trial,
    interrupted: bool,
    server_late: Option<Lateness>,
    samples: Vec<Sample>,
}

/// Whether the server may have gone while it had the request.
fn unanswered(record: &RequestRecord) -> bool {
    let lost = |failure: &Failure| matches!(failure.class, FailureClass::Connect | FailureClass::Truncated);
    record.failure.as_ref().is_some_and(lost)
}

/// Sends the requests of one case to one side.
pub(crate) struct Runner<'r, 'c> {
    case: &'r Case,
    side: &'r mut Side,
    /// Words of the plan, for its salts.
    words: Arc<Words>,
    context: &'r mut Context<'c>,
}

impl<'r, 'c> Runner<'r, 'c> {
    pub(crate) fn new(case: &'r Case, side: &'r mut Side, words: Arc<Words>, context: &'r mut Context<'c>) -> Self {
        Self { case, side, words, context }
    }

    /// What comes before the first trial: a smoke request, so that what is wrong with the target is said before load is
    /// sent, then the warm-up.
    pub(crate) fn prepare(&mut self, plan: &Plan) -> Result<(), MeasureError> {
        let checked = self.side.check(self.case, self.context.stop.flag());
        // That the server has ended says more than that nobody answers.
        self.up(checked.is_err())?;
        checked?;
        self.side.target.empty_cache();
        let users = match plan.pacing {
            Pacing::Closed { users, .. } => users,
            Pacing::Open { .. } | Pacing::Batch { .. } => 1,
        };
        self.unmeasured(&plan.warmup, users, "warmup", 0)
    }

    /// Primes the shared prefixes, if the scenario says so, and measures one trial.
    pub(crate) fn trial(&mut self, plan: &Plan, number: u32) -> Result<Taken, MeasureError> {
        let started = now();
        let begin = Instant::now();
        self.unmeasured(&plan.prime, 1, "prime", number)?;
        if let Some(server) = &self.side.target.embedded {
            server.clear_lateness();
        }
        let Sent { trial, interrupted, server_late, samples } = self.measured(plan, number)?;
        let lines = watched::lines(&self.case.name, number, self.side.role, &samples);
        self.context.folder.append("server.jsonl", &lines)?;
        self.side.used = true;
        let summary = TrialSummary::of(&trial, &self.case.slo);
        Ok(Taken {
            number,
            row: row(&summary, &kept(self.case, summary.n)),
            interrupted,
            seconds: begin.elapsed().as_secs_f64(),
            observed: watched::observed(samples, &summary),
            side: self.side.role.name(),
            started,
            client: client_info(&trial, server_late.as_ref()),
            server_late,
            trial,
            summary,
        })
    }

    /// Sends requests outside of every statistic.
    fn unmeasured(
        &mut self,
        requests: &[PlannedRequest],
        users: u32,
        what: &str,
        number: u32,
    ) -> Result<(), MeasureError> {
        if requests.is_empty() {
            return Ok(());
        }
        let pacing = Pacing::Closed { users, ramp_up: 0 };
        let outgoing = self.outgoing(requests, None, what, number);
        let recording = self.run(outgoing, pacing, None)?;
        let records: Vec<RequestRecord> = self.interpret(&recording, requests, None);
        self.keep(&records, number, Phase::Warmup, pacing)?;
        self.up(records.iter().any(unanswered))
    }

    /// That a managed server has not ended. Where requests found nobody, its end may be known a moment later.
    fn up(&self, doubtful: bool) -> Result<(), MeasureError> {
        const MOMENT: Duration = Duration::from_secs(1);
        if self.context.stop.requested() {
            return Ok(());
        }
        let ended = self.side.target.ended(if doubtful { MOMENT } else { Duration::ZERO });
        ended.map_or(Ok(()), |error| Err(error.into()))
    }

    fn measured(&mut self, plan: &Plan, number: u32) -> Result<Sent, MeasureError> {
        // A list is one request on the wire, and the next one goes when it is answered.
        let (list, pacing) = match plan.pacing {
            Pacing::Batch { size } if self.case.request.prompt_list => (Some(size), Pacing::Batch { size: 1 }),
            pacing => (None, pacing),
        };
        let outgoing = self.outgoing(&plan.requests, list, "m", number);
        let watch = watched::begin(self.side);
        let recording = self.run(outgoing, pacing, plan.duration)?;
        let samples = watch.end();
        let server_late =
            self.side.target.embedded.as_ref().map(crate::sim::Server::lateness).filter(|late| late.count() > 0);
        let records = self.interpret(&recording, &plan.requests, list);
        self.keep(&records, number, Phase::Measured, plan.pacing)?;
        self.up(records.iter().any(unanswered))?;
        // A trial that ends by its duration leaves the rest of its requests unsent on purpose.
        let unsent = if recording.interrupted || plan.duration.is_some() {
            0
        } else {
            plan.requests.len().saturating_sub(records.len()) as u32
        };
        let trial = Trial {
            pacing: plan.pacing,
            stream: self.case.request.stream,
            shares_prefix: plan.shares_prefix || !self.case.workload.salt,
            common_tokens: plan.common_tokens + template_tokens(plan, &records),
            records,
            client: Client {
                wake_lags: recording.wake_lags.clone(),
                server_late: server_late.as_ref().map(|late| [late.p50(), late.p95()]),
                cpu_share: recording.cpu_share,
                unsent,
                peak_in_flight: recording.peak_in_flight,
                max_in_flight: match plan.pacing {
                    Pacing::Open { max_in_flight } => max_in_flight,
                    Pacing::Closed { .. } | Pacing::Batch { .. } => None,
                },
            },
        };
        Ok(Sent { trial, interrupted: recording.interrupted, server_late, samples })
    }

    fn run(
        &mut self,
        requests: Vec<Outgoing>,
        pacing: Pacing,
        duration: Option<u64>,
    ) -> Result<Recording, MeasureError> {
        let request = &self.case.request;
        let round = Round {
            url: request.protocol.url(&self.side.target.base_url, request.stream),
            protocol: request.protocol,
            pacing,
            duration,
            timeout: request.timeout.duration(),
            no_progress: request.no_progress.duration(),
            requests,
        };
        let stop = self.context.stop.clone();
        // A signal raises it as well.
        let halt = self.side.target.halt().cloned();
        let engine = self.side.engine(self.case.request.http2)?;
        Ok(engine.run(round, halt.as_deref().unwrap_or(stop.flag()))?)
    }

    /// Requests as they will be written: one each, or one for each `list` of them.
    fn outgoing(&self, requests: &[PlannedRequest], list: Option<u32>, what: &str, number: u32) -> Vec<Outgoing> {
        let salt = Salt::new(&self.words, self.context.run, &self.case.name, number, self.side.role.name());
        let target = &self.side.target;
        let options = &self.case.request;
        let mut extra = target.extra.clone();
        extra.extend(options.extra.clone());
        let case = names::file_name(&self.case.name);
        let prefix = match self.side.role {
            Role::Candidate => format!("{}-{case}-{number}-{what}", self.context.run),
            Role::Reference => format!("{}-{case}-reference-{number}-{what}", self.context.run),
        };
        let texts = |request: &PlannedRequest| request.prompt.with_salt(&salt.cut(request.prompt.salt_tokens));
        (0..)
            .zip(requests.chunks(list.unwrap_or(1).max(1) as usize))
            .map(|(index, part)| {
                let texts: Vec<(Option<String>, String)> = part.iter().map(texts).collect();
                let asks: Vec<Ask<'_>> = texts
                    .iter()
                    .zip(part)
                    .map(|((system, user), request)| Ask {
                        model: &target.model,
                        system: system.as_deref(),
                        user,
                        max_tokens: request.max_tokens,
                        stream: options.stream,
                        extra: &extra,
                    })
                    .collect();
                let body = match (list, asks.as_slice()) {
                    (None, [ask]) => options.protocol.body(ask),
                    (_, asks) => options.protocol.list_body(asks),
                };
                Outgoing {
                    index,
                    user: part[0].user,
                    at: part[0].at,
                    max_tokens: part.iter().map(|request| request.max_tokens).sum(),
                    input_tokens: part.iter().map(|request| request.prompt.input_tokens).sum(),
                    request_id: format!("{prefix}{index}"),
                    body: Bytes::from(body),
                    cancel: part[0].cancel,
                }
            })
            .collect()
    }

    fn interpret(&self, recording: &Recording, requests: &[PlannedRequest], list: Option<u32>) -> Vec<RequestRecord> {
        let (protocol, tokenizer) = (self.case.request.protocol, &self.side.target.tokenizer);
        let read = |raw: &RawRequest| match list {
            None => vec![protocol.interpret(raw, tokenizer)],
            Some(size) => {
                let part = requests.chunks(size.max(1) as usize).nth(raw.index as usize).unwrap_or_default();
                let listed = |request: &PlannedRequest| Listed {
                    index: request.index,
                    user: request.user,
                    max_tokens: request.max_tokens,
                    input_tokens: request.prompt.input_tokens,
                };
                let prompts: Vec<Listed> = part.iter().map(listed).collect();
                protocol.interpret_list(raw, &prompts, tokenizer)
            }
        };
        let mut records: Vec<RequestRecord> = recording.requests.iter().flat_map(read).collect();
        for failure in records.iter_mut().filter_map(|record| record.failure.as_mut()) {
            failure.message = self.context.redactor.redact(&failure.message).into_owned();
        }
        records
    }

    /// Appends the requests to `requests.jsonl`.
    fn keep(&self, records: &[RequestRecord], trial: u32, phase: Phase, pacing: Pacing) -> Result<(), MeasureError> {
        let mut lines = String::new();
        for record in records {
            let metrics = RequestMetrics::of(record, pacing);
            let line = serde_json::json!({
                "case": self.case.name,
                "trial": trial,
                "side": self.side.role.name(),
                "phase": phase,
                "index": record.index,
                "user": record.user,
                "request_id": record.request_id,
                "scheduled_ns": record.scheduled,
                "sent_ns": record.sent,
                "ttft_ns": metrics.ttft,
                "ttfo_ns": metrics.ttfo,
                "ttst_ns": metrics.ttst,
                "tpot_ns": metrics.tpot,
                "e2e_latency_ns": metrics.e2e_latency,
                "max_stall_ns": metrics.max_stall,
                "connect_ns": record.connect,
                "resent": record.resent,
                "input_tokens": record.input_tokens,
                "output_tokens": record.output_tokens,
                "cached_tokens": record.usage.as_ref().and_then(|usage| usage.cached),
                "token_source": record.token_source.name(),
                "status": record.status,
                "to_cancel": record.to_cancel,
                "cancelled": record.cancelled,
                "error_class": record.failure.as_ref().map(|failure| failure.class.name()),
                "error": record.failure.as_ref().map(|failure| &failure.message),
            });
            let _ = writeln!(lines, "{line}");
        }
        Ok(self.context.folder.append("requests.jsonl", &lines)?)
    }
}

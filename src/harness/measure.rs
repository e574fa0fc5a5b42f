//! Measuring a case: plan, warm up, then trials until enough is known.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use bytes::Bytes;

use crate::baseline::Baseline;
use crate::engine::{Engine, EngineError, Outgoing, Recording, Round};
use crate::environment::EnvError;
use crate::gate::{self, CaseInput, Job, TrialValues};
use crate::harness::bench::Bench;
use crate::harness::values::{self, Lags, client_info};
use crate::harness::verdict::{inputs, jobs};
use crate::harness::{RunFolder, Stop};
use crate::measure::{Client, Invalid, RequestMetrics, Trial, TrialSummary, check_trust};
use crate::names;
use crate::plan::{DatasetError, Pacing, Plan, PlanError, PlannedRequest, Salt};
use crate::record::{Phase, RequestRecord, TokenSource};
use crate::redact::Redactor;
use crate::report::{CaseTrials, ClientInfo, TrialReport};
use crate::scenario::{Case, Check};
use crate::target::{ProbeError, TargetError};
use crate::wire::openai_chat;

/// Why a case could not be measured. Every text ends in a hint.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The target cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The target does not answer as it should.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The case cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The dataset is not what it should be.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A path holds a variable that is not set.
    #[error("{source}\nhint: {hint}", hint = .source.hint)]
    Environment {
        /// Which.
        #[from]
        source: EnvError,
    },
    /// A file that the scenario names.
    #[error("failed to read `{path}`: {source}\nhint: paths in a scenario are relative to its file")]
    File {
        /// The file as written.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The engine has failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The stored baseline cannot be used.
    #[error("{source}\nhint: {hint}", hint = .source.hint())]
    Baseline {
        /// Why.
        #[from]
        source: crate::baseline::BaselineError,
    },
    /// The judge refuses the values, which is a bug.
    #[error("failed to judge the trials: {0}\nhint: this is a bug of tokpace; report it with `trials.json`")]
    Judge(#[from] gate::JudgeError),
    /// Results cannot be written.
    #[error("failed to write results: {0}\nhint: check the space and permissions of cargo's target folder")]
    Write(#[from] std::io::Error),
    /// A signal ended the run.
    #[error("interrupted before the case was measured\nhint: run it again")]
    Interrupted,
}

/// What was measured of a case.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) plan: Plan,
    /// Valid trials, in order.
    pub(crate) trials: Vec<TrialValues>,
    pub(crate) reports: Vec<TrialReport>,
    /// Trials that were no measurement, by number.
    pub(crate) invalid: Vec<(u32, Vec<Invalid>)>,
    /// More trials were invalid than may be repeated.
    pub(crate) given_up: bool,
    pub(crate) interrupted: bool,
    pub(crate) token_source: Option<TokenSource>,
    pub(crate) off_length: u64,
    /// Mean over the valid trials.
    pub(crate) tokens_per_chunk: f64,
    pub(crate) requests: u64,
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) client: ClientInfo,
    pub(crate) seconds: f64,
}

/// What measuring needs besides the bench.
pub(crate) struct Context<'a> {
    pub(crate) run: &'a str,
    pub(crate) folder: &'a RunFolder,
    pub(crate) redactor: &'a Redactor,
    pub(crate) stop: &'a Stop,
    pub(crate) quick: bool,
    pub(crate) baseline: Option<&'a Baseline>,
    pub(crate) job_noise: f64,
    pub(crate) progress: &'a mut dyn FnMut(&str),
}

/// Measures `case` on `bench`.
pub(crate) fn measure(
    case: &Case,
    plan: Plan,
    bench: &mut Bench,
    context: &mut Context<'_>,
) -> Result<Measured, MeasureError> {
    let (least, most) = case.trials.range(context.quick);
    // A quarter of the trials may be repeated because they were no measurement.
    let spare = (most / 4).max(1);
    let mut measured = Measured {
        plan,
        trials: Vec::new(),
        reports: Vec::new(),
        invalid: Vec::new(),
        given_up: false,
        interrupted: false,
        token_source: None,
        off_length: 0,
        tokens_per_chunk: 1.0,
        requests: 0,
        failures: BTreeMap::new(),
        client: ClientInfo::default(),
        seconds: 0.0,
    };
    let expected_output = context.baseline.and_then(|b| {
        let middle = crate::baseline::middle(&b.jobs, "output_tokens.p50")?;
        middle.value()
    });
    bench.check(case, context.stop.flag())?;
    let mut runner = Runner { case, bench, context };
    runner.unmeasured(&measured.plan.warmup, users(measured.plan.pacing), "warmup", 0)?;
    if let Some(server) = &runner.bench.target.embedded {
        server.clear_lateness();
    }
    let mut lags = Lags::default();
    for number in 1.. {
        if runner.context.stop.requested() {
            measured.interrupted = true;
            break;
        }
        (runner.context.progress)(&format!("{}: trial {} of {least} to {most}", case.name, measured.trials.len() + 1));
        let started = jiff::Timestamp::now().to_string();
        let begin = Instant::now();
        runner.unmeasured(&measured.plan.prime, 1, "prime", number)?;
        let (trial, recording) = runner.trial(&measured.plan, number)?;
        let seconds = begin.elapsed().as_secs_f64();
        measured.seconds += seconds;
        let summary = TrialSummary::of(&trial, &case.slo);
        let invalid = if recording.interrupted { Vec::new() } else { check_trust(&trial, &summary, expected_output) };
        let row = values::row(&summary, &values::kept(case, summary.n));
        let client = client_info(&trial, runner.bench);
        measured.reports.push(TrialReport {
            trial: number,
            side: "candidate".into(),
            valid: invalid.is_empty() && !recording.interrupted,
            started,
            seconds,
            window_seconds: summary.window.seconds(),
            values: row.clone(),
            token_source: summary.token_source.map(|source| source.name().to_owned()),
            failures: summary.failures.iter().map(|(class, n)| (class.name().to_owned(), *n)).collect(),
            new_connections: summary.new_connections,
            coalesced: summary.coalesced,
            client,
        });
        runner.context.folder.save_part(
            "trials",
            &case.name,
            &CaseTrials { case: case.name.clone(), trials: measured.reports.clone() },
        )?;
        lags.add(&trial);
        if recording.interrupted {
            measured.interrupted = true;
            break;
        }
        if !invalid.is_empty() {
            measured.invalid.push((number, invalid));
            if measured.invalid.len() as u32 > spare {
                measured.given_up = true;
                break;
            }
            continue;
        }
        measured.take(&summary, row);
        let have = measured.trials.len() as u32;
        if have >= most || (have >= least && !wants_more(case, &measured.trials, runner.context)?) {
            break;
        }
    }
    measured.client = lags.info(runner.bench);
    Ok(measured)
}

/// Whether the trials' own noise still dominates: a rule that looks at variances only.
fn wants_more(case: &Case, trials: &[TrialValues], context: &Context<'_>) -> Result<bool, MeasureError> {
    let jobs = jobs(context.baseline);
    if jobs.is_empty() || context.quick {
        return Ok(false);
    }
    let checks: Vec<&Check> = case.gate.comparisons().collect();
    let inputs = inputs(&checks, trials, &jobs);
    let candidate = Job { trials: trials.to_vec() };
    let input = CaseInput::stored(case.name.clone(), inputs, context.job_noise, jobs, candidate);
    Ok(gate::needs_more_trials(&input)?)
}

fn users(pacing: Pacing) -> u32 {
    match pacing {
        Pacing::Closed { users, .. } => users,
        _ => 1,
    }
}

impl Measured {
    fn take(&mut self, summary: &TrialSummary, row: TrialValues) {
        self.trials.push(row);
        self.token_source = self.token_source.max(summary.token_source);
        self.requests += summary.n;
        self.off_length += summary.off_length;
        let n = self.trials.len() as f64;
        self.tokens_per_chunk += (summary.tokens_per_chunk - self.tokens_per_chunk) / n;
        for (class, n) in &summary.failures {
            *self.failures.entry(class.name().to_owned()).or_default() += n;
        }
    }
}

struct Runner<'r, 'c> {
    case: &'r Case,
    bench: &'r mut Bench,
    context: &'r mut Context<'c>,
}

impl Runner<'_, '_> {
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
        let outgoing = self.outgoing(requests, what, number);
        let recording = self.run(outgoing, pacing, None)?;
        let records: Vec<RequestRecord> = self.interpret(&recording);
        self.keep(&records, number, Phase::Warmup, pacing)
    }

    /// Runs one measured trial.
    fn trial(&mut self, plan: &Plan, number: u32) -> Result<(Trial, Recording), MeasureError> {
        let outgoing = self.outgoing(&plan.requests, "m", number);
        let recording = self.run(outgoing, plan.pacing, plan.duration)?;
        let records = self.interpret(&recording);
        self.keep(&records, number, Phase::Measured, plan.pacing)?;
        // A trial that ends by its duration leaves the rest of its requests unsent on purpose.
        let unsent = if recording.interrupted || plan.duration.is_some() {
            0
        } else {
            plan.requests.len().saturating_sub(records.len()) as u32
        };
        let trial = Trial {
            pacing: plan.pacing,
            records,
            stream: self.case.request.stream,
            shares_prefix: self.case.workload.prefix.is_some() || !self.case.workload.salt,
            client: Client {
                wake_lags: recording.wake_lags.clone(),
                cpu_share: recording.cpu_share,
                unsent,
                peak_in_flight: recording.peak_in_flight,
                max_in_flight: match plan.pacing {
                    Pacing::Open { max_in_flight } => max_in_flight,
                    _ => None,
                },
            },
        };
        Ok((trial, recording))
    }

    fn run(
        &mut self,
        requests: Vec<Outgoing>,
        pacing: Pacing,
        duration: Option<u64>,
    ) -> Result<Recording, MeasureError> {
        let round = Round {
            url: format!("{}{}", self.bench.target.base_url, openai_chat::PATH),
            pacing,
            duration,
            timeout: self.case.request.timeout.duration(),
            no_progress: self.case.request.no_progress.duration(),
            requests,
        };
        let stop = self.context.stop.clone();
        let engine: &mut Engine = self.bench.engine(self.case.request.http2)?;
        Ok(engine.run(round, stop.flag())?)
    }

    fn outgoing(&self, requests: &[PlannedRequest], what: &str, number: u32) -> Vec<Outgoing> {
        let salt = Salt::new(&self.bench.words, self.context.run, &self.case.name, number, "candidate");
        let mut extra = self.bench.target.extra.clone();
        extra.extend(self.case.request.extra.clone());
        let prefix = format!("{}-{}-{number}-{what}", self.context.run, names::file_name(&self.case.name));
        requests
            .iter()
            .map(|request| {
                let (system, user) = request.prompt.with_salt(&salt.cut(request.prompt.salt_tokens));
                let body = openai_chat::body(
                    &self.bench.target.model,
                    system.as_deref(),
                    &user,
                    request.max_tokens,
                    self.case.request.stream,
                    &extra,
                );
                Outgoing {
                    index: request.index,
                    user: request.user,
                    at: request.at,
                    max_tokens: request.max_tokens,
                    input_tokens: request.prompt.input_tokens,
                    request_id: format!("{prefix}{}", request.index),
                    body: Bytes::from(body),
                }
            })
            .collect()
    }

    fn interpret(&self, recording: &Recording) -> Vec<RequestRecord> {
        recording
            .requests
            .iter()
            .map(|raw| {
                let mut record = openai_chat::interpret(raw, &self.bench.target.tokenizer);
                if let Some(failure) = &mut record.failure {
                    failure.message = self.context.redactor.redact(&failure.message).into_owned();
                }
                record
            })
            .collect()
    }

    /// Appends the requests to `requests.jsonl`.
    fn keep(&self, records: &[RequestRecord], trial: u32, phase: Phase, pacing: Pacing) -> Result<(), MeasureError> {
        let mut lines = String::new();
        for record in records {
            let metrics = RequestMetrics::of(record, pacing);
            let line = serde_json::json!({
                "case": self.case.name,
                "trial": trial,
                "side": "candidate",
                "phase": phase,
                "index": record.index,
                "user": record.user,
                "request_id": record.request_id,
                "scheduled_ns": record.scheduled,
                "sent_ns": record.sent,
                "ttft_ns": metrics.ttft,
                "ttfo_ns": metrics.ttfo,
                "tpot_ns": metrics.tpot,
                "e2e_latency_ns": metrics.e2e_latency,
                "max_stall_ns": metrics.max_stall,
                "connect_ns": record.connect,
                "input_tokens": record.input_tokens,
                "output_tokens": record.output_tokens,
                "cached_tokens": record.usage.as_ref().and_then(|usage| usage.cached),
                "token_source": record.token_source.name(),
                "status": record.status,
                "error_class": record.failure.as_ref().map(|failure| failure.class.name()),
                "error": record.failure.as_ref().map(|failure| &failure.message),
            });
            let _ = writeln!(lines, "{line}");
        }
        Ok(self.context.folder.append("requests.jsonl", &lines)?)
    }
}

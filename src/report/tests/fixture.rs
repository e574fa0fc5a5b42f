//! Runs whose figures come from the virtual server, so that the texts are about numbers that a user could see.

use std::collections::BTreeMap;

use crate::baseline::{Baseline, Job};
use crate::gate::{self, Mode, Suite, TrialValues, Verdict};
use crate::harness::verdict::{self, Evidence};
use crate::plan::{self, Plan, Sources, Words};
use crate::predict::{self, VirtualJob, job};
use crate::profile::{Embedded, Fault, FaultKind, Slowdown};
use crate::report::{BaselineInfo, CaseReport, Invalidated, ReferenceInfo, RunInfo, RunReport};
use crate::scenario::{self, Case};
use crate::target::Machine;
use crate::tokens::Tokenizer;
use crate::units::Share;

pub(super) const CHATBOT: &str = r#"description = "Short questions and short answers from several users at once"

[workload]
input_tokens = 128
output_tokens = 48

[load]
concurrency = 4
ramp_up = "40ms"
requests = 24

[gate]
"ttft.p50" = "<= baseline + 10%"
"tpot.p50" = "<= baseline + 3%"
"output_throughput" = ">= baseline - 5%"
"e2e_latency.p50" = { limit = "<= baseline + 5%", advisory = true }
"#;

/// Fixed limits, and quantiles that 24 requests cannot show.
pub(super) const LIMITS: &str = r#"[workload]
input_tokens = 128
output_tokens = 48

[load]
concurrency = 4
ramp_up = "40ms"
requests = 24

[gate]
"ttft.p50" = ["<= 44ms", "<= 50ms", "<= 50.2ms"]
"ttft.p95" = ["<= 200ms", "<= baseline + 10%"]
"output_throughput" = ">= 900"
"prefix_hit_ratio" = ">= 60%"
"#;

/// A case with its plan and the jobs of its baseline.
pub(super) struct Bench {
    pub(super) case: Case,
    plan: Plan,
    baseline: Option<Baseline>,
}

impl Bench {
    pub(super) fn new(name: &str, text: &str) -> Self {
        let case = scenario::load(name, &format!("scenarios/{name}.toml"), text).unwrap().remove(0);
        let tokenizer = Tokenizer::bundled();
        let words = Words::of(&tokenizer).unwrap();
        let sources = Sources { tokenizer: &tokenizer, words: &words, dataset: None, trace: None, system_prompt: None };
        let plan = plan::build(&case, &sources).unwrap();
        Self { case, plan, baseline: None }
    }

    /// Three jobs of an unchanged server are accepted.
    pub(super) fn with_baseline(mut self) -> Self {
        let job = |seed| Job { trials: self.job(&Embedded::default(), seed).trials, ..Job::default() };
        self.baseline = Some(Baseline {
            case: self.case.name.clone(),
            profile: "embedded".into(),
            conditions: BTreeMap::new(),
            jobs: (1..=3).map(job).collect(),
            anchors: Vec::new(),
        });
        self
    }

    pub(super) fn job(&self, config: &Embedded, seed: u64) -> VirtualJob {
        job(&self.case, &self.plan, config, seed, 6, None)
    }

    /// Gives the case another name, as a matrix does.
    pub(super) fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.case.name);
        self
    }

    /// The report on a job with these settings.
    pub(super) fn run(&self, config: &Embedded) -> CaseReport {
        self.judge(&self.job(config, 7), 0.003)
    }

    /// The report on pairs of two servers, at most `most` of them.
    pub(super) fn pairs(&self, sides: [&Embedded; 2], most: u32) -> CaseReport {
        let found = predict::pairs(&self.case, &self.plan, sides, 7, most).pairs;
        let mut suite = Suite::new(Mode::Paired, vec![verdict::paired_input(&self.case, &found, most)]);
        (suite.family, suite.family_cases) = (Some(21), Some(7));
        let judged = gate::judge(&suite).unwrap().cases.remove(0);
        let used = &found[..judged.pairs_used.max(1) as usize];
        let mut report = blank(&self.case);
        report.mode = Mode::Paired;
        report.checks = verdict::paired(&self.case, judged.checks, used);
        report.verdict = Verdict::of_all(report.checks.iter().filter(|c| !c.judged.advisory).map(|c| c.judged.verdict));
        report.pairs_used = judged.pairs_used;
        report.requests = used.iter().map(|pair| pair.b.n).sum();
        report.reference = Some(ReferenceInfo {
            name: "profile `previous`".into(),
            candidate: "profile `embedded`".into(),
            differences: vec!["`slowdown.decode` nothing and `10%`".into()],
            statistics: BTreeMap::new(),
        });
        report.failed = verdict::failing_rule(report.verdict, &report.checks, &self.case.gate, false, false);
        report.text = crate::report::verdict_text(&report, false);
        report
    }

    /// The report on a job that has been measured.
    pub(super) fn judge(&self, job: &VirtualJob, job_noise: f64) -> CaseReport {
        let mut report = blank(&self.case);
        let evidence = Evidence {
            trials: &job.trials,
            baseline: self.baseline.as_ref(),
            differences: &[],
            family: 21,
            family_cases: 7,
            job_noise,
        };
        report.checks = verdict::judge(&self.case, evidence).unwrap();
        report.verdict = if job.given_up {
            Verdict::Invalid
        } else {
            Verdict::of_all(report.checks.iter().filter(|c| !c.judged.advisory).map(|c| c.judged.verdict))
        };
        report.baseline = self.baseline.as_ref().map(|baseline| BaselineInfo {
            path: format!("baselines/embedded/{}.toml", baseline.case),
            jobs: baseline.jobs.len() as u32,
            recorded: "2026-01-20T09:00:00Z".into(),
            stale: None,
        });
        let waits = matches!(report.verdict, Verdict::Regressed | Verdict::Improved | Verdict::Missing);
        report.pending = waits.then(|| format!("baselines/embedded/{}.toml.new", self.case.name));
        report.statistics = verdict::medians(&job.trials);
        report.pairs_used = job.trials.len() as u32;
        let count = |of: fn(&TrialValues) -> u64| job.trials.iter().map(of).sum::<u64>();
        (report.requests, report.errors) = (count(|trial| trial.n), count(|trial| trial.errors));
        report.invalid = job
            .invalid
            .iter()
            .map(|(trial, reasons)| Invalidated {
                trial: *trial,
                reasons: reasons.iter().map(|invalid| invalid.reason.clone()).collect(),
                hints: reasons.iter().map(|invalid| invalid.hint.clone()).collect(),
            })
            .collect();
        report.seconds = job.lengths.iter().sum::<u64>() as f64 / 1e9;
        if report.errors > 0 {
            report.failures = BTreeMap::from([("http_status".to_owned(), report.errors)]);
        }
        report.failed = verdict::failing_rule(report.verdict, &report.checks, &self.case.gate, false, false);
        report.text = crate::report::verdict_text(&report, false);
        report
    }
}

/// A server of which prompts and decode steps take so much longer.
pub(super) fn slower(prefill: f64, decode: f64) -> Embedded {
    Embedded { slowdown: Slowdown { prefill: Share(prefill), decode: Share(decode) }, ..Embedded::default() }
}

/// A server that fails in this part of the requests.
pub(super) fn faulty(kind: FaultKind, rate: f64) -> Embedded {
    Embedded { fault: Some(Fault { kind, rate: Share(rate) }), ..Embedded::default() }
}

/// A report that says nothing yet.
pub(super) fn blank(case: &Case) -> CaseReport {
    CaseReport::blank(case, "embedded", "2026-01-31T10:00:00Z".into())
}

/// A run of these cases.
pub(super) fn run(cases: Vec<CaseReport>) -> RunReport {
    RunReport {
        version: 1,
        run: RunInfo {
            id: "20260131T100000Z-4711".into(),
            started: "2026-01-31T10:00:00Z".into(),
            updated: "2026-01-31T10:01:10Z".into(),
            profile: "embedded".into(),
            against: None,
            target: "embedded".into(),
            tokpace: "0.1.0".into(),
            quick: false,
            interrupted: false,
            calibration: None,
            measured_seconds: cases.iter().fold(0.0, |sum, case| sum + case.seconds),
            command: vec!["perf".into()],
            machine: Machine {
                os: "linux x86_64".into(),
                os_version: Some("Debian GNU/Linux 13".into()),
                cpu: Some("Example CPU".into()),
                cores: 2,
                build: "debug".into(),
                commit: Some("abc1234".into()),
                ..Machine::default()
            },
        },
        verdict: Verdict::of_all(cases.iter().map(|case| case.verdict)),
        cases,
    }
}

//! One case, from its plan to its report.

use std::collections::BTreeMap;

use crate::baseline::{self, Baseline, Job, Pending, PendingVerdict, UpdateMode, Write};
use crate::gate::Verdict;
use crate::harness::measure::{self, Context, MeasureError, Measured};
use crate::harness::session::Session;
use crate::harness::verdict::{self, Evidence};
use crate::measure::Invalid;
use crate::metric::{Metric, MetricId};
use crate::plan::{self, Item, Plan, Sources};
use crate::report::{self, BaselineInfo, CaseReport, CheckReport, ClientInfo, Invalidated};
use crate::scenario::{Case, SystemPrompt};
use crate::target::{Fingerprint, of_case};

/// Answers off their planned length by more than 5 % in more than this share of the requests say that times per
/// token and rates were not measured on what was planned.
const MOST_OFF_LENGTH: f64 = 0.01;

impl Session {
    /// Measures and judges one case. Nothing ends the run: what cannot be measured is reported as `invalid`.
    ///
    /// # Errors
    /// Only if the results cannot be written.
    pub fn run_case(&mut self, case: &Case) -> std::io::Result<CaseReport> {
        tracing::info!(case = %case.name, "measure");
        let mut report = match self.measure_and_judge(case) {
            Ok(report) => report,
            Err(error) => self.unmeasured(case, &error),
        };
        report.text = self.redactor.redact(&report::verdict_text(&report, self.flags.verbose)).into_owned();
        tracing::info!(case = %case.name, verdict = %report.verdict, "judged");
        self.keep(report.clone())?;
        Ok(report)
    }

    fn measure_and_judge(&mut self, case: &Case) -> Result<CaseReport, MeasureError> {
        if self.stop.requested() {
            return Err(MeasureError::Interrupted);
        }
        let baseline = self.store.load(&self.profile.name, &case.name)?;
        // First the target, since its settings tell what is secret; then the folder, with its log.
        self.ready()?;
        let folder = self.folder()?;
        let plan = self.plan(case)?;
        folder.append("plan.jsonl", &plan_lines(case, &plan))?;
        let run = self.salt_run();
        let mut progress = std::mem::take(self.progress_width());
        let Some(mut bench) = self.bench.take() else { return Err(MeasureError::Interrupted) };
        let measured = measure::measure(
            case,
            plan,
            &mut bench,
            &mut Context {
                run: &run,
                folder: &folder,
                redactor: &self.redactor,
                stop: &self.stop,
                quick: self.flags.quick,
                baseline: baseline.as_ref(),
                job_noise: self.profile.job_noise,
                progress: &mut |text| Self::show_progress(&mut progress, text),
            },
        );
        *self.progress_width() = progress;
        let measured = measured?;
        let fingerprint = of_case(&self.profile, &bench.target, &self.machine, &measured.plan, measured.token_source);
        self.bench = Some(bench);
        self.judge(case, measured, fingerprint, baseline.as_ref())
    }

    fn judge(
        &mut self,
        case: &Case,
        measured: Measured,
        fingerprint: Fingerprint,
        baseline: Option<&Baseline>,
    ) -> Result<CaseReport, MeasureError> {
        let mut report = self.blank(case);
        let mut case = case.clone();
        advise(&mut case, &measured, &mut report.notes);
        report.differences = baseline.map_or_else(Vec::new, |b| differences(b, &fingerprint));
        report.checks = verdict::judge(
            &case,
            Evidence {
                trials: &measured.trials,
                baseline,
                differences: &report.differences,
                family: self.family.iter().map(|case| case.gate.comparisons().count() as u64).sum(),
                family_cases: self.family.len() as u64,
                job_noise: self.profile.job_noise,
            },
        )?;
        report.verdict = if measured.given_up || measured.interrupted || measured.trials.is_empty() {
            Verdict::Invalid
        } else {
            Verdict::of_all(report.checks.iter().filter(|c| !c.judged.advisory).map(|c| c.judged.verdict))
        };
        report.invalid = measured.invalid.iter().map(invalidated).collect();
        if measured.interrupted {
            report.notes.push(format!("interrupted after {} trials; they are kept", measured.trials.len()));
        }
        if self.flags.quick {
            report.notes.push(format!(
                "quick run: {} trials decide nothing (a verdict needs {})",
                measured.trials.len(),
                crate::gate::FEWEST
            ));
        }
        report.baseline = baseline.map(|b| self.baseline_info(b));
        report.statistics = verdict::medians(&measured.trials);
        report.pairs_used = measured.trials.len() as u32;
        report.requests = measured.requests;
        report.errors = measured.failures.values().sum();
        report.failures = measured.failures;
        report.client = measured.client;
        report.seconds = measured.seconds;
        report.conditions.clone_from(&fingerprint.conditions);
        report.subject.clone_from(&fingerprint.subject);
        if report.verdict != Verdict::Invalid {
            let job = Job {
                recorded: report.recorded.clone(),
                tokpace: env!("CARGO_PKG_VERSION").into(),
                commit: self.machine.commit.clone(),
                subject: fingerprint.subject,
                trials: measured.trials,
                ..Job::default()
            };
            self.write(&mut report, job)?;
        }
        let (ci, quick) = (self.ci, self.flags.quick);
        report.failed = verdict::failing_rule(report.verdict, &report.checks, &case.gate, ci, quick)
            .filter(|_| self.recorded.is_none() || report.verdict == Verdict::Invalid);
        Ok(report)
    }

    /// Writes, accepts or clears a pending baseline, as the update mode says.
    fn write(&mut self, report: &mut CaseReport, job: Job) -> Result<(), MeasureError> {
        let verdict = match report.verdict {
            Verdict::Missing => PendingVerdict::Missing,
            Verdict::Regressed => PendingVerdict::Regressed,
            Verdict::Improved => PendingVerdict::Improved,
            Verdict::Pass => PendingVerdict::Pass,
            _ => PendingVerdict::Inconclusive,
        };
        let summary = report
            .checks
            .iter()
            .filter(|check| check.judged.verdict != Verdict::Pass)
            .map(|check| report::check_line(report, check))
            .collect();
        let mut pending = Pending {
            case: report.case.clone(),
            profile: report.profile.clone(),
            verdict,
            summary,
            conditions: report.conditions.clone(),
            jobs: vec![job],
        };
        let mut mode = self.update;
        if let Some(recorded) = &mut self.recorded {
            let jobs = recorded.entry(report.case.clone()).or_default();
            jobs.append(&mut pending.jobs);
            pending.jobs.clone_from(jobs);
            pending.verdict = PendingVerdict::Recorded;
            // Recording is asked for by name, in CI too.
            mode = if mode == UpdateMode::Auto { UpdateMode::New } else { mode };
        } else if self.flags.quick {
            return Ok(());
        }
        match baseline::write_policy(mode, self.ci, pending.verdict) {
            Write::Nothing => {}
            Write::Clear => {
                self.store.clear_stale(&report.profile, &report.case)?;
            }
            Write::Pending => match self.store.write_pending(&pending)? {
                baseline::PendingWrite::Written(path) => report.pending = Some(self.paths.shown(&path)),
                baseline::PendingWrite::KeptRecording(path) => report.notes.push(format!(
                    "`{}` holds recorded jobs that wait to be accepted, so it was left alone",
                    self.paths.shown(&path)
                )),
            },
            Write::InPlace => {
                let who = baseline::Acceptance {
                    at: jiff::Timestamp::now().to_string(),
                    by: self.author.by.clone(),
                    commit: self.author.commit.clone(),
                    reason: Some("accepted at once (`always`)".into()),
                };
                match self.store.accept(&pending, baseline::AcceptMode::Auto, &who) {
                    Ok(_) => report.notes.push("accepted into the baseline (`--update=always`)".into()),
                    Err(error) => report.notes.push(format!("not accepted: {error}")),
                }
            }
        }
        Ok(())
    }

    /// Reads what the case names and plans it.
    pub(crate) fn plan(&mut self, case: &Case) -> Result<Plan, MeasureError> {
        let dataset = self.dataset(case)?;
        let system_prompt = self.system_prompt(case)?;
        let bundled;
        let tokenizer = if let Some(bench) = &self.bench {
            &bench.target.tokenizer
        } else {
            bundled = crate::tokens::Tokenizer::bundled();
            &bundled
        };
        let own_words;
        let words = if let Some(bench) = &self.bench {
            &bench.words
        } else {
            own_words = crate::plan::Words::of(tokenizer).map_err(plan::PlanError::from)?;
            &own_words
        };
        let sources =
            Sources { tokenizer, words, dataset: dataset.as_deref(), system_prompt: system_prompt.as_deref() };
        Ok(plan::build(case, &sources)?)
    }

    fn read(&self, path: &str) -> Result<String, MeasureError> {
        let expanded = self.environment.expand(path)?;
        std::fs::read_to_string(self.paths.scenarios.join(expanded))
            .map_err(|source| MeasureError::File { path: path.to_owned(), source })
    }

    fn dataset(&self, case: &Case) -> Result<Option<Vec<Item>>, MeasureError> {
        let Some(dataset) = &case.workload.dataset else { return Ok(None) };
        let text = self.read(&dataset.path)?;
        Ok(Some(plan::parse_dataset(&dataset.path, &text, dataset.format)?))
    }

    fn system_prompt(&self, case: &Case) -> Result<Option<String>, MeasureError> {
        match &case.workload.system_prompt {
            None => Ok(None),
            Some(SystemPrompt::Text(text)) => Ok(Some(text.clone())),
            Some(SystemPrompt::Path(path)) => Ok(Some(self.read(path)?.trim_end().to_owned())),
        }
    }

    fn baseline_info(&self, baseline: &Baseline) -> BaselineInfo {
        let path = self.store.path(&baseline.profile, &baseline.case);
        BaselineInfo {
            path: path.map(|path| self.paths.shown(&path)).unwrap_or_default(),
            jobs: baseline.jobs.len() as u32,
            recorded: baseline.jobs.last().map(|job| job.recorded.clone()).unwrap_or_default(),
        }
    }

    fn blank(&self, case: &Case) -> CaseReport {
        CaseReport {
            case: case.name.clone(),
            verdict: Verdict::Invalid,
            pairs_used: 0,
            checks: Vec::<CheckReport>::new(),
            failed: None,
            text: String::new(),
            scenario: case.scenario.clone(),
            file: case.file.clone(),
            description: case.description.clone(),
            profile: self.profile.name.clone(),
            recorded: jiff::Timestamp::now().to_string(),
            seconds: 0.0,
            invalid: Vec::new(),
            baseline: None,
            pending: None,
            conditions: BTreeMap::new(),
            subject: BTreeMap::new(),
            differences: Vec::new(),
            notes: Vec::new(),
            hints: Vec::new(),
            statistics: BTreeMap::new(),
            requests: 0,
            errors: 0,
            failures: BTreeMap::new(),
            client: ClientInfo::default(),
        }
    }

    fn unmeasured(&self, case: &Case, error: &MeasureError) -> CaseReport {
        // Here and not only in the rendered text: a secret of several words may be broken over two lines there.
        let text = self.redactor.redact(&error.to_string()).into_owned();
        let mut parts = text.split("\nhint: ");
        let mut report = self.blank(case);
        report.notes.extend(parts.next().map(str::to_owned));
        report.hints.extend(parts.map(str::to_owned));
        report.failed = Some("the case could not be measured".into());
        report
    }
}

/// Conditions in which a baseline and a run differ, in words.
fn differences(baseline: &Baseline, fingerprint: &Fingerprint) -> Vec<String> {
    baseline::conditions_differ(&baseline.conditions, &fingerprint.conditions)
        .into_iter()
        .map(|difference| {
            let side = |value: Option<String>| value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"));
            let what = match difference.key.as_str() {
                "plan" => "the plan (scenario, seed or corpus has changed)".to_owned(),
                key => format!("`{key}`"),
            };
            format!("{what} was {} and is {}", side(difference.old), side(difference.new))
        })
        .collect()
}

/// Checks that this run's answers cannot support become advisory, and the report says why.
fn advise(case: &mut Case, measured: &Measured, notes: &mut Vec<String>) {
    let share = measured.off_length as f64 / measured.requests.max(1) as f64;
    if share > MOST_OFF_LENGTH {
        notes.push(format!(
            "{} of the answers were off their planned length by more than 5 %: times per token, latencies and rates \
             are advisory\nhint: fix the length with `request.extra = {{ ignore_eos = true }}`",
            report::percent(share)
        ));
        let affected = |id: MetricId| {
            !matches!(id.metric, Metric::Ttft | Metric::Ttfo | Metric::ErrorRate | Metric::PrefixHitRatio)
        };
        case.gate.checks.iter_mut().filter(|check| affected(check.metric)).for_each(|check| check.advisory = true);
    }
    let ratio = measured.tokens_per_chunk;
    if (ratio - 1.0).abs() > 0.01 {
        let itl = |check: &&mut crate::scenario::Check| check.metric.metric == Metric::Itl && !check.advisory;
        let mut gated = false;
        for check in case.gate.checks.iter_mut().filter(itl) {
            check.advisory = true;
            gated = true;
        }
        if gated {
            notes.push(format!("{ratio:.2} tokens a chunk: `itl` is advisory, `tpot` gates"));
        }
    }
}

fn invalidated((trial, reasons): &(u32, Vec<Invalid>)) -> Invalidated {
    Invalidated {
        trial: *trial,
        reasons: reasons.iter().map(|invalid| invalid.reason.clone()).collect(),
        hints: reasons.iter().map(|invalid| invalid.hint.clone()).collect(),
    }
}

/// The plan's requests without their texts.
fn plan_lines(case: &Case, plan: &Plan) -> String {
    let lists = [("warmup", &plan.warmup), ("prime", &plan.prime), ("measured", &plan.requests)];
    let mut lines = String::new();
    for (phase, requests) in lists {
        for request in requests {
            let line = serde_json::json!({
                "case": case.name,
                "phase": phase,
                "index": request.index,
                "user": request.user,
                "at_ns": request.at,
                "input_tokens": request.prompt.input_tokens,
                "max_tokens": request.max_tokens,
                "plan": plan.hash,
            });
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
    }
    lines
}

//! One case, from its plan to its report.

use std::collections::BTreeMap;

use crate::baseline::{self, Baseline, Job, Pending, PendingVerdict, UpdateMode, Write};
use crate::gate::{Mode, TrialValues, Verdict};
use crate::harness::bench::Role;
use crate::harness::measure::{self, Measured, Until};
use crate::harness::session::Session;
use crate::harness::trial::Context;
use crate::harness::verdict::{self, Evidence};
use crate::harness::{MeasureError, conclude, now, page, soak, sources, watched};
use crate::report::{self, BaselineInfo, CaseReport};
use crate::scenario::Case;
use crate::target::{Fingerprint, of_case};

impl Session {
    /// Measures and judges one case. Nothing ends the run: what cannot be measured is reported as `invalid`.
    ///
    /// A case that is measured in pairs is measured together with all others of its kind that were selected; the first
    /// one takes the time, the others then have their reports.
    ///
    /// # Errors
    /// Only if the results cannot be written.
    pub fn run_case(&mut self, case: &Case) -> std::io::Result<CaseReport> {
        if !self.is_paired(case) {
            tracing::info!(case = %case.name, "measure");
            let report = match self.measure_and_judge(case) {
                Ok(report) => report,
                Err(error) => self.unmeasured(case, &error),
            };
            return self.finish(report);
        }
        if self.report(&case.name).is_none() {
            let together: Vec<Case> = self.selected(case);
            self.run_jointly(&together)?;
        }
        let missing = || std::io::Error::other(format!("`{}` was measured but not reported", case.name));
        self.report(&case.name).cloned().ok_or_else(missing)
    }

    /// Puts a verdict into words and keeps it.
    pub(super) fn finish(&mut self, mut report: CaseReport) -> std::io::Result<CaseReport> {
        report.text = self.redactor.redact(&report::verdict_text(&report, self.flags.verbose)).into_owned();
        tracing::info!(case = %report.case, verdict = %report.verdict, "judged");
        self.remember(&report);
        self.keep(report.clone())?;
        Ok(report)
    }

    fn measure_and_judge(&mut self, case: &Case) -> Result<CaseReport, MeasureError> {
        if self.stop.requested() {
            return Err(MeasureError::Interrupted);
        }
        let baseline = self.store.load(&self.profile.name, &case.name)?;
        // First the target, since its settings tell what is secret; then the folder, with its log.
        let number = self.side(Role::Candidate, &self.profile.clone())?;
        let folder = self.folder()?;
        if let Some(baseline) = &baseline {
            folder.save_part("baseline", &case.name, &page::part(baseline))?;
        }
        let run = self.salt_run();
        let Some(mut bench) = self.bench.take() else { return Err(MeasureError::Interrupted) };
        let mut progress = std::mem::take(self.progress_width());
        let measured = (|| {
            let side = bench.side(number);
            let plan = self.plan_with(case, &side.target.tokenizer, &side.words)?;
            folder.append("plan.jsonl", &sources::plan_lines(case, &plan))?;
            let until =
                Until { quick: self.flags.quick, baseline: baseline.as_ref(), job_noise: self.profile.job_noise };
            let mut context = Context {
                run: &run,
                folder: &folder,
                redactor: &self.redactor,
                stop: &self.stop,
                progress: &mut |text| Self::show_progress(&mut progress, text),
            };
            let measured = measure::measure(case, plan, side, &until, &mut context)?;
            let source = measured.tally.token_source();
            let fingerprint = of_case(case, &self.profile, &side.target, &self.machine, &measured.plan, source);
            let fingerprint = conclude::without_secrets(fingerprint, &self.redactor);
            let client = measured.tally.client();
            Ok::<_, MeasureError>((measured, fingerprint, client))
        })();
        *self.progress_width() = progress;
        // Whatever became of this case, the next one finds the bench as it stands.
        self.bench = Some(bench);
        let (measured, fingerprint, client) = measured?;
        let mut report = self.blank(case);
        report.client = client;
        self.judge(case, report, measured, fingerprint, baseline.as_ref())
    }

    fn judge(
        &mut self,
        case: &Case,
        mut report: CaseReport,
        measured: Measured,
        fingerprint: Fingerprint,
        baseline: Option<&Baseline>,
    ) -> Result<CaseReport, MeasureError> {
        let mut case = case.clone();
        let tally = measured.tally;
        report.notes = conclude::advise(&mut case, &[&tally]);
        report.differences = baseline.map_or_else(Vec::new, |b| differences(b, &fingerprint));
        report.checks = verdict::judge(
            &case,
            Evidence {
                trials: &tally.trials,
                baseline,
                differences: &report.differences,
                family: self.comparisons(),
                family_cases: self.family.len() as u64,
                job_noise: self.profile.job_noise,
            },
        )?;
        report.checks.extend(soak::check(&case, &tally));
        report.verdict = if measured.given_up || measured.interrupted || tally.trials.is_empty() {
            Verdict::Invalid
        } else {
            conclude::verdict_of(&report.checks)
        };
        report.invalid = measured.invalid.iter().map(conclude::invalidated).collect();
        if measured.interrupted {
            report.notes.push(format!("interrupted after {} trials; they are kept", tally.trials.len()));
        }
        if self.flags.quick {
            report.notes.push(format!(
                "quick run: {} trials decide nothing (a verdict needs {})",
                tally.trials.len(),
                crate::gate::FEWEST
            ));
        }
        report.notes.extend(baseline.and_then(|baseline| changed(baseline, &fingerprint.subject)));
        report.baseline = baseline.map(|b| self.baseline_info(b));
        report.drift =
            baseline.filter(|_| report.differences.is_empty()).and_then(|b| drift(b, &report, &tally.trials));
        report.pairs_used = tally.trials.len() as u32;
        conclude::count(&mut report, &tally);
        conclude::prefix(&mut report, &case, &measured.plan, &tally, None);
        watched::conclude(&mut report, &tally, None);
        soak::conclude(&mut report, &case, &tally);
        report.seconds = measured.seconds;
        report.conditions.clone_from(&fingerprint.conditions);
        report.subject.clone_from(&fingerprint.subject);
        self.waive(&mut report);
        if report.verdict != Verdict::Invalid && !self.stores_nothing(&case) {
            let job = Job {
                recorded: report.recorded.clone(),
                tokpace: env!("CARGO_PKG_VERSION").into(),
                commit: self.machine.commit.clone(),
                subject: fingerprint.subject,
                trials: tally.trials,
                ..Job::default()
            };
            self.write(&mut report, job)?;
        }
        report.failed = self
            .failing_rule(&report, &case.gate)
            .filter(|_| self.recorded.is_none() || report.verdict == Verdict::Invalid);
        Ok(report)
    }

    /// Whether there is nothing of a case to compare with later: a soak test without comparisons, unless it is
    /// recorded by name.
    fn stores_nothing(&self, case: &Case) -> bool {
        case.soak.is_some() && case.gate.comparisons().next().is_none() && self.recorded.is_none()
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
                    at: now(),
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

    fn baseline_info(&self, baseline: &Baseline) -> BaselineInfo {
        let path = self.store.path(&baseline.profile, &baseline.case);
        BaselineInfo {
            path: path.map(|path| self.paths.shown(&path)).unwrap_or_default(),
            jobs: baseline.jobs.len() as u32,
            recorded: baseline.jobs.last().map(|job| job.recorded.clone()).unwrap_or_default(),
            stale: self.stale(baseline),
        }
    }

    pub(super) fn blank(&self, case: &Case) -> CaseReport {
        CaseReport::blank(case, &self.profile.name, now())
    }

    pub(super) fn unmeasured(&self, case: &Case, error: &MeasureError) -> CaseReport {
        // Here and not only in the rendered text: a secret of several words may be broken over two lines there.
        let text = self.redactor.redact(&error.to_string()).into_owned();
        let mut parts = text.split("\nhint: ");
        let mut report = self.blank(case);
        report.mode = if self.is_paired(case) { Mode::Paired } else { Mode::Stored };
        report.notes.extend(parts.next().map(str::to_owned));
        report.hints.extend(parts.map(str::to_owned));
        report.failed = Some("the case could not be measured".into());
        report
    }
}

/// How far the run's checks are from the oldest anchor, in words.
fn drift(baseline: &Baseline, report: &CaseReport, trials: &[TrialValues]) -> Option<String> {
    let job = Job { trials: trials.to_vec(), ..Job::default() };
    let as_accepted = Baseline { jobs: vec![job], ..baseline.clone() };
    let gates =
        |metric: &str| report.checks.iter().any(|check| !check.judged.advisory && check.judged.metric == metric);
    baseline::drift_line(&as_accepted, gates)
}

/// What is told of a server that is not the one of the baseline's newest job: it may be why figures moved.
fn changed(baseline: &Baseline, subject: &BTreeMap<String, String>) -> Option<String> {
    let newest = baseline.jobs.last()?;
    let changes: Vec<String> = baseline::conditions_differ(&newest.subject, subject)
        .into_iter()
        .filter(|difference| difference.key.starts_with("server."))
        .map(|difference| {
            let side = |value: Option<String>| value.map_or_else(|| "nothing".to_owned(), |value| format!("`{value}`"));
            format!("`{}` was {} and is {}", difference.key, side(difference.old), side(difference.new))
        })
        .collect();
    (!changes.is_empty()).then(|| format!("the server has changed since the baseline: {}", changes.join("; ")))
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

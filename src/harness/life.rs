//! What a verdict is over time: waivers, the age of baselines, and the line in the history.

use crate::baseline::Baseline;
use crate::calendar::{Date, Days};
use crate::gate::Verdict;
use crate::harness::session::Session;
use crate::harness::{now, page, verdict};
use crate::history::Entry;
use crate::profile::OnStale;
use crate::report::{CaseReport, CheckReport, WaiverInfo};
use crate::scenario::Gate;

/// Today, by UTC.
pub(super) fn today() -> Option<Date> {
    Date::of_timestamp(&now())
}

/// By how much a baseline is older than it may be, in words; `None` if it is not, or its age is unknown.
pub(super) fn too_old(baseline: &Baseline, most: Option<Days>) -> Option<String> {
    let Days(most) = most?;
    let measured = Date::of_timestamp(&baseline.jobs.last()?.recorded)?;
    let age = today()?.days_since(measured);
    (age > i64::from(most)).then(|| format!("its latest job is {age} days old, and `baseline_max_age` allows {most}"))
}

impl Session {
    /// Writes the waiver beside each check that is worse than it may be. One that holds goes before one that ended.
    pub(super) fn waive(&self, report: &mut CaseReport) {
        let Some(today) = today() else { return };
        for check in &mut report.checks {
            let judged = &check.judged;
            if judged.advisory || !matches!(judged.verdict, Verdict::Regressed | Verdict::Exceeded) {
                continue;
            }
            let covering =
                self.waivers.iter().filter(|waiver| waiver.covers(&report.profile, &report.case, &judged.metric));
            let waiver = covering.max_by_key(|waiver| waiver.until);
            check.waiver = waiver.map(|waiver| WaiverInfo {
                until: waiver.until,
                reason: self.redactor.redact(&waiver.reason).into_owned(),
                ended: waiver.has_ended(today),
            });
        }
    }

    /// The rule by which a case fails the build, if it does. What is waived does not count; a baseline may be too old.
    pub(super) fn failing_rule(&self, report: &CaseReport, gate: &Gate) -> Option<String> {
        let counts = |check: &&CheckReport| !check.judged.advisory && !check.is_waived();
        let verdict = if report.verdict == Verdict::Invalid || !report.checks.iter().any(CheckReport::is_waived) {
            report.verdict
        } else {
            // What is left may be nothing, and nothing fails nothing.
            report.checks.iter().filter(counts).map(|check| check.judged.verdict).max().unwrap_or(Verdict::Pass)
        };
        let rule = verdict::failing_rule(verdict, &report.checks, gate, self.ci, self.flags.quick);
        if let Some(rule) = rule {
            let ended = report.checks.iter().find_map(|check| check.waiver.as_ref().filter(|waiver| waiver.ended));
            return Some(match ended {
                Some(waiver) => format!("{rule}; its waiver ended on {} ({})", waiver.until, waiver.reason),
                None => rule,
            });
        }
        let stale = report.baseline.as_ref()?.stale.as_ref()?;
        (self.profile.aging.on_stale == OnStale::Fail)
            .then(|| format!("the baseline is stale and `on_stale_baseline = \"fail\"`: {stale}"))
    }

    /// By how much a baseline is older than the profile allows, in words.
    pub(super) fn stale(&self, baseline: &Baseline) -> Option<String> {
        too_old(baseline, self.profile.aging.max_age)
    }

    /// Adds a line to the history. What decides nothing, and what is no measurement, leaves none.
    pub(super) fn remember(&self, report: &CaseReport) {
        if self.flags.quick || report.verdict == Verdict::Invalid {
            return;
        }
        let entry = Entry::of(report, &self.info.id, self.machine.commit.as_deref());
        let written = entry
            .line()
            .map_err(std::io::Error::from)
            .and_then(|line| self.history.append(&report.profile, &report.case, &self.redactor.redact(&line)));
        // The verdict stands without either.
        if let Err(error) = written {
            let path = self.history.path(&report.profile, &report.case);
            self.say(&format!("warning: failed to write `{}`: {error}", self.paths.shown(&path)));
        } else if let Err(error) = self.keep_past(report) {
            self.say(&format!("warning: failed to keep the past runs of `{}` for the report: {error}", report.case));
        }
    }

    /// Keeps the case's last runs in the run's folder, for its page.
    fn keep_past(&self, report: &CaseReport) -> std::io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let entries = self.history.read_case(&report.profile, &report.case)?;
        match page::past(&report.case, &entries) {
            Some(past) => folder.save_part("history", &report.case, &past),
            None => Ok(()),
        }
    }
}

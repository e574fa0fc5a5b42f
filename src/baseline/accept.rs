//! How a pending measurement changes a baseline. Pure: two values in, one out.

use super::model::{Baseline, Difference, Epoch, Job, Pending, PendingVerdict, conditions_differ};

/// Jobs that a baseline keeps; the oldest give way.
pub const JOBS_KEPT: usize = 30;

/// Earlier epochs that a baseline keeps, besides the oldest of all.
pub const RECENT_ANCHORS: usize = 5;

/// What accepting does with the jobs that are already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptMode {
    /// As the verdict says: one more job after `pass` and `recorded`, a new epoch after `regressed` and `improved`, or
    /// when the conditions changed.
    Auto,
    /// One more job, whatever the verdict.
    Append,
}

/// Who accepts, when and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// `Jane <jane@example.org>`, if known.
    pub by: Option<String>,
    /// The commit at which it is accepted; used for jobs that do not know which commit they measured.
    pub commit: Option<String>,
    /// When, RFC 3339.
    pub at: String,
    /// Why, in the words of who accepts.
    pub reason: Option<String>,
}

/// Why a measurement cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AcceptError {
    /// There is nothing in it.
    #[error("it has no measured trials")]
    Empty,
    /// A pending file of one case or profile was held against another's baseline.
    #[error("it belongs to another case or profile")]
    OtherCase,
    /// The very same job is part of the baseline; a second copy would understate the noise.
    #[error("the job recorded at {recorded} is already part of the baseline")]
    AlreadyAccepted {
        /// When that job was measured.
        recorded: String,
    },
    /// It was recorded as the first one, but a baseline has come since.
    #[error("a baseline appeared after it was measured, so it was never compared with it")]
    NotCompared,
    /// Nobody can tell whether it is slower.
    #[error("its verdict is inconclusive")]
    Inconclusive,
    /// `--append` across conditions.
    #[error("it was measured under other conditions than the baseline: {}", list(.0))]
    ConditionsDiffer(Vec<Difference>),
}

impl AcceptError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::OtherCase => "reject it and measure again",
            Self::AlreadyAccepted { .. } => "nothing is left to do; measure again for one more job",
            Self::NotCompared => "measure again to compare, or add it as one more job with `accept --append`",
            Self::Inconclusive => {
                "record more jobs with `run --record N`, or add it as one more job with `accept --append`"
            }
            Self::ConditionsDiffer(_) => "accept it without `--append`: that starts a new epoch",
        }
    }
}

fn list(differences: &[Difference]) -> String {
    let keys: Vec<_> = differences.iter().map(|difference| format!("`{}`", difference.key)).collect();
    keys.join(", ")
}

/// The baseline after accepting `pending` over `old` (`None`: there is none yet).
///
/// # Errors
/// If that would store something that was never measured or compared; see [`AcceptError`]. `old` stays as it is.
pub fn accepted(
    old: Option<&Baseline>,
    pending: &Pending,
    mode: AcceptMode,
    who: &Acceptance,
) -> Result<Baseline, AcceptError> {
    if pending.jobs.is_empty() || pending.jobs.iter().any(|job| job.trials.is_empty()) {
        return Err(AcceptError::Empty);
    }
    let new: Vec<Job> = pending.jobs.iter().map(|job| signed(job, who)).collect();
    let Some(old) = old else {
        return Ok(Baseline {
            case: pending.case.clone(),
            profile: pending.profile.clone(),
            conditions: pending.conditions.clone(),
            jobs: newest(new),
            anchors: Vec::new(),
        });
    };
    if (&old.case, &old.profile) != (&pending.case, &pending.profile) {
        return Err(AcceptError::OtherCase);
    }
    if let Some(job) = pending.jobs.iter().find(|job| contains(old, job)) {
        return Err(AcceptError::AlreadyAccepted { recorded: job.recorded.clone() });
    }
    let differences = conditions_differ(&old.conditions, &pending.conditions);
    if mode == AcceptMode::Append {
        return if differences.is_empty() {
            Ok(appended(old, new))
        } else {
            Err(AcceptError::ConditionsDiffer(differences))
        };
    }
    match pending.verdict {
        PendingVerdict::Missing => Err(AcceptError::NotCompared),
        verdict @ (PendingVerdict::Regressed | PendingVerdict::Improved) => {
            Ok(next_epoch(old, pending, new, &verdict.to_string(), who))
        }
        _ if !differences.is_empty() => {
            let why = format!("conditions changed ({})", list(&differences).replace('`', ""));
            Ok(next_epoch(old, pending, new, &why, who))
        }
        PendingVerdict::Inconclusive => Err(AcceptError::Inconclusive),
        PendingVerdict::Pass | PendingVerdict::Recorded => Ok(appended(old, new)),
    }
}

fn signed(job: &Job, who: &Acceptance) -> Job {
    Job {
        accepted: Some(who.at.clone()),
        by: who.by.clone(),
        commit: job.commit.clone().or_else(|| who.commit.clone()),
        reason: who.reason.clone(),
        ..job.clone()
    }
}

fn contains(baseline: &Baseline, job: &Job) -> bool {
    let anchored = baseline.anchors.iter().flat_map(|epoch| &epoch.jobs);
    // Values are compared as stored: a run that is accepted twice comes once with all its digits, once rounded.
    baseline.jobs.iter().chain(anchored).any(|known| known.recorded == job.recorded && known.same_trials(job))
}

fn appended(old: &Baseline, new: Vec<Job>) -> Baseline {
    let jobs = newest(old.jobs.iter().cloned().chain(new).collect());
    Baseline { jobs, ..old.clone() }
}

fn next_epoch(old: &Baseline, pending: &Pending, new: Vec<Job>, why: &str, who: &Acceptance) -> Baseline {
    let ended = Epoch {
        until: who.at.clone(),
        reason: who.reason.as_ref().map_or_else(|| why.to_owned(), |reason| format!("{why}: {reason}")),
        conditions: old.conditions.clone(),
        jobs: old.jobs.clone(),
    };
    let mut anchors: Vec<Epoch> = std::iter::once(ended).chain(old.anchors.iter().cloned()).collect();
    if anchors.len() > RECENT_ANCHORS + 1 {
        // The oldest stays for good: drift is measured against it.
        anchors.drain(RECENT_ANCHORS..anchors.len() - 1);
    }
    Baseline { conditions: pending.conditions.clone(), jobs: newest(new), anchors, ..old.clone() }
}

fn newest(mut jobs: Vec<Job>) -> Vec<Job> {
    jobs.drain(..jobs.len().saturating_sub(JOBS_KEPT));
    jobs
}

#[cfg(test)]
mod tests {
    use super::super::testing::{job, map, pending};
    use super::*;
    use PendingVerdict::{Improved, Inconclusive, Missing, Pass, Recorded, Regressed};

    fn jane(reason: Option<&str>) -> Acceptance {
        Acceptance {
            by: Some("Jane".into()),
            commit: Some("abc1234".into()),
            at: "2026-11-23T08:00:00Z".into(),
            reason: reason.map(Into::into),
        }
    }

    fn auto(old: Option<&Baseline>, pending: &Pending) -> Result<Baseline, AcceptError> {
        accepted(old, pending, AcceptMode::Auto, &jane(None))
    }

    fn first() -> Baseline {
        auto(None, &pending(Missing, vec![job("1", &[5.0, 5.1])])).unwrap()
    }

    #[test]
    fn the_first_recording_is_signed() {
        let mut measured = pending(Missing, vec![job("1", &[5.0])]);
        measured.jobs[0].commit = Some("def5678".into());
        let baseline = accepted(None, &measured, AcceptMode::Auto, &jane(Some("first"))).unwrap();
        let job = &baseline.jobs[0];
        assert_eq!(job.accepted.as_deref(), Some("2026-11-23T08:00:00Z"));
        assert_eq!((job.by.as_deref(), job.reason.as_deref()), (Some("Jane"), Some("first")));
        assert_eq!(job.commit.as_deref(), Some("def5678"), "the commit that was measured, not the one checked out now");
        assert!(baseline.anchors.is_empty());
    }

    #[test]
    fn a_pass_or_a_recording_adds_jobs() {
        for (verdict, count) in [(Pass, 1), (Recorded, 3)] {
            let jobs = (0..count).map(|i| job(&format!("r{i}"), &[5.0])).collect();
            let after = auto(Some(&first()), &pending(verdict, jobs)).unwrap();
            assert_eq!(after.jobs.len(), 1 + count);
            assert_eq!(after.jobs[0], first().jobs[0]);
            assert!(after.anchors.is_empty());
        }
    }

    #[test]
    fn a_change_starts_a_new_epoch() {
        for verdict in [Regressed, Improved] {
            let run = pending(verdict, vec![job("2", &[6.0])]);
            let after = accepted(Some(&first()), &run, AcceptMode::Auto, &jane(Some("new scheduler"))).unwrap();
            assert_eq!(after.jobs.len(), 1);
            assert_eq!(after.jobs[0].recorded, "2");
            assert_eq!(after.anchors[0].jobs, first().jobs);
            assert_eq!(after.anchors[0].reason, format!("{verdict}: new scheduler"));

            let appended = accepted(Some(&first()), &run, AcceptMode::Append, &jane(None)).unwrap();
            assert_eq!((appended.jobs.len(), appended.anchors.len()), (2, 0));
        }
    }

    #[test]
    fn other_conditions_start_an_epoch_and_are_never_appended() {
        let mut run = pending(Inconclusive, vec![job("2", &[5.0])]);
        run.conditions = map(&[("plan", "sha256:2"), ("gpu", "H100")]);
        let after = auto(Some(&first()), &run).unwrap();
        assert_eq!(after.conditions, run.conditions);
        assert_eq!(after.anchors[0].conditions, first().conditions);
        assert_eq!(after.anchors[0].reason, "conditions changed (gpu, plan)");

        let error = accepted(Some(&first()), &run, AcceptMode::Append, &jane(None)).unwrap_err();
        assert_eq!(error.to_string(), "it was measured under other conditions than the baseline: `gpu`, `plan`");
    }

    #[test]
    fn what_was_never_compared_is_not_slipped_in() {
        let run = |verdict| pending(verdict, vec![job("2", &[5.0])]);
        assert_eq!(auto(Some(&first()), &run(Missing)), Err(AcceptError::NotCompared));
        assert_eq!(auto(Some(&first()), &run(Inconclusive)), Err(AcceptError::Inconclusive));
        for verdict in [Missing, Inconclusive] {
            let after = accepted(Some(&first()), &run(verdict), AcceptMode::Append, &jane(None)).unwrap();
            assert_eq!(after.jobs.len(), 2);
        }
        let other = Pending { case: "other".into(), ..run(Pass) };
        assert_eq!(auto(Some(&first()), &other), Err(AcceptError::OtherCase));
        assert_eq!(auto(None, &pending(Missing, Vec::new())), Err(AcceptError::Empty));
        assert_eq!(auto(None, &pending(Missing, vec![job("1", &[])])), Err(AcceptError::Empty));
    }

    #[test]
    fn a_job_counts_once() {
        let run = pending(Pass, vec![job("2", &[5.123_456_78])]);
        let after = auto(Some(&first()), &run).unwrap();
        let stored = super::super::parse_baseline(&super::super::baseline_text(&after)).unwrap();
        for baseline in [&after, &stored] {
            for mode in [AcceptMode::Auto, AcceptMode::Append] {
                let error = accepted(Some(baseline), &run, mode, &jane(None)).unwrap_err();
                assert_eq!(error, AcceptError::AlreadyAccepted { recorded: "2".into() });
            }
        }
        let anchored = auto(Some(&stored), &pending(Regressed, vec![job("3", &[6.0])])).unwrap();
        assert!(matches!(auto(Some(&anchored), &run), Err(AcceptError::AlreadyAccepted { .. })));
    }

    #[test]
    fn thirty_jobs_and_five_anchors_and_the_oldest() {
        let mut baseline = first();
        for i in 0..40 {
            baseline = auto(Some(&baseline), &pending(Pass, vec![job(&format!("p{i}"), &[5.0])])).unwrap();
        }
        assert_eq!(baseline.jobs.len(), JOBS_KEPT);
        assert_eq!(baseline.jobs[JOBS_KEPT - 1].recorded, "p39");

        for i in 0..9 {
            baseline = auto(Some(&baseline), &pending(Regressed, vec![job(&format!("e{i}"), &[5.5])])).unwrap();
        }
        let starts: Vec<_> = baseline.anchors.iter().map(|epoch| epoch.jobs[0].recorded.as_str()).collect();
        assert_eq!(starts, ["e7", "e6", "e5", "e4", "e3", "p10"]);
        assert!((super::super::drift(&baseline, "tpot.p50").unwrap() - 1.1).abs() < 1e-12);
    }
}

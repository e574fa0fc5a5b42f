//! The check of a soak test: whether the server's memory grows for as long as it is loaded.

use crate::gate::{CheckVerdict, Verdict, leak};
use crate::harness::tally::Tally;
use crate::report::{CaseReport, CheckReport, GrowthReport, growth_in_words};
use crate::scenario::{Case, Soak};
use crate::stats::trend::{Trend, trend};
use crate::watch::Observed;

/// What the check is called.
const NAME: &str = "rss_growth";

const MIB: f64 = 1024.0 * 1024.0;
const KIB: f64 = 1024.0;

/// The check of a case that is a soak test.
pub(super) fn check(case: &Case, tally: &Tally) -> Option<CheckReport> {
    let soak = case.soak.as_ref().filter(|_| !tally.observed.is_empty())?;
    let growth = growth(soak, &tally.observed, tally.requests as f64 / tally.loaded);
    let mut judged = CheckVerdict::new(NAME, growth.as_ref().map_or(Verdict::Inconclusive, |growth| growth.verdict));
    judged.reason = match &growth {
        Some(growth) => Some(growth_in_words(growth)),
        None if tally.observed.iter().flat_map(|trial| &trial.samples).all(|s| s.values.rss_bytes.is_none()) => {
            judged.verdict = Verdict::Unresolved;
            Some("the server's memory is not known: a soak test needs a managed server, on Linux".into())
        }
        None => Some(format!(
            "too few samples for a trend: {} are needed behind the first {} of a trial",
            crate::stats::trend::FEWEST,
            crate::report::percent(soak.settle)
        )),
    };
    Some(CheckReport {
        waiver: None,
        limit: format!("<= {}", soak.rss_growth),
        line: soak.line,
        unit: "MiB/min".into(),
        value: growth.as_ref().map(|growth| growth.per_minute_mib),
        value_ci: growth.as_ref().map(|growth| growth.per_minute_mib_ci),
        reference: None,
        tolerance: None,
        marginal: false,
        higher_is_better: false,
        judged,
    })
}

/// The figures of the check, for the server's section of the report, and what to do about one that is open.
pub(super) fn conclude(report: &mut CaseReport, case: &Case, tally: &Tally) {
    let Some(soak) = &case.soak else { return };
    let growth = growth(soak, &tally.observed, tally.requests as f64 / tally.loaded);
    let open =
        report.checks.iter().any(|check| check.judged.metric == NAME && check.judged.verdict == Verdict::Inconclusive);
    if open {
        report.hints.push("load the server for longer: raise `load.duration`".into());
    }
    if let Some(server) = &mut report.server {
        server.growth = growth;
    }
}

/// Whether a check is that of a soak test.
pub(super) fn is_soak(check: &CheckReport) -> bool {
    check.judged.metric == NAME
}

/// Requests a second are those of the whole trials: which of them were answered in a part of it is not told apart.
fn growth(soak: &Soak, trials: &[Observed], rate: f64) -> Option<GrowthReport> {
    let runs: Vec<Vec<[f64; 2]>> = trials.iter().map(|trial| settled(trial, soak.settle)).collect();
    let trend = trend(&runs)?;
    let seconds = runs.iter().filter_map(|run| Some(run.last()?[0] - run.first()?[0])).sum();
    Some(report(&trend, soak.rss_growth.0, seconds, rate))
}

/// Memory over time behind a trial's first part, under load only.
fn settled(trial: &Observed, settle: f64) -> Vec<[f64; 2]> {
    let end = trial.samples.last().map_or(0.0, |sample| sample.t_s);
    let point = |sample: &crate::watch::Sample| Some([sample.t_s, sample.values.rss_bytes? as f64]);
    trial.samples.iter().filter(|sample| sample.t_s >= settle * end).filter_map(point).collect()
}

/// A trend in bytes a second against a limit in bytes a minute, at so many requests a second.
fn report(trend: &Trend, limit: f64, seconds: f64, rate: f64) -> GrowthReport {
    let (minute, request) = (60.0 / MIB, 1.0 / rate / KIB);
    let interval = trend.interval();
    GrowthReport {
        verdict: leak(trend, limit / 60.0),
        per_minute_mib: trend.slope * minute,
        per_minute_mib_ci: interval.map(|bound| bound * minute),
        per_request_kib: trend.slope * request,
        per_request_kib_ci: interval.map(|bound| bound * request),
        limit_mib: limit / MIB,
        seconds,
        points: trend.points as u64,
        rho: trend.rho,
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "powers of two are exact")]
mod tests {
    use super::*;
    use crate::units::Growth;
    use crate::watch::{Moment, Readings, Sample};

    /// A trial of `seconds` in which the server's memory is what `bytes` says, one sample a second.
    fn trial(seconds: u32, bytes: impl Fn(f64) -> f64) -> Observed {
        let sample = |second: u32| {
            let t_s = f64::from(second);
            let values = Readings { rss_bytes: Some(bytes(t_s) as u64), ..Readings::default() };
            Sample { moment: Moment::During, t_s, values }
        };
        Observed { samples: (0..=seconds).map(sample).collect(), ..Observed::default() }
    }

    /// At four requests a second.
    fn grown(trials: &[Observed]) -> Option<GrowthReport> {
        growth(&soak(), trials, 4.0)
    }

    fn soak() -> Soak {
        Soak { rss_growth: Growth(MIB), settle: 0.25, line: Some(9) }
    }

    #[test]
    fn a_leak_is_told_by_the_minute_and_by_the_request() {
        // 64 KiB a second, behind a start that takes a quarter of the trial and much more memory.
        let leaks = |t: f64| if t < 15.0 { t * 100.0 * MIB } else { 1500.0 * MIB + t * 65536.0 };
        let found = grown(&[trial(60, leaks)]).unwrap();
        assert_eq!(found.verdict, Verdict::Exceeded);
        assert!((found.per_minute_mib - 3.75).abs() < 1e-6 && (found.per_request_kib - 16.0).abs() < 1e-6, "{found:?}");
        assert_eq!((found.seconds, found.points, found.limit_mib), (45.0, 46, 1.0));
    }

    #[test]
    fn memory_that_stays_passes_and_one_step_decides_nothing() {
        let found = |bytes: &dyn Fn(f64) -> f64| grown(&[trial(60, bytes)]).unwrap().verdict;
        assert_eq!(found(&|_| 5e8), Verdict::Pass);
        assert_eq!(found(&|t| 5e8 + (t * 1.7).sin() * 1e5), Verdict::Pass);
        assert_eq!(found(&|t| if t < 40.0 { 5e8 } else { 6e8 }), Verdict::Inconclusive);
    }

    #[test]
    fn several_trials_are_one_trend() {
        // Each begins lower again: the server was started anew.
        let trials: Vec<Observed> =
            (0..3).map(|at| trial(30, move |t| 1e9 - f64::from(at) * 1e8 + t * 65536.0)).collect();
        let found = grown(&trials).unwrap();
        assert!((found.per_minute_mib - 3.75).abs() < 1e-6, "{found:?}");
        assert_eq!(found.verdict, Verdict::Exceeded);
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        assert!(grown(&[trial(10, |_| 1.0)]).is_none());
        let unknown = Sample { moment: Moment::During, t_s: 1.0, values: Readings::default() };
        let unknown = Observed { samples: vec![unknown; 40], ..Observed::default() };
        assert!(grown(&[unknown]).is_none());
    }
}

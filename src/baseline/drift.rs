//! How far figures have moved since the oldest anchor, in words. Pure.

use super::model::{Baseline, drift, metrics};
use crate::metric::{Better, Metric, MetricId, Scale};

/// Below this a drift is not worth a word: 1 %, or 1 percentage point.
const SHOWN: f64 = 0.01;
/// Most drifting metrics in a line.
const MOST_SHOWN: usize = 5;

/// `drift since 2026-01-31: tpot.p50 +21.3 % (worse)`, the largest first, of the metrics that `wanted` chooses; `None`
/// if nothing moved, or nothing is to be compared with.
pub(crate) fn drift_line(baseline: &Baseline, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let since = &baseline.oldest_anchor()?.jobs.last()?.recorded;
    let mut moved: Vec<(f64, &str)> = metrics(&baseline.jobs)
        .into_iter()
        .filter(|name| wanted(name))
        .filter_map(|name| Some((drift(baseline, name)? - if is_share(name) { 0.0 } else { 1.0 }, name)))
        .filter(|(by, _)| by.abs() >= SHOWN)
        .collect();
    moved.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
    let more = moved.len().saturating_sub(MOST_SHOWN);
    moved.truncate(MOST_SHOWN);
    let list: Vec<_> = moved
        .iter()
        .map(|(by, name)| {
            let word = direction(name, *by).map(|word| format!(" ({word})")).unwrap_or_default();
            // Names and days come from a file, and must not write on a terminal.
            format!("{} {}{word}", name.escape_debug(), step(name, *by))
        })
        .collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let day = since.split('T').next().unwrap_or(since);
    (!list.is_empty()).then(|| format!("drift since {}: {}{more}", day.escape_debug(), list.join(", ")))
}

fn metric(name: &str) -> Option<Metric> {
    name.parse::<MetricId>().ok().map(|id| id.metric)
}

/// Whether values of a metric are compared by difference.
pub(crate) fn is_share(name: &str) -> bool {
    metric(name).is_some_and(|metric| metric.scale() == Scale::Difference)
}

/// `+10.1 %`, or `-3.0 pp` for shares.
pub(crate) fn step(name: &str, by: f64) -> String {
    format!("{:+.1} {}", by * 100.0, if is_share(name) { "pp" } else { "%" })
}

/// Whether a step is for the better; `None` if it is too small to show or the metric is unknown.
pub(crate) fn direction(name: &str, by: f64) -> Option<&'static str> {
    let better = metric(name)?.better();
    (by.abs() >= 0.0005).then(|| if (by < 0.0) == (better == Better::Lower) { "better" } else { "worse" })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{job, pending};
    use super::super::{AcceptMode, Acceptance, PendingVerdict, accepted};
    use super::*;

    #[test]
    fn creep_is_visible() {
        let measured = |verdict, recorded: &str, tpot: f64| pending(verdict, vec![job(recorded, &[tpot, tpot])]);
        let accept =
            |old: Option<&Baseline>, new| accepted(old, &new, AcceptMode::Auto, &Acceptance::default()).unwrap();
        let mut baseline = accept(None, measured(PendingVerdict::Missing, "2026-01-31T00:00:00Z", 4.0));
        assert_eq!(drift_line(&baseline, |_| true), None);
        for i in 1..=5 {
            let run = measured(PendingVerdict::Regressed, &i.to_string(), 4.0 * 1.04_f64.powi(i));
            baseline = accept(Some(&baseline), run);
        }
        let line = drift_line(&baseline, |_| true);
        assert_eq!(line.as_deref(), Some("drift since 2026-01-31: tpot.p50 +21.7 % (worse)"));
        assert_eq!(drift_line(&baseline, |metric| metric != "tpot.p50"), None);
    }
}

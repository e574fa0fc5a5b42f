//! What the charts of latencies are made of: the requests of each side.

use crate::metric::Metric;
use crate::report::html::input::RequestRow;
use crate::report::html::svg::{Key, Mark};
use crate::report::number;
use crate::report::{CaseReport, TrialReport};
use crate::stats::quantile::quantile;
use crate::units::{Nanos, millis};

/// The latencies that every request has of its own.
pub(super) const LATENCIES: [Metric; 3] = [Metric::Ttft, Metric::Tpot, Metric::E2eLatency];

/// What a latency is called where there is room.
pub(super) fn called(metric: Metric) -> &'static str {
    match metric {
        Metric::Ttft => "Time to first token",
        Metric::Tpot => "Time per output token",
        Metric::E2eLatency => "End-to-end latency",
        other => other.name(),
    }
}

/// The side that a row or a trial is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reference,
    Candidate,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Reference, Self::Candidate];

    pub(super) fn of(name: &str) -> Self {
        if name == "reference" { Self::Reference } else { Self::Candidate }
    }

    /// The sign of the side's curve.
    pub(super) fn curve(self, case: &CaseReport) -> Key {
        let class = if self == Self::Reference { "line b" } else { "line a" };
        Key::new(class, Mark::Line, self.label(case))
    }

    pub(super) fn label(self, case: &CaseReport) -> String {
        match (self, &case.reference) {
            (Self::Reference, Some(reference)) => plain(&reference.name),
            (Self::Candidate, Some(reference)) => plain(&reference.candidate),
            (Self::Reference, None) => "reference".into(),
            (Self::Candidate, None) => "this run".into(),
        }
    }
}

/// The name within ``variant `x` ``.
fn plain(name: &str) -> String {
    name.split('`').nth(1).unwrap_or(name).to_owned()
}

/// The latency of a request, in milliseconds, if it counts.
pub(super) fn latency(row: &RequestRow, metric: Metric) -> Option<f64> {
    let nanos: Option<Nanos> = match metric {
        Metric::Ttft => row.ttft,
        Metric::Tpot => row.tpot,
        _ => row.e2e_latency,
    };
    nanos.filter(|_| row.error_class.is_none() && !row.to_cancel).map(millis)
}

/// The latencies of the valid trials of a side, sorted.
pub(super) fn pooled(rows: &[RequestRow], trials: &[TrialReport], side: Side, metric: Metric) -> Vec<f64> {
    // Asked once a trial and not once a row: there are many rows.
    let valid: Vec<(u32, Side)> =
        trials.iter().filter(|trial| trial.valid).map(|trial| (trial.trial, Side::of(&trial.side))).collect();
    let mut values: Vec<f64> = rows
        .iter()
        .filter(|row| Side::of(&row.side) == side && valid.contains(&(row.trial, side)))
        .filter_map(|row| latency(row, metric))
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

/// `p50 50.1 ms, p95 61.0 ms` of sorted values; only quantiles that so many values can show.
pub(super) fn quantiles(sorted: &[f64]) -> String {
    let shown = [(0.5, "p50", 10), (0.95, "p95", 100), (0.99, "p99", 500)];
    let parts: Vec<String> = shown
        .into_iter()
        .filter(|(_, _, needed)| sorted.len() >= *needed)
        .filter_map(|(q, name, _)| Some(format!("{name} {}", number::value(quantile(sorted, q)?, "ms"))))
        .collect();
    parts.join(", ")
}

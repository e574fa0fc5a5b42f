//! Old and new figures side by side, for people who decide.

use std::fmt::Write as _;

use super::context::printable;
use crate::baseline::{
    Baseline, Difference, Job, Middle, Pending, conditions_differ, direction, is_share, metrics, middle, step,
};
use crate::metric::{Metric, MetricId};

/// A table of each metric's middle (median over jobs of the median over trials), baseline beside new.
pub(super) fn table(old: Option<&Baseline>, new: &Pending) -> String {
    let old = old.map_or(&[][..], |baseline| &baseline.jobs);
    let mut names: Vec<&str> = metrics(old).union(&metrics(&new.jobs)).copied().collect();
    names.sort_by_key(|name| {
        let metric = name.parse::<MetricId>().ok().map(|id| id.metric);
        (metric.is_none(), metric, *name)
    });
    let mut rows = vec![["", "baseline", "new", "change"].map(str::to_owned)];
    for name in names {
        let (was, is) = (middle(old, name), middle(&new.jobs, name));
        rows.push([printable(name).into_owned(), figure(name, was), figure(name, is), change(name, was, is)]);
    }
    rows.push(["failed requests".to_owned(), failures(old), failures(&new.jobs), String::new()]);
    aligned(&rows)
}

/// `subject:` or `conditions:` and each key that differs, a line each; empty if none does.
pub(super) fn differences(heading: &str, differences: &[Difference]) -> String {
    let mut out = String::new();
    if !differences.is_empty() {
        let _ = writeln!(out, "  {heading}:");
    }
    for Difference { key, old, new } in differences {
        let side = |value: &Option<String>| value.as_deref().map_or("none".into(), |v| printable(v).into_owned());
        let _ = writeln!(out, "    {}: {} → {}", printable(key), side(old), side(new));
    }
    out
}

/// The conditions and the subject in which a measurement differs from the baseline's newest job.
pub(super) fn fingerprint(old: &Baseline, new: &Pending) -> String {
    let subjects = old.jobs.last().zip(new.jobs.last());
    let subject = subjects.map(|(old, new)| conditions_differ(&old.subject, &new.subject)).unwrap_or_default();
    let conditions = conditions_differ(&old.conditions, &new.conditions);
    differences("other conditions, so accepting starts a new epoch", &conditions) + &differences("changed", &subject)
}

fn figure(name: &str, middle: Option<Middle>) -> String {
    match middle {
        None => "–".into(),
        Some(Middle::Censored) => "censored".into(),
        Some(Middle::Value(value)) if is_share(name) => format!("{:.2} %", value * 100.0),
        Some(Middle::Value(value)) => {
            let decimals = match value.abs() {
                size if size >= 1000.0 => 0,
                size if size >= 100.0 => 1,
                size if size >= 10.0 => 2,
                _ => 3,
            };
            format!("{value:.decimals$} {}", name.parse::<MetricId>().map_or("", |id| Metric::unit(id.metric)))
                .trim_end()
                .to_owned()
        }
    }
}

fn change(name: &str, was: Option<Middle>, is: Option<Middle>) -> String {
    let (was, is) = match (was, is) {
        (Some(Middle::Value(was)), Some(Middle::Value(is))) => (was, is),
        (Some(Middle::Value(_)), Some(Middle::Censored)) => return "worse".into(),
        (Some(Middle::Censored), Some(Middle::Value(_))) => return "better".into(),
        _ => return String::new(),
    };
    let by = if is_share(name) {
        is - was
    } else if was > 0.0 {
        is / was - 1.0
    } else {
        return String::new();
    };
    let word = direction(name, by).map(|word| format!("  {word}")).unwrap_or_default();
    format!("{}{word}", step(name, by))
}

fn failures(jobs: &[Job]) -> String {
    let trials = || jobs.iter().flat_map(|job| &job.trials);
    if jobs.is_empty() {
        return "–".into();
    }
    let errors = trials().fold(0_u64, |sum, trial| sum.saturating_add(trial.errors));
    let n = trials().fold(0_u64, |sum, trial| sum.saturating_add(trial.n));
    format!("{errors} of {n}")
}

/// Columns two spaces apart, figures flush right.
fn aligned(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (name, old, new) = (width(0), width(1), width(2));
    let mut out = String::new();
    for row in rows {
        let line = format!("  {:<name$}  {:>old$}  {:>new$}  {}", row[0], row[1], row[2], row[3]);
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::testing::{job, map, pending};
    use crate::baseline::{AcceptMode, Acceptance, PendingVerdict, accepted};

    fn measured(verdict: PendingVerdict, recorded: &str, tpot: f64, throughput: Option<f64>) -> Pending {
        let mut pending = pending(verdict, vec![job(recorded, &[tpot, tpot])]);
        for trial in &mut pending.jobs[0].trials {
            trial.values.insert("output_throughput".into(), throughput);
            trial.values.insert("goodput_ratio".into(), Some(1.0 - tpot / 100.0));
        }
        pending
    }

    fn accept(old: Option<&Baseline>, new: &Pending) -> Baseline {
        accepted(old, new, AcceptMode::Auto, &Acceptance::default()).unwrap()
    }

    #[test]
    fn figures_stand_side_by_side() {
        let old = accept(None, &measured(PendingVerdict::Missing, "2026-11-01T00:00:00Z", 4.0, Some(1812.0)));
        let mut new = measured(PendingVerdict::Regressed, "2026-11-22T00:00:00Z", 4.404, None);
        new.jobs[0].trials[0].errors = 3;
        new.jobs[0].trials[0].values.insert("gpu_watts".into(), Some(312.0));
        insta::assert_snapshot!(table(Some(&old), &new), @r"
                             baseline       new  change
        tpot.p50             4.000 ms  4.404 ms  +10.1 %  worse
        output_throughput  1812 tok/s  censored  worse
        goodput_ratio         96.00 %   95.60 %  -0.4 pp  worse
        gpu_watts                   –     312.0
        failed requests       0 of 96   3 of 96
        ");
        insta::assert_snapshot!(table(None, &new), @r"
                           baseline       new  change
        tpot.p50                  –  4.404 ms
        output_throughput         –  censored
        goodput_ratio             –   95.60 %
        gpu_watts                 –     312.0
        failed requests           –   3 of 96
        ");
    }

    #[test]
    fn what_differs_is_named() {
        let mut old = measured(PendingVerdict::Missing, "1", 4.0, None);
        let mut new = measured(PendingVerdict::Regressed, "2", 5.0, None);
        old.jobs[0].subject = map(&[("server.version", "0.11.0")]);
        new.jobs[0].subject = map(&[("server.version", "0.12.0\u{7}"), ("args", "--fast")]);
        new.conditions = map(&[("plan", "sha256:2")]);
        let old = accept(None, &old);
        insta::assert_snapshot!(fingerprint(&old, &new), @r"
        other conditions, so accepting starts a new epoch:
          plan: sha256:1 → sha256:2
        changed:
          args: none → --fast
          server.version: 0.11.0 → 0.12.0\u{7}
        ");
    }
}

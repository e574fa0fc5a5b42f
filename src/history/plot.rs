//! Series on a terminal, 80 columns wide: a column a run, the same for all metrics.

use std::fmt::Write as _;

use super::{Entry, Series, Stretch, Track};
use crate::baseline::is_share;
use crate::gate::Verdict;
use crate::metric::{Better, MetricId};
use crate::report::number;

const WIDTH: usize = 80;
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The highest bar stands for this part of the value at least: noise is no mountain.
const FLAT: f64 = 0.02;
const NAME: usize = 24;

/// A track with the metrics that `wanted` chooses. What it was never compared with is named.
pub fn plot(track: &Track<'_>, wanted: impl Fn(&str) -> bool) -> String {
    let runs: usize = track.stretches.iter().map(|stretch| stretch.runs.len()).sum();
    let mut text = format!("{} ({}): {}\n", track.case, track.profile, number::count(runs as u64, "run"));
    let mut before: Option<&str> = None;
    for stretch in &track.stretches {
        let metrics: Vec<&str> = stretch.metrics().into_iter().filter(|name| wanted(name)).collect();
        let runs = number::count(stretch.runs.len() as u64, "run");
        let _ = writeln!(text, "  conditions {}, {runs}, {}", stretch.conditions, days(&stretch.runs));
        if let Some(before) = before {
            let _ = writeln!(text, "  other conditions than {before}: not compared with them");
        }
        before = Some(stretch.conditions);
        text.push_str(&columns(stretch, &metrics));
    }
    text
}

/// `2026-11-01 to 2026-11-22`.
fn days(runs: &[&Entry]) -> String {
    let day = |run: Option<&&Entry>| run.map(|run| run.day()).unwrap_or_default();
    let (first, last) = (day(runs.first()), day(runs.last()));
    if first == last { first } else { format!("{first} to {last}") }
}

/// The metrics of a stretch, a line each, and the verdicts below them.
fn columns(stretch: &Stretch<'_>, metrics: &[&str]) -> String {
    let series: Vec<Series<'_>> = metrics.iter().map(|metric| stretch.series(metric)).collect();
    let latest = |series: &Series<'_>| {
        series.values.iter().rev().find_map(|value| *value).map_or_else(|| "–".to_owned(), |v| figure(series.metric, v))
    };
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let name = width(&mut metrics.iter().map(|metric| metric.chars().count())).clamp(7, NAME);
    let value = width(&mut series.iter().map(|series| latest(series).chars().count()));
    let room = WIDTH.saturating_sub(4 + name + 2 + value + 2);
    let mut text = String::new();
    for series in &series {
        let skipped = series.values.len().saturating_sub(room);
        let line = sparkline(&series.values[skipped..]);
        let shown: String = series.metric.chars().take(NAME).collect();
        let _ = writeln!(text, "    {shown:<name$}  {:>value$}  {line}", latest(series));
        let marks = marks(series, skipped);
        if !marks.is_empty() {
            let _ = writeln!(text, "    {:<name$}  {:>value$}  {marks}", "", "");
        }
        for change in &series.changes {
            let run = series.runs[change.index];
            let shift = change.shift(series.metric);
            let size = if is_share(series.metric) { number::points(shift) } else { number::change(1.0 + shift) };
            let commit = run.commit.as_ref().map(|commit| format!(", commit {commit:.10}")).unwrap_or_default();
            let _ = writeln!(text, "      {size}{} from {} on{commit}", direction(series.metric, shift), run.day());
            let _ = writeln!(
                text,
                "        {} before, {} after, p {:.0e}; run {}",
                figure(series.metric, change.before),
                figure(series.metric, change.after),
                change.p,
                run.run
            );
        }
    }
    let runs = &stretch.runs[stretch.runs.len().saturating_sub(super::NIGHTS.min(room))..];
    let verdicts: String = runs.iter().map(|run| letter(run.verdict)).collect();
    let _ = writeln!(text, "    {:<name$}  {:>value$}  {verdicts}", "verdict", "");
    text
}

/// A character a value; a dot where there is none.
fn sparkline(values: &[Option<f64>]) -> String {
    let known = || values.iter().flatten().copied();
    let (low, high) = known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let span = (high - low).max(FLAT * high.abs());
    let step = |value: f64| {
        let at = if span > 0.0 { (value - low) / span * STEPS.len() as f64 } else { 0.0 };
        STEPS[(at as usize).min(STEPS.len() - 1)]
    };
    values.iter().map(|value| value.map_or('·', step)).collect()
}

/// A caret below each run from which on the series is different.
fn marks(series: &Series<'_>, skipped: usize) -> String {
    let mut line = String::new();
    for index in series.changes.iter().filter_map(|change| change.index.checked_sub(skipped)) {
        line.push_str(&" ".repeat(index - line.chars().count()));
        line.push('^');
    }
    line
}

fn figure(metric: &str, value: f64) -> String {
    match metric.parse::<MetricId>() {
        Ok(id) => number::value(value, id.metric.unit()),
        Err(_) => format!("{value:.4}"),
    }
}

fn direction(metric: &str, shift: f64) -> &'static str {
    match metric.parse::<MetricId>() {
        Ok(id) if (shift < 0.0) == (id.metric.better() == Better::Lower) => " (better)",
        Ok(_) => " (worse)",
        Err(_) => "",
    }
}

/// What [`plot`]'s last lines mean.
pub const LEGEND: &str = "verdict: . pass, + improved, R regressed, X exceeded, ? open, - missing";

fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Pass => '.',
        Verdict::Improved => '+',
        Verdict::Regressed => 'R',
        Verdict::Exceeded => 'X',
        Verdict::Inconclusive | Verdict::Unresolved => '?',
        Verdict::Missing => '-',
        Verdict::Invalid => '!',
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::testing::entry;
    use super::super::tracks;
    use super::*;

    fn nights() -> Vec<Entry> {
        let wobble = [0.0, 0.01, -0.01, 0.02, -0.02];
        let night =
            |night: u32, conditions: &str, level: f64| entry(night, conditions, level + wobble[night as usize % 5]);
        let mut entries: Vec<Entry> = (1..=3).map(|n| night(n, "81bc0e12", 3.2)).collect();
        entries.extend((4..=15).map(|n| night(n, "4f2a9c01", 4.5)));
        entries.extend((16..=27).map(|n| night(n, "4f2a9c01", 4.95)));
        entries[15].verdict = Verdict::Regressed;
        entries[20].checks.insert("tpot.p50".into(), None);
        entries
    }

    #[test]
    fn a_step_stands_out_and_the_old_machine_is_named() {
        let entries = nights();
        let text = plot(&tracks(&entries)[0], |_| true);
        insta::assert_snapshot!(text, @r"
        chatbot (embedded): 27 runs
          conditions 81bc0e12, 3 runs, 2026-11-01 to 2026-11-03
            tpot.p50    3.220 ms  ▃▁▄
            error_rate    0.00 %  ▁▁▁
            verdict               ...
          conditions 4f2a9c01, 24 runs, 2026-11-04 to 2026-11-27
          other conditions than 81bc0e12: not compared with them
            tpot.p50    4.940 ms  ▁▁▁▁▁▁▁▁▁▁▁▁█████·██████
                                              ^
              +10.0 % (worse) from 2026-11-16 on, commit c0ffee16
                4.498 ms before, 4.949 ms after, p 7e-27; run run-16
            error_rate    0.00 %  ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
            verdict               ............R...........
        ");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH));
    }

    #[test]
    fn one_metric_of_many_runs_fits_the_width() {
        let entries: Vec<Entry> = (1..=200).map(|n| entry(n, "a", 4.5 + f64::from(n % 7) * 0.2)).collect();
        let text = plot(&tracks(&entries)[0], |metric| metric == "tpot.p50");
        assert!(!text.contains("error_rate"), "{text}");
        let line = text.lines().find(|line| line.contains("tpot.p50")).unwrap();
        assert_eq!(line.chars().filter(|c| STEPS.contains(c)).count(), 50, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn noise_looks_flat_and_nothing_is_a_dot() {
        assert_eq!(sparkline(&[Some(100.0), Some(100.1), None, Some(100.0)]), "▁▁·▁");
        assert_eq!(sparkline(&[Some(1.0), Some(2.0), Some(1.5)]), "▁█▅");
        assert_eq!(sparkline(&[Some(0.0), Some(0.0)]), "▁▁");
        assert_eq!(sparkline(&[None]), "·");
    }
}

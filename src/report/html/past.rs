//! A case over its past runs: what each of them found, and where that changed.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::metric::{MetricId, Scale as Kind};
use crate::report::html::input::{CaseHistory, Page, PastRun};
use crate::report::html::scale::{Scale, range};
use crate::report::html::svg::{self, Key, LEFT, Mark, RIGHT, Words, figure};
use crate::report::html::writer::Html;
use crate::report::{CaseReport, number};

const TOP: f64 = 22.0;
const BOTTOM: f64 = 128.0;
const HEIGHT: f64 = 156.0;

/// A chart for each gating check that several runs have a value of; whether there was one.
pub(super) fn past(html: &mut Html, page: &Page, case: &CaseReport) -> bool {
    let Some(history) = page.history_of(case) else { return false };
    let mut any = false;
    for check in case.checks.iter().filter(|check| !check.judged.advisory) {
        any |= chart(html, history, &check.judged.metric);
    }
    any
}

fn chart(html: &mut Html, history: &CaseHistory, metric: &str) -> bool {
    let Ok(id) = metric.parse::<MetricId>() else { return false };
    let unit = id.metric.unit();
    // Shares stand on the axis in per cent, as everywhere else.
    let times = if id.metric.scale() == Kind::Difference { 100.0 } else { 1.0 };
    let known: Vec<(usize, &PastRun, f64)> = (0..)
        .zip(&history.runs)
        .filter_map(|(at, run)| Some((at, run, run.checks.get(metric).copied().flatten()?)))
        .collect();
    let Some(ends) = range(known.iter().map(|(.., value)| *value)) else { return false };
    // An error rate that was always zero is no chart.
    if known.len() < 2 || ends == [0.0, 0.0] {
        return false;
    }
    let changes = history.changes.get(metric).map_or(&[][..], Vec::as_slice);
    let description = description(metric, unit, &known, ends, changes, history);
    let caption = format!("{}, {}", number::count(known.len() as u64, "run"), number::value_range(ends, unit));
    let mut keys = vec![Key::new("a", Mark::Dot, "a run, this one last")];
    if known.iter().any(|(_, run, _)| is_worse(run)) {
        keys.push(Key::new("bad", Mark::Cross, "regressed or exceeded a limit"));
    }
    if !changes.is_empty() {
        keys.push(Key::new("b", Mark::Diamond, "changed from here on"));
    }
    let y = Scale::fitting(ends.map(|end| end * times), [BOTTOM, TOP]);
    let x = Scale::linear([0.0, (history.runs.len() - 1) as f64], [LEFT + 8.0, RIGHT - 8.0]);
    figure(html, &Words { title: metric, caption: &caption, description: &description }, HEIGHT, &keys, &mut |html| {
        svg::y_axis(html, &y, 4, if unit.is_empty() { "%" } else { unit }, 10.0);
        for (anchor, at, run) in [("start", LEFT, history.runs.first()), ("end", RIGHT, history.runs.last())] {
            svg::label(html, "tick", anchor, [at, BOTTOM + 14.0], run.map_or("", day));
        }
        let place = |at: usize, value: f64| [x.at(at as f64), y.at(value * times)];
        let line: Vec<String> =
            known.iter().map(|(at, _, value)| place(*at, *value).map(svg::place).join(" ")).collect();
        svg::path(html, "line a", &format!("M{}", line.join("L")));
        for (at, run, value) in &known {
            let mark = if is_worse(run) {
                (Mark::Cross, "bad")
            } else if changes.contains(at) {
                (Mark::Diamond, "b")
            } else {
                (Mark::Dot, "a")
            };
            svg::mark(html, mark.0, mark.1, place(*at, *value), Some(&words(run, *value, unit)));
        }
    });
    true
}

fn description(
    metric: &str,
    unit: &str,
    known: &[(usize, &PastRun, f64)],
    ends: [f64; 2],
    changes: &[usize],
    history: &CaseHistory,
) -> String {
    let (first, last) = (&known[0], &known[known.len() - 1]);
    let mut text = format!(
        "{metric} of {} from {} to {}: between {}, last {}.",
        number::count(known.len() as u64, "run"),
        day(first.1),
        day(last.1),
        number::value_range(ends, unit).replace(" to ", " and "),
        number::value(last.2, unit)
    );
    let days: Vec<&str> = changes.iter().filter_map(|at| history.runs.get(*at)).map(day).collect();
    if !days.is_empty() {
        let _ = write!(text, " It changed on {}.", days.join(", "));
    }
    text
}

fn words(run: &PastRun, value: f64, unit: &str) -> String {
    let commit = run.commit.as_deref().map_or_else(String::new, |commit| format!(", commit {commit}"));
    format!("{}{commit}: {}, {}", day(run), number::value(value, unit), run.verdict)
}

fn is_worse(run: &PastRun) -> bool {
    matches!(run.verdict, Verdict::Regressed | Verdict::Exceeded)
}

fn day(run: &PastRun) -> &str {
    run.time.split('T').next().unwrap_or_default()
}

//! How latencies are distributed: the share of requests up to each time, on both sides.

use std::fmt::Write as _;

use crate::metric::Metric;
use crate::report::CaseReport;
use crate::report::html::input::{CaseBaseline, Page};
use crate::report::html::points::cumulative;
use crate::report::html::scale::{Scale, range};
use crate::report::html::series::{LATENCIES, Side, called, pooled, quantiles};
use crate::report::html::svg::{self, Key, LEFT, Mark, RIGHT, Words, figure};
use crate::report::html::writer::Html;
use crate::report::number;
use crate::stats::trimmed::trimmed_mean;

const TOP: f64 = 20.0;
const BOTTOM: f64 = 150.0;
const HEIGHT: f64 = 182.0;

/// Quantiles of a baseline that are marked; it keeps no requests.
const MARKED: [(f64, &str); 4] = [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99")];

/// A chart for each latency that the requests have; whether there was one.
pub(super) fn distributions(html: &mut Html, page: &Page, case: &CaseReport) -> bool {
    let (rows, trials) = (page.requests_of(case), page.trials_of(case));
    let mut any = false;
    for metric in LATENCIES {
        let sides: Vec<(Side, Vec<f64>)> = Side::BOTH
            .into_iter()
            .map(|side| (side, pooled(rows, trials, side, metric)))
            .filter(|(_, values)| !values.is_empty())
            .collect();
        if !sides.is_empty() {
            let marks = page.baseline_of(case).map_or_else(Vec::new, |baseline| marks(baseline, metric));
            chart(html, case, metric, &sides, &marks);
            any = true;
        }
    }
    any
}

/// Quantiles of the accepted jobs: means over jobs of what their trials say.
fn marks(baseline: &CaseBaseline, metric: Metric) -> Vec<(f64, &'static str, f64)> {
    let of = |name: &str| {
        let key = format!("{}.{name}", metric.name());
        let job = |trials: &[crate::gate::TrialValues]| {
            let values: Vec<f64> = trials.iter().filter_map(|trial| *trial.values.get(&key)?).collect();
            (!values.is_empty()).then(|| trimmed_mean(&values))
        };
        let jobs: Vec<f64> = baseline.jobs.iter().filter_map(|known| job(&known.trials)).collect();
        (!jobs.is_empty()).then(|| jobs.iter().sum::<f64>() / jobs.len() as f64)
    };
    MARKED.into_iter().filter_map(|(share, name)| Some((share, name, of(name)?))).collect()
}

fn chart(
    html: &mut Html,
    case: &CaseReport,
    metric: Metric,
    sides: &[(Side, Vec<f64>)],
    marks: &[(f64, &'static str, f64)],
) {
    let all = sides.iter().flat_map(|(_, values)| values.first().into_iter().chain(values.last())).copied();
    let Some(ends) = range(all.chain(marks.iter().map(|mark| mark.2))) else { return };
    let x = Scale::fitting(ends, [LEFT, RIGHT]);
    let y = Scale::linear([0.0, 1.0], [BOTTOM, TOP]);
    let caption = sides
        .iter()
        .map(|(side, values)| {
            let of = if sides.len() > 1 { format!("{}: ", side.label(case)) } else { String::new() };
            format!("{of}{}", quantiles(values))
        })
        .collect::<Vec<_>>()
        .join("; ");
    let mut description = String::from("Share of requests that took at most so long. ");
    for (side, values) in sides {
        let (low, high) = (values[0], values[values.len() - 1]);
        let whole = number::value_range([low, high], "ms");
        let requests = number::count(values.len() as u64, "request");
        let _ = write!(description, "{}: {requests} from {whole}, {}. ", side.label(case), quantiles(values));
    }
    if !marks.is_empty() {
        let words: Vec<String> =
            marks.iter().map(|(_, name, value)| format!("{name} {}", number::value(*value, "ms"))).collect();
        let _ = write!(description, "Baseline: {}.", words.join(", "));
    }
    let mut keys: Vec<Key> = sides.iter().rev().map(|(side, _)| side.curve(case)).collect();
    if !marks.is_empty() {
        keys.push(Key::new("b", Mark::Diamond, format!("baseline: {}", names(marks))));
    }
    let words = Words { title: called(metric), caption: &caption, description: description.trim_end() };
    figure(html, &words, HEIGHT, &keys, &mut |html| {
        for (share, text) in [(0.0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1.0, "100")] {
            svg::path(html, "grid", &format!("M{LEFT} {}H{RIGHT}", svg::place(y.at(share))));
            svg::label(html, "tick", "end", [LEFT - 5.0, y.at(share) + 3.5], text);
        }
        svg::label(html, "tick", "start", [2.0, 10.0], "% of requests");
        let meaning = if x.is_log() { "ms, by logarithm" } else { "ms" };
        svg::x_axis(html, &x, 5, [TOP, BOTTOM], meaning);
        for (side, values) in sides {
            let class = if *side == Side::Reference { "line b" } else { "line a" };
            svg::path(html, class, &cumulative(values, &|v| x.at(v), &|share| y.at(share), RIGHT));
        }
        for (share, name, value) in marks {
            let words = format!("baseline {name}: {}", number::value(*value, "ms"));
            svg::mark(html, Mark::Diamond, "b", [x.at(*value), y.at(*share)], Some(&words));
        }
    });
}

fn names(marks: &[(f64, &'static str, f64)]) -> String {
    marks.iter().map(|mark| mark.1).collect::<Vec<_>>().join(", ")
}

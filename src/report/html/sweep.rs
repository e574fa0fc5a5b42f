//! Cases of one scenario that differ in their load: what more of it brings and costs.

use std::collections::BTreeMap;

use crate::metric::MetricId;
use crate::report::CaseReport;
use crate::report::html::blocks::{cell, head, table_end, table_start};
use crate::report::html::input::Page;
use crate::report::html::scale::{Scale, range};
use crate::report::html::series::Side;
use crate::report::html::svg::{self, Key, LEFT, Mark, RIGHT, Words, figure};
use crate::report::html::writer::Html;
use crate::report::number;

const TOP: f64 = 22.0;
const BOTTOM: f64 = 148.0;
const HEIGHT: f64 = 180.0;

/// Axes of a matrix that are amounts of load, with what their values mean.
const AXES: [(&str, &str); 3] =
    [("batch", "batch size"), ("concurrency", "concurrent users"), ("rate", "requests a second")];
/// What is shown over them.
const SHOWN: [&str; 3] = ["output_throughput", "ttft.p50", "tpot.p50"];

/// Cases that differ in nothing but an amount of load, by it.
struct Sweep<'a> {
    /// Name of the scenario, with what else the cases have in common.
    name: String,
    meaning: &'static str,
    cases: Vec<(f64, &'a CaseReport)>,
}

/// A chart for each figure of each such scenario. Nothing is written if there is none.
pub(super) fn sweeps(html: &mut Html, page: &Page) {
    let found = find(&page.run.cases);
    if found.is_empty() {
        return;
    }
    html.open("section", &[("id", "load"), ("aria-labelledby", "load-title")]);
    html.leaf("h2", &[("id", "load-title")], "By load");
    for sweep in &found {
        html.leaf("h3", &[], &format!("Scenario {} by {}", sweep.name, sweep.meaning));
        svg::charts(html, &mut |html| {
            for name in SHOWN {
                chart(html, page, sweep, name);
            }
            true
        });
        table(html, sweep);
    }
    html.close();
}

fn find(cases: &[CaseReport]) -> Vec<Sweep<'_>> {
    let mut groups: BTreeMap<(String, &'static str), Sweep<'_>> = BTreeMap::new();
    for case in cases.iter().filter(|case| !case.statistics.is_empty()) {
        let Some((scenario, parts)) = case.case.split_once("::") else { continue };
        for (axis, meaning) in AXES {
            let value = |part: &str| part.strip_prefix(axis)?.strip_prefix('=')?.parse::<f64>().ok();
            let Some(amount) = parts.split(',').find_map(value).filter(|amount| *amount > 0.0) else { continue };
            let others: Vec<&str> = parts.split(',').filter(|part| value(part).is_none()).collect();
            let name = [&[scenario], &*others].concat().join(", ");
            let new = || Sweep { name: name.clone(), meaning, cases: Vec::new() };
            groups.entry((name.clone(), axis)).or_insert_with(new).cases.push((amount, case));
        }
    }
    let mut sweeps: Vec<Sweep<'_>> = groups.into_values().filter(|sweep| sweep.cases.len() > 1).collect();
    for sweep in &mut sweeps {
        sweep.cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    sweeps
}

/// The other side's figure: the live one's, or the mean over the accepted jobs.
fn other(page: &Page, case: &CaseReport, name: &str) -> Option<f64> {
    if let Some(reference) = &case.reference {
        return reference.statistics.get(name).copied();
    }
    let trials = || page.baseline_of(case).into_iter().flat_map(|baseline| &baseline.jobs).flat_map(|job| &job.trials);
    let values: Vec<f64> = trials().filter_map(|trial| *trial.values.get(name)?).collect();
    (!values.is_empty()).then(|| crate::stats::trimmed::trimmed_mean(&values))
}

fn chart(html: &mut Html, page: &Page, sweep: &Sweep<'_>, name: &str) {
    let Some(unit) = name.parse::<MetricId>().ok().map(|id| id.metric.unit()) else { return };
    let own: Vec<(f64, f64)> =
        sweep.cases.iter().filter_map(|(amount, case)| Some((*amount, *case.statistics.get(name)?))).collect();
    let others: Vec<(f64, f64)> =
        sweep.cases.iter().filter_map(|(amount, case)| Some((*amount, other(page, case, name)?))).collect();
    let Some([_, high]) = range(own.iter().chain(&others).map(|point| point.1)) else { return };
    let Some(ends) = range(own.iter().map(|point| point.0)) else { return };
    let paper = [LEFT + 12.0, RIGHT - 12.0];
    let log = ends[1] / ends[0] >= 8.0;
    let x = if log { Scale::logarithmic(ends, paper) } else { Scale::linear(ends, paper) };
    let y = Scale::linear([0.0, high * 1.08], [BOTTOM, TOP]);
    let words: Vec<String> = own.iter().map(|(n, value)| format!("{n}: {}", number::value(*value, unit))).collect();
    let description = format!("{name} by {}: {}.", sweep.meaning, words.join(", "));
    let live = sweep.cases.iter().find(|(_, case)| case.reference.is_some()).map(|(_, case)| *case);
    let label = |side: Side| match (live, side) {
        (Some(case), side) => side.label(case),
        (None, Side::Candidate) => "this run".into(),
        (None, Side::Reference) => "baseline".into(),
    };
    let mut keys = vec![Key::new("a", Mark::Dot, label(Side::Candidate))];
    if !others.is_empty() {
        keys.push(Key::new("b", Mark::Diamond, label(Side::Reference)));
    }
    let caption = if log { "medians over trials; load by logarithm" } else { "medians over trials" };
    figure(html, &Words { title: name, caption, description: &description }, HEIGHT, &keys, &mut |html| {
        svg::y_axis(html, &y, 4, unit, 10.0);
        for (amount, _) in &own {
            svg::label(html, "tick", "middle", [x.at(*amount), BOTTOM + 13.0], &amount.to_string());
        }
        svg::label(html, "tick", "end", [RIGHT, BOTTOM + 27.0], sweep.meaning);
        for (points, line, class, mark) in [(&others, "line b", "b", Mark::Diamond), (&own, "line a", "a", Mark::Dot)] {
            let places: Vec<String> =
                points.iter().map(|(n, v)| format!("{} {}", svg::place(x.at(*n)), svg::place(y.at(*v)))).collect();
            if places.len() > 1 {
                svg::path(html, line, &format!("M{}", places.join("L")));
            }
            for (amount, value) in points {
                let words = format!("{amount}: {}", number::value(*value, unit));
                svg::mark(html, mark, class, [x.at(*amount), y.at(*value)], Some(&words));
            }
        }
    });
}

fn table(html: &mut Html, sweep: &Sweep<'_>) {
    table_start(html, &format!("{} by {}, figures", sweep.name, sweep.meaning));
    head(html, &[(sweep.meaning, false), (SHOWN[0], true), (SHOWN[1], true), (SHOWN[2], true)]);
    for (amount, case) in &sweep.cases {
        html.open("tr", &[]);
        html.leaf("th", &[("scope", "row")], &amount.to_string());
        for name in SHOWN {
            let unit = name.parse::<MetricId>().map_or("", |id| id.metric.unit());
            cell(html, true, &case.statistics.get(name).map_or_else(|| "–".into(), |v| number::value(*v, unit)));
        }
        html.close();
    }
    table_end(html);
}

//! Each trial's value of a check: beside those of the accepted jobs, or as changes between the sides of pairs.

use std::fmt::Write as _;

use crate::gate::Mode;
use crate::metric::{Metric, MetricId, Scale as Kind};
use crate::report::html::input::Page;
use crate::report::html::scale::{Scale, range};
use crate::report::html::svg::{self, Key, LEFT, Mark, RIGHT, Words, figure};
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::{CaseReport, CheckReport};
use crate::scenario::{Against, Limit, Reference};
use crate::stats::trimmed::trimmed_mean;

const TOP: f64 = 22.0;
const BOTTOM: f64 = 148.0;
const HEIGHT: f64 = 180.0;
/// Most jobs of a baseline that are shown.
const JOBS: usize = 12;

/// What a strip shows, in the unit of its axis.
struct Strip {
    metric: String,
    unit: &'static str,
    /// Whether the values are changes between the sides of pairs.
    changes: bool,
    /// Values of the trials of each accepted job.
    jobs: Vec<Vec<f64>>,
    hidden_jobs: usize,
    /// Number of the trial, value, and whether it was a measurement.
    trials: Vec<(u32, f64, bool)>,
    /// The baseline's mean, or no change.
    middle: Option<f64>,
    /// The means of the jobs, or the 90 % interval of the change.
    band: Option<[f64; 2]>,
    estimate: Option<f64>,
    limits: Vec<(f64, bool)>,
}

/// A chart for each metric that is checked; whether there was one.
pub(super) fn strips(html: &mut Html, page: &Page, case: &CaseReport) -> bool {
    let mut seen: Vec<&str> = Vec::new();
    let mut any = false;
    for check in &case.checks {
        let metric = check.judged.metric.as_str();
        if seen.contains(&metric) {
            continue;
        }
        seen.push(metric);
        let checks: Vec<&CheckReport> = case.checks.iter().filter(|other| other.judged.metric == metric).collect();
        if let Some(strip) = strip(page, case, &checks) {
            chart(html, case, &strip);
            any = true;
        }
    }
    any
}

fn strip(page: &Page, case: &CaseReport, checks: &[&CheckReport]) -> Option<Strip> {
    let id: MetricId = checks.first()?.judged.metric.parse().ok()?;
    if id.metric == Metric::ErrorRate && case.errors == 0 {
        return None;
    }
    let name = id.to_string();
    let compared = checks.iter().find(|check| fixed(check, id).is_none());
    let strip = match compared {
        Some(check) if case.mode == Mode::Paired => paired(page, case, check, id, &name),
        _ => stored(page, case, checks, id, &name),
    };
    (!strip.trials.is_empty()).then_some(strip)
}

/// The value of a limit that is compared with nothing.
fn fixed(check: &CheckReport, id: MetricId) -> Option<f64> {
    [Against::Baseline, Against::Variant].into_iter().find_map(|against| {
        match Limit::parse(&check.limit, id, against).ok()?.reference {
            Reference::Absolute(value) => Some(value),
            _ => None,
        }
    })
}

fn stored(page: &Page, case: &CaseReport, checks: &[&CheckReport], id: MetricId, name: &str) -> Strip {
    let share = id.metric.scale() == Kind::Difference;
    let factor = if share { 100.0 } else { 1.0 };
    let of = |trial: &crate::gate::TrialValues| -> Option<f64> {
        let value = match id.metric {
            Metric::ErrorRate => Some(trial.errors as f64 / trial.n.max(1) as f64),
            _ => *trial.values.get(name)?,
        };
        value.map(|value| value * factor)
    };
    let baseline = page.baseline_of(case).filter(|_| case.mode == Mode::Stored);
    let all: Vec<Vec<f64>> = baseline.map_or_else(Vec::new, |baseline| {
        baseline.jobs.iter().map(|job| job.trials.iter().filter_map(of).collect()).collect()
    });
    let means = all.iter().filter(|job| !job.is_empty()).map(|job| trimmed_mean(job));
    let trials = page.trials_of(case).iter().filter(|trial| trial.side != "reference");
    let middle = checks.iter().find_map(|check| check.reference).map(|value| value * factor);
    let limit = |check: &&CheckReport| {
        let value = fixed(check, id).map(|value| value * factor).or_else(|| {
            let (middle, tolerance) = (middle?, check.tolerance?);
            Some(match (share, check.higher_is_better) {
                (true, false) => middle + tolerance * factor,
                (true, true) => middle - tolerance * factor,
                (false, false) => middle * (1.0 + tolerance),
                (false, true) => middle / (1.0 + tolerance),
            })
        })?;
        Some((value, check.judged.advisory))
    };
    let hidden_jobs = all.len().saturating_sub(JOBS);
    Strip {
        metric: name.to_owned(),
        unit: if share { "%" } else { id.metric.unit() },
        changes: false,
        band: range(means).filter(|_| all.len() > 1),
        jobs: all.into_iter().skip(hidden_jobs).collect(),
        hidden_jobs,
        trials: trials.filter_map(|trial| Some((trial.trial, of(&trial.values)?, trial.valid))).collect(),
        middle,
        estimate: checks.iter().find_map(|check| check.value).map(|value| value * factor),
        limits: checks.iter().filter_map(limit).collect(),
    }
}

fn paired(page: &Page, case: &CaseReport, check: &CheckReport, id: MetricId, name: &str) -> Strip {
    let share = id.metric.scale() == Kind::Difference;
    let trials = page.trials_of(case);
    let value = |trial: &crate::gate::TrialValues| match id.metric {
        Metric::ErrorRate => Some(trial.errors as f64 / trial.n.max(1) as f64),
        _ => trial.values.get(name).copied().flatten(),
    };
    let change = |of: f64, from: f64| if share { (of - from) * 100.0 } else { (of / from - 1.0) * 100.0 };
    let pairs = trials.iter().filter(|trial| trial.side != "reference").filter_map(|candidate| {
        let reference = trials.iter().find(|other| other.side == "reference" && other.trial == candidate.trial)?;
        let size = change(value(&candidate.values)?, value(&reference.values)?);
        size.is_finite().then_some((candidate.trial, size, candidate.valid && reference.valid))
    });
    // The judge speaks of costs; the chart of the metric itself.
    let own = |cost: f64| match (share, check.higher_is_better) {
        (true, flip) => {
            if flip {
                -cost * 100.0
            } else {
                cost * 100.0
            }
        }
        (false, true) => (1.0 / cost - 1.0) * 100.0,
        (false, false) => (cost - 1.0) * 100.0,
    };
    let judged = &check.judged;
    let limit = check.tolerance.map(|tolerance| own(if share { tolerance } else { 1.0 + tolerance }));
    Strip {
        metric: name.to_owned(),
        unit: if share { "points" } else { "%" },
        changes: true,
        jobs: Vec::new(),
        hidden_jobs: 0,
        trials: pairs.collect(),
        middle: Some(0.0),
        band: judged.ci.and_then(|ci| range(ci.map(own))),
        estimate: judged.ratio.or(judged.difference).map(own),
        limits: limit.map(|limit| (limit, judged.advisory)).into_iter().collect(),
    }
}

impl Strip {
    fn value(&self, value: f64) -> String {
        match (self.changes, self.unit) {
            (true, "points") => format!("{value:+.2} points"),
            (true, _) => number::change(1.0 + value / 100.0),
            (false, "%") => number::value(value / 100.0, ""),
            (false, unit) => number::value(value, unit),
        }
    }

    /// Limits that lie so far off that the values would be a line have no say in the axis.
    fn y(&self) -> Option<Scale> {
        let values = self.trials.iter().map(|trial| trial.1).chain(self.jobs.iter().flatten().copied());
        let [low, high] = range(values.chain(self.middle).chain(self.band.into_iter().flatten()))?;
        let reach = 4.0 * (high - low) + 0.02 * high.abs().max(low.abs());
        let share = matches!(self.unit, "%" | "points") && !self.changes;
        let near = |limit: &f64| share || (low - reach..=high + reach).contains(limit);
        let limits = self.limits.iter().map(|limit| limit.0).filter(near);
        let [low, high] = range([low, high].into_iter().chain(limits))?;
        let room = ((high - low) * 0.08).max(high.abs() * 1e-3);
        // Of a share, less than a point is nothing.
        let room = if matches!(self.unit, "%" | "points") { room.max(0.6) } else { room };
        let least = if self.changes || low < 0.0 { low - room } else { (low - room).max(0.0) };
        Some(Scale::linear([least, high + room], [BOTTOM, TOP]))
    }

    fn caption(&self) -> String {
        let estimate = self.estimate.map(|value| self.value(value));
        match (estimate, self.middle) {
            (Some(estimate), _) if self.changes => format!("change {estimate}"),
            (Some(estimate), Some(middle)) => format!("{estimate}, baseline {}", self.value(middle)),
            (Some(estimate), None) => estimate,
            (None, _) => String::new(),
        }
    }

    fn description(&self) -> String {
        let unit = if self.changes { "pair" } else { "trial" };
        let values: Vec<String> = self
            .trials
            .iter()
            .map(|(number, value, valid)| {
                let void = if *valid { "" } else { " (no measurement)" };
                format!("{unit} {number}: {}{void}", self.value(*value))
            })
            .collect();
        let mut text = format!("{}.", values.join(", "));
        if let Some(middle) = self.middle.filter(|_| !self.changes) {
            let _ = write!(text, " Baseline: {}", self.value(middle));
            if let Some([low, high]) = self.band {
                let _ = write!(text, ", its jobs from {} to {}", self.value(low), self.value(high));
            }
            text.push('.');
        }
        if let (true, Some([low, high])) = (self.changes, self.band) {
            let _ = write!(text, " 90 % interval of the change: {} to {}.", self.value(low), self.value(high));
        }
        for (limit, advisory) in &self.limits {
            let kind = if *advisory { "Advisory limit" } else { "Limit" };
            let _ = write!(text, " {kind}: {}.", self.value(*limit));
        }
        text
    }

    fn keys(&self, mode: Mode) -> Vec<Key> {
        // Side by side with charts of changes, a fixed limit's has the same words.
        let [dot, line] = if mode == Mode::Paired { ["a pair", "estimate"] } else { ["a trial", "this run"] };
        let mut keys = vec![Key::new("a", Mark::Dot, dot)];
        if self.estimate.is_some() {
            keys.push(Key::new("line a", Mark::Line, line));
        }
        if !self.jobs.is_empty() {
            let of = if self.hidden_jobs > 0 { format!(" (the last {})", self.jobs.len()) } else { String::new() };
            keys.push(Key::new("b", Mark::Diamond, format!("trials of accepted jobs{of}")));
        }
        if self.middle.is_some() {
            keys.push(Key::new("line b", Mark::Line, if self.changes { "no change" } else { "baseline" }));
        }
        if self.band.is_some() {
            keys.push(Key::new("band", Mark::Area, if self.changes { "90 % interval" } else { "its jobs" }));
        }
        if !self.limits.is_empty() {
            keys.push(Key::new("limit", Mark::Line, "limit"));
        }
        if self.trials.iter().any(|trial| !trial.2) {
            keys.push(Key::new("muted", Mark::Cross, "no measurement"));
        }
        keys
    }
}

fn chart(html: &mut Html, case: &CaseReport, strip: &Strip) {
    let Some(y) = strip.y() else { return };
    let higher = case.checks.iter().any(|check| check.judged.metric == strip.metric && check.higher_is_better);
    let title = if strip.changes { format!("{}, change a pair", strip.metric) } else { strip.metric.clone() };
    let words = Words { title: &title, caption: &strip.caption(), description: &strip.description() };
    figure(html, &words, HEIGHT, &strip.keys(case.mode), &mut |html| draw(html, strip, &y, higher));
}

fn draw(html: &mut Html, strip: &Strip, y: &Scale, higher: bool) {
    let before = strip.jobs.len() as f64;
    let gap = if strip.jobs.is_empty() { 0.0 } else { 1.0 };
    let column = (RIGHT - LEFT) / (before + gap + strip.trials.len() as f64);
    let now = LEFT + column * (before + gap);
    if let Some(band) = strip.band {
        svg::area(html, "band", [LEFT, RIGHT], band.map(|value| y.at(value)));
    }
    let gating = strip.limits.iter().find(|limit| !limit.1).or(strip.limits.first());
    if let Some((limit, _)) = gating.filter(|limit| y.has(limit.0)) {
        let edge = if higher { BOTTOM } else { TOP };
        svg::area(html, "beyond", [LEFT, RIGHT], [y.at(*limit), edge]);
    }
    svg::y_axis(html, y, 5, strip.unit, 10.0);
    if let Some(middle) = strip.middle {
        svg::path(html, "line b", &format!("M{LEFT} {}H{RIGHT}", svg::place(y.at(middle))));
    }
    for (at, job) in strip.jobs.iter().enumerate() {
        let x = LEFT + column * (at as f64 + 0.5);
        for value in job {
            let words = format!("accepted: {}", strip.value(*value));
            svg::mark(html, Mark::Diamond, "b", [x, y.at(*value)], Some(&words));
        }
    }
    if let Some(estimate) = strip.estimate {
        svg::path(html, "line a", &format!("M{} {}H{RIGHT}", svg::place(now), svg::place(y.at(estimate))));
    }
    let unit = if strip.changes { "pair" } else { "trial" };
    for (at, (number, value, valid)) in strip.trials.iter().enumerate() {
        let x = now + column * (at as f64 + 0.5);
        let (mark, class) = if *valid { (Mark::Dot, "a") } else { (Mark::Cross, "muted") };
        let words = format!("{unit} {number}: {}", strip.value(*value));
        svg::mark(html, mark, class, [x, y.at(*value)], Some(&words));
        if column >= 12.0 || at % 2 == 0 {
            svg::label(html, "tick", "middle", [x, BOTTOM + 13.0], &number.to_string());
        }
    }
    for (limit, _) in &strip.limits {
        let at = y.at(*limit);
        let text = format!("limit {}", strip.value(*limit));
        if !y.has(*limit) {
            let (arrow, at) = if at < BOTTOM { ('↑', TOP + 6.0) } else { ('↓', BOTTOM - 4.0) };
            svg::label(html, "limit-label", "end", [RIGHT, at], &format!("{text} {arrow}"));
            continue;
        }
        svg::path(html, "limit", &format!("M{LEFT} {}H{RIGHT}", svg::place(at)));
        // Beside the line on the side where nothing should be, unless that is outside.
        let above = if higher { at + 12.0 > BOTTOM } else { at - 12.0 > TOP - 10.0 };
        svg::label(html, "limit-label", "end", [RIGHT, if above { at - 4.0 } else { at + 11.0 }], &text);
    }
    let meaning = if strip.changes { "pair" } else { "trial of this run" };
    svg::label(html, "tick", "end", [RIGHT, BOTTOM + 27.0], meaning);
    if !strip.jobs.is_empty() {
        svg::path(html, "part", &format!("M{} {TOP}V{}", svg::place(now - column / 2.0), BOTTOM + 4.0));
        let jobs = number::count(strip.jobs.len() as u64, "accepted job");
        svg::label(html, "tick", "start", [LEFT, BOTTOM + 13.0], &jobs);
    }
}

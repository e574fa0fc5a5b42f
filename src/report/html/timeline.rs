//! Latencies over the run's time: one trial after the other, a dot a request.

use std::fmt::Write as _;

use crate::metric::Metric;
use crate::report::html::input::{Page, RequestRow};
use crate::report::html::points::dots;
use crate::report::html::scale::{Scale, range};
use crate::report::html::series::{LATENCIES, Side, called, latency};
use crate::report::html::svg::{self, Key, LEFT, Mark, RIGHT, Words, figure};
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::{CaseReport, TrialReport};
use crate::stats::quantile::quantile;
use crate::units::Nanos;

const TOP: f64 = 24.0;
const BOTTOM: f64 = 150.0;
const HEIGHT: f64 = 182.0;
/// Width that a trial's number needs.
const NUMBER: f64 = 14.0;
/// Most failed requests of a trial that are drawn.
const CROSSES: usize = 60;

/// A trial with its place in the run, in seconds of load.
struct Slot<'a> {
    trial: &'a TrialReport,
    side: Side,
    rows: Vec<&'a RequestRow>,
    from: f64,
    to: f64,
}

/// A chart for each latency that the requests have; whether there was one.
pub(super) fn timelines(html: &mut Html, page: &Page, case: &CaseReport) -> bool {
    let slots = slots(page.requests_of(case), page.trials_of(case));
    let mut any = false;
    for metric in LATENCIES {
        any |= chart(html, case, metric, &slots);
    }
    any
}

/// Where each trial lies: pauses and what is not measured between two trials take no room.
fn slots<'a>(rows: &'a [RequestRow], trials: &'a [TrialReport]) -> Vec<Slot<'a>> {
    let mut from = 0.0;
    let mut slots: Vec<Slot<'a>> = trials
        .iter()
        .map(|trial| Slot { trial, side: Side::of(&trial.side), rows: Vec::new(), from, to: from })
        .collect();
    for row in rows {
        let mine = |slot: &&mut Slot<'_>| slot.trial.trial == row.trial && slot.trial.side == row.side;
        if let Some(slot) = slots.iter_mut().find(mine) {
            slot.rows.push(row);
        }
    }
    for slot in &mut slots {
        let ends = slot.rows.iter().map(|row| row.sent + row.e2e_latency.or(row.ttft).unwrap_or_default());
        slot.from = from;
        slot.to = from + seconds(ends.max().unwrap_or_default()).max(1e-3);
        from = slot.to;
    }
    slots
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

fn chart(html: &mut Html, case: &CaseReport, metric: Metric, slots: &[Slot<'_>]) -> bool {
    let values = slots.iter().flat_map(|slot| &slot.rows).filter_map(|row| latency(row, metric));
    let Some(ends) = range(values) else { return false };
    let y = Scale::fitting(ends, [BOTTOM, TOP]);
    let length = slots.last().map_or(1.0, |slot| slot.to);
    let x = Scale::linear([0.0, length], [LEFT, RIGHT]);
    let middle = |slot: &Slot<'_>| {
        let mut sorted: Vec<f64> = slot.rows.iter().filter_map(|row| latency(row, metric)).collect();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    };
    let middles: Vec<Option<f64>> = slots.iter().map(middle).collect();
    let failed: usize = slots.iter().flat_map(|slot| &slot.rows).filter(|row| row.error_class.is_some()).count();
    let (caption, description) = words(slots, &middles, failed);
    let both = case.reference.is_some();
    let mut keys: Vec<Key> = Vec::new();
    for side in Side::BOTH.into_iter().rev().filter(|side| slots.iter().any(|slot| slot.side == *side)) {
        let label = if both { side.label(case) } else { "a request".into() };
        keys.push(Key::new(pen(side), Mark::Pen, label));
    }
    keys.push(Key::new("middle", Mark::Line, "median of a trial"));
    if failed > 0 {
        keys.push(Key::new("bad", Mark::Cross, "failed"));
    }
    if slots.iter().any(|slot| !slot.trial.valid) {
        keys.push(Key::new("void", Mark::Area, "no measurement"));
    }
    let words = Words { title: called(metric), caption: &caption, description: &description };
    figure(html, &words, HEIGHT, &keys, &mut |html| {
        draw(html, slots, &middles, metric, &x, &y);
    });
    true
}

fn words(slots: &[Slot<'_>], middles: &[Option<f64>], failed: usize) -> (String, String) {
    let found: Vec<f64> = middles.iter().flatten().copied().collect();
    let ends = range(found.iter().copied()).unwrap_or_default();
    let caption = format!("medians of trials {}", number::value_range(ends, "ms"));
    let mut description = format!(
        "Each request at the time at which it was sent, {} one after the other. The medians of the trials lie between {}.",
        number::count(slots.len() as u64, "trial"),
        number::value_range(ends, "ms").replace(" to ", " and ")
    );
    if failed > 0 {
        let _ = write!(description, " {} failed.", number::count(failed as u64, "request"));
    }
    (caption, description)
}

/// The end of a trial or a pair, and its number if there is room.
fn number(html: &mut Html, first: &Slot<'_>, last: &Slot<'_>, x: &Scale, numbered: &mut f64) {
    let (from, to) = (x.at(first.from), x.at(last.to));
    svg::path(html, "part", &format!("M{} {}V{BOTTOM}", svg::place(to), TOP - 8.0));
    let at = f64::midpoint(from, to);
    if at - *numbered >= NUMBER {
        svg::label(html, "tick small", "middle", [at, TOP - 3.0], &first.trial.trial.to_string());
        *numbered = at;
    }
}

fn pen(side: Side) -> &'static str {
    match side {
        Side::Candidate => "dots a",
        Side::Reference => "dots b",
    }
}

fn draw(html: &mut Html, slots: &[Slot<'_>], middles: &[Option<f64>], metric: Metric, x: &Scale, y: &Scale) {
    for slot in slots.iter().filter(|slot| !slot.trial.valid) {
        svg::area(html, "void", [x.at(slot.from), x.at(slot.to)], [TOP, BOTTOM]);
    }
    svg::y_axis(html, y, 4, if y.is_log() { "ms, log" } else { "ms" }, 10.0);
    svg::x_axis(html, x, 5, [BOTTOM, BOTTOM + 3.0], "seconds of load");
    svg::label(html, "tick", "end", [RIGHT, 10.0], if slots.len() > 1 { "trials" } else { "trial" });
    let mut numbered = LEFT - NUMBER;
    // Both trials of a pair have one number.
    for pair in slots.chunk_by(|a, b| a.trial.trial == b.trial.trial) {
        number(html, &pair[0], &pair[pair.len() - 1], x, &mut numbered);
    }
    for side in Side::BOTH {
        let of_side = slots.iter().filter(|slot| slot.side == side);
        let places: Vec<[f64; 2]> = of_side
            .flat_map(|slot| slot.rows.iter().map(move |row| (slot.from, row)))
            .filter_map(|(from, row)| Some([x.at(from + seconds(row.sent)), y.at(latency(row, metric)?)]))
            .collect();
        if !places.is_empty() {
            svg::path(html, pen(side), &dots(&places));
        }
    }
    for (slot, middle) in slots.iter().zip(middles) {
        if let Some(middle) = middle {
            let (from, to) = (x.at(slot.from) + 1.0, x.at(slot.to) - 1.0);
            let d = format!("M{} {}H{}", svg::place(from), svg::place(y.at(*middle)), svg::place(to));
            svg::path(html, "middle", &d);
        }
        // So many crosses fill the edge.
        for row in slot.rows.iter().filter(|row| row.error_class.is_some()).take(CROSSES) {
            svg::mark(html, Mark::Cross, "bad", [x.at(slot.from + seconds(row.sent)), TOP + 4.0], None);
        }
    }
}

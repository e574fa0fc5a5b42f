//! What the prefix cache did: the time to the first token with and without it, and how much was reused.

use crate::report::html::scale::{Scale, range};
use crate::report::html::series::Side;
use crate::report::html::svg::{self, Key, Mark, RIGHT, Words, figure};
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::{CaseReport, PrefixReport, PrefixSide};

/// Room for the names of bars.
const NAMES: f64 = 66.0;
const TOP: f64 = 12.0;
const BAR: f64 = 16.0;

/// Nothing where prompts share no prefix.
pub(super) fn prefix(html: &mut Html, case: &CaseReport) {
    let Some(found) = &case.prefix else { return };
    html.leaf("h3", &[], "Prefix cache");
    svg::charts(html, &mut |html| {
        latencies(html, case);
        hits(html, case, found);
        true
    });
}

fn latencies(html: &mut Html, case: &CaseReport) {
    let other = |name: &str| case.reference.as_ref().and_then(|reference| reference.statistics.get(name).copied());
    let rows: Vec<(&str, Vec<(Side, f64)>)> = ["ttft.p50", "ttft.p95", "e2e_latency.p50"]
        .into_iter()
        .filter_map(|name| {
            let own = (Side::Candidate, *case.statistics.get(name)?);
            Some((name, other(name).map(|value| (Side::Reference, value)).into_iter().chain([own]).collect()))
        })
        .collect();
    let Some([_, high]) = range(rows.iter().flat_map(|row| &row.1).map(|bar| bar.1)) else { return };
    let caption = match (other("ttft.p50"), case.statistics.get("ttft.p50")) {
        (Some(without), Some(with)) => format!("ttft.p50 {}", number::change(with / without)),
        _ => String::new(),
    };
    let text: Vec<String> = rows
        .iter()
        .flat_map(|(name, bars)| {
            bars.iter()
                .map(move |(side, value)| format!("{name}, {}: {}", side.label(case), number::value(*value, "ms")))
        })
        .collect();
    let words = Words { title: "Latency", caption: &caption, description: &format!("{}.", text.join("; ")) };
    bars(html, case, &words, &rows, [0.0, high * 1.25], &|value| number::value(value, "ms"));
}

fn hits(html: &mut Html, case: &CaseReport, found: &PrefixReport) {
    let ratio = |side: &PrefixSide| side.hit_ratio.or(side.counter_hit_ratio);
    let sides = [(Side::Reference, found.reference.as_ref()), (Side::Candidate, Some(&found.candidate))];
    let known: Vec<(Side, f64)> =
        sides.iter().filter_map(|(side, found)| Some((*side, (*found).and_then(ratio)?))).collect();
    if known.is_empty() {
        html.leaf("p", &[("class", "small")], "The server does not say how many prompt tokens came from its cache.");
        return;
    }
    let text: Vec<String> =
        known.iter().map(|(side, ratio)| format!("{}: {}", side.label(case), number::percent(*ratio))).collect();
    let matched = found.candidate.matched_tokens.filter(|matched| *matched > 0.0);
    let caption = matched.map_or_else(String::new, |matched| format!("{matched:.0} tokens a request reused"));
    let description = format!("Prompt tokens from the cache. {}.", text.join("; "));
    let words = Words { title: "Prompt tokens from the cache", caption: &caption, description: &description };
    bars(html, case, &words, &[("hit ratio", known)], [0.0, 1.2], &number::percent);
}

fn bars(
    html: &mut Html,
    case: &CaseReport,
    words: &Words<'_>,
    rows: &[(&str, Vec<(Side, f64)>)],
    ends: [f64; 2],
    shown: &dyn Fn(f64) -> String,
) {
    let x = Scale::linear(ends, [NAMES, RIGHT]);
    let height = |bars: usize| bars as f64 * BAR + 12.0;
    let total = TOP + rows.iter().map(|row| height(row.1.len())).sum::<f64>();
    let both = rows.iter().any(|row| row.1.len() > 1);
    let sides = Side::BOTH.into_iter().filter(|side| both || *side == Side::Candidate);
    let keys: Vec<Key> = sides.map(|side| Key::new(bar_class(side), Mark::Area, side.label(case))).collect();
    figure(html, words, total, &keys, &mut |html| {
        let mut y = TOP;
        for (name, bars) in rows {
            let middle = y + bars.len() as f64 * BAR / 2.0;
            svg::label(html, "tick", "end", [NAMES - 6.0, middle + 3.5], name.trim_end_matches("_latency.p50"));
            for (side, value) in bars {
                svg::area(html, bar_class(*side), [NAMES, x.at(*value).max(NAMES + 1.0)], [y + 1.0, y + BAR - 2.0]);
                svg::label(html, "value", "start", [x.at(*value) + 5.0, y + BAR / 2.0 + 3.5], &shown(*value));
                y += BAR;
            }
            y += 12.0;
        }
        svg::path(html, "part", &format!("M{NAMES} {}V{}", TOP - 4.0, svg::place(total - 8.0)));
    });
}

fn bar_class(side: Side) -> &'static str {
    match side {
        Side::Reference => "bar b",
        Side::Candidate => "bar a",
    }
}

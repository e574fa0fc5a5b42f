//! A case: its verdict, its checks, its charts, and what lies behind them.

use std::collections::BTreeMap;

use crate::gate::{Mode, Verdict};
use crate::metric::MetricId;
use crate::report::check_text::measured;
use crate::report::hints::hints;
use crate::report::html::blocks::{anchor, cell, details, head, table_end, table_start, verdict};
use crate::report::html::checks::checks;
use crate::report::html::distribution::distributions;
use crate::report::html::environment::conditions;
use crate::report::html::input::{Page, RequestRow};
use crate::report::html::past::past;
use crate::report::html::prefix::prefix;
use crate::report::html::strip::strips;
use crate::report::html::svg::charts;
use crate::report::html::timeline::timelines;
use crate::report::html::validity::invalid;
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::{CaseReport, TrialReport};

/// Most different messages of failed requests that are quoted.
const MESSAGES: usize = 5;
/// A server's words are quoted no longer than this.
const QUOTED: usize = 300;

pub(super) fn case(html: &mut Html, page: &Page, number: usize, case: &CaseReport) {
    let (id, title) = (anchor(number), format!("{}-title", anchor(number)));
    html.open("section", &[("id", &id), ("class", "case"), ("aria-labelledby", &title)]);
    html.open("h2", &[("id", &title)]);
    html.leaf("span", &[("class", "any")], &case.case);
    html.text(" ");
    verdict(html, case.verdict);
    html.close();
    if !case.description.is_empty() {
        html.leaf("p", &[("class", "lead")], &case.description);
    }
    about(html, case);
    words(html, case);
    if case.verdict != Verdict::Invalid && !case.checks.is_empty() {
        checks(html, case);
    }
    invalid(html, case);
    let unit = if case.mode == Mode::Paired { "Pairs" } else { "Trials" };
    titled(html, unit, &mut |html| strips(html, page, case));
    prefix(html, case);
    titled(html, "Distribution of requests", &mut |html| distributions(html, page, case));
    titled(html, "Over the run", &mut |html| timelines(html, page, case));
    titled(html, "Over past runs", &mut |html| past(html, page, case));
    failures(html, case, page.requests_of(case));
    details(html, "In words, as on the terminal", false);
    html.leaf("pre", &[("tabindex", "0")], &case.text);
    html.close();
    statistics(html, case);
    trials(html, case, page.trials_of(case));
    conditions(html, page, case);
    html.close();
}

/// Charts below a heading, if there are any.
fn titled(html: &mut Html, title: &str, draw: &mut dyn FnMut(&mut Html) -> bool) {
    html.attempt(&mut |html| {
        html.leaf("h3", &[], title);
        charts(html, draw)
    });
}

fn about(html: &mut Html, case: &CaseReport) {
    let mut parts = vec![measured(case), number::count(case.requests, "request"), format!("{} failed", case.errors)];
    if let Some(reference) = &case.reference {
        parts.push(format!("{} against {}", reference.candidate, reference.name));
    } else {
        parts.push(format!("profile `{}`", case.profile));
    }
    if let Some(baseline) = &case.baseline {
        let jobs = number::count(u64::from(baseline.jobs), "accepted job");
        let latest = baseline.recorded.split('T').next().unwrap_or_default();
        parts.push(format!("baseline `{}` ({jobs}, the latest of {latest})", baseline.path));
    }
    parts.push(format!("{:.1}\u{a0}s", case.seconds));
    html.open("p", &[("class", "small")]);
    html.words(&parts.join(" · "));
    html.close();
}

/// Why it fails, what does not compare, what else to know, and what to do.
fn words(html: &mut Html, case: &CaseReport) {
    let differ = case.reference.as_ref().map_or(&[][..], |reference| &reference.differences);
    let reason = if case.verdict == Verdict::Invalid { "Reason" } else { "Note" };
    let mut lines: Vec<(&str, String)> = Vec::new();
    lines.extend(case.failed.iter().map(|rule| ("Fails because", rule.clone())));
    lines.extend(case.differences.iter().map(|difference| ("Not comparable", difference.clone())));
    lines.extend(case.notes.iter().map(|note| (reason, note.replace("\nhint: ", "; hint: "))));
    if !differ.is_empty() {
        lines.push(("The sides differ in", differ.join(", ")));
    }
    lines.extend(case.pending.iter().map(|path| ("Pending", format!("`{path}`"))));
    if case.verdict != Verdict::Pass {
        lines.extend(hints(case).into_iter().map(|hint| ("To do", hint)));
    }
    if lines.is_empty() {
        return;
    }
    html.open("dl", &[("class", if case.failed.is_some() { "words failed" } else { "words" })]);
    for group in lines.chunk_by(|a, b| a.0 == b.0) {
        html.open("div", &[]);
        html.leaf("dt", &[], group[0].0);
        for (_, text) in group {
            html.open("dd", &[]);
            html.words(text);
            html.close();
        }
        html.close();
    }
    html.close();
}

fn failures(html: &mut Html, case: &CaseReport, rows: &[RequestRow]) {
    let failed = rows.iter().filter_map(|row| Some((row.error_class.as_deref()?, row.error.as_deref().unwrap_or(""))));
    let mut classes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for key in failed {
        *classes.entry(key).or_default() += 1;
    }
    if classes.is_empty() {
        return;
    }
    let total: u64 = classes.values().sum();
    let mut sorted: Vec<((&str, &str), u64)> = classes.into_iter().collect();
    sorted.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    html.leaf("h3", &[], "Failed requests");
    table_start(html, &format!("Failed requests of {}", case.case));
    head(html, &[("class", false), ("requests", true), ("in the client's or the server's words", false)]);
    for ((class, message), count) in sorted.iter().take(MESSAGES) {
        html.open("tr", &[]);
        html.leaf("th", &[("scope", "row")], class);
        cell(html, true, &count.to_string());
        let long = message.chars().count() > QUOTED;
        let quoted: String = message.chars().take(QUOTED).chain(long.then_some('…')).collect();
        html.leaf("td", &[("class", "any")], &quoted);
        html.close();
    }
    table_end(html);
    if let Some(more) = sorted.len().checked_sub(MESSAGES).filter(|more| *more > 0) {
        let text = format!("And {more} other messages among {total} failed requests: see requests.jsonl.");
        html.leaf("p", &[("class", "small")], &text);
    }
}

/// Medians over the trials of everything that was kept, the other side's beside them.
fn statistics(html: &mut Html, case: &CaseReport) {
    if case.statistics.is_empty() {
        return;
    }
    details(html, "All statistics, medians over the trials", false);
    table_start(html, &format!("Statistics of {}", case.case));
    let other = case.reference.as_ref();
    match other {
        Some(_) => head(html, &[("metric", false), ("candidate", true), ("reference", true), ("change", true)]),
        None => head(html, &[("metric", false), ("measured", true)]),
    }
    for (name, value) in &case.statistics {
        let Ok(id) = name.parse::<MetricId>() else { continue };
        let unit = id.metric.unit();
        html.open("tr", &[]);
        html.open("th", &[("scope", "row")]);
        html.leaf("code", &[], name);
        html.close();
        cell(html, true, &number::value(*value, unit));
        if let Some(reference) = other {
            let theirs = reference.statistics.get(name).copied();
            cell(html, true, &theirs.map_or_else(|| "–".into(), |theirs| number::value(theirs, unit)));
            let change = theirs.filter(|theirs| *theirs > 0.0).map(|theirs| number::change(value / theirs));
            cell(html, true, &change.unwrap_or_else(|| "–".into()));
        }
        html.close();
    }
    table_end(html);
    html.close();
}

fn trials(html: &mut Html, case: &CaseReport, trials: &[TrialReport]) {
    const SHOWN: [&str; 4] = ["ttft.p50", "tpot.p50", "e2e_latency.p50", "output_throughput"];
    if trials.is_empty() {
        return;
    }
    details(html, "Every trial", false);
    table_start(html, &format!("Trials of {}", case.case));
    let mut columns =
        vec![("trial", false), ("side", false), ("measurement", false), ("requests", true), ("failed", true)];
    columns.extend(SHOWN.iter().map(|name| (*name, true)));
    columns.extend([("window", true), ("send lag p99", true), ("wake-up lag p99", true)]);
    head(html, &columns);
    for trial in trials {
        html.open("tr", &[]);
        html.leaf("th", &[("scope", "row")], &trial.trial.to_string());
        cell(html, false, &trial.side);
        cell(html, false, if trial.valid { "yes" } else { "no" });
        cell(html, true, &trial.values.n.to_string());
        cell(html, true, &trial.values.errors.to_string());
        for name in SHOWN {
            let unit = name.parse::<MetricId>().map_or("", |id| id.metric.unit());
            let value = trial.values.values.get(name).copied().flatten();
            cell(html, true, &value.map_or_else(|| "–".into(), |value| number::value(value, unit)));
        }
        cell(html, true, &format!("{:.2} s", trial.window_seconds));
        cell(html, true, &format!("{:.3} ms", trial.client.send_lag_p99_ms));
        cell(html, true, &format!("{:.3} ms", trial.client.wake_lag_p99_ms));
        html.close();
    }
    table_end(html);
    html.close();
}

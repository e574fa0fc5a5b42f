//! The server's own view beside the client's.

use std::fmt::Write as _;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gate::Verdict;
use crate::report::{CaseReport, RunReport, number};
use crate::watch::{ServerView, Spread};

/// A key-value cache that was so full is worth a word.
const NEARLY_FULL: f64 = 0.9;
/// As are so many requests that wait on average.
const WAITED: f64 = 1.0;

/// What was seen of the servers while they were measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct ServerReport {
    /// The candidate's, over all judged trials.
    pub candidate: Option<ServerView>,
    /// The reference's, where both sides were measured.
    pub reference: Option<ServerView>,
    /// Soak tests: how the candidate's memory grew.
    #[serde(default)]
    pub growth: Option<GrowthReport>,
}

/// How a server's resident memory grew under sustained load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct GrowthReport {
    /// `exceeded` is a leak, `pass` is none, `inconclusive` is too noisy or too short to tell.
    pub verdict: Verdict,
    /// MiB a minute.
    pub per_minute_mib: f64,
    /// Two-sided 90 % interval of it.
    pub per_minute_mib_ci: [f64; 2],
    /// KiB a request.
    pub per_request_kib: f64,
    /// Two-sided 90 % interval of it.
    pub per_request_kib_ci: [f64; 2],
    /// The most that the scenario allows, MiB a minute.
    pub limit_mib: f64,
    /// Seconds of load that it is from.
    pub seconds: f64,
    /// Samples that the line goes through.
    pub points: u64,
    /// How much of a deviation from the line was left at the next sample; 1 is a random walk.
    pub rho: f64,
}

/// What of a server's view deserves a line beside the figures; `None` if nothing does.
pub(super) fn remark(report: &ServerReport) -> Option<String> {
    let sides = [("server", &report.candidate), ("reference's server", &report.reference)];
    let told: Vec<String> =
        sides.into_iter().filter_map(|(name, view)| Some(format!("{name}: {}", remarkable(view.as_ref()?)?))).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn remarkable(view: &ServerView) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(preemptions) = view.preemptions.filter(|preemptions| *preemptions > 0.0) {
        parts.push(number::count(preemptions as u64, "preemption"));
    }
    if let Some(waiting) = view.waiting.filter(|waiting| waiting.mean >= WAITED) {
        let (mean, max) = (number::plain(waiting.mean), number::plain(waiting.max));
        parts.push(format!("{mean} requests waited on average, {max} at most"));
    }
    if let Some(usage) = view.kv_usage.filter(|usage| usage.max >= NEARLY_FULL) {
        parts.push(format!("key-value cache up to {} full", number::percent(usage.max)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The section of `report.md`.
pub(super) fn section(text: &mut String, run: &RunReport) {
    text.push_str("\n## The server's own view\n\n");
    let rows: Vec<String> = run.cases.iter().flat_map(rows).collect();
    if rows.is_empty() {
        text.push_str("Nothing was seen of it: it has no counters that are known, and is no process of this run.\n");
        return;
    }
    text.push_str(
        "Once a second under load. Memory and processor time are those of all processes of a managed server.\n\n\
         | case | running mean / max | waiting mean / max | KV cache max | preemptions | prefix hits | memory peak | \
         growth | CPU mean / max | GPU mean, memory |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    text.extend(rows);
    for (case, growth) in run.cases.iter().filter_map(|case| Some((case, case.server.as_ref()?.growth.as_ref()?))) {
        let _ = writeln!(text, "\n`{}`: {}.", case.case.replace('|', "\\|"), in_words(growth));
    }
}

fn rows(case: &CaseReport) -> Vec<String> {
    let Some(report) = &case.server else { return Vec::new() };
    let sides = [("", &report.candidate), (" (reference)", &report.reference)];
    sides.into_iter().filter_map(|(side, view)| Some(row(&case.case, side, view.as_ref()?))).collect()
}

fn row(case: &str, side: &str, view: &ServerView) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let pair = |spread: Option<Spread>| {
        or_dash(spread.map(|spread| format!("{} / {}", number::plain(spread.mean), number::plain(spread.max))))
    };
    let cards: Vec<String> = view
        .gpus
        .iter()
        .map(|card| format!("{}, {}", number::percent(card.utilisation.mean), number::bytes(card.memory_bytes.max)))
        .collect();
    format!(
        "| `{}`{side} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
        case.replace('|', "\\|"),
        pair(view.running),
        pair(view.waiting),
        or_dash(view.kv_usage.map(|usage| number::percent(usage.max))),
        or_dash(view.preemptions.map(number::plain)),
        or_dash(view.hit_ratio().map(number::percent)),
        or_dash(view.rss_bytes.map(|bytes| number::bytes(bytes.max))),
        or_dash(view.rss_growth_bytes.map(number::bytes)),
        or_dash(view.cpu_cores.map(|cores| format!("{:.2} / {:.2} cores", cores.mean, cores.max))),
        or_dash((!cards.is_empty()).then(|| cards.join("; "))),
    )
}

/// How much memory grew, in a minute and by a request.
pub(crate) fn in_words(growth: &GrowthReport) -> String {
    let size = |value: f64, [low, high]: [f64; 2]| format!("{value:.2} [{low:.2}, {high:.2}]");
    format!(
        "the server's memory grew by {} MiB a minute, {} KiB a request (90 % intervals, {:.0} s under load)",
        size(growth.per_minute_mib, growth.per_minute_mib_ci),
        size(growth.per_request_kib, growth.per_request_kib_ci),
        growth.seconds
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view() -> ServerView {
        let spread = |mean, max| Some(Spread { min: 0.0, mean, max });
        ServerView {
            running: spread(3.96, 5.0),
            waiting: spread(0.04, 1.0),
            kv_usage: spread(0.5, 0.62),
            preemptions: Some(0.0),
            prefix_queries: Some(1000.0),
            prefix_hits: Some(250.0),
            rss_bytes: spread(9e8, 1e9),
            rss_growth_bytes: Some(-4096.0),
            cpu_cores: spread(0.5, 1.25),
            ..ServerView::default()
        }
    }

    fn report(candidate: ServerView) -> ServerReport {
        ServerReport { candidate: Some(candidate), ..ServerReport::default() }
    }

    #[test]
    fn only_what_is_out_of_the_ordinary_is_told() {
        assert_eq!(remark(&report(view())), None);
        assert_eq!(remark(&ServerReport::default()), None);
        let spread = |mean, max| Some(Spread { min: 0.0, mean, max });
        let strained =
            ServerView { preemptions: Some(12.0), waiting: spread(2.25, 9.0), kv_usage: spread(0.8, 0.97), ..view() };
        assert_eq!(
            remark(&ServerReport { reference: Some(view()), ..report(strained) }).unwrap(),
            "server: 12 preemptions, 2.3 requests waited on average, 9 at most, key-value cache up to 97 % full"
        );
    }

    #[test]
    fn a_row_has_what_is_known() {
        assert_eq!(
            row("a|b", " (reference)", &view()),
            "| `a\\|b` (reference) | 4 / 5 | 0 / 1 | 62 % | 0 | 25 % | 953.7 MiB | -4 KiB | 0.50 / 1.25 cores | – |\n"
        );
        assert_eq!(row("a", "", &ServerView::default()), "| `a` | – | – | – | – | – | – | – | – | – |\n");
    }
}

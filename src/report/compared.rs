//! Two sides that were judged, on the terminal.

use crate::gate::{Mode, Verdict};
use crate::interop::Comparison;
use crate::report::CaseReport;
use crate::report::lines::wrapped;
use crate::report::number;
use crate::report::text::body;

/// The verdict table of a comparison, and what explains verdicts that do not hold.
pub fn comparison_table(comparison: &Comparison, verbose: bool) -> String {
    let mut lines = vec![
        "tokpace compare · A is the reference, B is judged".to_owned(),
        wrapped("A: ", "   ", &comparison.a),
        wrapped("B: ", "   ", &comparison.b),
    ];
    lines.extend(body(&comparison.cases, verbose));
    lines.extend(comparison.notes.iter().map(|note| wrapped("note: ", "  ", note)));
    for case in &comparison.cases {
        let told = told(case, verbose);
        if !told.is_empty() {
            lines.push(format!("\n{}", case.case));
            lines.extend(told);
        }
    }
    lines.join("\n") + "\n"
}

fn told(case: &CaseReport, verbose: bool) -> Vec<String> {
    let item = |label: &str, text: &str| wrapped(&format!("  {label}"), "    ", text);
    let mut lines: Vec<String> =
        case.differences.iter().map(|difference| item("not comparable: ", difference)).collect();
    let reference = case.reference.iter().flat_map(|reference| &reference.differences);
    lines.extend(reference.map(|difference| item("differs: ", difference)));
    for check in case.checks.iter().filter(|check| !check.judged.verdict.holds() && !check.judged.advisory) {
        let value = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| number::value(value, &check.unit));
        let judged = &check.judged;
        let mut text = format!("A {}, B {}", value(check.reference), value(check.value));
        if let Some(reason) = judged.reason.as_ref().filter(|_| case.differences.is_empty()) {
            text.push_str("; ");
            text.push_str(reason);
        }
        lines.push(item(&format!("{}: ", judged.metric), &text));
    }
    if verbose || !case.verdict.holds() {
        lines.push(item("judged as: ", how(case.mode)));
    }
    lines.extend(case.notes.iter().map(|note| item("note: ", note)));
    if case.verdict != Verdict::Pass {
        lines.extend(case.hints.iter().map(|hint| item("hint: ", hint)));
    }
    lines
}

const fn how(mode: Mode) -> &'static str {
    match mode {
        Mode::Paired => "pairs, since A and B were measured in turn",
        Mode::Stored => "jobs, since A and B were not measured in turn: noise from job to job is assumed",
    }
}

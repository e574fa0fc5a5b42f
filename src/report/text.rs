//! The verdict table on the terminal, 80 columns wide.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::report::number;
use crate::report::verdict_text::{change, word};
use crate::report::{CaseReport, CheckReport, RunReport};

const WIDTH: usize = 80;

/// The table of a run. Advisory checks are shown with `verbose` or when they do not hold.
pub fn table(run: &RunReport, verbose: bool) -> String {
    let mut text = String::new();
    let trials: u32 = run.cases.iter().map(|case| case.pairs_used).sum();
    let _ = writeln!(
        text,
        "tokpace · profile {} · {} · {} · {:.0} s measured",
        run.run.profile,
        number::count(run.cases.len() as u64, "case"),
        number::count(u64::from(trials), "trial"),
        run.run.measured_seconds
    );
    text.push_str(&"─".repeat(WIDTH));
    text.push('\n');
    for case in &run.cases {
        let verdict =
            if case.verdict.holds() { case.verdict.name().to_owned() } else { case.verdict.name().to_uppercase() };
        let about = number::count(u64::from(case.pairs_used), "trial");
        let width = WIDTH - 14 - about.chars().count();
        let _ = writeln!(text, "{:<width$}{about} {verdict:>13}", clipped(&case.case, width - 1));
        for check in case.checks.iter().filter(|check| shown(check, verbose)) {
            text.push_str(&row(check));
            text.push('\n');
        }
        if let Some(first) = case.invalid.first().filter(|_| case.verdict == Verdict::Invalid) {
            let _ = writeln!(text, "  {}", clipped(first.reasons.first().map_or("", |r| r), WIDTH - 2));
        }
    }
    text.push_str(&"─".repeat(WIDTH));
    text.push('\n');
    text.push_str(&summary(&run.cases));
    text
}

fn shown(check: &CheckReport, verbose: bool) -> bool {
    verbose || !check.judged.advisory || !check.judged.verdict.holds()
}

fn row(check: &CheckReport) -> String {
    let value = check.value.map_or_else(|| "–".to_owned(), |value| number::value(value, &check.unit));
    let limit = match (check.tolerance, check.higher_is_better) {
        (None, _) => check.limit.clone(),
        (Some(tolerance), higher) => {
            let sign = if higher { '-' } else { '+' };
            let unit = if check.unit.is_empty() { "pp" } else { "%" };
            format!("{sign}{}{unit}", (tolerance * 1e4).round() / 1e2)
        }
    };
    let change = change(check).unwrap_or_default();
    let word = if check.judged.advisory { format!("({})", check.judged.verdict) } else { word(check) };
    // "improved" needs eight places, "INCONCLUSIVE" twelve: the change column gives way first.
    format!("  {:<19}{value:>12}  {change:<21}{limit:>9} {word:>14}", clipped(&check.judged.metric, 18))
}

fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(width.saturating_sub(1)).collect();
    clipped.push('…');
    clipped
}

/// `7 cases: 5 pass, 1 improved, 1 REGRESSED (chatbot)`.
fn summary(cases: &[CaseReport]) -> String {
    let mut parts = Vec::new();
    for verdict in [
        Verdict::Pass,
        Verdict::Improved,
        Verdict::Unresolved,
        Verdict::Inconclusive,
        Verdict::Missing,
        Verdict::Invalid,
        Verdict::Exceeded,
        Verdict::Regressed,
    ] {
        let names: Vec<&str> =
            cases.iter().filter(|case| case.verdict == verdict).map(|case| case.case.as_str()).collect();
        match (names.len(), verdict.holds()) {
            (0, _) => {}
            (n, true) => parts.push(format!("{n} {verdict}")),
            (n, false) => parts.push(format!("{n} {} ({})", verdict.name().to_uppercase(), names.join(", "))),
        }
    }
    if parts.is_empty() { "nothing was measured\n".into() } else { format!("{}\n", parts.join(", ")) }
}

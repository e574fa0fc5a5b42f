//! The report in short, for a comment on a pull request or a job's summary: verdict first, details folded.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::report::check_text::{change, loud, measured, tolerance, word};
use crate::report::escape::{html, markdown};
use crate::report::number;
use crate::report::{CaseReport, RunReport};

/// Longer texts are refused as comments (65,536 characters); what is beyond is in `report.md`.
const LONGEST: usize = 60_000;

/// The comment. Everything in it that others wrote is escaped.
pub fn comment(run: &RunReport) -> String {
    let failed = run.cases.iter().filter(|case| case.failed.is_some()).count();
    let mut text = format!("### tokpace: {}\n\n", loud(run.verdict));
    let _ = writeln!(
        text,
        "{}, {}, profile {}{}.\n",
        number::count(run.cases.len() as u64, "case"),
        if failed == 0 { "none fails the build".to_owned() } else { format!("**{failed} fail the build**") },
        markdown(&run.run.profile),
        run.run.against.as_ref().map(|name| format!(" against {}", markdown(name))).unwrap_or_default()
    );
    text.push_str("| case | check | change [90 %] | tolerance | verdict |\n|---|---|--:|--:|---|\n");
    let (held, others): (Vec<&CaseReport>, Vec<&CaseReport>) =
        run.cases.iter().partition(|case| case.verdict == Verdict::Pass);
    for case in &others {
        rows(&mut text, case, |check| !check.judged.verdict.holds() || check.judged.verdict == Verdict::Improved);
    }
    for case in &held {
        let _ = writeln!(text, "| {} | {} |  |  | pass |", markdown(&case.case), measured(case));
    }
    for case in others {
        let mut details =
            format!("\n<details><summary>{}: {}</summary>\n\n<pre>", html(&case.case), loud(case.verdict));
        let told: Vec<String> = case.text.lines().map(html).collect();
        let _ = writeln!(details, "{}</pre>\n\n</details>", told.join("\n"));
        if text.len() + details.len() > LONGEST {
            text.push_str("\nThe rest is in `report.md`.\n");
            break;
        }
        text.push_str(&details);
    }
    let _ = writeln!(
        text,
        "\n<sub>run {}, {}; tokpace {}{}</sub>",
        html(&run.run.id),
        html(&run.run.started),
        html(&run.run.tokpace),
        run.run.machine.commit.as_ref().map(|commit| format!(", commit {}", html(commit))).unwrap_or_default()
    );
    text
}

fn rows(text: &mut String, case: &CaseReport, shown: impl Fn(&crate::report::CheckReport) -> bool) {
    let mut first = true;
    for check in case.checks.iter().filter(|check| !check.judged.advisory && shown(check)) {
        let change = change(check).map_or_else(String::new, |change| {
            format!("{} {}", change.size, change.interval.unwrap_or_default()).trim_end().to_owned()
        });
        let name = if first { markdown(&case.case) } else { String::new() };
        let _ = writeln!(
            text,
            "| {name} | `{}` | {change} | {} | **{}** |",
            check.judged.metric,
            tolerance(check).unwrap_or_else(|| markdown(&check.limit)),
            word(check)
        );
        first = false;
    }
    if first {
        let _ = writeln!(text, "| {} |  |  |  | **{}** |", markdown(&case.case), loud(case.verdict));
    }
}

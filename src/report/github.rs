//! Annotations for GitHub's view of a change: a workflow command a check that does not hold, at its line.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::report::check_text::check_line;
use crate::report::escape::{command, property};
use crate::report::{CaseReport, RunReport};

/// A line for each gating check that does not hold, and for each case that has none; errors where the build fails.
/// `folder` is the package's place in the repository, with `/` at its end if it is not the root.
pub fn annotations(run: &RunReport, folder: &str) -> String {
    let mut text = String::new();
    for case in &run.cases {
        let level = match (&case.failed, case.verdict) {
            (Some(_), _) => "error",
            (None, Verdict::Pass) => continue,
            (None, Verdict::Improved) => "notice",
            (None, _) => "warning",
        };
        let guilty = |verdict: Verdict| {
            if case.verdict == Verdict::Improved { verdict == case.verdict } else { !verdict.holds() }
        };
        let mut said = false;
        for check in case.checks.iter().filter(|check| !check.judged.advisory && guilty(check.judged.verdict)) {
            let mut message = check_line(case, check);
            if let Some(reason) = &check.judged.reason {
                let _ = write!(message, "\n{reason}");
            }
            line(&mut text, level, case, folder, check.line, &message);
            said = true;
        }
        if !said {
            line(&mut text, level, case, folder, None, &case.text);
        }
    }
    text
}

fn line(text: &mut String, level: &str, case: &CaseReport, folder: &str, at: Option<u32>, message: &str) {
    let _ = writeln!(
        text,
        "::{level} file={},line={},title={}::{}",
        property(&format!("{folder}{}", case.file)),
        at.unwrap_or(1),
        property(&format!("tokpace: {} {}", case.case, case.verdict)),
        command(message)
    );
}

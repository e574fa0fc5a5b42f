//! `junit.xml`: a suite a run and a test a case, for CI servers.
//!
//! Written by hand: the format is small, and every test target would have to build a library for it.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::report::check_text::check_line;
use crate::report::escape::xml;
use crate::report::{CaseReport, RunReport};

/// The run as JUnit XML. A case that fails the build is a `failure`, one that could not be measured an `error`; what
/// else does not hold is told in `system-out`.
pub fn junit(run: &RunReport) -> String {
    let errors = run.cases.iter().filter(|case| is_error(case)).count();
    let failures = run.cases.iter().filter(|case| case.failed.is_some()).count() - errors;
    let seconds: f64 = run.cases.iter().map(|case| case.seconds).sum();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\"", run.cases.len());
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(text, "<testsuites name=\"tokpace\" {counts} time=\"{seconds:.3}\">");
    let _ = writeln!(
        text,
        "  <testsuite name=\"tokpace {}\" {counts} skipped=\"0\" time=\"{seconds:.3}\" timestamp=\"{}\">",
        xml(&run.run.profile),
        xml(run.run.started.trim_end_matches('Z'))
    );
    for case in &run.cases {
        test(&mut text, case);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

fn is_error(case: &CaseReport) -> bool {
    case.failed.is_some() && case.verdict == Verdict::Invalid
}

fn test(text: &mut String, case: &CaseReport) {
    let _ = writeln!(
        text,
        "    <testcase name=\"{}\" classname=\"{}\" file=\"{}\" time=\"{:.3}\">",
        xml(&case.case),
        xml(&format!("{}.{}", case.profile, case.scenario)),
        xml(&case.file),
        case.seconds
    );
    let _ = writeln!(text, "      <properties>");
    property(text, "verdict", case.verdict.name());
    for check in &case.checks {
        property(text, &check.judged.metric, &check_line(case, check));
    }
    let _ = writeln!(text, "      </properties>");
    if let Some(rule) = &case.failed {
        let tag = if is_error(case) { "error" } else { "failure" };
        let _ = writeln!(
            text,
            "      <{tag} type=\"{}\" message=\"{}\">{}</{tag}>",
            case.verdict.name(),
            xml(rule),
            lines(&case.text)
        );
    } else if case.verdict != Verdict::Pass {
        let _ = writeln!(text, "      <system-out>{}</system-out>", lines(&case.text));
    }
    let _ = writeln!(text, "    </testcase>");
}

fn property(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "        <property name=\"{}\" value=\"{}\"/>", xml(name), xml(value));
}

/// A text of several lines as an element's content, where line breaks may stay as they are.
fn lines(text: &str) -> String {
    text.lines().map(xml).collect::<Vec<_>>().join("\n")
}

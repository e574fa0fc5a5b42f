//! Checks that may regress for a while: `[[waiver]]`.

use std::ops::Range;

use super::file::WaiverFile;
use crate::calendar::Date;
use crate::metric::Metric;
use crate::toml_file::{Document, Problem, Problems, SourceFile, did_you_mean};

/// A check that may regress until a day, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiver {
    /// The case.
    pub case: String,
    /// The metric of the check; every check of the case but `error_rate` if absent.
    pub check: Option<String>,
    /// The profile for which it holds; every profile if absent.
    pub profile: Option<String>,
    /// The last day on which it holds.
    pub until: Date,
    /// Why.
    pub reason: String,
    case_span: Option<Range<usize>>,
    check_span: Option<Range<usize>>,
}

impl Waiver {
    /// Whether it is about this check, on whatever day.
    pub fn covers(&self, profile: &str, case: &str, metric: &str) -> bool {
        // That a server fails is waived by name or not at all.
        let check = self.check.as_deref().map_or(metric != Metric::ErrorRate.name(), |check| check == metric);
        check && self.case == case && self.profile.as_deref().is_none_or(|name| name == profile)
    }

    /// Whether it no longer holds.
    pub fn has_ended(&self, today: Date) -> bool {
        today > self.until
    }
}

/// A case that a waiver can name.
#[derive(Clone, Debug)]
pub struct Known<'a> {
    /// Its name.
    pub case: &'a str,
    /// The metrics of its checks.
    pub checks: Vec<String>,
}

/// The waivers of a file. What is incomplete is reported and left out.
pub(super) fn waivers(
    doc: &Document<'_>,
    files: Vec<WaiverFile>,
    profiles: &[&str],
    problems: &mut Problems,
) -> Vec<Waiver> {
    let read = |(index, file): (usize, WaiverFile)| waiver(doc, &index.to_string(), file, profiles, problems);
    files.into_iter().enumerate().filter_map(read).collect()
}

fn waiver(
    doc: &Document<'_>,
    index: &str,
    file: WaiverFile,
    profiles: &[&str],
    problems: &mut Problems,
) -> Option<Waiver> {
    let span = |key: &str| doc.value_span(&["waiver", index, key]);
    let whole = doc.value_span(&["waiver", index]);
    let mut given = |key: &str, text: Option<String>, example: &str| {
        let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if text.is_none() {
            let problem = Problem::error(format!("a waiver needs a `{key}`")).at(span(key).or(whole.clone()));
            problems.push(problem.hint(format!("write for example `{key} = \"{example}\"`")));
        }
        text
    };
    let case = given("case", file.case, "chatbot");
    let reason = given("reason", file.reason, "larger model, faster build is due in March");
    let until = match file.until {
        Some(toml::Value::Datetime(date)) => Some(date.to_string()),
        Some(toml::Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
        None => None,
    };
    let until = given("until", until, "2026-12-31").and_then(|text| match text.parse::<Date>() {
        Ok(date) => Some(date),
        Err(error) => {
            let message = error.to_string();
            let (what, remedy) = message.split_once("; write ").unwrap_or((&message, "a date"));
            problems.push(Problem::error(format!("`until`: {what}")).at(span("until")).hint(format!("write {remedy}")));
            None
        }
    });
    if let Some(name) = file.profile.as_deref().filter(|name| !profiles.contains(name)) {
        let hint = did_you_mean(name, profiles).unwrap_or_else(|| format!("known profiles: {}", profiles.join(", ")));
        problems.push(Problem::error(format!("there is no profile `{name}`")).at(span("profile")).hint(hint));
    }
    Some(Waiver {
        case: case?,
        check: file.check,
        profile: file.profile,
        until: until?,
        reason: reason?,
        case_span: span("case"),
        check_span: span("check"),
    })
}

/// Holds the waivers of the project file `file`, whose text is `text`, against the cases that there are. Unless the
/// cases are `complete`, one that is not among them may be in a file that could not be read.
///
/// # Errors
/// If a waiver names a case or a check that does not exist: it would waive nothing, and nobody would know.
pub fn check_waivers(
    file: &str,
    text: &str,
    waivers: &[Waiver],
    cases: &[Known<'_>],
    complete: bool,
) -> Result<(), Problems> {
    let mut problems = Problems::new(SourceFile::new(file, text));
    for waiver in waivers {
        let Some(known) = cases.iter().find(|known| known.case == waiver.case) else {
            if complete {
                let names: Vec<&str> = cases.iter().map(|known| known.case).collect();
                let problem = Problem::error(format!("there is no case `{}`", waiver.case));
                problems.push(problem.at(waiver.case_span.clone()).hint(nearest(&waiver.case, &names, "cases")));
            }
            continue;
        };
        if let Some(check) = waiver.check.as_ref().filter(|check| !known.checks.contains(check)) {
            let names: Vec<&str> = known.checks.iter().map(String::as_str).collect();
            let problem = Problem::error(format!("`{}` has no check of `{check}`", waiver.case));
            problems.push(problem.at(waiver.check_span.clone()).hint(nearest(check, &names, "checks")));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn nearest(name: &str, known: &[&str], plural: &str) -> String {
    did_you_mean(name, known).unwrap_or_else(|| format!("known {plural}: {}", known.join(", ")))
}

//! `[soak]`: load for a long time, and memory that must not grow without end.

use super::file::SoakFile;
use super::{Soak, defaults};
use crate::toml_file::{Checker, Problem};

/// The table with its defaults.
pub(super) fn resolve(file: &SoakFile, compares: bool, checker: &mut Checker<'_, '_>) -> Soak {
    let key = checker.doc.key_span(&["soak"]);
    if compares {
        let problem = Problem::error("`[soak]` and `[compare]` do not go together").at(key.clone());
        let problem = problem.context(checker.doc.key_span(&["compare"]), "measured in pairs of short trials");
        checker.problems.push(problem.hint("write a scenario for each"));
    }
    let settle = file.settle.map_or(defaults::SETTLE, |share| share.0);
    if !(0.0..1.0).contains(&settle) {
        let problem = checker.at(&["soak", "settle"], "`soak.settle` must be at least 0% and less than 100%");
        checker.problems.push(problem);
    }
    let span = checker.doc.key_span(&["soak", "rss_growth"]).or(key);
    let line = span.map(|span| checker.problems.line(&span));
    Soak { rss_growth: file.rss_growth.unwrap_or(defaults::RSS_GROWTH), settle, line }
}

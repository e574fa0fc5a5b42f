//! A scenario file's text to its cases.

use super::{Case, expand, validate};
use crate::names;
use crate::toml_file::{Document, Problem, Problems, SourceFile};

/// The cases of a scenario.
///
/// `name` is the scenario's name (its file's stem), `file` the path that is shown to people, `text` the file.
/// The error holds every problem of the file, warnings included; warnings alone are no error, see [`check`].
pub fn load(name: &str, file: &str, text: &str) -> Result<Vec<Case>, Problems> {
    let (cases, problems) = check(name, file, text);
    if problems.has_errors() { Err(problems) } else { Ok(cases) }
}

/// The cases of a scenario with everything that is wrong or doubtful about its file.
///
/// There are no cases if a problem is an error.
pub fn check(name: &str, file: &str, text: &str) -> (Vec<Case>, Problems) {
    let mut problems = Problems::new(SourceFile::new(file, text));
    if let Err(error) = names::check("scenario", name) {
        problems.push(Problem::error(error.message).hint(format!("rename the file: {}", error.hint)));
    }
    let mut cases = Vec::new();
    if let Some(doc) = Document::parse(text, &mut problems) {
        for mut variant in expand::expand(name, doc, &mut problems) {
            let label = validate::Label { case: &variant.name, scenario: name, file };
            cases.extend(validate::case(label, &mut variant.doc, &mut problems));
        }
    }
    problems.sort();
    if problems.has_errors() {
        cases.clear();
    }
    (cases, problems)
}

//! `[matrix]`: one document for each combination of values.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::names;
use crate::toml_file::{Document, Problem, Problems, join_path, show, split_path};

/// Most cases of a scenario: more is a mistake, not a suite.
const MOST_CASES: usize = 1000;

/// Longest file name of a case; file systems end at 255, and extensions follow.
const LONGEST_FILE_NAME: usize = 200;

/// A file with one combination of matrix values in place.
pub(super) struct Variant<'a> {
    /// The case's name.
    pub(super) name: String,
    /// The file without its matrix.
    pub(super) doc: Document<'a>,
}

/// A key of the matrix that can be used.
struct Axis<'a> {
    /// The key as written.
    text: String,
    path: Vec<String>,
    key: Range<usize>,
    values: Vec<Spanned<DeValue<'a>>>,
}

/// The combinations of a file's matrix, the last key fastest; just the file if it has none.
pub(super) fn expand<'a>(scenario: &str, mut doc: Document<'a>, problems: &mut Problems) -> Vec<Variant<'a>> {
    let Some((key, matrix)) = doc.take("matrix") else {
        return vec![Variant { name: scenario.to_owned(), doc }];
    };
    let axes = axes(&key, matrix, &mut doc, problems);
    let cases = axes.iter().try_fold(1_usize, |cases, axis| cases.checked_mul(axis.values.len()));
    if cases.is_none_or(|cases| cases > MOST_CASES) {
        let count = cases.map_or("far too many".to_owned(), |cases| cases.to_string());
        let problem = Problem::error(format!("the matrix has {count} cases; {MOST_CASES} is the most")).at(key);
        problems.push(problem.hint("take values away, or split the scenario"));
        return vec![Variant { name: scenario.to_owned(), doc: with_first(doc, &axes) }];
    }
    let labels = labels(&axes);
    let mut variants = vec![(Vec::new(), doc)];
    for (axis, label) in axes.iter().zip(&labels) {
        let mut next = Vec::with_capacity(variants.len() * axis.values.len());
        for (parts, doc) in variants {
            for value in &axis.values {
                let mut doc = doc.clone();
                if let Err(part) = doc.set(&axis.path, &axis.key, value.clone()) {
                    let part = join_path(part.iter().map(String::as_str));
                    let message = format!("`{}` leads nowhere: `{part}` is not a table", axis.text);
                    problems.push(Problem::error(message).at(axis.key.clone()));
                    doc.remove(&axis.path);
                }
                let mut parts = parts.clone();
                parts.push(format!("{label}={}", show(value.get_ref())));
                next.push((parts, doc));
            }
        }
        variants = next;
    }
    variants
        .into_iter()
        .map(|(parts, doc)| Variant { name: case_name(scenario, &parts, &key, problems), doc })
        .collect()
}

fn case_name(scenario: &str, parts: &[String], key: &Range<usize>, problems: &mut Problems) -> String {
    if parts.is_empty() {
        return scenario.to_owned();
    }
    let name = format!("{scenario}::{}", parts.join(","));
    if names::file_name(&name).len() > LONGEST_FILE_NAME {
        let problem = Problem::error("the matrix makes names that are too long for files").at(key.clone());
        problems.push(problem.hint("use shorter values, or a scenario for each"));
    }
    name
}

/// The keys of the matrix in the order of the file. What is wrong is reported, left out, and counts as removed.
fn axes<'a>(
    key: &Range<usize>,
    matrix: Spanned<DeValue<'a>>,
    doc: &mut Document<'a>,
    problems: &mut Problems,
) -> Vec<Axis<'a>> {
    let DeValue::Table(table) = matrix.into_inner() else {
        let problem = Problem::error("`matrix` must be a table").at(key.clone());
        problems.push(problem.hint("write `\"load.concurrency\" = [1, 4, 16]` below `[matrix]`"));
        return Vec::new();
    };
    let mut axes = Vec::new();
    for (key, value) in table {
        let text = key.get_ref().to_string();
        let (key, span) = (key.span(), value.span());
        let Some(path) = split_path(&text) else {
            let problem = Problem::error(format!("`{}` is not a path of keys", text.escape_debug())).at(key);
            problems.push(problem.hint("write for example `\"load.concurrency\"`"));
            continue;
        };
        let problem = match value.into_inner() {
            DeValue::Array(values) if values.is_empty() => {
                Problem::error(format!("`matrix.\"{text}\"` is an empty list"))
                    .at(span)
                    .hint("write at least one value")
            }
            DeValue::Array(values) if path.len() > 1 || path[0] == "description" => {
                let values: Vec<_> = values.into_iter().collect();
                refuse_repeated(&values, problems);
                axes.push(Axis { text, path, key, values });
                continue;
            }
            DeValue::Table(inner) if !text.contains('.') && !inner.is_empty() => {
                let below = inner.keys().next().map(|key| key.get_ref().to_string()).unwrap_or_default();
                Problem::error(format!("`{text}.{below}` must be in quotes"))
                    .at(key)
                    .label("without quotes this is a table")
                    .hint(format!("write `\"{text}.{below}\" = […]`"))
            }
            DeValue::Array(_) => Problem::error(format!("the matrix cannot set `{text}`"))
                .at(key)
                .hint("name a key with its table, such as `\"load.concurrency\"`"),
            other => Problem::error(format!("`matrix.\"{text}\"` must be a list, not `{}`", show(&other)))
                .at(span)
                .hint(format!("write `\"{text}\" = [{}]`", show(&other))),
        };
        problems.push(problem);
        doc.remove(&path);
    }
    axes.sort_by_key(|axis| axis.key.start);
    axes
}

/// Values that look the same would give two cases one name.
fn refuse_repeated(values: &[Spanned<DeValue<'_>>], problems: &mut Problems) {
    for (index, value) in values.iter().enumerate() {
        let text = show(value.get_ref());
        if let Some(first) = values[..index].iter().find(|first| show(first.get_ref()) == text) {
            let problem = Problem::error(format!("the value `{text}` is there twice, so two cases have one name"))
                .at(value.span())
                .context(Some(first.span()), "the first one");
            problems.push(problem);
        }
    }
}

/// A file that can still be checked for other mistakes.
fn with_first<'a>(mut doc: Document<'a>, axes: &[Axis<'a>]) -> Document<'a> {
    for axis in axes {
        if let Some(value) = axis.values.first()
            && doc.set(&axis.path, &axis.key, value.clone()).is_err()
        {
            doc.remove(&axis.path);
        }
    }
    doc
}

/// What each key is called in names of cases: its last segment, or the whole path where two would look the same.
fn labels(axes: &[Axis<'_>]) -> Vec<String> {
    let last = |axis: &Axis<'_>| axis.path.last().cloned().unwrap_or_default();
    axes.iter()
        .map(|axis| {
            let short = last(axis);
            if axes.iter().filter(|other| last(other) == short).count() > 1 { axis.text.clone() } else { short }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::SourceFile;

    fn expanded(text: &str) -> (Vec<String>, Problems) {
        let mut problems = Problems::new(SourceFile::new("scenarios/s.toml", text));
        let doc = Document::parse(text, &mut problems).expect("the test's text is TOML");
        let names = expand("s", doc, &mut problems).into_iter().map(|variant| variant.name).collect();
        (names, problems)
    }

    #[test]
    fn names_of_cases() {
        for (matrix, names) in [
            ("\"load.concurrency\" = [1, 4]", vec!["s::concurrency=1", "s::concurrency=4"]),
            (
                "\"load.rate\" = [0.5, 1e3]\n\"load.arrival\" = [\"poisson\", { gamma = 0.5 }]",
                vec![
                    "s::rate=0.5,arrival=poisson",
                    "s::rate=0.5,arrival={gamma=0.5}",
                    "s::rate=1e3,arrival=poisson",
                    "s::rate=1e3,arrival={gamma=0.5}",
                ],
            ),
            ("\"a.min\" = [1]\n\"b.min\" = [true]", vec!["s::a.min=1,b.min=true"]),
            ("'gate.\"ttft.p50\"' = [\"<= 1s\"]", vec!["s::ttft.p50=<= 1s"]),
            ("\"request.extra.x\" = [\"a b\", \"é\\n\"]", vec!["s::x=a b", "s::x=é\\n"]),
            ("\"workload.input_tokens\" = [[64, 128]]", vec!["s::input_tokens=[64,128]"]),
        ] {
            let (found, problems) = expanded(&format!("[matrix]\n{matrix}\n"));
            assert!(problems.is_empty(), "{problems}");
            assert_eq!(found, names);
        }
        assert_eq!(expanded("a = 1").0, ["s"]);
        assert_eq!(expanded("[matrix]\n").0, ["s"]);
    }

    #[test]
    fn what_is_no_matrix() {
        for (text, message) in [
            ("matrix = 1", "`matrix` must be a table"),
            ("[matrix]\n\"load.rate\" = []", "`matrix.\"load.rate\"` is an empty list"),
            ("[matrix]\n\"load.rate\" = 5", "`matrix.\"load.rate\"` must be a list, not `5`"),
            ("[matrix]\nload.rate = [5]", "`load.rate` must be in quotes"),
            ("[matrix]\nload = [{ rate = 5 }]", "the matrix cannot set `load`"),
            ("[matrix]\n\"load..rate\" = [5]", "`load..rate` is not a path of keys"),
            ("[matrix]\n\"load.rate\" = [5, 6, 5]", "the value `5` is there twice, so two cases have one name"),
            ("load = 1\n[matrix]\n\"load.rate\" = [5, 6]", "`load.rate` leads nowhere: `load` is not a table"),
        ] {
            let (_, problems) = expanded(text);
            let said: Vec<_> = problems.list().iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(said, [message], "{text}");
        }
    }

    #[test]
    fn too_many_cases() {
        let values = |n: u32| format!("{:?}", (1..=n).collect::<Vec<_>>());
        let text = |a: u32, b: u32| format!("[matrix]\n\"a.x\" = {}\n\"a.y\" = {}\n", values(a), values(b));
        let (names, problems) = expanded(&text(40, 25));
        assert_eq!((names.len(), problems.is_empty()), (1000, true));
        let (_, problems) = expanded(&text(40, 26));
        assert_eq!(problems.list()[0].message, "the matrix has 1040 cases; 1000 is the most");
        let long = format!("[matrix]\n\"a.x\" = [\"{}\"]", "x".repeat(300));
        assert_eq!(expanded(&long).1.list()[0].message, "the matrix makes names that are too long for files");
    }
}

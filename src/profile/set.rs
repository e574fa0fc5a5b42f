//! `--set key=value`: settings from the command line, put into the file before it is decoded.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::toml_file::{Document, Problem, Problems, SourceFile, join_path, split_path};

/// Puts settings into the profile of this name. Their problems show the setting in place of the file.
///
/// `base` is the end of the spans of the file's text.
pub(super) fn apply<'a>(
    profile: &str,
    sets: &'a [String],
    mut base: usize,
    doc: &mut Document<'a>,
    problems: &mut Problems,
) {
    for set in sets {
        // One byte between two texts keeps a span at the end of the first out of the second.
        base += 1;
        problems.add_source(SourceFile { name: "--set".into(), text: set.clone(), base });
        one(profile, set, base, doc, problems);
        base += set.len();
    }
}

fn one<'a>(profile: &str, set: &'a str, base: usize, doc: &mut Document<'a>, problems: &mut Problems) {
    let hint = "write `--set key=value`, such as `--set slowdown.decode=10%`";
    let Some((key, value)) = set.split_once('=') else {
        problems.push(Problem::error("a setting needs a key and a value").at(base..base + set.len()).hint(hint));
        return;
    };
    let key_span = base..base + key.len();
    let Some(segments) = split_path(key) else {
        problems.push(Problem::error(format!("`{key}` is not a path of keys")).at(key_span).hint(hint));
        return;
    };
    let path: Vec<_> = ["profiles", profile].into_iter().map(str::to_owned).chain(segments).collect();
    if let Err(part) = doc.set(&path, &key_span, value_of(value, base + key.len() + 1)) {
        let part = join_path(part.iter().map(String::as_str));
        problems.push(Problem::error(format!("`{key}` cannot be set: `{part}` is not a table")).at(key_span));
    }
}

/// A TOML value, or else the text as it stands: nobody quotes `10%` on a command line.
fn value_of(text: &str, base: usize) -> Spanned<DeValue<'_>> {
    match DeValue::parse(text) {
        Ok(value) => shifted(value, base),
        Err(_) => Spanned::new(base..base + text.len(), DeValue::String(text.into())),
    }
}

/// The value with all its spans moved by `base`.
fn shifted<'a>(value: Spanned<DeValue<'a>>, base: usize) -> Spanned<DeValue<'a>> {
    let moved = |span: Range<usize>| span.start + base..span.end + base;
    let span = moved(value.span());
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| shifted(item, base)).collect::<DeArray<'a>>())
        }
        DeValue::Table(table) => {
            let entries = table
                .into_iter()
                .map(|(key, value)| (Spanned::new(moved(key.span()), key.into_inner()), shifted(value, base)));
            DeValue::Table(entries.collect::<DeTable<'a>>())
        }
        other => other,
    };
    Spanned::new(span, value)
}

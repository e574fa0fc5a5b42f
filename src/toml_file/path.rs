//! Paths of keys: as text, and from the place of a mistake.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// `gate."ttft.p50"`: segments that are no bare keys are quoted.
pub(crate) fn join_path<'s>(path: impl IntoIterator<Item = &'s str>) -> String {
    let bare = |segment: &str| {
        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    let segments = path.into_iter().map(|segment| {
        if bare(segment) { Cow::Borrowed(segment) } else { Cow::Owned(format!("\"{}\"", segment.escape_debug())) }
    });
    segments.collect::<Vec<_>>().join(".")
}

/// The segments of `load.concurrency` or `gate."ttft.p50"`; `None` if one is empty or a quote is not closed.
pub(crate) fn split_path(text: &str) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    let mut rest = text.trim();
    loop {
        let segment = if let Some(quoted) = rest.strip_prefix('"') {
            let (segment, tail) = quoted.split_once('"')?;
            rest = tail;
            segment
        } else {
            let (segment, tail) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
            rest = tail;
            segment.trim()
        };
        if segment.is_empty() {
            return None;
        }
        segments.push(segment.to_owned());
        if rest.is_empty() {
            return Some(segments);
        }
        rest = rest.strip_prefix('.')?;
    }
}

/// A value as it is written in one line without spaces: `4`, `poisson`, `[64,128]`, `{mean=128}`.
pub(crate) fn show(value: &DeValue<'_>) -> String {
    match value {
        // Control characters would break the list of tests.
        DeValue::String(text) => {
            text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
        }
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(items) => {
            format!("[{}]", items.iter().map(|item| show(item.get_ref())).collect::<Vec<_>>().join(","))
        }
        DeValue::Table(table) => {
            let entries = table
                .iter()
                .map(|(key, value)| format!("{}={}", join_path([key.get_ref().as_ref()]), show(value.get_ref())));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

/// The keys from the root to the value that an error is about, joined by dots; of an unknown key, its table's.
///
/// The decoder tells them only in the text that it shows.
pub(super) fn keys_of(error: &toml::de::Error) -> String {
    let shown = error.to_string();
    let keys = shown.trim_end().rsplit_once("\nin `").and_then(|(_, keys)| keys.strip_suffix('`'));
    keys.unwrap_or_default().to_owned()
}

/// The key that an error at `span` below `keys` is about, as a path from `table`.
///
/// Several keys can hold a span: a table's header is the place of each table that it implies.
pub(super) fn locate(table: &DeTable<'_>, span: &Range<usize>, keys: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    collect(table, span, &mut Vec::new(), &mut Vec::new(), &mut found);
    let rank = |(named, path): &(String, Vec<String>)| {
        // The value itself, else an unknown key of the table, else the innermost key.
        let parent = named.rsplit_once('.').map_or("", |(parent, _)| parent);
        (named == keys, parent == keys, path.len())
    };
    found.into_iter().max_by_key(rank).map(|(_, path)| path)
}

/// Every key below `table` whose key or value holds `span`: its dotted keys, and its path with indices of lists.
fn collect(
    table: &DeTable<'_>,
    span: &Range<usize>,
    keys: &mut Vec<String>,
    path: &mut Vec<String>,
    found: &mut Vec<(String, Vec<String>)>,
) {
    let holds = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    for (key, value) in table {
        keys.push(key.get_ref().to_string());
        path.push(key.get_ref().to_string());
        if holds(key.span()) || holds(value.span()) {
            found.push((keys.join("."), path.clone()));
        }
        match value.get_ref() {
            DeValue::Table(inner) => collect(inner, span, keys, path, found),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let DeValue::Table(inner) = item.get_ref() {
                        path.push(index.to_string());
                        collect(inner, span, keys, path, found);
                        path.pop();
                    }
                }
            }
            _ => {}
        }
        keys.pop();
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_quote_what_is_not_bare() {
        assert_eq!(join_path(["gate", "ttft.p50"]), "gate.\"ttft.p50\"");
        assert_eq!(join_path(["a", ""]), "a.\"\"");
    }

    #[test]
    fn paths_split_at_dots_outside_quotes() {
        let split = |text: &str| split_path(text).map(|segments| segments.join("|"));
        assert_eq!(split("load.rate").as_deref(), Some("load|rate"));
        assert_eq!(split(" gate.\"ttft.p50\" ").as_deref(), Some("gate|ttft.p50"));
        for text in ["", ".", "a.", "a..b", "\"a", "\"\"", "\"a\"b"] {
            assert_eq!(split(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn paths_round_trip(path in proptest::collection::vec("[a-z. -]{1,4}", 1..4)) {
            let joined = join_path(path.iter().map(String::as_str));
            proptest::prop_assert_eq!(split_path(&joined), Some(path));
        }
    }
}

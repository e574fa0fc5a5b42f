//! A parsed TOML file that is decoded piece by piece, so that one mistake does not hide the next.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::path::{join_path, keys_of, locate};
use super::{Problem, Problems, message};
use crate::erased;

/// A table with the spans of its keys and values.
///
/// What cannot be decoded is reported and removed. What depends on an absent key asks [`Document::intact`] first,
/// so that a key which is there but wrong is not called absent as well.
#[derive(Clone, Debug)]
pub(crate) struct Document<'a> {
    table: DeTable<'a>,
    span: Range<usize>,
    prefix: Vec<String>,
    removed: Vec<Vec<String>>,
}

impl<'a> Document<'a> {
    /// Parses a whole file. Syntax errors are reported, the first of each line; then there is no document.
    pub(crate) fn parse(text: &'a str, problems: &mut Problems) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut lines = Vec::new();
        for error in &errors {
            // The parser recovers at the next line; what it says about the rest of a broken line follows from the break.
            let line = error.span().map(|span| problems.line(&span));
            if line.is_none() || !lines.contains(&line) {
                problems.push(Problem::error(lowercase(error.message())).at(error.span()));
            }
            lines.push(line);
        }
        let span = table.span();
        errors.is_empty().then(|| Self { table: table.into_inner(), span, prefix: Vec::new(), removed: Vec::new() })
    }

    /// The table at `key` as a document of its own, whose keys are still named in full; `None` if it is no table.
    pub(crate) fn child(&self, key: &str) -> Option<Self> {
        let value = self.table.get(key)?;
        let DeValue::Table(table) = value.get_ref() else { return None };
        let prefix = self.prefix.iter().cloned().chain([key.to_owned()]).collect();
        Some(Self { table: table.clone(), span: value.span(), prefix, removed: Vec::new() })
    }

    /// The keys of the document in the order of the file.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.table.keys().collect();
        keys.sort_by_key(|key| key.span().start);
        keys.into_iter().map(|key| key.get_ref().to_string()).collect()
    }

    /// Where the document's table is.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where the key at `path` is. Elements of lists are numbered from 0 and have no key.
    pub(crate) fn key_span(&self, path: &[&str]) -> Option<Range<usize>> {
        let (last, parents) = path.split_last()?;
        Some(self.table_at(parents)?.get_key_value(*last)?.0.span())
    }

    /// Where the value at `path` is.
    pub(crate) fn value_span(&self, path: &[&str]) -> Option<Range<usize>> {
        Some(self.value(path)?.span())
    }

    /// The value at `path`.
    pub(crate) fn value(&self, path: &[&str]) -> Option<&Spanned<DeValue<'a>>> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.table.get(*first)?, |value, key| match value.get_ref() {
            DeValue::Table(table) => table.get(*key),
            DeValue::Array(items) => items.get(key.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// The full dotted name of `path`.
    pub(crate) fn name(&self, path: &[&str]) -> String {
        join_path(self.prefix.iter().map(String::as_str).chain(path.iter().copied()))
    }

    /// Whether nothing was removed at or below `path`: only then an absent key is the author's omission.
    pub(crate) fn intact(&self, path: &[&str]) -> bool {
        // A removal *above* the path takes the path with it.
        !self.removed.iter().any(|gone| gone.iter().zip(path).all(|(a, b)| a == b))
    }

    /// Takes the value at a key of the document out of it, with the key's span.
    pub(crate) fn take(&mut self, key: &str) -> Option<(Range<usize>, Spanned<DeValue<'a>>)> {
        self.table.remove_entry(key).map(|(key, value)| (key.span(), value))
    }

    /// Moves some keys of the document into one of their own.
    pub(crate) fn split(&mut self, keys: &[&str]) -> Self {
        let mut table = DeTable::new();
        for key in keys {
            if let Some((key, value)) = self.table.remove_entry(*key) {
                table.insert(key, value);
            }
        }
        Self { table, span: self.span.clone(), prefix: self.prefix.clone(), removed: Vec::new() }
    }

    /// Adds what `base` has and the document has not. Tables are merged key by key; every key and value keeps its span.
    pub(crate) fn fill_from(&mut self, base: &Self) {
        fill(&mut self.table, &base.table);
        self.removed.extend(base.removed.iter().cloned());
    }

    /// The spans of all keys and values of the document.
    pub(crate) fn spans(&self) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        let mut tables = vec![&self.table];
        while let Some(table) = tables.pop() {
            for (key, value) in table {
                spans.extend([key.span(), value.span()]);
                if let DeValue::Table(inner) = value.get_ref() {
                    tables.push(inner);
                }
            }
        }
        spans
    }

    /// Removes what is at `path` and remembers that.
    pub(crate) fn remove(&mut self, path: &[String]) {
        if let Some((last, parents)) = path.split_last()
            && let Some(table) = descend(&mut self.table, parents)
        {
            table.remove(last.as_str());
        }
        self.removed.push(path.to_vec());
    }

    /// Sets `path` to `value`, creating tables on the way. The keys that it creates have the span `key`.
    ///
    /// The error is the part of the path that is there but is no table.
    pub(crate) fn set(
        &mut self,
        path: &[String],
        key: &Range<usize>,
        value: Spanned<DeValue<'a>>,
    ) -> Result<(), Vec<String>> {
        let Some((last, parents)) = path.split_last() else { return Ok(()) };
        let spanned = |name: &String| Spanned::new(key.clone(), Cow::Owned(name.clone()));
        let mut table = &mut self.table;
        for (depth, parent) in parents.iter().enumerate() {
            if !table.contains_key(parent.as_str()) {
                table.insert(spanned(parent), Spanned::new(key.clone(), DeValue::Table(DeTable::new())));
            }
            table = match table.get_mut(parent.as_str()).map(Spanned::get_mut) {
                Some(DeValue::Table(inner)) => inner,
                _ => return Err(path[..=depth].to_vec()),
            };
        }
        // An insertion alone would keep the old key and its span.
        table.remove(last.as_str());
        table.insert(spanned(last), value);
        Ok(())
    }

    /// Decodes the document. Each thing that does not fit is reported and removed, until the rest fits.
    ///
    /// `known` are keys that `T` does not know of but that a typo may have meant. `None` only if not even an empty
    /// table is a `T`.
    pub(crate) fn decode<T: DeserializeOwned>(&mut self, known: &[&str], problems: &mut Problems) -> Option<T> {
        loop {
            let whole = Spanned::new(self.span.clone(), self.table.clone());
            let error = match erased::deserialize(toml::de::Deserializer::from(whole)) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let culprit = error.span().and_then(|span| locate(&self.table, &span, &keys_of(&error)));
            let path: Vec<&str> = culprit.iter().flatten().map(String::as_str).collect();
            problems.push(message::problem(error.message(), &self.name(&path), known).at(error.span()));
            self.remove(&culprit?);
        }
    }

    fn table_at(&self, path: &[&str]) -> Option<&DeTable<'a>> {
        if path.is_empty() {
            return Some(&self.table);
        }
        match self.value(path)?.get_ref() {
            DeValue::Table(table) => Some(table),
            _ => None,
        }
    }
}

fn fill<'a>(table: &mut DeTable<'a>, base: &DeTable<'a>) {
    for (key, value) in base {
        match (table.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
            (None, _) => {
                table.insert(key.clone(), value.clone());
            }
            (Some(DeValue::Table(own)), DeValue::Table(inner)) => fill(own, inner),
            (Some(_), _) => {}
        }
    }
}

fn descend<'t, 'a>(table: &'t mut DeTable<'a>, path: &[String]) -> Option<&'t mut DeTable<'a>> {
    let Some((first, rest)) = path.split_first() else { return Some(table) };
    let mut value = table.get_mut(first.as_str())?.get_mut();
    let mut rest = rest;
    loop {
        match value {
            DeValue::Table(inner) => return descend(inner, rest),
            DeValue::Array(items) => {
                let (index, deeper) = rest.split_first()?;
                value = items.get_mut(index.parse::<usize>().ok()?)?.get_mut();
                rest = deeper;
            }
            _ => return None,
        }
    }
}

fn lowercase(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::toml_file::{SourceFile, show};

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct File {
        name: String,
        inner: Inner,
        list: Vec<Inner>,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Inner {
        number: u32,
        flag: bool,
    }

    fn decode(text: &str) -> (Option<File>, Problems) {
        let mut problems = Problems::new(SourceFile::new("x.toml", text));
        let file = Document::parse(text, &mut problems).and_then(|mut doc| doc.decode(&["extra"], &mut problems));
        problems.sort();
        (file, problems)
    }

    #[test]
    fn every_mistake_is_found_and_the_rest_is_read() {
        let (file, problems) = decode(
            "nmae = 1\nname = \"x\"\nextr = 2\n[inner]\nnumber = \"ten\"\nflag = true\nflog = 1\n\
             [[list]]\nnumber = 3\n[[list]]\nnumber = -1\n",
        );
        let said: Vec<_> = problems.list().iter().map(|p| (p.message.as_str(), p.hints.join(" "))).collect();
        assert_eq!(
            said,
            [
                ("unknown key `nmae`", "did you mean `name`?".to_owned()),
                ("unknown key `extr`", "did you mean `extra`?".to_owned()),
                ("`inner.number` must be a whole number of at least 0, not the text `ten`", String::new()),
                ("unknown key `flog`", "did you mean `flag`?".to_owned()),
                ("`list.1.number` must be a whole number of at least 0, not the number `-1`", String::new()),
            ]
        );
        let inner = Inner { number: 0, flag: true };
        let list = vec![Inner { number: 3, flag: false }, Inner::default()];
        assert_eq!(file, Some(File { name: "x".into(), inner, list }));
    }

    #[test]
    fn a_list_with_a_wrong_element_goes_as_a_whole() {
        let (file, problems) = decode("list = [{ number = 1 }, 5]\n");
        assert_eq!(problems.list().len(), 1);
        assert_eq!(problems.list()[0].span, Some(24..25));
        assert_eq!(file.unwrap().list, []);
    }

    #[test]
    fn a_table_where_none_belongs_is_said_once() {
        for (text, message) in [
            ("[name.x]", "`name` must be a text in quotes, not a table"),
            ("[name.x.y]\nz = 1", "`name` must be a text in quotes, not a table"),
            ("[inner.number]", "`inner.number` must be a whole number of at least 0, not a table"),
            ("inner.number.x = 1", "`inner.number` must be a whole number of at least 0, not a table"),
            ("[iner.number]", "unknown key `iner`"),
            ("[inner.nmber]", "unknown key `nmber`"),
        ] {
            let (_, problems) = decode(text);
            let said: Vec<_> = problems.list().iter().map(|p| p.message.as_str()).collect();
            assert_eq!(said, [message], "{text}");
        }
    }

    #[test]
    fn syntax_errors_stop_there_and_are_said_once_a_line() {
        let (file, problems) = decode("name = \nlist = [1,\ninner = { number = 1 }\n = 5");
        assert_eq!(file, None);
        assert!(!problems.is_empty());
        let lines: Vec<_> = problems.list().iter().map(|p| problems.line(p.span.as_ref().unwrap())).collect();
        let mut unique = lines.clone();
        unique.dedup();
        assert_eq!(lines, unique);
    }

    #[test]
    fn removed_keys_are_not_absent() {
        let text = "[inner]\nnumber = \"ten\"\n";
        let mut problems = Problems::new(SourceFile::new("x.toml", text));
        let mut doc = Document::parse(text, &mut problems).unwrap();
        doc.decode::<File>(&[], &mut problems).unwrap();
        assert!(!doc.intact(&["inner", "number"]));
        assert!(!doc.intact(&["inner"]));
        assert!(doc.intact(&["inner", "flag"]));
        assert!(doc.intact(&["name"]));
    }

    #[test]
    fn values_are_set_at_paths() {
        let text = "a = 1\n[b]\nc = 2\n";
        let mut problems = Problems::new(SourceFile::new("x.toml", text));
        let mut doc = Document::parse(text, &mut problems).unwrap();
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let value = || Spanned::new(90..91, DeValue::Boolean(true));
        doc.set(&path("b.c"), &(80..85), value()).unwrap();
        doc.set(&path("b.d.e"), &(80..85), value()).unwrap();
        assert_eq!(doc.set(&path("a.x.y"), &(80..85), value()), Err(path("a")));
        assert_eq!(doc.key_span(&["b", "c"]), Some(80..85));
        assert_eq!(doc.value_span(&["b", "d", "e"]), Some(90..91));
        assert_eq!(show(doc.value(&["b"]).unwrap().get_ref()), "{c=true,d={e=true}}");
    }

    #[test]
    fn a_document_is_filled_from_another() {
        let text = "[base]\na = 1\nb = { x = 1, y = { z = 1 } }\nc = { x = 1 }\n[own]\nb = { y = { w = 2 } }\nc = 2\n";
        let mut problems = Problems::new(SourceFile::new("x.toml", text));
        let doc = Document::parse(text, &mut problems).unwrap();
        let (base, mut own) = (doc.child("base").unwrap(), doc.child("own").unwrap());
        let spans = own.spans();
        assert_eq!(spans.len(), 8, "{spans:?}");
        own.fill_from(&base);
        assert_eq!(show(&DeValue::Table(own.table.clone())), "{a=1,b={x=1,y={w=2,z=1}},c=2}");
        let text_at = |path: &[&str]| &text[own.value_span(path).unwrap()];
        assert_eq!((text_at(&["b", "y", "w"]), text_at(&["b", "y", "z"]), text_at(&["c"])), ("2", "1", "2"));
        assert!(spans.contains(&own.key_span(&["b", "y", "w"]).unwrap()));
        assert!(!spans.contains(&own.key_span(&["b", "y", "z"]).unwrap()));
        assert_eq!(own.name(&["b"]), "own.b");
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[a-z\\[\\]{}=\"'.,# \\n0-9é]{0,60}") {
            let (_, problems) = decode(&text);
            let _ = problems.render(false);
        }
    }
}

//! Checks that scenarios and profiles share: what a type cannot say.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Document, Problem, Problems};
use crate::units::Time;

/// Keys of a request's body that the program sets itself.
const OWN_BODY_KEYS: [&str; 6] = ["model", "messages", "prompt", "inputs", "input", "stream"];

/// A document that is checked, with the place where its problems go.
pub(crate) struct Checker<'c, 'a> {
    /// The decoded file.
    pub(crate) doc: &'c Document<'a>,
    /// Every problem so far.
    pub(crate) problems: &'c mut Problems,
}

impl Checker<'_, '_> {
    /// A problem with the value at `path`, to be pushed by the caller.
    pub(crate) fn at(&self, path: &[&str], message: impl Into<String>) -> Problem {
        Problem::error(message).at(self.doc.value_span(path))
    }

    /// Reports that the table at `path` lacks something, unless a part of it could not be read.
    pub(crate) fn absent(&mut self, path: &[&str], message: &str, hint: &str) {
        if self.doc.intact(path) {
            let span = self.doc.value_span(path);
            self.problems.push(Problem::error(message).at(span).hint(hint));
        }
    }

    /// Reports a number that must be at least 1.
    pub(crate) fn positive(&mut self, path: &[&str], value: Option<u32>) {
        if value == Some(0) {
            let name = self.doc.name(path);
            self.problems.push(self.at(path, format!("`{name}` must be at least 1")));
        }
    }

    /// Reports a number that must be above 0 and finite.
    pub(crate) fn above_zero(&mut self, path: &[&str], value: Option<f64>) {
        if value.is_some_and(|value| !(value.is_finite() && value > 0.0)) {
            let name = self.doc.name(path);
            self.problems.push(self.at(path, format!("`{name}` must be above 0")));
        }
    }

    /// Reports a time that must be above 0.
    pub(crate) fn some_time(&mut self, path: &[&str], value: Option<Time>) {
        if value == Some(Time(0)) {
            let name = self.doc.name(path);
            self.problems.push(self.at(path, format!("`{name}` must be longer than 0")));
        }
    }

    /// A free-form table at `path` that is merged into a request's body, as JSON.
    ///
    /// What the program itself puts there, and what JSON cannot hold, is reported.
    pub(crate) fn request_body(
        &mut self,
        path: &[&str],
        table: &BTreeMap<String, toml::Value>,
    ) -> BTreeMap<String, serde_json::Value> {
        for key in OWN_BODY_KEYS.iter().filter(|key| table.contains_key(**key)) {
            let span = self.doc.key_span(&[path, &[*key]].concat());
            let problem = Problem::error(format!("`{}` cannot set `{key}`", self.doc.name(path))).at(span);
            self.problems.push(problem.hint(match *key {
                "stream" => "the scenario's `[request]` says `stream = true` or `false`",
                "model" => "write `model = \"…\"` in the profile, in `tokpace.toml`",
                _ => "the scenario's `[workload]` says what is sent",
            }));
        }
        let mut body = BTreeMap::new();
        for (key, value) in table {
            match json(value) {
                Ok(value) => {
                    body.insert(key.clone(), value);
                }
                Err(why) => {
                    let path = [path, &[key.as_str()]].concat();
                    let problem = self.at(&path, format!("`{}` cannot be sent: {why}", self.doc.name(&path)));
                    self.problems.push(problem);
                }
            }
        }
        body
    }
}

/// The error says why JSON cannot hold the value.
fn json(value: &toml::Value) -> Result<Value, &'static str> {
    Ok(match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number).ok_or("JSON has no such number")?.into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => Value::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => Value::Object(
            table.iter().map(|(key, value)| json(value).map(|value| (key.clone(), value))).collect::<Result<_, _>>()?,
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toml_file::SourceFile;

    fn body(text: &str) -> (BTreeMap<String, Value>, Vec<String>) {
        let mut problems = Problems::new(SourceFile::new("x.toml", text));
        let mut doc = Document::parse(text, &mut problems).expect("the test's text is TOML");
        let table = doc.decode(&[], &mut problems).expect("any table fits");
        let body = Checker { doc: &doc, problems: &mut problems }.request_body(&[], &table);
        (body, problems.list().iter().map(|problem| problem.message.clone()).collect())
    }

    #[test]
    fn toml_becomes_json() {
        let (body, problems) = body("a = [1, 2.5, true, \"x\"]\nb = { c = 2026-01-01 }");
        assert_eq!(serde_json::to_string(&body).unwrap(), r#"{"a":[1,2.5,true,"x"],"b":{"c":"2026-01-01"}}"#);
        assert!(problems.is_empty());
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let (body, problems) = body("a = 1\nb = [nan]\nstream = true");
        assert_eq!(body["a"], 1);
        assert_eq!(problems, ["`` cannot set `stream`", "`b` cannot be sent: JSON has no such number"]);
    }
}

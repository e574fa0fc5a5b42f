//! Environment variables and `.env`, and `${NAME}` in the strings of `tokpace.toml`. Pure: text in, text out.

use std::collections::BTreeMap;
use std::fmt;

/// Variables by name: those of the process, then those of `.env`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    values: BTreeMap<String, String>,
}

/// A variable that is not set, or a text that is not understood. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EnvError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl EnvError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl Environment {
    /// Variables of the process and the text of a `.env` file, empty if there is none. The process wins.
    ///
    /// The error names the line of `.env` that is not understood.
    pub fn new(process: impl IntoIterator<Item = (String, String)>, dotenv: &str) -> Result<Self, EnvError> {
        let mut values = BTreeMap::new();
        for (index, line) in dotenv.trim_start_matches('\u{feff}').lines().enumerate() {
            if let Some((name, value)) = assignment(line)
                .map_err(|(what, hint)| EnvError::new(format!("line {} of `.env` {what}", index + 1), hint))?
            {
                values.insert(name, value);
            }
        }
        values.extend(process);
        Ok(Self { values })
    }

    /// With further variables, which take the place of those of the same name.
    #[must_use]
    pub fn with(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.values.extend(variables);
        self
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Every variable with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `text` with each `${NAME}` replaced by the variable's value, and each `${NAME:-default}` by the default
    /// if the variable is not set or empty. A `$` without a brace stays.
    pub fn expand(&self, text: &str) -> Result<String, EnvError> {
        let mut out = String::with_capacity(text.len());
        for piece in pieces(text) {
            out.push_str(match piece? {
                Piece::Text(text) => text,
                Piece::Variable { name, default } => match (self.get(name), default) {
                    (Some(value), None) => value,
                    (Some(value), Some(_)) if !value.is_empty() => value,
                    (_, Some(default)) => default,
                    (None, None) => {
                        return Err(EnvError::new(
                            format!("the environment variable `{name}` is not set"),
                            format!("set it, put it into `.env`, or give a default: `${{{name}:-…}}`"),
                        ));
                    }
                },
            });
        }
        Ok(out)
    }

    /// The values that [`Self::expand`] puts into `text`, defaults excluded.
    pub fn expanded_values(&self, text: &str) -> Vec<&str> {
        let variables = pieces(text).map_while(Result::ok).filter_map(|piece| match piece {
            Piece::Variable { name, .. } => self.get(name),
            Piece::Text(_) => None,
        });
        variables.collect()
    }
}

impl fmt::Debug for Environment {
    /// Names only: values can be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// Whether `name` can be the name of a variable: ASCII letters, digits and `_`, no digit in front.
pub fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

enum Piece<'t> {
    Text(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
}

/// The parts of a text with `${NAME}`. Ends after the first error.
fn pieces(text: &str) -> impl Iterator<Item = Result<Piece<'_>, EnvError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(inside) = rest.strip_prefix("${") else {
            let (head, tail) = rest.split_at(rest.find("${").unwrap_or(rest.len()));
            rest = tail;
            return Some(Ok(Piece::Text(head)));
        };
        let Some((inside, tail)) = inside.split_once('}') else {
            rest = "";
            return Some(Err(EnvError::new("`${` without `}`", "write `${NAME}` or `${NAME:-default}`")));
        };
        rest = tail;
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_variable_name(name) {
            rest = "";
            return Some(Err(EnvError::new(
                format!("`{}` is not the name of an environment variable", name.escape_debug()),
                "write `${NAME}` or `${NAME:-default}`",
            )));
        }
        Some(Ok(Piece::Variable { name, default }))
    })
}

/// A line of `.env`: `NAME=value`, with or without `export`; `None` for an empty line or a comment.
///
/// The error is what is wrong with the line and what to do; it never holds a part of the line.
fn assignment(line: &str) -> Result<Option<(String, String)>, (&'static str, &'static str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=').ok_or(("has no `=`", "write `NAME=value`"))?;
    let name = name.trim_end();
    if !is_variable_name(name) {
        return Err(("does not start with the name of a variable", "write `NAME=value`"));
    }
    let value = value.trim_start();
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(&value[1..], quote)?,
        // A `#` inside a word belongs to it, as in a URL's fragment.
        _ if value.starts_with('#') => String::new(),
        _ => value.split_once(" #").map_or(value, |(value, _)| value).trim_end().to_owned(),
    };
    Ok(Some((name.to_owned(), value)))
}

/// What stands before the closing quote; escapes mean something inside double quotes only.
fn quoted(text: &str, quote: char) -> Result<String, (&'static str, &'static str)> {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == quote {
            let tail = chars.as_str().trim_start();
            return if tail.is_empty() || tail.starts_with('#') {
                Ok(out)
            } else {
                Err(("has text after the closing quote", "quote the whole value"))
            };
        }
        if c != '\\' || quote == '\'' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some(other) => out.push(other),
            None => break,
        }
    }
    Err(("has no closing quote", "close the value with the quote that opens it"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn environment(dotenv: &str) -> Environment {
        Environment::new([("HOME".to_owned(), "/home/me".to_owned())], dotenv).unwrap()
    }

    #[test]
    fn the_forms_of_dotenv() {
        let env = environment(
            "\u{feff}# a comment\r\nA=1\n  export B = two words  # and a comment\nC='single # $x \\n'\n\
             D=\"double\\n\\\"quoted\\\"\" # comment\nE=\nF=http://x/#y\nG=# nothing\nHOME=/other\nA=2\n",
        );
        for (name, value) in [
            ("A", "2"),
            ("B", "two words"),
            ("C", "single # $x \\n"),
            ("D", "double\n\"quoted\""),
            ("E", ""),
            ("F", "http://x/#y"),
            ("G", ""),
            ("HOME", "/home/me"),
        ] {
            assert_eq!(env.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn a_broken_line_is_named_without_its_text() {
        for (text, message) in [
            ("A=1\nhunter2", "line 2 of `.env` has no `=`"),
            ("9A=hunter2", "line 1 of `.env` does not start with the name of a variable"),
            ("A=\"hunter2", "line 1 of `.env` has no closing quote"),
            ("A='hunter2'3", "line 1 of `.env` has text after the closing quote"),
        ] {
            let error = Environment::new([], text).unwrap_err();
            assert_eq!(error.message, message);
            assert!(!error.hint.contains("hunter2"));
        }
    }

    #[test]
    fn variables_expand() {
        let env = environment("KEY=k\nEMPTY=");
        for (text, out) in [
            ("no variable", "no variable"),
            ("Bearer ${KEY}!", "Bearer k!"),
            ("${KEY}${HOME}", "k/home/me"),
            ("${NONE:-fall:-back}", "fall:-back"),
            ("${EMPTY:-default}", "default"),
            ("${EMPTY}", ""),
            ("$KEY $$ {KEY} ${NONE:-}", "$KEY $$ {KEY} "),
        ] {
            assert_eq!(env.expand(text).unwrap(), out);
        }
        assert_eq!(env.expanded_values("${KEY} ${NONE:-x} ${HOME}"), ["k", "/home/me"]);
    }

    #[test]
    fn what_does_not_expand_says_why() {
        let error = |text: &str| environment("").expand(text).unwrap_err();
        assert_eq!(error("x ${NONE}").message, "the environment variable `NONE` is not set");
        assert_eq!(error("x ${NONE}").hint, "set it, put it into `.env`, or give a default: `${NONE:-…}`");
        assert_eq!(error("${NONE").message, "`${` without `}`");
        assert_eq!(error("${a b}").message, "`a b` is not the name of an environment variable");
    }

    #[test]
    fn debug_shows_no_value() {
        assert_eq!(format!("{:?}", environment("KEY=hunter2")), r#"{"HOME", "KEY"}"#);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[${}:a-zA-Z_=\"'\\\\# \\n-]{0,40}") {
            if let Ok(env) = Environment::new([], &text) {
                let _ = env.expand(&text);
            }
        }

        #[test]
        fn text_without_variables_stays(text in "[^$]{0,40}") {
            prop_assert_eq!(environment("").expand(&text).unwrap(), text);
        }
    }
}

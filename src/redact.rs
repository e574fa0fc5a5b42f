//! Keeps secrets out of everything that is printed or written.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::environment::Environment;

/// What a secret is replaced by.
pub const REDACTED: &str = "***";

/// Values shorter than this stay: `on`, `1` or `dev` occur everywhere, and replacing them would
/// destroy a report without protecting anything.
const SHORTEST: usize = 4;

/// Words of names whose values are secrets. A word may be longer in front (`apikey`) but not behind (`tokens`).
const SECRET_WORDS: [&str; 5] = ["key", "token", "secret", "password", "passwd"];

/// Knows the secret values of a run and removes them from texts.
///
/// Clones share what they know: a secret that is found out late is hidden by every sink that was opened before.
#[derive(Clone, Default)]
pub struct Redactor {
    /// The values in every form in which they can appear.
    forms: Arc<RwLock<Vec<String>>>,
}

impl Redactor {
    /// Knows every variable that is named like a key, token, secret or password.
    pub fn new(env: &Environment) -> Self {
        let mut redactor = Self::default();
        for (name, value) in env.iter() {
            redactor.add_named(name, value);
        }
        redactor
    }

    /// Adds a secret: an API key, a header's value. Values shorter than 4 bytes are ignored.
    pub fn add(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() < SHORTEST {
            return;
        }
        let json = serde_json::Value::from(secret).to_string();
        // A thread that panicked has left a list of whole texts.
        let mut forms = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        for form in
            [secret.to_owned(), json[1..json.len() - 1].to_owned(), percent(secret, true), percent(secret, false)]
        {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
    }

    /// Every secret in every form, for another process that has to hide them.
    pub(crate) fn known(&self) -> Vec<String> {
        self.forms().clone()
    }

    fn forms(&self) -> RwLockReadGuard<'_, Vec<String>> {
        self.forms.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds `value` if `name` says that it is a secret.
    pub fn add_named(&mut self, name: &str, value: &str) {
        if is_secret_name(name) {
            self.add(value);
        }
    }

    /// Adds the values of the variables that `text` uses as `${NAME}`.
    pub fn add_expanded(&mut self, env: &Environment, text: &str) {
        for value in env.expanded_values(text) {
            self.add(value);
        }
    }

    /// Adds the values of the arguments that are named like secrets: `--api-key=…` or `--api-key …`.
    pub fn add_arguments<S: AsRef<str>>(&mut self, arguments: &[S]) {
        for (index, argument) in arguments.iter().enumerate() {
            let Some(flag) = argument.as_ref().strip_prefix('-') else { continue };
            match flag.split_once('=') {
                Some((name, value)) => self.add_named(name, value),
                None if is_secret_name(flag) => {
                    let value = arguments.get(index + 1).map(AsRef::as_ref);
                    if let Some(value) = value.filter(|value| !value.starts_with('-')) {
                        self.add(value);
                    }
                }
                None => {}
            }
        }
    }

    /// `text` with every secret replaced by `***`: as it is, JSON-escaped, or percent-encoded.
    ///
    /// Secrets that overlap are replaced together, so that no rest of one remains beside the other.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for form in self.forms().iter() {
            let mut from = 0;
            while let Some(at) = text[from..].find(form.as_str()) {
                let start = from + at;
                found.push((start, start + form.len()));
                // One character on, not past the match: a secret can overlap itself.
                from = start + text[start..].chars().next().map_or(1, char::len_utf8);
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_unstable();
        let mut out = String::with_capacity(text.len());
        let mut end = 0;
        for (start, stop) in found {
            if start >= end {
                // Neighbours share their stars.
                if start > end || out.is_empty() {
                    out.push_str(&text[end..start]);
                    out.push_str(REDACTED);
                }
                end = stop;
            }
            end = end.max(stop);
        }
        out.push_str(&text[end..]);
        Cow::Owned(out)
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} forms)", self.forms().len())
    }
}

/// Whether a variable, argument or header of this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.trim_start_matches('-').to_ascii_lowercase().replace('-', "_");
    // `api_key_env` holds the name of a variable.
    name == "authorization"
        || !name.ends_with("_env") && name.split('_').any(|part| SECRET_WORDS.iter().any(|word| part.ends_with(word)))
}

fn percent(text: &str, upper: bool) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else if upper {
            let _ = write!(out, "%{byte:02X}");
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn knowing(secrets: &[&str]) -> Redactor {
        let mut redactor = Redactor::default();
        for secret in secrets {
            redactor.add(secret);
        }
        redactor
    }

    #[test]
    fn secrets_go_in_every_form() {
        let redactor = knowing(&["s3 \"cr\"/é"]);
        for text in ["s3 \"cr\"/é", r#"s3 \"cr\"/é"#, "s3%20%22cr%22%2F%C3%A9", "s3%20%22cr%22%2f%c3%a9"] {
            assert_eq!(redactor.redact(&format!("a {text} b")), "a *** b");
        }
        assert!(matches!(redactor.redact("nothing"), Cow::Borrowed("nothing")));
    }

    #[test]
    fn overlapping_secrets_leave_no_rest() {
        assert_eq!(knowing(&["abcd1234", "1234wxyz"]).redact("_abcd1234wxyz_"), "_***_");
        assert_eq!(knowing(&["abcd", "abcdefgh"]).redact("abcdefgh abcd"), "*** ***");
        assert_eq!(knowing(&["abcabc"]).redact("abcabcabc"), "***");
        assert_eq!(knowing(&["abcd", "efgh"]).redact("abcdefgh"), "***");
    }

    #[test]
    fn clones_learn_what_is_added_later() {
        let mut redactor = Redactor::default();
        let sink = redactor.clone();
        redactor.add("hunter22");
        assert_eq!(sink.redact("hunter22"), "***");
    }

    #[test]
    fn short_values_stay() {
        assert_eq!(knowing(&["abc", ""]).redact("abc"), "abc");
    }

    #[test]
    fn secrets_are_known_by_name() {
        let process = [("API_KEY", "key-1234"), ("HOME", "/home/me"), ("TOKENIZERS_PARALLELISM", "false")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env = Environment::new(process, "URL=http://internal\nHF_TOKEN=hf_5678").unwrap();
        let mut redactor = Redactor::new(&env);
        redactor.add_expanded(&env, "${URL}/v1");
        redactor.add_arguments(&["--api-key", "arg-1111", "--password=arg-2222", "--max-tokens", "2048", "--verbose"]);
        redactor.add_named("Authorization", "Bearer xyz");
        let text = "key-1234 /home/me false http://internal hf_5678 arg-1111 arg-2222 2048 Bearer xyz";
        assert_eq!(redactor.redact(text), "*** /home/me false *** *** *** *** 2048 ***");
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", knowing(&["hunter22"])).contains("hunter22"));
    }

    proptest! {
        #[test]
        fn no_secret_remains(secrets in prop::collection::vec("[ab]{4,6}", 0..4), text in "[abé]{0,60}") {
            let redactor = knowing(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
            let out = redactor.redact(&text);
            for secret in &secrets {
                prop_assert!(!out.contains(secret.as_str()), "{} in {}", secret, out);
            }
        }
    }
}

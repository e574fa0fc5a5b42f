//! What the verbs around baselines share: their surroundings, and how cases are named on the command line.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::CliError;
use crate::baseline::{Acceptance, Author, BaselineError, Pending, PendingEntry, Store, StoreError};
use crate::harness::Upkeep;

/// The surroundings of `review`, `accept`, `reject` and `pending`.
pub struct BaselineContext<'a> {
    /// Where the baselines are.
    pub store: &'a Store,
    /// A path as people read it: relative to the package root where it lies below it.
    pub shown: &'a dyn Fn(&Path) -> String,
    /// Whether somebody sits before a terminal, on both standard input and output.
    pub terminal: bool,
    /// Who accepts.
    pub author: Author,
    /// The time, RFC 3339.
    pub now: String,
    /// The measurements of the latest run, judged; called only where nothing pending fits.
    pub latest: &'a dyn Fn() -> Result<Vec<Pending>, CliError>,
    /// Baselines without a case or beyond their age, and waivers that have ended.
    pub upkeep: &'a dyn Fn() -> Result<Upkeep, CliError>,
}

impl BaselineContext<'_> {
    /// The pending files, of one profile if it is named.
    pub(super) fn waiting(&self, profile: Option<&str>) -> Result<Vec<PendingEntry>, CliError> {
        let entries = self.store.list_pending().map_err(|error| self.failed(error))?.into_iter();
        Ok(entries
            .filter(|entry| profile.is_none_or(|profile| entry.profile == profile))
            .map(|entry| PendingEntry { content: entry.content.map_err(|error| self.near(error)), ..entry })
            .collect())
    }

    /// What is wrong with a file, which is named as people read it.
    pub(super) fn near(&self, error: BaselineError) -> BaselineError {
        let near = |path: PathBuf| PathBuf::from((self.shown)(&path));
        match error {
            BaselineError::Io { action, path, source } => BaselineError::Io { action, path: near(path), source },
            BaselineError::Format { path, source } => BaselineError::Format { path: near(path), source },
            BaselineError::Misplaced { path, what, found, expected } => {
                BaselineError::Misplaced { path: near(path), what, found, expected }
            }
            BaselineError::Name { .. } => error,
        }
    }

    /// The end of a verb that the store refused something.
    pub(super) fn failed(&self, error: impl Into<StoreError>) -> CliError {
        match error.into() {
            StoreError::Baseline(error) => self.near(error).into(),
            error @ StoreError::Accept(_) => error.into(),
        }
    }

    /// The signature under what is accepted now.
    pub(super) fn acceptance(&self, reason: Option<&str>) -> Acceptance {
        Acceptance {
            by: self.author.by.clone(),
            commit: self.author.commit.clone(),
            at: self.now.clone(),
            reason: reason.map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned),
        }
    }
}

/// Whether each item is meant by a word: the one of exactly that name, else all that contain it.
fn matches<'a>(word: &str, names: impl Iterator<Item = &'a str> + Clone) -> Vec<bool> {
    if names.clone().any(|name| name == word) {
        names.map(|name| name == word).collect()
    } else {
        names.map(|name| name.contains(word)).collect()
    }
}

/// Whether each item is meant by some word, and the words that mean none.
pub(super) fn meant<'w, 'a>(
    words: &'w [String],
    names: &(impl Iterator<Item = &'a str> + Clone),
) -> (Vec<bool>, Vec<&'w str>) {
    let mut meant = vec![false; names.clone().count()];
    let mut unknown = Vec::new();
    for word in words {
        let hits = matches(word, names.clone());
        if !hits.contains(&true) {
            unknown.push(word.as_str());
        }
        meant.iter_mut().zip(hits).for_each(|(meant, hit)| *meant |= hit);
    }
    (meant, unknown)
}

/// The error for words that mean no case, with the cases that there are.
pub(super) fn no_match<'a>(words: &[&str], names: impl Iterator<Item = &'a str>) -> CliError {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{}`", printable(word))).collect();
    let mut names: Vec<_> = names.map(|name| format!("`{}`", printable(name))).collect();
    names.sort();
    names.dedup();
    let hint = if names.is_empty() {
        "nothing is pending; measure with `cargo test --test perf`".to_owned()
    } else {
        format!("name one of {}", names.join(", "))
    };
    CliError::usage(format!("no measurement of {} is there", quoted.join(", ")), hint)
}

/// Text from a file or a server, made harmless for a terminal.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        Cow::Owned(text.chars().map(escape).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// `chatbot (embedded)`.
pub(super) fn title(case: &str, profile: &str) -> String {
    format!("{} ({})", printable(case), printable(profile))
}

/// `1 job`, `2 jobs`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A fixture for the tests of the verbs.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A temporary project.
    pub(in crate::cli) struct Project {
        pub(in crate::cli) store: Store,
        pub(in crate::cli) terminal: bool,
        pub(in crate::cli) latest: Vec<Pending>,
        pub(in crate::cli) upkeep: Upkeep,
        /// What is wrong with the project's files, if something is.
        pub(in crate::cli) broken: Option<String>,
        dir: tempfile::TempDir,
    }

    impl Project {
        pub(in crate::cli) fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::new(dir.path().join("baselines"), dir.path().join("lock"));
            Self { store, terminal: false, latest: Vec::new(), upkeep: Upkeep::default(), broken: None, dir }
        }

        /// Runs a verb; gives its result and its output.
        pub(in crate::cli) fn run<T>(
            &self,
            verb: impl FnOnce(&BaselineContext<'_>, &mut Vec<u8>) -> Result<T, CliError>,
        ) -> (Result<T, CliError>, String) {
            let mut out = Vec::new();
            let shown = |path: &Path| path.strip_prefix(self.dir.path()).unwrap_or(path).display().to_string();
            let context = BaselineContext {
                store: &self.store,
                shown: &shown,
                terminal: self.terminal,
                author: Author { by: Some("Jane <jane@x>".into()), commit: Some("abc1234".into()) },
                now: "2026-11-23T08:00:00Z".into(),
                latest: &|| Ok(self.latest.clone()),
                upkeep: &|| match &self.broken {
                    Some(message) => Err(CliError::usage(message.clone(), "mend it")),
                    None => Ok(self.upkeep.clone()),
                },
            };
            let result = verb(&context, &mut out);
            (result, String::from_utf8(out).unwrap())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_name_goes_before_its_relatives() {
        let names = ["batch", "batch::batch=4", "chatbot"];
        assert_eq!(matches("batch", names.into_iter()), [true, false, false]);
        assert_eq!(matches("bat", names.into_iter()), [true, true, false]);
        assert_eq!(matches("=4", names.into_iter()), [false, true, false]);
        assert_eq!(matches("x", names.into_iter()), [false; 3]);
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::{Args, Command};

        use crate::cli::{accept::AcceptArgs, pending::PendingArgs, reject::RejectArgs, review::ReviewArgs};

        PendingArgs::augment_args(Command::new("pending")).debug_assert();
        ReviewArgs::augment_args(Command::new("review")).debug_assert();
        RejectArgs::augment_args(Command::new("reject")).debug_assert();
        let accept = AcceptArgs::augment_args(Command::new("accept"));
        assert!(accept.clone().try_get_matches_from(["accept", "chatbot", "--all"]).is_err());
        assert!(accept.try_get_matches_from(["accept", "a", "b", "--append", "--reason", "noise"]).is_ok());
    }

    #[test]
    fn a_server_cannot_write_on_the_terminal() {
        assert_eq!(printable("1.0\u{1b}[2J\n"), "1.0\\u{1b}[2J\\n");
        assert_eq!(printable("größer"), "größer");
    }
}

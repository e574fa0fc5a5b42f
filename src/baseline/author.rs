//! Who accepts, and at which commit: asked from git, and optional.

use std::path::Path;
use std::process::{Command, Stdio};

/// Who works in a directory, and on which commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Author {
    /// `Jane <jane@example.org>`, or the login name; `None` if neither is known.
    pub by: Option<String>,
    /// The short name of the commit that is checked out; `None` outside a repository.
    pub commit: Option<String>,
}

impl Author {
    /// Asks git in `dir`, and falls back to the login name (`USER` or `USERNAME` of `env`).
    ///
    /// A missing git or repository leaves the fields empty; accepting does not depend on it.
    pub fn detect(dir: &Path, env: impl Fn(&str) -> Option<String>) -> Self {
        let config = |key| git(dir, &["config", key]);
        let by = signature(config("user.name"), config("user.email"))
            .or_else(|| ["USER", "USERNAME"].into_iter().find_map(&env).filter(|name| !name.is_empty()));
        Self { by, commit: git(dir, &["rev-parse", "--short", "HEAD"]) }
    }
}

fn signature(name: Option<String>, email: Option<String>) -> Option<String> {
    match (name, email) {
        (Some(name), Some(email)) => Some(format!("{name} <{email}>")),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}

/// The first line that git answers; `None` if it fails or says nothing.
fn git(dir: &Path, args: &[&str]) -> Option<String> {
    let output =
        Command::new("git").arg("-C").arg(dir).args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let line = answer.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(signature(some("Jane"), some("jane@x")), some("Jane <jane@x>"));
        assert_eq!(signature(None, some("jane@x")), some("jane@x"));
        assert_eq!(signature(None, None), None);
    }

    #[test]
    fn a_repository_knows_its_author_and_commit() {
        let dir = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| git(dir.path(), args);
        if run(&["--version"]).is_none() {
            return;
        }
        run(&["init", "-q"]);
        assert_eq!(Author::detect(dir.path(), |_| None).commit, None, "no commit yet");
        for (key, value) in [("user.name", "Jane"), ("user.email", "jane@x"), ("commit.gpgsign", "false")] {
            run(&["config", key, value]);
        }
        run(&["commit", "-q", "--allow-empty", "--no-verify", "-m", "first"]);
        let author = Author::detect(dir.path(), |_| Some("login".into()));
        assert_eq!(author.by.as_deref(), Some("Jane <jane@x>"));
        let commit = author.commit.unwrap();
        assert!(commit.len() >= 4 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{commit}");
    }

    #[test]
    fn a_directory_that_is_not_there_has_no_commit() {
        let dir = tempfile::tempdir().unwrap();
        let author = Author::detect(&dir.path().join("gone"), |name| (name == "USER").then(|| "login".to_owned()));
        assert_eq!(author, Author { by: Some("login".into()), commit: None });
    }
}

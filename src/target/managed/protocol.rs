//! What a run and its supervisor say to each other: a line of JSON in, lines of JSON out.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What the supervisor is to start. It comes through a pipe, so that no secret is seen in a list of processes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) cwd: PathBuf,
    /// Gets what the server prints.
    pub(super) log: PathBuf,
    /// What the log must not hold.
    pub(super) secrets: Vec<String>,
    /// How long the server has to end when it is asked to.
    pub(super) stop_millis: u64,
}

/// What the supervisor tells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum News {
    /// The server runs; the number is its process group's.
    Started(u32),
    /// It could not be started.
    Failed(String),
    /// It has ended, asked or not.
    Ended(Ended),
}

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with a status.
    Status(i32),
    /// By a signal.
    Signal(i32),
    /// Nobody knows: its supervisor has gone.
    Unknown,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(i32, &str); 8] = [
            (1, "SIGHUP"),
            (2, "SIGINT"),
            (3, "SIGQUIT"),
            (4, "SIGILL"),
            (6, "SIGABRT"),
            (9, "SIGKILL"),
            (11, "SIGSEGV"),
            (15, "SIGTERM"),
        ];
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(number) => {
                write!(f, "signal {number}")?;
                match NAMES.iter().find(|(known, _)| known == number) {
                    Some((_, name)) => write!(f, " ({name})"),
                    None => Ok(()),
                }
            }
            Self::Unknown => f.write_str("an unknown status, together with its supervisor"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_in_words() {
        assert_eq!(Ended::Status(1).to_string(), "status 1");
        assert_eq!(Ended::Signal(9).to_string(), "signal 9 (SIGKILL)");
        assert_eq!(Ended::Signal(34).to_string(), "signal 34");
    }

    #[test]
    fn news_are_a_line_each() {
        let lines = [News::Started(7), News::Failed("no\nsuch file".into()), News::Ended(Ended::Signal(9))]
            .map(|news| serde_json::to_string(&news).unwrap());
        assert_eq!(lines, [r#"{"started":7}"#, r#"{"failed":"no\nsuch file"}"#, r#"{"ended":{"signal":9}}"#]);
    }
}

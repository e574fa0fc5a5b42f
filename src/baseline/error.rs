//! What can go wrong with baseline files.

use std::io;
use std::path::PathBuf;

use super::accept::AcceptError;
use super::parse::FormatError;

/// Why a baseline cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The name cannot be part of a path.
    #[error("`{name}` cannot name a {what}")]
    Name {
        /// `profile` or `case`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The file system refused.
    #[error("could not {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `read`, `write`, …
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not a baseline.
    #[error("`{}` cannot be used: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: FormatError,
    },
    /// The file says that it is about something else than its place says.
    #[error("`{}` is about {what} `{found}`, but its place is that of {what} `{expected}`", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
        /// `profile` or `case`.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What its place says.
        expected: String,
    },
}

impl BaselineError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Name { what: "profile", .. } => {
                "use letters, digits, `.`, `_` and `-`, and no leading dot".to_owned()
            }
            Self::Name { .. } => "give the case a name".to_owned(),
            Self::Io { .. } => "check that the folder is writable and the disk not full".to_owned(),
            Self::Format { path, source: FormatError::Corrupt { .. } }
                if path.extension().is_some_and(|e| e == "new") =>
            {
                "reject it with `cargo tokpace reject` and measure again".to_owned()
            }
            Self::Format { source, .. } => source.hint().to_owned(),
            Self::Misplaced { what, .. } => {
                format!(
                    "move the file back, or change its `{what}`; a measurement of one {what} says nothing of another"
                )
            }
        }
    }
}

/// Why nothing was accepted.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// The measurement must not become part of the baseline.
    #[error(transparent)]
    Accept(#[from] AcceptError),
}

impl StoreError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Baseline(error) => error.hint(),
            Self::Accept(error) => error.hint().to_owned(),
        }
    }
}

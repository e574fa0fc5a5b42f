//! Why a verb did not do what it was asked to do.

use std::io;

use crate::baseline::{BaselineError, StoreError};

/// Exit code for wrong usage and unusable files.
pub(super) const USAGE: u8 = 2;

/// The end of a verb that failed. Printing it is left to `main`.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Something to tell the user.
    #[error("{message}")]
    Failed {
        /// Exit code of the program: 1 a gate failed, 2 wrong usage, 3 could not measure.
        exit_code: u8,
        /// What is wrong, without a final period; may have several lines.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Standard output or input failed; a closed pipe is no error of the user's.
    #[error("could not read or write the standard streams: {0}")]
    Stream(#[from] io::Error),
}

impl CliError {
    /// Wrong usage.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Failed { exit_code: USAGE, message: message.into(), hint: Some(hint.into()) }
    }

    /// Exit code of the program. A reader that has seen enough (`| head`) is no failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { exit_code, .. } => *exit_code,
            Self::Stream(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Stream(_) => USAGE,
        }
    }
}

impl From<BaselineError> for CliError {
    fn from(error: BaselineError) -> Self {
        Self::usage(error.to_string(), error.hint())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::usage(error.to_string(), error.hint())
    }
}

//! Why a managed server cannot be measured.

use std::io;

use crate::environment::EnvError;
use crate::units::Time;

use super::Ended;

/// Why a managed server cannot be measured. `tail` is the end of its log, a line behind each line break.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// This system has no process groups.
    #[error("managed servers need unix\nhint: start the server by hand and measure it with `kind = \"endpoint\"`")]
    NoUnix,
    /// A `${NAME}` that is not set.
    #[error("profile `{profile}`: {source}\nhint: {hint}", hint = .source.hint)]
    Environment {
        /// The profile.
        profile: String,
        /// What is not set.
        source: EnvError,
    },
    /// Somebody else has the port.
    #[error(
        "something already answers on port {0}, and it is not the server of this run\nhint: end it, or leave `port` out and pass a free one on with `{{port}}`"
    )]
    Taken(u16),
    /// No port is free.
    #[error("failed to find a free port: {0}\nhint: check that 127.0.0.1 is reachable")]
    NoPort(#[source] io::Error),
    /// The supervisor does not start.
    #[error("failed to start the supervisor of the server: {0}\nhint: check the limits on processes and files")]
    Supervisor(#[source] io::Error),
    /// The program does not start.
    #[error(
        "failed to start `{program}`: {reason}\nhint: check `command` and `cwd` of the profile; a program without a `/` is looked for in `PATH`"
    )]
    NoStart {
        /// The program, as the profile has it.
        program: String,
        /// Why.
        reason: String,
    },
    /// It ended too early.
    #[error("the server exited with {ended} before it was ready{tail}\nhint: {hint}")]
    Early {
        /// How.
        ended: Ended,
        /// What it printed last.
        tail: String,
        /// What to do.
        hint: String,
    },
    /// It takes too long.
    #[error(
        "the server was not ready after {limit}: {last}{tail}\nhint: its whole log is `{log}`; raise `ready_timeout`, or check `ready_path`"
    )]
    NotReady {
        /// The limit.
        limit: Time,
        /// What the last question was answered with.
        last: String,
        /// What it printed last.
        tail: String,
        /// The log.
        log: String,
    },
    /// It did not start before, and nobody waits for it again.
    #[error("{0}")]
    Again(String),
    /// A signal has ended the wait.
    #[error("interrupted before the server was ready\nhint: run it again")]
    Interrupted,
    /// It ended while it was measured.
    #[error("the server ended with {ended} while it was measured{tail}\nhint: {hint}")]
    Ended {
        /// How.
        ended: Ended,
        /// What it printed last.
        tail: String,
        /// What to do.
        hint: String,
    },
}

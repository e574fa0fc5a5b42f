//! `cargo tokpace up`: a managed server for as long as a program runs.

use std::io::Write;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::cli::surroundings::Surroundings;
use crate::cli::{CliError, check};
use crate::harness::{RunFlags, Session};
use crate::profile::ProfileKind;
use crate::target::UP;

/// Arguments of `cargo tokpace up`.
#[derive(Debug, clap::Args)]
pub(super) struct UpArgs {
    /// The program and its arguments, such as `cargo nextest run --test perf`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    run: RunFlags,
}

pub(super) fn up(args: &UpArgs, line: &[String], out: &mut dyn Write) -> Result<u8, CliError> {
    let package = Surroundings::find()?.package;
    let mut session = Session::open(&package, args.run.clone(), line)?;
    if !matches!(session.profile.kind, ProfileKind::Managed(_)) {
        return Err(CliError::usage(
            format!("profile `{}` has no server to start", session.profile_name()),
            "choose a profile of `kind = \"managed\"` with `--profile`",
        ));
    }
    session.listen();
    let (target, place) = session.up().map_err(|error| check::unreachable(&session, &error))?;
    writeln!(out, "profile `{}` is up at {}", session.profile_name(), target.base_url)?;
    out.flush()?;
    let Some((program, arguments)) = args.command.split_first() else { return Ok(2) };
    let variables = [(UP, place.as_str()), ("TOKPACE_PROFILE", session.profile_name())];
    let mut child = Command::new(program).args(arguments).envs(variables).spawn().map_err(|error| {
        CliError::usage(format!("failed to start `{program}`: {error}"), "name a program behind `--`")
    })?;
    let mut told = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if session.stopped().is_some() && !told {
            told = true;
            // It has not heard of a signal that was for this process alone.
            #[cfg(unix)]
            let _ =
                rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM);
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    if let Some(error) = target.ended(Duration::ZERO) {
        return Err(check::unreachable(&session, &error.into()));
    }
    Ok(session.stopped().unwrap_or_else(|| code(status)))
}

/// The program's exit code, as a shell would give it.
fn code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal as u8;
    }
    status.code().map_or(1, |code| code as u8)
}

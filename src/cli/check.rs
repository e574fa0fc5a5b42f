//! `cargo tokpace check`: is the target fit to be measured?

use std::io::Write;

use crate::cli::CliError;
use crate::cli::surroundings::Surroundings;
use crate::harness::{MeasureError, RunFlags, Session};
use crate::target::Probe;

/// Arguments of `cargo tokpace check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    run: RunFlags,
}

pub(super) fn check(args: &CheckArgs, line: &[String], out: &mut dyn Write) -> Result<u8, CliError> {
    let package = Surroundings::find()?.package;
    let mut session = Session::open(&package, args.run.clone(), line)?;
    let broken: Vec<&String> = session.scenarios().iter().filter_map(|s| s.cases.as_ref().err()).collect();
    if let Some(problems) = broken.first() {
        return Err(CliError::Failed { exit_code: 2, message: (*problems).clone(), hint: None });
    }
    writeln!(out, "profile `{}`", session.profile_name())?;
    let probe = walk(&mut session)?;
    write!(out, "{}", session.redacted(&probe.to_string()))?;
    Ok(exit_code(&session, &probe))
}

/// Walks the target of a run step by step.
///
/// # Errors
/// If there is nothing to walk; exit code 3.
pub(super) fn walk(session: &mut Session) -> Result<Probe, CliError> {
    session.listen();
    session.probe().map_err(|error| unreachable(session, &error))
}

/// A target that cannot be used, in words without secrets; exit code 3.
pub(super) fn unreachable(session: &Session, error: &MeasureError) -> CliError {
    // It may quote what the server said, which may quote what it was sent.
    let text = session.redacted(&error.to_string());
    let (message, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
    CliError::Failed {
        exit_code: 3,
        message: message.to_owned(),
        hint: Some(hint.to_owned()).filter(|hint| !hint.is_empty()),
    }
}

/// 3 if a step failed, unless a signal has ended the walk.
pub(super) fn exit_code(session: &Session, probe: &Probe) -> u8 {
    session.stopped().unwrap_or(if probe.passed() { 0 } else { 3 })
}

//! `cargo tokpace judge`: the kernel of the gate, from outside.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::PathBuf;

use crate::cli::CliError;
use crate::gate::judge_lines;

/// Arguments of `cargo tokpace judge`.
#[derive(Debug, clap::Args)]
pub(super) struct JudgeArgs {
    /// JSON Lines, a suite each; standard input if absent
    file: Option<PathBuf>,
}

pub(super) fn judge(args: &JudgeArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let out = BufWriter::new(out);
    let outcome = match &args.file {
        None => judge_lines(io::stdin().lock(), out, io::stderr().lock())?,
        Some(path) => {
            let file = File::open(path).map_err(|error| {
                CliError::usage(format!("failed to read `{}`: {error}", path.display()), "name a file of JSON Lines")
            })?;
            judge_lines(BufReader::new(file), out, io::stderr().lock())?
        }
    };
    Ok(outcome.exit_code())
}

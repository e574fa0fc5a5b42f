//! `cargo tokpace report`: writes a run's page anew.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::cli::CliError;
use crate::cli::surroundings::{Surroundings, flags_of_environment};
use crate::harness::{Paths, RunFolder, environment, write_page};
use crate::redact::Redactor;

/// Arguments of `cargo tokpace report`.
#[derive(Debug, clap::Args)]
pub(super) struct ReportArgs {
    /// The run: its name or its folder; the latest one if it is left out
    #[arg(value_name = "RUN")]
    run: Option<PathBuf>,
}

/// Writes `report.html` into the folder of a run and prints its path.
pub(super) fn report(args: &ReportArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let paths = Paths::of(&Surroundings::find()?.package, &flags_of_environment());
    let path = given(&paths, args.run.as_deref());
    let redactor = Redactor::new(&environment(&paths)?);
    let folder = RunFolder::of_run(&path, redactor).map_err(|error| {
        CliError::usage(
            format!("no run in `{}`: {error}", paths.shown(&path)),
            "measure with `cargo test --test perf` first, or name the folder of a run",
        )
    })?;
    write_page(&folder).map_err(|error| {
        let text = error.to_string();
        let (message, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
        CliError::usage(format!("no report of `{}`: {message}", paths.shown(&path)), hint)
    })?;
    writeln!(out, "{}", paths.shown(&path.join("report.html")))?;
    Ok(0)
}

/// A name is that of a folder among the results; anything else is a path.
fn given(paths: &Paths, run: Option<&Path>) -> PathBuf {
    match run {
        None => paths.latest(),
        Some(given) if given.components().count() == 1 && !given.is_dir() => paths.results.join(given),
        Some(given) => given.to_path_buf(),
    }
}

//! `cargo tokpace export`: a run in other tools' formats.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::surroundings::{Surroundings, redactor};
use crate::cli::CliError;
use crate::harness::{ExportFormat, Paths, RunFlags, export as write_run, place_in_repository};

/// Arguments of `cargo tokpace export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// A run's folder; the latest run if absent
    run: Option<PathBuf>,

    /// aiperf, csv, junit, markdown, tsv or github; several with commas
    #[arg(long, value_name = "FORMAT", required = true, value_delimiter = ',')]
    format: Vec<ExportFormat>,

    /// Folder to write to; without it a single text is printed, and what has several files goes to the run's `export/`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Writes or prints; exit code 0.
pub(super) fn export(args: &ExportArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let (root, folder) = if let Some(run) = &args.run {
        (std::env::current_dir()?, run.clone())
    } else {
        let paths = Paths::of(&Surroundings::find()?.package, &RunFlags::default());
        (paths.root.clone(), paths.latest())
    };
    if !folder.join("run.json").is_file() {
        return Err(CliError::usage(
            format!("no run is in `{}`", folder.display()),
            "measure with `cargo test --test perf`, or name the folder of a run",
        ));
    }
    let redactor = redactor()?;
    let place = place_in_repository(&root);
    let write = |to: &Path| {
        write_run(&folder, to, &args.format, &place, &redactor).map_err(|error| {
            CliError::usage(
                error.to_string(),
                "name the folder of a run of this version, and a folder that can be written",
            )
        })
    };
    if args.out.is_none() && args.format.len() == 1 && args.format != [ExportFormat::Aiperf] {
        let scratch = tempfile::tempdir()?;
        for file in write(scratch.path())? {
            out.write_all(&fs::read(file)?)?;
        }
        return Ok(0);
    }
    let to = args.out.clone().unwrap_or_else(|| folder.join("export"));
    for file in write(&to)? {
        writeln!(out, "wrote {}", file.display())?;
    }
    Ok(0)
}

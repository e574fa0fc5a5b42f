//! `cargo tokpace merge`: runs of several machines side by side.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::context::counted;
use super::sources;
use super::surroundings::redactor;
use crate::cli::CliError;
use crate::interop;
use crate::report::{RunReport, merged_markdown, merged_tsv};

/// Arguments of `cargo tokpace merge`.
#[derive(Debug, clap::Args)]
pub(super) struct MergeArgs {
    /// Run folders or `run.json` files; `NAME=PATH` names the column
    #[arg(value_name = "[NAME=]RUN", required = true, num_args = 2..)]
    runs: Vec<String>,

    /// Folder for `report.md`, `summary.tsv` and `merged.json`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes the files; exit code 0.
pub(super) fn merge(args: &MergeArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let redactor = redactor()?;
    let read = |argument: &String| {
        let (name, path) = named(argument);
        Ok((name.map(str::to_owned), sources::run_report(Path::new(path))?))
    };
    let runs = args.runs.iter().map(read).collect::<Result<Vec<_>, CliError>>()?;
    let merged = interop::merge(&labelled(runs)?);
    let write = |name: &str, text: &str| {
        let path = args.out.join(name);
        fs::write(&path, redactor.redact(text).as_bytes()).map_err(|error| unwritable(&path, &error))
    };
    fs::create_dir_all(&args.out).map_err(|error| unwritable(&args.out, &error))?;
    let report = merged_markdown(&merged);
    write("report.md", &report)?;
    write("summary.tsv", &merged_tsv(&merged))?;
    write("merged.json", &(serde_json::to_string_pretty(&merged).map_err(std::io::Error::from)? + "\n"))?;
    writeln!(
        out,
        "wrote {} and {} to {}: report.md, summary.tsv, merged.json",
        counted(merged.runs.len(), "run"),
        counted(merged.cases.len(), "case"),
        args.out.display()
    )?;
    Ok(0)
}

/// `g5=results/g5`, unless that is a path.
fn named(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((name, path)) if !name.is_empty() && !Path::new(argument).exists() => (Some(name), path),
        _ => (None, argument),
    }
}

/// Each run with the name that was given, else its profile where that tells it from the others, else its own name.
fn labelled(runs: Vec<(Option<String>, RunReport)>) -> Result<Vec<(String, RunReport)>, CliError> {
    let profiles: Vec<String> = runs.iter().map(|(_, run)| run.run.profile.clone()).collect();
    let once = |profile: &String| profiles.iter().filter(|known| *known == profile).count() == 1;
    let label = |(name, run): (Option<String>, RunReport)| {
        let profile = run.run.profile.clone();
        let name = name.unwrap_or_else(|| if once(&profile) { profile } else { run.run.id.clone() });
        (name, run)
    };
    let named: Vec<(String, RunReport)> = runs.into_iter().map(label).collect();
    for (at, (name, _)) in named.iter().enumerate() {
        if named[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(CliError::usage(
                format!("two runs have the name `{name}`"),
                "name the columns: `cargo tokpace merge g5=RUN inf2=RUN --out DIR`",
            ));
        }
    }
    Ok(named)
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("failed to write `{}`: {error}", path.display()), "choose a folder with `--out`")
}

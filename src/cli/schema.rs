//! `cargo tokpace schema`: JSON Schemas for editors and for whoever reads the results.

use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::cli::CliError;
use crate::history::Entry;
use crate::report::{RunReport, RunTrials};
use crate::{baseline, profile, scenario};

/// Arguments of `cargo tokpace schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Folder to write to
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    out: PathBuf,

    /// Writes nothing; fails if a file is not what it should be
    #[arg(long)]
    check: bool,
}

pub(super) fn schema(args: &SchemaArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut stale = Vec::new();
    for (name, schema) in schemas() {
        let path = args.out.join(format!("{name}.schema.json"));
        let text = format!("{schema:#}\n");
        if std::fs::read_to_string(&path).is_ok_and(|known| known == text) {
            continue;
        }
        if args.check {
            stale.push(format!("`{}`", path.display()));
            continue;
        }
        let written = std::fs::create_dir_all(&args.out).and_then(|()| std::fs::write(&path, text));
        written.map_err(|error| {
            CliError::usage(format!("failed to write `{}`: {error}", path.display()), "choose a folder with `--out`")
        })?;
        writeln!(out, "wrote {}", path.display())?;
    }
    if stale.is_empty() {
        return Ok(0);
    }
    Err(CliError::Failed {
        exit_code: 1,
        message: format!("not up to date: {}", stale.join(", ")),
        hint: Some("run `cargo tokpace schema` and commit what it writes".into()),
    })
}

fn schemas() -> [(&'static str, Value); 6] {
    [
        ("scenario", scenario::schema()),
        ("project", profile::schema()),
        ("baseline", baseline::schema().to_value()),
        ("run", schemars::schema_for!(RunReport).to_value()),
        ("history", schemars::schema_for!(Entry).to_value()),
        ("trials", schemars::schema_for!(RunTrials).to_value()),
    ]
}

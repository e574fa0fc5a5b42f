//! Which package a verb works on.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::baseline::{Author, Store};
use crate::cli::main::at_terminal;
use crate::cli::{BaselineContext, CliError};
use crate::harness::{Package, Paths, RunFlags, SessionError, environment, history_of, latest_run, upkeep};
use crate::history::History;
use crate::redact::Redactor;

/// The package around the working directory.
#[derive(Debug)]
pub(super) struct Surroundings {
    pub(super) package: Package,
}

impl Surroundings {
    /// The nearest package above the working directory.
    pub(super) fn find() -> Result<Self, CliError> {
        let here = std::env::current_dir()?;
        let root = root_above(&here).ok_or_else(|| {
            CliError::usage(
                format!("no package in `{}` or above", here.display()),
                "change into a package, or make one with `cargo tokpace init`",
            )
        })?;
        Ok(Self { package: package(root) })
    }

    /// Calls a verb of the accept workflow.
    pub(super) fn with_baselines(
        &self,
        verb: impl FnOnce(&BaselineContext<'_>) -> Result<u8, CliError>,
    ) -> Result<u8, CliError> {
        let paths = Paths::of(&self.package, &flags_of_environment());
        let store = Store::new(&paths.baselines, paths.baselines_lock());
        let latest = || {
            latest_run(&paths).map_err(|error| {
                CliError::usage(
                    format!("failed to read the latest run: {error}"),
                    "measure with `cargo test --test perf` first",
                )
            })
        };
        verb(&BaselineContext {
            store: &store,
            shown: &|path| paths.shown(path),
            terminal: at_terminal(),
            author: Author::detect(&paths.root, |name| std::env::var(name).ok()),
            now: crate::harness::now(),
            latest: &latest,
            upkeep: &|| Ok(upkeep(&self.package, &flags_of_environment())?),
        })
    }

    /// The history of the package's runs, and how its paths are shown.
    pub(super) fn history(&self) -> Result<(History, impl Fn(&Path) -> String + use<>), CliError> {
        let (paths, history) = history_of(&self.package, &flags_of_environment())?;
        Ok((history, move |path: &Path| paths.shown(path)))
    }
}

/// What keeps secrets out of what a verb prints and writes: those of the environment, and of `.env` where there is a
/// package.
pub(super) fn redactor() -> Result<Redactor, CliError> {
    let here = std::env::current_dir()?;
    let root = root_above(&here).unwrap_or(&here);
    let environment = environment(&Paths::of(&package(root), &RunFlags::default()))?;
    Ok(Redactor::new(&environment))
}

/// The nearest folder with a package.
fn root_above(here: &Path) -> Option<&Path> {
    here.ancestors().find(|folder| folder.join("tokpace.toml").is_file() || folder.join("Cargo.toml").is_file())
}

/// What the folder flags of a run say when they are given by environment variables.
pub(super) fn flags_of_environment() -> RunFlags {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    RunFlags { scenarios: folder("TOKPACE_SCENARIOS"), baselines: folder("TOKPACE_BASELINES"), ..RunFlags::default() }
}

fn package(root: &Path) -> Package {
    Package {
        root: root.to_path_buf(),
        target: target_folder(root).unwrap_or_else(|| root.join("target")),
        scenarios: "scenarios".into(),
        baselines: "baselines".into(),
        servers: None,
    }
}

/// Cargo's target folder; it may be anywhere, so cargo is asked.
fn target_folder(root: &Path) -> Option<PathBuf> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .ok()?;
    Some(serde_json::from_slice::<Metadata>(&output.stdout).ok()?.target_directory)
}

impl From<SessionError> for CliError {
    fn from(error: SessionError) -> Self {
        let text = error.to_string();
        match text.split_once("\nhint: ") {
            Some((message, hint)) => Self::usage(message, hint),
            None => Self::Failed { exit_code: 2, message: text, hint: None },
        }
    }
}

//! What a package says of its runs: the environment with `.env`, `tokpace.toml`, and where the history is.

use std::path::PathBuf;

use crate::environment::Environment;
use crate::harness::{Package, Paths, RunFlags, SessionError};
use crate::history::History;
use crate::profile;

/// The process's variables and those of `.env` at the package root.
pub(crate) fn environment(paths: &Paths) -> Result<Environment, SessionError> {
    let dotenv = paths.root.join(".env");
    let text = match std::fs::read_to_string(&dotenv) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(SessionError::other(format!("failed to read `.env`: {error}"), "check its permissions"));
        }
    };
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Environment::new(variables, &text).map_err(|error| SessionError::other(error.message, error.hint))
}

/// The history of a package's runs, with its folders.
///
/// # Errors
/// If the project file, which may name the history's folder, is wrong.
pub fn history_of(package: &Package, flags: &RunFlags) -> Result<(Paths, History), SessionError> {
    let paths = Paths::of(package, flags);
    let history = paths.history(project(&paths, flags)?.0.history.as_deref());
    Ok((paths, history))
}

/// The project file with its text, or the defaults where there is none.
pub(super) fn project(paths: &Paths, flags: &RunFlags) -> Result<(profile::Project, String), SessionError> {
    let file: PathBuf = paths.root.join("tokpace.toml");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(SessionError::other(
                format!("failed to read `tokpace.toml`: {error}"),
                "check its permissions",
            ));
        }
    };
    match profile::load_with("tokpace.toml", &text, flags.profile.as_deref(), &flags.sets) {
        Ok(project) => Ok((project, text)),
        Err(problems) => Err(SessionError::Project(problems.to_string())),
    }
}

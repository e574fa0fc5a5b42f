//! Scenario files become cases; a broken file becomes a test that fails with its diagnostic.

use std::path::{Path, PathBuf};

use crate::harness::Paths;
use crate::scenario::{self, Case};

/// A scenario file and what it holds.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The file's stem.
    pub name: String,
    /// Its cases, or everything that is wrong with it.
    pub cases: Result<Vec<Case>, String>,
}

/// Why there is nothing to run.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The folder cannot be read.
    #[error(
        "failed to read the scenario folder `{folder}`: {source}\nhint: make it with `cargo tokpace init`, or name another with `--scenarios`"
    )]
    Folder {
        /// The folder as shown.
        folder: String,
        /// Why.
        source: std::io::Error,
    },
    /// No file in it.
    #[error(
        "no scenario files (`*.toml`) in `{folder}`\nhint: make one with `cargo tokpace init`, or name another folder with `--scenarios`"
    )]
    Empty {
        /// The folder as shown.
        folder: String,
    },
}

/// Every scenario of the package, by name.
pub(super) fn scenarios(paths: &Paths) -> Result<Vec<Scenario>, DiscoverError> {
    let folder = paths.shown(&paths.scenarios);
    let unreadable = |source| DiscoverError::Folder { folder: folder.clone(), source };
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(&paths.scenarios).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.extension().is_some_and(|extension| extension == "toml") && !hidden && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(DiscoverError::Empty { folder });
    }
    files.sort();
    Ok(files.iter().map(|path| load(paths, path)).collect())
}

fn load(paths: &Paths, path: &Path) -> Scenario {
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let shown = paths.shown(path);
    let cases = match std::fs::read(path) {
        Err(error) => Err(format!("failed to read `{shown}`: {error}\nhint: check its permissions")),
        Ok(bytes) => match String::from_utf8(bytes) {
            Err(_) => Err(format!("`{shown}` is not UTF-8 text\nhint: save it as UTF-8")),
            Ok(text) => scenario::load(&name, &shown, &text).map_err(|problems| problems.to_string()),
        },
    };
    Scenario { name, cases }
}

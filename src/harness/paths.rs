//! Where a package keeps its scenarios, baselines and results.

use std::path::{Path, PathBuf};

use crate::harness::{RunFlags, StartServers};
use crate::history::History;

/// What only the downstream crate's compiler knows; filled in by `tokpace::main!`.
#[derive(Clone, Debug)]
pub struct Package {
    /// `CARGO_MANIFEST_DIR`.
    pub root: PathBuf,
    /// Cargo's target directory.
    pub target: PathBuf,
    /// Folder of scenario files, relative to the root.
    pub scenarios: PathBuf,
    /// Folder of baselines, relative to the root.
    pub baselines: PathBuf,
    /// Starts the servers that the test target brings along.
    pub servers: Option<StartServers>,
}

impl Package {
    /// The package at `root`. `scratch` is cargo's scratch folder for tests, which lies in the target folder;
    /// without it the target folder is `<root>/target`.
    ///
    /// Both are of the machine that compiled. The variable `CARGO_MANIFEST_DIR`, which cargo and nextest set when
    /// they run a test, tells where the package is now.
    pub fn new(root: &str, scratch: Option<&str>, scenarios: &str, baselines: &str) -> Self {
        let target = scratch.and_then(|path| Path::new(path).parent());
        Self {
            target: target.map_or_else(|| Path::new(root).join("target"), Path::to_path_buf),
            root: given("CARGO_MANIFEST_DIR").unwrap_or_else(|| root.into()),
            scenarios: scenarios.into(),
            baselines: baselines.into(),
            servers: None,
        }
    }

    /// With servers that the test target brings along.
    #[must_use]
    pub fn with_servers(self, servers: StartServers) -> Self {
        Self { servers: Some(servers), ..self }
    }
}

/// A folder from the environment; an empty variable counts as unset.
fn given(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The folders of a run.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The package root: what shown paths are relative to.
    pub root: PathBuf,
    /// Scenario files.
    pub scenarios: PathBuf,
    /// Baselines, a folder a profile.
    pub baselines: PathBuf,
    /// `target/tokpace`: results, locks.
    pub results: PathBuf,
}

impl Paths {
    /// The folders of `package`, with what `flags` say otherwise. `TOKPACE_TARGET_DIR` takes the place of cargo's
    /// target folder, which a binary that was built elsewhere cannot know.
    pub fn of(package: &Package, flags: &RunFlags) -> Self {
        let root = package.root.clone();
        let folder = |flag: Option<&PathBuf>, default: &Path| root.join(flag.map_or(default, PathBuf::as_path));
        Self {
            scenarios: folder(flags.scenarios.as_ref(), &package.scenarios),
            baselines: folder(flags.baselines.as_ref(), &package.baselines),
            results: given("TOKPACE_TARGET_DIR")
                .map_or_else(|| package.target.clone(), |dir| root.join(dir))
                .join("tokpace"),
            root,
        }
    }

    /// A path as it is shown: relative to the root where it lies below it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// The lock that is held while measuring.
    pub fn measure_lock(&self) -> PathBuf {
        self.results.join("measure.lock")
    }

    /// The lock that is held while baselines are written.
    pub fn baselines_lock(&self) -> PathBuf {
        self.results.join("baselines.lock")
    }

    /// The history of all runs, in a folder of the project if it names one.
    pub fn history(&self, folder: Option<&str>) -> History {
        let root = folder.map_or_else(|| self.results.join("history"), |folder| self.root.join(folder));
        History::new(root, self.results.join("history.lock"))
    }

    /// The latest run's folder.
    pub fn latest(&self) -> PathBuf {
        self.results.join("latest")
    }
}

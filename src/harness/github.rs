//! What a run leaves in GitHub Actions: annotations on the change, and the job's summary.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::environment::Environment;
use crate::harness::{Session, export};
use crate::report::{self, RunReport};

impl Session {
    /// What is left to do when the last case is done: the formats that were asked for, and in GitHub Actions the job's
    /// summary. Gives the annotations to print there.
    pub(crate) fn hand_over(&self) -> String {
        let Some(folder) = &self.folder else { return String::new() };
        let place = place_in_repository(&self.paths.root);
        if !self.flags.exports.is_empty() {
            let to = folder.path().join("export");
            if let Err(error) = export(folder.path(), &to, &self.flags.exports, &place, &self.redactor) {
                self.say(&format!("tokpace: {error}"));
            }
        }
        if !in_actions(&self.environment) {
            return String::new();
        }
        // As it is in the files, where no secret is left to be escaped; under nextest other processes tell of theirs.
        let parts = folder.parts("report").unwrap_or_default();
        let mut run: RunReport = self.report_of(parts);
        run.cases.retain(|case| self.report(&case.case).is_some());
        run.verdict = crate::gate::Verdict::of_all(run.cases.iter().map(|case| case.verdict));
        if let Some(path) = self.environment.get("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
            let text = report::comment(&run);
            if let Err(error) = append(Path::new(path), &self.redactor.redact(&text)) {
                self.say(&format!("tokpace: failed to write the job's summary: {error}"));
            }
        }
        self.redactor.redact(&report::annotations(&run, &place)).into_owned()
    }
}

fn in_actions(environment: &Environment) -> bool {
    environment.get("GITHUB_ACTIONS") == Some("true")
}

fn append(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // What other steps have written ends in a paragraph of its own.
    file.write_all(format!("\n{text}\n").as_bytes())
}

/// Where a package lies in its repository, with a `/` at its end; empty at the root or outside of any repository.
pub(crate) fn place_in_repository(root: &Path) -> String {
    let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let repository = root.ancestors().find(|folder| folder.join(".git").exists());
    let place = repository.and_then(|repository| root.strip_prefix(repository).ok());
    let parts = place.into_iter().flat_map(|place| place.components());
    parts.fold(String::new(), |place, part| place + &part.as_os_str().to_string_lossy() + "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_from_the_root_of_its_repository() {
        let root = tempfile::tempdir().unwrap();
        let package = root.path().join("crates/perf");
        std::fs::create_dir_all(&package).unwrap();
        std::fs::create_dir(root.path().join(".git")).unwrap();
        assert_eq!(place_in_repository(&package), "crates/perf/");
        assert_eq!(place_in_repository(root.path()), "");
    }
}

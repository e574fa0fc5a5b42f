//! A run's folder: results are written as they come, whole or not at all, and redacted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::erased;
use crate::names;
use crate::redact::Redactor;

/// `target/tokpace/<run>` or the folder of `--out`.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    redactor: Redactor,
}

impl RunFolder {
    /// Makes the folder and points `latest` at it.
    pub fn create(path: &Path, latest: &Path, redactor: Redactor) -> io::Result<Self> {
        fs::create_dir_all(path.join("cases"))?;
        let path = path.canonicalize()?;
        point(latest, &path)?;
        Ok(Self { path, redactor })
    }

    /// The folder of a run that has ended.
    pub fn of_run(path: &Path, redactor: Redactor) -> io::Result<Self> {
        Ok(Self { path: path.canonicalize()?, redactor })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file in one step: a reader sees the old text or the new one.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.path)?;
        file.write_all(self.redactor.redact(text).as_bytes())?;
        file.persist(self.path.join(name))?;
        Ok(())
    }

    /// Writes `value` as JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        self.write(name, &(serde_json::to_string_pretty(value)? + "\n"))
    }

    /// Appends lines in one write, so that two processes never mix theirs.
    pub fn append(&self, name: &str, lines: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path.join(name))?;
        file.write_all(self.redactor.redact(lines).as_bytes())
    }

    /// Saves a part of the run that belongs to one case, so that the processes of one run (as under nextest)
    /// can each write the whole report.
    pub fn save_part(&self, kind: &str, case: &str, value: &impl Serialize) -> io::Result<()> {
        self.write(&format!("cases/{}.{kind}.json", names::file_name(case)), &serde_json::to_string(value)?)
    }

    /// All parts of a kind that any process of this run has saved, by file name.
    pub fn parts<T: DeserializeOwned>(&self, kind: &str) -> io::Result<Vec<T>> {
        let ending = format!(".{kind}.json");
        let mut files: Vec<PathBuf> = fs::read_dir(self.path.join("cases"))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().ends_with(&ending))
            .collect();
        files.sort();
        files.iter().map(|path| Ok(erased::from_json(&fs::read(path)?)?)).collect()
    }

    /// A writer for the run's log.
    pub fn log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.path.join("log.txt"))
    }
}

/// Makes `latest` a link to `folder` in one step.
fn point(latest: &Path, folder: &Path) -> io::Result<()> {
    let Some(parent) = latest.parent() else { return Ok(()) };
    fs::create_dir_all(parent)?;
    let parent = parent.canonicalize()?;
    let target = folder.strip_prefix(&parent).unwrap_or(folder);
    let fresh = parent.join(format!(".latest-{}", std::process::id()));
    let _ = fs::remove_file(&fresh);
    #[cfg(unix)]
    std::os::unix::fs::symlink(target, &fresh)?;
    #[cfg(not(unix))]
    fs::write(&fresh, target.to_string_lossy().as_bytes())?;
    fs::rename(&fresh, latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_follows_the_newest_run() {
        let root = tempfile::tempdir().unwrap();
        let latest = root.path().join("tokpace/latest");
        for run in ["one", "two"] {
            let folder =
                RunFolder::create(&root.path().join("tokpace").join(run), &latest, Redactor::default()).unwrap();
            folder.write("run.json", run).unwrap();
            assert_eq!(fs::read_to_string(latest.join("run.json")).unwrap(), run);
        }
    }

    #[test]
    fn parts_of_several_processes_come_together() {
        let root = tempfile::tempdir().unwrap();
        let folder =
            RunFolder::create(&root.path().join("r"), &root.path().join("latest"), Redactor::default()).unwrap();
        folder.save_part("report", "b::x=1", &2).unwrap();
        folder.save_part("report", "a", &1).unwrap();
        folder.save_part("trials", "a", &3).unwrap();
        assert_eq!(folder.parts::<u32>("report").unwrap(), [1, 2]);
    }
}

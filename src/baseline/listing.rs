//! What is in the store: pending files, and baselines that no case uses any more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::error::BaselineError;
use super::files::{case_name, names_in, remove};
use super::model::Pending;
use super::store::{ACCEPTED, PENDING, Store, read_pending};
use crate::names;

/// A pending file in the store.
#[derive(Debug)]
pub struct PendingEntry {
    /// The case, as the file's name says.
    pub case: String,
    /// The profile, as the folder's name says.
    pub profile: String,
    /// The file.
    pub path: PathBuf,
    /// What is in it.
    pub content: Result<Pending, BaselineError>,
}

/// A baseline whose case no longer exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orphan {
    /// The case, as the file's name says.
    pub case: String,
    /// The file.
    pub path: PathBuf,
}

impl Store {
    /// The profiles that have a folder, by name.
    pub fn profiles(&self) -> Result<Vec<String>, BaselineError> {
        let mut names = names_in(self.root())?;
        names.retain(|name| names::is_safe(name) && self.root().join(name).is_dir());
        Ok(names)
    }

    /// Every pending file, by profile and case; a broken one is in the list with its error.
    pub fn list_pending(&self) -> Result<Vec<PendingEntry>, BaselineError> {
        let mut entries = Vec::new();
        for profile in self.profiles()? {
            let folder = self.root().join(&profile);
            for name in names_in(&folder)? {
                let Some(case) = name.strip_suffix(PENDING).map(case_name) else { continue };
                let path = folder.join(&name);
                // A file that another process has accepted since the folder was read is not pending.
                let Some(content) = read_pending(&path, &profile, &case).transpose() else { continue };
                entries.push(PendingEntry { case, profile: profile.clone(), path, content });
            }
        }
        Ok(entries)
    }

    /// Removes a baseline that no case uses; returns whether it was still there.
    pub fn remove_orphan(&self, path: &Path) -> Result<bool, BaselineError> {
        let _lock = self.lock()?;
        remove(path)
    }

    /// Baselines of a profile whose case is not among `cases`, by case.
    pub fn orphans<'a>(
        &self,
        profile: &str,
        cases: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Orphan>, BaselineError> {
        let folder = self.folder(profile)?;
        let known: BTreeSet<String> = cases.into_iter().map(|case| names::file_name(case) + ACCEPTED).collect();
        Ok(names_in(&folder)?
            .into_iter()
            .filter(|name| !known.contains(name))
            .filter_map(|name| {
                let case = case_name(name.strip_suffix(ACCEPTED)?);
                Some(Orphan { case, path: folder.join(name) })
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{job, pending};
    use super::super::{AcceptMode, Acceptance, PendingVerdict::Missing};
    use super::*;

    #[test]
    fn orphans_are_baselines_without_a_case() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("baselines"), dir.path().join("lock"));
        assert!(store.orphans("embedded", ["chatbot"]).unwrap().is_empty());
        for case in ["chatbot", "batch::batch=4"] {
            let measured = Pending { case: case.into(), ..pending(Missing, vec![job("1", &[5.0])]) };
            store.accept(&measured, AcceptMode::Auto, &Acceptance::default()).unwrap();
            store.write_pending(&measured).unwrap();
        }
        let orphans = store.orphans("embedded", ["chatbot", "batch"]).unwrap();
        assert_eq!(orphans.len(), 1);
        assert_eq!(orphans[0].case, "batch::batch=4");
        assert!(orphans[0].path.ends_with("embedded/batch%3A%3Abatch%3D4.toml"));
    }
}

//! The files: `<profile>/<case>.toml` is accepted, `<case>.toml.new` beside it is pending.
//!
//! A file is replaced as a whole or not at all, under a lock that all processes of a checkout share, so that two runs
//! never lose each other's jobs and nobody reads half a file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::accept::{AcceptError, AcceptMode, Acceptance, accepted};
use super::error::{BaselineError, StoreError};
use super::files::{read, remove, replace};
use super::format::{baseline_text, pending_text};
use super::listing::PendingEntry;
use super::model::{Baseline, Pending, PendingVerdict, conditions_differ};
use super::parse::{parse_baseline, parse_pending};
use crate::names;

pub(super) const ACCEPTED: &str = ".toml";
pub(super) const PENDING: &str = ".toml.new";

/// What became of a pending measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PendingWrite {
    /// It is in this file.
    Written(PathBuf),
    /// This file holds jobs that were recorded on purpose and wait to be accepted, so it was left alone.
    KeptRecording(PathBuf),
}

/// A folder of baselines.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    lock: PathBuf,
}

impl Store {
    /// The baselines under `root`. `lock` is a file outside of version control, the same for all processes that may
    /// write there; neither needs to exist.
    pub fn new(root: impl Into<PathBuf>, lock: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), lock: lock.into() }
    }

    /// The folder of baselines.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the accepted baseline of a case is, or would be.
    pub fn path(&self, profile: &str, case: &str) -> Result<PathBuf, BaselineError> {
        self.place(profile, case, ACCEPTED)
    }

    /// Where the pending measurement of a case is, or would be.
    pub fn pending_path(&self, profile: &str, case: &str) -> Result<PathBuf, BaselineError> {
        self.place(profile, case, PENDING)
    }

    /// The accepted baseline of a case; `None` if there is none.
    pub fn load(&self, profile: &str, case: &str) -> Result<Option<Baseline>, BaselineError> {
        let path = self.path(profile, case)?;
        let Some(text) = read(&path)? else { return Ok(None) };
        let baseline = parse_baseline(&text).map_err(|source| BaselineError::Format { path: path.clone(), source })?;
        in_place(&path, [("profile", &baseline.profile, profile), ("case", &baseline.case, case)])?;
        Ok(Some(baseline))
    }

    /// The pending measurement of a case; `None` if there is none.
    pub fn pending(&self, profile: &str, case: &str) -> Result<Option<Pending>, BaselineError> {
        let path = self.pending_path(profile, case)?;
        read_pending(&path, profile, case)
    }

    /// Leaves a measurement beside the baseline, in place of an older pending one.
    ///
    /// Jobs of `run --record N` that wait there under the same conditions are kept: they were measured on purpose, and
    /// an ordinary run would otherwise throw them away. Only another recording replaces them.
    pub fn write_pending(&self, pending: &Pending) -> Result<PendingWrite, BaselineError> {
        let path = self.pending_path(&pending.profile, &pending.case)?;
        let _lock = self.lock()?;
        let recording = |known: &Pending| {
            known.verdict == PendingVerdict::Recorded
                && pending.verdict != PendingVerdict::Recorded
                && conditions_differ(&known.conditions, &pending.conditions).is_empty()
        };
        // A broken pending file holds nothing worth keeping.
        if read_pending(&path, &pending.profile, &pending.case).ok().flatten().is_some_and(|known| recording(&known)) {
            return Ok(PendingWrite::KeptRecording(path));
        }
        replace(&path, &pending_text(pending))?;
        Ok(PendingWrite::Written(path))
    }

    /// After a pass: removes a pending file, which says something that is no longer so. Jobs of `run --record N` stay.
    /// Returns whether a file was removed.
    pub fn clear_stale(&self, profile: &str, case: &str) -> Result<bool, BaselineError> {
        let path = self.pending_path(profile, case)?;
        if !path.exists() {
            return Ok(false);
        }
        let _lock = self.lock()?;
        match read_pending(&path, profile, case) {
            Ok(Some(Pending { verdict: PendingVerdict::Recorded, .. })) => Ok(false),
            _ => remove(&path),
        }
    }

    /// Removes the pending measurement of a case; returns whether there was one.
    pub fn remove_pending(&self, profile: &str, case: &str) -> Result<bool, BaselineError> {
        let path = self.pending_path(profile, case)?;
        let _lock = self.lock()?;
        remove(&path)
    }

    /// Rejects a listed pending file, broken or not; returns whether it was still there.
    pub fn reject(&self, entry: &PendingEntry) -> Result<bool, BaselineError> {
        let _lock = self.lock()?;
        remove(&entry.path)
    }

    /// Accepts a measurement and returns the baseline before and after. The pending file goes if it holds exactly
    /// this measurement; a newer one stays to be looked at.
    ///
    /// # Errors
    /// If a file cannot be read or written, or the measurement cannot be accepted; then the baseline is as it was.
    pub fn accept(
        &self,
        pending: &Pending,
        mode: AcceptMode,
        who: &Acceptance,
    ) -> Result<(Option<Baseline>, Baseline), StoreError> {
        let path = self.path(&pending.profile, &pending.case)?;
        let _lock = self.lock()?;
        let before = self.load(&pending.profile, &pending.case)?;
        let after = accepted(before.as_ref(), pending, mode, who);
        if let Ok(after) = &after {
            replace(&path, &baseline_text(after))?;
        }
        // What is accepted waits no longer, also if an earlier attempt was stopped before this point.
        if matches!(after, Ok(_) | Err(AcceptError::AlreadyAccepted { .. })) {
            let waiting = self.pending_path(&pending.profile, &pending.case)?;
            // Texts are compared, since the caller's values may have more digits than the file's.
            if read(&waiting).ok().flatten().is_some_and(|text| text == pending_text(pending)) {
                remove(&waiting)?;
            }
        }
        Ok((before, after?))
    }

    pub(super) fn folder(&self, profile: &str) -> Result<PathBuf, BaselineError> {
        if names::is_safe(profile) {
            Ok(self.root.join(profile))
        } else {
            Err(BaselineError::Name { what: "profile", name: profile.into() })
        }
    }

    fn place(&self, profile: &str, case: &str, extension: &str) -> Result<PathBuf, BaselineError> {
        if case.is_empty() {
            return Err(BaselineError::Name { what: "case", name: String::new() });
        }
        Ok(self.folder(profile)?.join(names::file_name(case) + extension))
    }

    /// Held while a file is read in order to be replaced. Released when dropped, and by the system if the process ends.
    pub(super) fn lock(&self) -> Result<File, BaselineError> {
        let failed = |source| BaselineError::Io { action: "lock", path: self.lock.clone(), source };
        if let Some(folder) = self.lock.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }
}

pub(super) fn read_pending(path: &Path, profile: &str, case: &str) -> Result<Option<Pending>, BaselineError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let pending = parse_pending(&text).map_err(|source| BaselineError::Format { path: path.into(), source })?;
    in_place(path, [("profile", &pending.profile, profile), ("case", &pending.case, case)])?;
    Ok(Some(pending))
}

fn in_place(path: &Path, facts: [(&'static str, &String, &str); 2]) -> Result<(), BaselineError> {
    match facts.into_iter().find(|(_, found, expected)| found != expected) {
        None => Ok(()),
        Some((what, found, expected)) => {
            Err(BaselineError::Misplaced { path: path.into(), what, found: found.clone(), expected: expected.into() })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::files::names_in;
    use super::super::testing::{job, pending};
    use super::*;
    use PendingVerdict::{Missing, Pass, Recorded, Regressed};

    struct Project {
        dir: tempfile::TempDir,
        store: Store,
    }

    fn project() -> Project {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path().join("baselines"), dir.path().join("target/tokpace/baselines.lock"));
        Project { dir, store }
    }

    fn jane() -> Acceptance {
        Acceptance { by: Some("Jane".into()), at: "2026-11-23T08:00:00Z".into(), ..Acceptance::default() }
    }

    fn written(write: PendingWrite) -> PathBuf {
        match write {
            PendingWrite::Written(path) => path,
            PendingWrite::KeptRecording(path) => panic!("{} was kept", path.display()),
        }
    }

    #[test]
    fn from_the_first_recording_to_a_rejected_regression() {
        let Project { store, .. } = project();
        let accept = |mode| {
            let pending = store.pending("embedded", "chatbot").unwrap().unwrap();
            store.accept(&pending, mode, &jane()).unwrap().1
        };
        assert_eq!(store.load("embedded", "chatbot").unwrap(), None);
        assert!(store.list_pending().unwrap().is_empty());

        let path = written(store.write_pending(&pending(Missing, vec![job("1", &[5.123_456_789])])).unwrap());
        assert!(path.ends_with("baselines/embedded/chatbot.toml.new"));
        assert_eq!(store.list_pending().unwrap()[0].case, "chatbot");
        accept(AcceptMode::Auto);
        assert!(!path.exists());

        store.write_pending(&pending(Pass, vec![job("2", &[5.1])])).unwrap();
        assert_eq!(accept(AcceptMode::Auto).jobs.len(), 2);
        store.write_pending(&pending(Regressed, vec![job("3", &[5.2])])).unwrap();
        assert_eq!(accept(AcceptMode::Append).jobs.len(), 3);

        store.write_pending(&pending(Regressed, vec![job("4", &[6.0])])).unwrap();
        let epoch = accept(AcceptMode::Auto);
        assert_eq!((epoch.jobs.len(), epoch.anchors.len(), epoch.anchors[0].jobs.len()), (1, 1, 3));
        assert_eq!(store.load("embedded", "chatbot").unwrap(), Some(epoch.clone()));

        store.write_pending(&pending(Regressed, vec![job("5", &[7.0])])).unwrap();
        let entries = store.list_pending().unwrap();
        assert!(store.reject(&entries[0]).unwrap());
        assert!(!store.reject(&entries[0]).unwrap());
        assert!(store.list_pending().unwrap().is_empty());
        assert_eq!(store.load("embedded", "chatbot").unwrap(), Some(epoch));
    }

    #[test]
    fn hostile_names_stay_inside() {
        let Project { dir, store } = project();
        for case in ["../../outside", "..", "/etc/passwd", "a::b=1/2", "a\\b", "nul\0", "ü %2F"] {
            let measured = Pending { case: case.into(), ..pending(Missing, vec![job("1", &[5.0])]) };
            let path = written(store.write_pending(&measured).unwrap());
            assert_eq!(path.parent().unwrap(), dir.path().join("baselines/embedded"), "{case}");
            assert_eq!(store.pending("embedded", case).unwrap(), Some(measured.clone()));
            store.accept(&measured, AcceptMode::Auto, &jane()).unwrap();
            assert_eq!(store.load("embedded", case).unwrap().unwrap().case, case);
        }
        assert_eq!(names_in(dir.path()).unwrap(), ["baselines", "target"]);
        for profile in ["..", "", ".hidden", "a/b", "/etc"] {
            let error = store.load(profile, "chatbot").unwrap_err();
            assert_eq!(error.to_string(), format!("`{profile}` cannot name a profile"));
        }
        assert_eq!(store.load("embedded", "").unwrap_err().to_string(), "`` cannot name a case");
    }

    #[test]
    fn broken_files_are_named_and_can_be_rejected() {
        let Project { dir, store } = project();
        let folder = dir.path().join("baselines/embedded");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("chatbot.toml"), "version = 1\ncase = ").unwrap();
        let error = store.load("embedded", "chatbot").unwrap_err();
        assert!(error.to_string().contains("chatbot.toml` cannot be used: line 2: "), "{error}");
        assert!(store.accept(&pending(Pass, vec![job("1", &[5.0])]), AcceptMode::Auto, &jane()).is_err());
        assert_eq!(fs::read_to_string(folder.join("chatbot.toml")).unwrap(), "version = 1\ncase = ");

        fs::write(folder.join("chatbot.toml"), b"\xff").unwrap();
        assert!(store.load("embedded", "chatbot").unwrap_err().to_string().ends_with("the file is not UTF-8 text"));

        fs::write(folder.join("other.toml.new"), pending_text(&pending(Pass, vec![job("1", &[5.0])]))).unwrap();
        fs::write(folder.join("broken.toml.new"), "version = 2").unwrap();
        let entries = store.list_pending().unwrap();
        let errors: Vec<_> = entries.iter().map(|entry| entry.content.as_ref().unwrap_err().to_string()).collect();
        assert!(errors[0].ends_with("written by a newer tokpace (format version 2; this one reads 1)"), "{errors:?}");
        assert!(errors[1].ends_with("is about case `chatbot`, but its place is that of case `other`"), "{errors:?}");
        for entry in &entries {
            assert!(store.reject(entry).unwrap());
        }
    }

    #[test]
    fn recorded_jobs_are_not_thrown_away_by_an_ordinary_run() {
        let Project { store, .. } = project();
        let recording = pending(Recorded, vec![job("1", &[5.0]), job("2", &[5.1])]);
        store.write_pending(&recording).unwrap();
        let run = pending(Missing, vec![job("3", &[5.0])]);
        assert!(matches!(store.write_pending(&run).unwrap(), PendingWrite::KeptRecording(_)));
        assert!(!store.clear_stale("embedded", "chatbot").unwrap());
        assert_eq!(store.pending("embedded", "chatbot").unwrap(), Some(recording.clone()));

        let again = pending(Recorded, vec![job("4", &[5.0])]);
        written(store.write_pending(&again).unwrap());
        let mut moved = run;
        moved.conditions.insert("plan".into(), "sha256:2".into());
        written(store.write_pending(&moved).unwrap());
        assert!(store.clear_stale("embedded", "chatbot").unwrap());
        assert!(!store.clear_stale("embedded", "chatbot").unwrap());
    }

    #[test]
    fn a_newer_pending_file_survives_the_acceptance_of_what_was_seen() {
        let Project { store, .. } = project();
        let seen = pending(Missing, vec![job("1", &[5.0])]);
        store.write_pending(&seen).unwrap();
        store.write_pending(&pending(Missing, vec![job("2", &[5.0])])).unwrap();
        store.accept(&seen, AcceptMode::Auto, &jane()).unwrap();
        assert_eq!(store.list_pending().unwrap().len(), 1);
        let again = store.accept(&seen, AcceptMode::Auto, &jane()).unwrap_err();
        assert!(matches!(again, StoreError::Accept(AcceptError::AlreadyAccepted { .. })));
    }

    #[test]
    fn two_writers_lose_no_job() {
        let Project { store, .. } = project();
        store.accept(&pending(Missing, vec![job("first", &[5.0])]), AcceptMode::Auto, &jane()).unwrap();
        std::thread::scope(|scope| {
            for writer in ["a", "b"] {
                let store = store.clone();
                scope.spawn(move || {
                    for i in 0..10 {
                        let run = pending(Pass, vec![job(&format!("{writer}{i}"), &[5.0])]);
                        store.write_pending(&run).unwrap();
                        store.accept(&run, AcceptMode::Auto, &jane()).unwrap();
                        store.load("embedded", "chatbot").unwrap().unwrap();
                    }
                });
            }
        });
        let recorded: BTreeSet<_> =
            store.load("embedded", "chatbot").unwrap().unwrap().jobs.into_iter().map(|job| job.recorded).collect();
        assert_eq!(recorded.len(), 21);
    }

    #[cfg(unix)]
    #[test]
    fn a_profile_folder_may_be_a_link() {
        let Project { dir, store } = project();
        fs::create_dir_all(dir.path().join("elsewhere")).unwrap();
        fs::create_dir_all(store.root()).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), store.root().join("embedded")).unwrap();
        store.write_pending(&pending(Missing, vec![job("1", &[5.0])])).unwrap();
        assert_eq!(store.list_pending().unwrap().len(), 1);
        assert!(dir.path().join("elsewhere/chatbot.toml.new").exists());
    }
}

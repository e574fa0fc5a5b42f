//! The files: `<profile>/<case>.jsonl`, to which every run appends.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::Entry;
use crate::names;

const EXTENSION: &str = ".jsonl";

/// A folder of histories.
#[derive(Clone, Debug)]
pub struct History {
    root: PathBuf,
    lock: PathBuf,
}

/// A line that is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// Why.
    pub message: String,
}

impl History {
    /// The history under `root`. `lock` is a file outside of version control, the same for all processes that may
    /// write there; neither needs to exist.
    pub fn new(root: impl Into<PathBuf>, lock: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), lock: lock.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the lines of a case are, or would be.
    pub fn path(&self, profile: &str, case: &str) -> PathBuf {
        self.root.join(names::file_name(profile)).join(names::file_name(case) + EXTENSION)
    }

    /// Appends a line to a case's file, in one write and under a lock that all processes share.
    ///
    /// A line that an earlier process did not finish stays alone: what is appended begins on a line of its own.
    pub fn append(&self, profile: &str, case: &str, line: &str) -> io::Result<()> {
        let path = self.path(profile, case);
        for folder in [self.lock.parent(), path.parent()].into_iter().flatten() {
            fs::create_dir_all(folder)?;
        }
        let lock = File::options().create(true).truncate(false).write(true).open(&self.lock)?;
        lock.lock()?;
        let mut file = File::options().create(true).read(true).append(true).open(&path)?;
        let mut text = String::new();
        if file.seek(SeekFrom::End(0))? > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                text.push('\n');
            }
        }
        text.push_str(line);
        text.push('\n');
        file.write_all(text.as_bytes())?;
        file.sync_data()
    }

    /// Every entry, by profile, case and place in the file; and the lines that are none. Nothing is there before the
    /// first run.
    pub fn read(&self) -> io::Result<(Vec<Entry>, Vec<BadLine>)> {
        let (mut entries, mut bad) = (Vec::new(), Vec::new());
        for folder in listed(&self.root)?.into_iter().filter(|path| path.is_dir()) {
            for path in listed(&folder)?.into_iter().filter(|path| path.to_string_lossy().ends_with(EXTENSION)) {
                let (more, worse) = lines(&path)?;
                entries.extend(more);
                bad.extend(worse);
            }
        }
        Ok((entries, bad))
    }

    /// The entries of one case, by place in its file. Lines that are none are passed over: [`History::read`] names them.
    pub fn read_case(&self, profile: &str, case: &str) -> io::Result<Vec<Entry>> {
        Ok(lines(&self.path(profile, case))?.0)
    }
}

fn lines(path: &Path) -> io::Result<(Vec<Entry>, Vec<BadLine>)> {
    let (mut entries, mut bad) = (Vec::new(), Vec::new());
    let bytes = fs::read(path)?;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match Entry::parse(line) {
            Ok(entry) => entries.push(entry),
            Err(error) => bad.push(BadLine { path: path.to_owned(), line: number, message: error.to_string() }),
        }
    }
    Ok((entries, bad))
}

/// What is in a folder, sorted; nothing if it does not exist.
fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::super::entry::testing::entry;
    use super::*;

    fn history() -> (tempfile::TempDir, History) {
        let dir = tempfile::tempdir().unwrap();
        let history = History::new(dir.path().join("history"), dir.path().join("target/history.lock"));
        (dir, history)
    }

    fn append(history: &History, entry: &Entry) {
        history.append(&entry.profile, &entry.case, &entry.line().unwrap()).unwrap();
    }

    #[test]
    fn lines_come_back_in_order_and_files_have_safe_names() {
        let (dir, history) = history();
        assert_eq!(history.read().unwrap(), (Vec::new(), Vec::new()));
        let mut hostile = entry(2, "a", 5.0);
        hostile.case = "../../outside::b=1".into();
        for one in [&entry(1, "a", 4.0), &hostile, &entry(3, "a", 4.1)] {
            append(&history, one);
        }
        let (entries, bad) = history.read().unwrap();
        assert_eq!(bad, []);
        assert_eq!(entries.iter().map(|entry| entry.run.as_str()).collect::<Vec<_>>(), ["run-2", "run-1", "run-3"]);
        assert_eq!(listed(dir.path()).unwrap().len(), 2, "nothing is outside");
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_is_used() {
        let (_dir, history) = history();
        append(&history, &entry(1, "a", 4.0));
        let path = history.path("embedded", "chatbot");
        let mut text = fs::read(&path).unwrap();
        // A conflict that git left, and a line that was cut.
        text.extend(b"<<<<<<< HEAD\n\n{\"version\":1,\"time\":\"20");
        fs::write(&path, text).unwrap();
        append(&history, &entry(2, "a", 4.1));
        let (entries, bad) = history.read().unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(
            bad.iter().map(|bad| (bad.path.clone(), bad.line)).collect::<Vec<_>>(),
            [(path.clone(), 2), (path, 4)]
        );
        assert!(bad[1].message.contains("EOF while parsing"), "{bad:?}");
    }

    #[test]
    fn writers_never_mix_their_lines() {
        let (_dir, history) = history();
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let history = history.clone();
                scope.spawn(move || {
                    (1..=25).for_each(|night| append(&history, &entry(night, &writer.to_string(), 4.0)));
                });
            }
        });
        let (entries, bad) = history.read().unwrap();
        assert_eq!((entries.len(), bad.len()), (100, 0));
    }
}

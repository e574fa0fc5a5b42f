//! The few things that are done to files: read, replace as a whole, remove, list.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::error::BaselineError;
use super::parse::FormatError;

/// The text of a file; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, BaselineError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(BaselineError::Format {
            path: path.into(),
            source: FormatError::Corrupt { line: None, message: "the file is not UTF-8 text".into() },
        }),
        Err(source) => Err(BaselineError::Io { action: "read", path: path.into(), source }),
    }
}

/// The names in a folder, sorted; none if it does not exist. A name that is not Unicode is none of ours.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, BaselineError> {
    let failed = |source| BaselineError::Io { action: "list", path: folder.into(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// The case of a file name without its extension: what [`names::file_name`] made it from.
pub(super) fn case_name(file: &str) -> String {
    let mut bytes = Vec::with_capacity(file.len());
    let mut rest = file.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        if let (b'%', Some(high), Some(low)) = (first, digit(0), digit(1)) {
            bytes.push((high * 16 + low) as u8);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Removes a file; returns whether there was one.
pub(super) fn remove(path: &Path) -> Result<bool, BaselineError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(BaselineError::Io { action: "remove", path: path.into(), source }),
    }
}

/// Writes the text beside `path` and moves it there, so that a crash leaves the old file or the new one.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), BaselineError> {
    let failed = |source| BaselineError::Io { action: "write", path: path.into(), source };
    let folder = path.parent().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    fs::create_dir_all(folder).map_err(failed)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tokpace-").suffix(".tmp");
    // Temporary files are private by default; a baseline is as readable as any other file of the checkout.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    // The name must reach the disk as well. Not every system can sync a folder, and the text is safe already.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_readable_by_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c.toml");
        replace(&path, "one").unwrap();
        replace(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(names_in(path.parent().unwrap()).unwrap(), ["c.toml"], "no temporary file is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let plain = dir.path().join("plain");
            fs::write(&plain, "").unwrap();
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode(&path), mode(&plain));
        }
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
        assert_eq!(read(&path).unwrap(), None);
    }

    #[test]
    fn broken_codes_stay_as_they_are() {
        for name in ["%", "%4", "%+4", "a%zz", "%%41"] {
            assert_eq!(case_name(name).replace("%A", "%%41"), name);
        }
    }

    proptest! {
        #[test]
        fn a_case_is_known_by_its_file(case: String) {
            prop_assert_eq!(case_name(&crate::names::file_name(&case)), case);
        }
    }
}

//! One measurement at a time: two on one machine would measure each other.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The measuring lock; released when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct MeasureLock {
    _file: File,
    /// How long another run was waited for.
    pub waited: Duration,
}

impl MeasureLock {
    /// Takes the lock at `path`, waiting for whoever has it. `on_wait` is told once, with the holder's words,
    /// before the wait; `stop` ends the wait with [`io::ErrorKind::Interrupted`].
    pub fn take(path: &Path, stop: &AtomicBool, on_wait: impl FnOnce(&str)) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path)?;
        let start = Instant::now();
        let mut on_wait = Some(on_wait);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if let Some(on_wait) = on_wait.take() {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                on_wait(holder.trim());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        write!(file, "process {}", std::process::id())?;
        file.flush()?;
        Ok(Self { _file: file, waited: start.elapsed() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_waits_and_can_be_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/measure.lock");
        let stop = AtomicBool::new(false);
        let first = MeasureLock::take(&path, &stop, |_| panic!("nobody to wait for")).unwrap();
        let stopped = AtomicBool::new(false);
        let error = MeasureLock::take(&path, &stopped, |holder| {
            assert_eq!(holder, format!("process {}", std::process::id()));
            stopped.store(true, Ordering::Relaxed);
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::Interrupted);
        drop(first);
        MeasureLock::take(&path, &stop, |_| panic!("released")).unwrap();
    }
}

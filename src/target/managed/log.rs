//! A server's log, and the end of it for errors.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Lines that an error shows.
const SHOWN_LINES: usize = 20;

/// Characters of a line that an error shows.
const SHOWN_WIDTH: usize = 200;

/// Bytes at a log's end that are looked at for them.
const SHOWN_BYTES: u64 = 64 * 1024;

/// Opens a log to append to it, and its length before.
pub(super) fn append(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// The last lines of a log since `start`, each behind `| `; empty if there are none.
pub(super) fn tail(path: &Path, start: u64) -> String {
    let Ok(bytes) = last_bytes(path, start) else { return String::new() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].iter().flat_map(|line| ["\n| ", line]).collect()
}

fn last_bytes(path: &Path, start: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(SHOWN_BYTES))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A line without colours and whatever else a terminal would obey, at most [`SHOWN_WIDTH`] characters of it.
fn plain(line: &str) -> String {
    // What a carriage return has overwritten is not what people saw last.
    let line = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    let mut out = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.as_str().starts_with('[') => {
                // A control sequence ends with a letter.
                for c in chars.by_ref().skip(1) {
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
            }
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    let cut = out.char_indices().nth(SHOWN_WIDTH).map(|(at, _)| at);
    if let Some(at) = cut {
        out.truncate(at);
        out.push('…');
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_tail_is_what_was_printed_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/server.log");
        let (mut file, start) = append(&path).unwrap();
        assert_eq!((start, tail(&path, start)), (0, String::new()));
        file.write_all(b"of an earlier start\n").unwrap();
        let (mut file, start) = append(&path).unwrap();
        file.write_all(b"\x1b[31mred\x1b[0m\tand \x07\n\n 1%\r 99%\n").unwrap();
        assert_eq!(tail(&path, start), "\n| red    and\n|  99%");
        for line in 0..100 {
            writeln!(file, "line {line}").unwrap();
        }
        let tail = tail(&path, start);
        assert!(tail.starts_with("\n| line 80\n") && tail.ends_with("\n| line 99"), "{tail}");
        assert_eq!(plain(&"é".repeat(300)), "é".repeat(200) + "…");
    }
}

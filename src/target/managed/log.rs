//! A server's log: what it prints goes to a file without secrets, and the end of it into errors.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::redact::Redactor;

/// A line that is longer is cut: a secret is looked for in whole lines.
const LONGEST_LINE: usize = 64 * 1024;

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

/// Copies lines without secrets until there are no more. A disk that is full must not hold the server up.
pub(super) fn copy(mut from: impl Read, mut to: impl Write, secrets: &[String]) {
    let redactor = knowing(secrets);
    let longest = secrets.iter().map(String::len).max().unwrap_or(0);
    let mut lines = Lines { held: Vec::new(), cut: false, longest };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                let text = lines.take(&buffer[..count], &redactor);
                let _ = to.write_all(text.as_bytes());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let rest = String::from_utf8_lossy(&lines.held);
    let _ = to.write_all(redactor.redact(&rest).as_bytes());
}

/// A redactor that knows each line of a secret of several lines as well.
fn knowing(secrets: &[String]) -> Redactor {
    let mut redactor = Redactor::default();
    for secret in secrets {
        redactor.add(secret);
        secret.lines().for_each(|line| redactor.add(line));
    }
    redactor
}

/// Whole lines out of what comes in pieces.
struct Lines {
    /// The begin of a line that has not ended.
    held: Vec<u8>,
    /// The begin of this line was written, its rest is left out.
    cut: bool,
    /// Length of the longest secret.
    longest: usize,
}

impl Lines {
    /// What can be written once `piece` has come.
    fn take(&mut self, mut piece: &[u8], redactor: &Redactor) -> String {
        if self.cut {
            let Some(end) = memchr::memchr(b'\n', piece) else { return String::new() };
            piece = &piece[end..];
            self.cut = false;
        }
        self.held.extend_from_slice(piece);
        let end = memchr::memrchr2(b'\n', b'\r', &self.held).map_or(0, |last| last + 1);
        let mut text = redactor.redact(&String::from_utf8_lossy(&self.held[..end])).into_owned();
        self.held.drain(..end);
        if self.held.len() > LONGEST_LINE + self.longest {
            let line = String::from_utf8_lossy(&self.held);
            let line = redactor.redact(&line);
            // At the end of what came may stand the first half of a secret.
            let mut keep = line.len().saturating_sub(self.longest);
            while !line.is_char_boundary(keep) {
                keep -= 1;
            }
            text.push_str(&line[..keep]);
            text.push('…');
            self.held.clear();
            self.cut = true;
        }
        text
    }
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
    use super::*;

    /// Gives a few bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn copied(text: &str, size: usize, secrets: &[&str]) -> String {
        let secrets: Vec<String> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
        let mut out = Vec::new();
        copy(Pieces(text.as_bytes(), size), &mut out, &secrets);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn no_secret_hides_between_two_pieces() {
        let text = "the key is hunter22, größer\nfirst-line\nsecond-line hunter22";
        for size in 1..text.len() {
            let out = copied(text, size, &["hunter22", "first-line\nsecond-line"]);
            assert_eq!(out, "the key is ***, größer\n***\n*** ***", "{size}");
        }
        assert_eq!(copied("10%\r20%\r\n", 3, &[]), "10%\r20%\r\n");
    }

    #[test]
    fn a_line_without_an_end_is_cut_before_a_half_secret() {
        for before in LONGEST_LINE - 10..LONGEST_LINE + 20 {
            let text = format!("{}hunter22{}\nnext", "x".repeat(before), "y".repeat(40_000));
            let out = copied(&text, 1000, &["hunter22"]);
            assert!(!out.contains("hunt"), "{before}");
            assert!(out.ends_with("…\nnext"), "{before}");
        }
    }

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

//! What a server prints, without secrets.

use std::io::{self, Read, Write};

use crate::redact::Redactor;

/// A line that is longer is cut: a secret is looked for in whole lines.
const LONGEST_LINE: usize = 64 * 1024;

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
}

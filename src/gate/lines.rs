//! Suites as JSON Lines in, verdicts as JSON Lines out.

use std::io::{self, BufRead, Write};

use serde::Serialize;

use super::judge::judge;
use super::protocol::Suite;
use super::verdict::{SuiteVerdict, Verdict};
use crate::erased;

/// What a stream of suites came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Suites judged.
    pub judged: u64,
    /// Suites that regressed.
    pub regressed: u64,
    /// Lines that could not be judged.
    pub bad: u64,
}

impl Outcome {
    /// The exit code: 2 if any line was bad, else 1 if any suite regressed, else 0.
    pub const fn exit_code(self) -> u8 {
        if self.bad > 0 {
            2
        } else if self.regressed > 0 {
            1
        } else {
            0
        }
    }
}

#[derive(Serialize)]
struct BadLine {
    line: u64,
    error: String,
}

/// Judges one suite a line and writes one verdict a line, in the same order.
///
/// A line that cannot be judged is answered by `{"line":N,"error":…}` in its place, and by the same on `errors`; the
/// rest is judged. Empty lines are skipped but counted.
///
/// # Errors
///
/// Only those of reading `input` and of writing.
pub fn judge_lines(mut input: impl BufRead, mut output: impl Write, mut errors: impl Write) -> io::Result<Outcome> {
    let mut outcome = Outcome::default();
    let (mut bytes, mut line) = (Vec::new(), 0);
    loop {
        bytes.clear();
        if input.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        line += 1;
        let text = bytes.strip_prefix(b"\xef\xbb\xbf").filter(|_| line == 1).unwrap_or(&bytes).trim_ascii();
        if text.is_empty() {
            continue;
        }
        match answer(text) {
            Ok(verdict) => {
                outcome.judged += 1;
                outcome.regressed += u64::from(verdict.verdict == Verdict::Regressed);
                write_line(&mut output, &verdict)?;
            }
            Err(error) => {
                outcome.bad += 1;
                let bad = BadLine { line, error };
                write_line(&mut output, &bad)?;
                write_line(&mut errors, &bad)?;
            }
        }
    }
    output.flush()?;
    Ok(outcome)
}

fn answer(text: &[u8]) -> Result<SuiteVerdict, String> {
    // The parser counts lines within the suite, which has only one.
    let suite: Suite =
        erased::from_json(text).map_err(|error| error.to_string().replace(" at line 1 column ", " at column "))?;
    judge(&suite).map_err(|error| error.to_string())
}

fn write_line(mut to: impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut to, value)?;
    to.write_all(b"\n")
}

//! Reads baseline files. Anything that is not exactly a baseline is an error that names its line.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::layout::{BaselineFile, Cell, Columns, EpochEntry, JobEntry, PendingFile};
use super::model::{Baseline, Epoch, Job, Pending};
use crate::erased;
use crate::gate::TrialValues;

/// The format that this version reads and writes.
pub const VERSION: u32 = 1;

/// Beyond 2^53 a number is no longer exact, and no trial has so many requests.
const MAX_COUNT: f64 = 9_007_199_254_740_992.0;

/// Why a text is not a baseline.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Not TOML, or not of this layout.
    #[error("{}{message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Corrupt {
        /// The line, counted from 1, where it can be told.
        line: Option<usize>,
        /// What is wrong there.
        message: String,
    },
    /// Two sides of a merge stand in the file.
    #[error("line {line}: the file has an unresolved merge conflict")]
    MergeConflict {
        /// The line of the first marker, counted from 1.
        line: usize,
    },
    /// A later format.
    #[error("written by a newer tokpace (format version {0}; this one reads {VERSION})")]
    Newer(i64),
    /// A version that never was.
    #[error("unknown format version {0}")]
    UnknownVersion(i64),
}

impl FormatError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => {
                "restore the file from version control, or delete it and record again with `cargo tokpace run --record 1`"
            }
            Self::MergeConflict { .. } => "keep one side whole: measurements of two sides cannot be merged",
            Self::Newer(_) => "update tokpace",
            Self::UnknownVersion(_) => "restore the file from version control",
        }
    }
}

/// Reads a baseline file's text.
///
/// # Errors
/// If the text is not a baseline of a version that this program knows; nothing is guessed or skipped.
pub fn parse_baseline(text: &str) -> Result<Baseline, FormatError> {
    let file: BaselineFile = read(text)?;
    let lines = Lines(text);
    Ok(Baseline {
        case: file.case,
        profile: file.profile,
        conditions: file.conditions,
        jobs: lines.jobs(file.jobs)?,
        anchors: file
            .anchors
            .into_iter()
            .map(|epoch| {
                let EpochEntry { until, reason, conditions, jobs } = epoch;
                Ok(Epoch { until, reason, conditions, jobs: lines.jobs(jobs)? })
            })
            .collect::<Result<_, FormatError>>()?,
    })
}

/// Reads a pending file's text.
///
/// # Errors
/// As [`parse_baseline`].
pub fn parse_pending(text: &str) -> Result<Pending, FormatError> {
    let file: PendingFile = read(text)?;
    Ok(Pending {
        case: file.case,
        profile: file.profile,
        verdict: file.verdict,
        summary: file.summary,
        conditions: file.conditions,
        jobs: Lines(text).jobs(file.jobs)?,
    })
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, FormatError> {
    if let Some(at) = text.lines().position(|line| line.starts_with("<<<<<<< ")) {
        return Err(FormatError::MergeConflict { line: at + 1 });
    }
    // The version comes first: an unknown key in a later format should not be called a typo.
    let Head { version } = parse(text)?;
    match version {
        v if v == i64::from(VERSION) => parse(text),
        v if v > i64::from(VERSION) => Err(FormatError::Newer(v)),
        v => Err(FormatError::UnknownVersion(v)),
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, FormatError> {
    toml::de::Deserializer::parse(text).and_then(erased::deserialize).map_err(|error| FormatError::Corrupt {
        line: error.span().map(|span| Lines(text).line(span.start)),
        message: error.message().replace('\n', ", "),
    })
}

#[derive(Deserialize)]
struct Head {
    version: i64,
}

/// The text that byte offsets refer to.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn line(&self, offset: usize) -> usize {
        self.0.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn corrupt(&self, offset: usize, message: String) -> FormatError {
        FormatError::Corrupt { line: Some(self.line(offset)), message }
    }

    fn jobs(&self, entries: Vec<JobEntry>) -> Result<Vec<Job>, FormatError> {
        if entries.is_empty() {
            return Err(FormatError::Corrupt { line: None, message: "`jobs` is empty".into() });
        }
        entries.into_iter().map(|entry| self.job(entry)).collect()
    }

    fn job(&self, entry: JobEntry) -> Result<Job, FormatError> {
        Ok(Job {
            trials: self.trials(entry.trials)?,
            recorded: entry.recorded,
            accepted: entry.accepted,
            by: entry.by,
            commit: entry.commit,
            reason: entry.reason,
            tokpace: entry.tokpace,
            subject: entry.subject,
        })
    }

    fn trials(&self, table: Spanned<Columns>) -> Result<Vec<TrialValues>, FormatError> {
        let at = table.span().start;
        let mut columns = table.into_inner();
        let counts = self.counts("n", at, &mut columns)?;
        let errors = self.counts("errors", at, &mut columns)?;
        if counts.is_empty() {
            return Err(self.corrupt(at, "the job has no trials".into()));
        }
        let too_long = |name: &str, length: usize| {
            format!("`{name}` has {length} values, but `n` has {}: one a trial is needed", counts.len())
        };
        if errors.len() != counts.len() {
            return Err(self.corrupt(at, too_long("errors", errors.len())));
        }
        if let Some((errors, n)) = errors.iter().zip(&counts).find(|(errors, n)| errors > n) {
            return Err(self.corrupt(at, format!("a trial has {errors} errors in {n} requests")));
        }
        let row = |(n, errors)| TrialValues { n, errors, values: BTreeMap::new() };
        let mut trials: Vec<_> = counts.iter().copied().zip(errors).map(row).collect();
        for (name, cells) in columns {
            let at = cells.span().start;
            let cells = cells.into_inner();
            if cells.len() != trials.len() {
                return Err(self.corrupt(at, too_long(&name, cells.len())));
            }
            for (trial, cell) in trials.iter_mut().zip(cells) {
                match cell {
                    Cell::Value(value) => trial.values.insert(name.clone(), Some(value)),
                    Cell::Censored => trial.values.insert(name.clone(), None),
                    Cell::Absent => None,
                };
            }
        }
        Ok(trials)
    }

    /// Takes a column of whole numbers out of the table that starts at `at`.
    fn counts(&self, name: &str, at: usize, columns: &mut Columns) -> Result<Vec<u64>, FormatError> {
        let cells = columns.remove(name).ok_or_else(|| self.corrupt(at, format!("missing field `{name}`")))?;
        let at = cells.span().start;
        let whole = |cell| match cell {
            Cell::Value(value) if value.fract() == 0.0 && (0.0..=MAX_COUNT).contains(&value) => Ok(value as u64),
            _ => Err(self.corrupt(at, format!("`{name}` must hold whole numbers, one a trial"))),
        };
        cells.into_inner().into_iter().map(whole).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"version = 1
case = "chatbot"
profile = "embedded"

[[jobs]]
recorded = "2026-11-22T21:00:00Z"
tokpace = "0.1.0"
[jobs.trials]
n = [48, 48]
errors = [0, 1]
"ttft.p50" = [51.2, 50]
"tpot.p50" = ["censored", "absent"]
"#;

    #[test]
    fn the_smallest_file() {
        let baseline = parse_baseline(GOOD).unwrap();
        let trials = &baseline.jobs[0].trials;
        assert_eq!((trials[1].n, trials[1].errors), (48, 1));
        assert_eq!(trials[1].values, BTreeMap::from([("ttft.p50".to_owned(), Some(50.0))]));
        assert_eq!(trials[0].values["tpot.p50"], None);
        assert!(baseline.conditions.is_empty() && baseline.anchors.is_empty());
        assert_eq!(parse_baseline(&GOOD.replace('\n', "\r\n")).unwrap(), baseline);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (from, to, message) in [
            ("51.2, 50", "51.2", "line 11: `ttft.p50` has 1 values, but `n` has 2: one a trial is needed"),
            ("[0, 1]", "[0]", "line 8: `errors` has 1 values, but `n` has 2: one a trial is needed"),
            ("[0, 1]", "[0, 49]", "line 8: a trial has 49 errors in 48 requests"),
            ("[48, 48]", "[48, 4.5]", "line 9: `n` must hold whole numbers, one a trial"),
            ("[48, 48]", "[48, -1]", "line 9: `n` must hold whole numbers, one a trial"),
            ("errors = [0, 1]", "", "line 8: missing field `errors`"),
            (
                "51.2",
                "nan",
                "line 11: invalid value: floating point `NaN`, expected a finite number, `censored` or `absent`",
            ),
            (
                "\"censored\"",
                "\"lost\"",
                "line 12: invalid value: string \"lost\", expected a finite number, `censored` or `absent`",
            ),
            ("version = 1", "version = 2", "written by a newer tokpace (format version 2; this one reads 1)"),
            ("version = 1", "version = 0", "unknown format version 0"),
            ("version = 1\n", "", "line 1: missing field `version`"),
            ("tokpace = ", "tokpaec = ", "line 7: unknown field `tokpaec`"),
            ("[[jobs]]", "<<<<<<< ours\n[[jobs]]", "line 5: the file has an unresolved merge conflict"),
            ("n = [48, 48]", "n = [", "line 10: "),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = parse_baseline(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().starts_with(message), "{to:?}: {error}");
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn a_later_format_is_not_called_a_typo() {
        let text = GOOD.replace("version = 1", "version = 7\nkey_of_the_future = true");
        assert_eq!(parse_baseline(&text), Err(FormatError::Newer(7)));
    }

    #[test]
    fn no_jobs_or_no_trials_is_no_baseline() {
        let head = "version = 1\ncase = \"a\"\nprofile = \"b\"\n";
        assert_eq!(parse_baseline(&format!("{head}jobs = []")).unwrap_err().to_string(), "`jobs` is empty");
        let text = GOOD.replace("48, 48", "").replace("0, 1", "").replace("51.2, 50", "");
        assert_eq!(parse_baseline(&text).unwrap_err().to_string(), "line 8: the job has no trials");
    }

    proptest! {
        #[test]
        fn damage_is_an_error_or_a_baseline(at in 0..GOOD.len(), with in any::<String>()) {
            let mut text = GOOD.to_owned();
            text.replace_range(at..=at, &with);
            let _ = parse_baseline(&text);
            let _ = parse_pending(&text);
        }
    }
}

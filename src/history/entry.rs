//! A line of the history: what a run found of a case.

use std::collections::BTreeMap;
use std::fmt::Write as _;

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::calendar::Date;
use crate::erased;
use crate::gate::{Mode, Verdict};
use crate::report::CaseReport;

/// Version of a line's format.
pub const VERSION: u32 = 1;

/// What a run found of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct Entry {
    /// Version of this format.
    pub version: u32,
    /// When the case was measured, RFC 3339, UTC.
    pub time: String,
    /// The run's name.
    pub run: String,
    /// The commit of the package, if it is known.
    pub commit: Option<String>,
    /// The profile that was measured.
    pub profile: String,
    /// The case.
    pub case: String,
    /// What was found.
    pub verdict: Verdict,
    /// Whether the test failed.
    pub failed: bool,
    /// Against accepted jobs, or in pairs with another live side.
    pub mode: Mode,
    /// Fingerprint of the conditions: figures under different ones are not comparable.
    pub conditions: String,
    /// What a change may change: server version, settings.
    #[serde(default)]
    pub subject: BTreeMap<String, String>,
    /// The value of each check, by metric: milliseconds, tok/s, shares. `null` where there was no finite value.
    pub checks: BTreeMap<String, Option<f64>>,
}

/// Why a line is not an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EntryError(String);

impl Entry {
    /// What a report tells, as the run `run` at `commit` found it.
    pub fn of(report: &CaseReport, run: &str, commit: Option<&str>) -> Self {
        let checks = report.checks.iter();
        Self {
            version: VERSION,
            time: report.recorded.clone(),
            run: run.to_owned(),
            commit: commit.map(str::to_owned),
            profile: report.profile.clone(),
            case: report.case.clone(),
            verdict: report.verdict,
            failed: report.failed.is_some(),
            mode: report.mode,
            conditions: fingerprint(&report.conditions),
            subject: report.subject.clone(),
            checks: checks.map(|check| (check.judged.metric.clone(), check.value.map(rounded))).collect(),
        }
    }

    /// The entry as a line of JSON, without its line break.
    ///
    /// # Errors
    /// Only if a value is no number that JSON knows.
    pub fn line(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The entry of a line.
    ///
    /// # Errors
    /// If it is not JSON of this format, was written by a newer version, or has a time that is none.
    pub fn parse(line: &[u8]) -> Result<Self, EntryError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let failed = |error: serde_json::Error| {
            // The line is named by whoever reads the file; within it only the column tells.
            EntryError(error.to_string().replace(" at line 1 column ", " at column "))
        };
        let Versioned { version } = erased::from_json(line).map_err(failed)?;
        if version != VERSION {
            let words = format!("written by another tokpace (format version {version}; this one reads {VERSION})");
            return Err(EntryError(words));
        }
        let entry: Self = erased::from_json(line).map_err(failed)?;
        if humantime::parse_rfc3339(&entry.time).is_err() {
            return Err(EntryError(format!("`{}` is not a time in RFC 3339, UTC", entry.time.escape_debug())));
        }
        Ok(entry)
    }

    /// The day on which it was measured, as text.
    pub fn day(&self) -> String {
        Date::of_timestamp(&self.time).map_or_else(|| self.time.clone(), |date| date.to_string())
    }
}

/// Conditions in eight hexadecimal digits: equal conditions have equal ones.
pub fn fingerprint(conditions: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in conditions {
        for text in [key, value] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    let mut name = String::new();
    for byte in &hash.finalize()[..4] {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

/// Six significant digits: below any noise, and lines stay short.
fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A run of `chatbot` on `embedded` on a day of November 2026 (days beyond 30 go on in the months after).
    pub(in crate::history) fn entry(night: u32, conditions: &str, tpot: f64) -> Entry {
        let (month, day) = (11 + (night - 1) / 28, (night - 1) % 28 + 1);
        let (year, month) = if month > 12 { (2027, month - 12) } else { (2026, month) };
        Entry {
            version: VERSION,
            time: format!("{year}-{month:02}-{day:02}T02:00:00.000Z"),
            run: format!("run-{night}"),
            commit: Some(format!("c0ffee{night:02}")),
            profile: "embedded".into(),
            case: "chatbot".into(),
            verdict: Verdict::Pass,
            failed: false,
            mode: Mode::Stored,
            conditions: conditions.into(),
            subject: BTreeMap::new(),
            checks: BTreeMap::from([("tpot.p50".to_owned(), Some(tpot)), ("error_rate".to_owned(), Some(0.0))]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::entry;
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let mut written = entry(3, "4f2a9c01", rounded(4.589_123_456));
        written.checks.insert("ttft.p50".into(), None);
        let line = written.line().unwrap();
        assert!(!line.contains('\n') && line.contains("\"tpot.p50\":4.58912,"), "{line}");
        assert_eq!(Entry::parse(line.as_bytes()), Ok(written));
    }

    #[test]
    fn what_is_no_line_says_why() {
        let good = entry(1, "a", 4.0).line().unwrap();
        for (line, said) in [
            (good[..good.len() / 2].to_owned(), "EOF while parsing"),
            ("{}".into(), "missing field `version`"),
            (good.replace("\"version\":1", "\"version\":2"), "written by another tokpace (format version 2; this one"),
            (good.replace("\"case\":", "\"kase\":"), "missing field `case`"),
            (good.replace("2026-11-01T", "yesterday "), "is not a time in RFC 3339"),
            (format!("{good}{good}"), "trailing characters at column "),
        ] {
            let error = Entry::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert!(Entry::parse(b"\xff").is_err());
    }

    #[test]
    fn conditions_have_one_fingerprint_each() {
        let of = |pairs: &[(&str, &str)]| {
            fingerprint(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("plan", "1"), ("model", "m")]), of(&[("model", "m"), ("plan", "1")]));
        assert_eq!(of(&[]).len(), 8);
        let all = [of(&[]), of(&[("a", "bc")]), of(&[("ab", "c")]), of(&[("a", "b"), ("c", "")])];
        assert!(all.iter().enumerate().all(|(at, one)| !all[..at].contains(one)), "{all:?}");
    }
}

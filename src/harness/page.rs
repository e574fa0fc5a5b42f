//! `report.html` of a run's folder, written anew from its files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::baseline::Baseline;
use crate::erased;
use crate::harness::RunFolder;
use crate::history::{self, Entry};
use crate::report::{self, BaselineJob, CaseBaseline, CaseHistory, Page, PastRun, RequestRow, RunReport, RunTrials};

/// The page's file.
pub(super) const NAME: &str = "report.html";

/// Why a run's folder makes no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// A file that every run leaves is not there.
    #[error("`{file}` is missing\nhint: name the folder of a run, as in `target/tokpace/latest`, or measure again")]
    Missing {
        /// Its name within the folder.
        file: String,
    },
    /// A file says something else than a run would have written.
    #[error("`{file}` cannot be used: {reason}\nhint: the file was changed or cut off; measure again")]
    Broken {
        /// Its name within the folder.
        file: String,
        /// What is wrong with it, and where.
        reason: String,
    },
    /// The file system.
    #[error("failed to {action} `{file}`: {source}\nhint: check the space and permissions of the run's folder")]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file's name within the folder.
        file: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Writes `report.html` from what the folder holds. All of that was redacted when it was written, before any of it is
/// escaped: a secret with a `<` in it would not be known any more.
pub fn write_page(folder: &RunFolder) -> Result<(), PageError> {
    let page = read(folder)?;
    let failed = |source| PageError::Io { action: "write", file: NAME.into(), source };
    folder.write(NAME, &report::html(&page)).map_err(failed)
}

/// What a run's folder keeps of a baseline.
pub(super) fn part(baseline: &Baseline) -> CaseBaseline {
    let job = |job: &crate::baseline::Job| BaselineJob {
        recorded: job.recorded.clone(),
        commit: job.commit.clone(),
        subject: job.subject.clone(),
        trials: job.trials.clone(),
    };
    CaseBaseline {
        case: baseline.case.clone(),
        conditions: baseline.conditions.clone(),
        jobs: baseline.jobs.iter().map(job).collect(),
    }
}

/// What a run's folder keeps of the runs before it, which `entries` has with itself.
pub(super) fn past(case: &str, entries: &[Entry]) -> Option<CaseHistory> {
    let tracks = history::tracks(entries);
    // The one that was measured last: that of this run.
    let stretch = tracks.first()?.stretches.last()?;
    let changes = stretch.metrics().into_iter().map(|metric| {
        let changes = stretch.series(metric).changes;
        (metric.to_owned(), changes.iter().map(|change| change.index).collect::<Vec<usize>>())
    });
    Some(CaseHistory {
        case: case.to_owned(),
        runs: stretch.latest().iter().map(|run| past_run(run)).collect(),
        changes: changes.filter(|(_, indices)| !indices.is_empty()).collect(),
    })
}

fn past_run(entry: &Entry) -> PastRun {
    PastRun {
        time: entry.time.clone(),
        commit: entry.commit.clone(),
        verdict: entry.verdict,
        checks: entry.checks.clone(),
    }
}

fn read(folder: &RunFolder) -> Result<Page, PageError> {
    let run: RunReport = json(folder, "run.json")?;
    let trials: RunTrials = json(folder, "trials.json")?;
    let measured = trials.cases.iter().any(|case| !case.trials.is_empty());
    Ok(Page {
        baselines: of_cases(folder, &run, "baseline")?,
        histories: of_cases(folder, &run, "history")?,
        requests: requests(folder, measured)?,
        run,
        trials,
    })
}

fn json<T: DeserializeOwned>(folder: &RunFolder, file: &str) -> Result<T, PageError> {
    let bytes = std::fs::read(folder.path().join(file)).map_err(|error| unread(file, error))?;
    erased::from_json(&bytes).map_err(|error| broken(file, &error))
}

fn unread(file: &str, error: io::Error) -> PageError {
    match error.kind() {
        io::ErrorKind::NotFound => PageError::Missing { file: file.into() },
        _ => PageError::Io { action: "read", file: file.into(), source: error },
    }
}

fn broken(file: &str, reason: &impl std::fmt::Display) -> PageError {
    PageError::Broken { file: file.into(), reason: reason.to_string() }
}

/// What was kept of each case's baseline or history. A run's folder that was copied in part has none, and the page says
/// less.
fn of_cases<T: DeserializeOwned>(folder: &RunFolder, run: &RunReport, kind: &str) -> Result<Vec<T>, PageError> {
    let mut found = Vec::new();
    for case in &run.cases {
        let file = format!("cases/{}.{kind}.json", crate::names::file_name(&case.case));
        match json(folder, &file) {
            Ok(part) => found.push(part),
            Err(PageError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// The measured requests by case; `expected` if there must be some.
fn requests(folder: &RunFolder, expected: bool) -> Result<BTreeMap<String, Vec<RequestRow>>, PageError> {
    const FILE: &str = "requests.jsonl";
    let mut requests: BTreeMap<String, Vec<RequestRow>> = BTreeMap::new();
    let file = match File::open(Path::join(folder.path(), FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !expected => return Ok(requests),
        Err(error) => return Err(unread(FILE, error)),
    };
    let mut lines = BufReader::new(file);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(|error| unread(FILE, error))? == 0 {
            return Ok(requests);
        }
        number += 1;
        let row: Result<RequestRow, _> = erased::from_json(&line);
        let mut row = row.map_err(|error| broken(&format!("{FILE}:{number}"), &error))?;
        if row.phase == "measured" {
            let case = std::mem::take(&mut row.case);
            match requests.get_mut(&case) {
                Some(rows) => rows.push(row),
                None => drop(requests.insert(case, vec![row])),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Mode, Verdict};
    use crate::redact::Redactor;

    const RUN: &str = r#"{"version":1,"run":{"id":"r","started":"2026-01-31T10:00:00Z","updated":"2026-01-31T10:00:01Z",
        "profile":"embedded","against":null,"target":"embedded","tokpace":"0.1.0","quick":false,"interrupted":false,
        "measured_seconds":1.0,"command":["perf"],"machine":{"os":"linux","cores":2,"build":"debug"}},
        "verdict":"pass","cases":[]}"#;
    const TRIALS: &str = r#"{"version":1,"run":"r","cases":[]}"#;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, RunFolder) {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let folder = RunFolder::of_run(root.path(), Redactor::default()).unwrap();
        (root, folder)
    }

    #[test]
    fn a_run_without_requests_has_a_page() {
        let (root, folder) = folder(&[("run.json", RUN), ("trials.json", TRIALS)]);
        write_page(&folder).unwrap();
        let text = std::fs::read_to_string(root.path().join(NAME)).unwrap();
        assert!(text.contains("Nothing was measured."), "{text}");
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let error = |files: &[(&str, &str)]| write_page(&folder(files).1).unwrap_err().to_string();
        assert!(error(&[]).starts_with("`run.json` is missing\nhint: "));
        assert!(error(&[("run.json", RUN)]).starts_with("`trials.json` is missing\nhint: "));
        let text = error(&[("run.json", &RUN[..40]), ("trials.json", TRIALS)]);
        assert!(text.starts_with("`run.json` cannot be used: EOF") && text.contains("hint: "), "{text}");
        let cut = "{\"case\":\"a\",\"phase\":\"measured\"}\n{\"case\":\"a\",\"tr";
        let text = error(&[("run.json", RUN), ("trials.json", TRIALS), ("requests.jsonl", cut)]);
        assert!(text.starts_with("`requests.jsonl:2` cannot be used: EOF"), "{text}");
    }

    #[test]
    fn the_last_runs_under_equal_conditions_are_kept_with_their_changes() {
        let entry = |night: u32, conditions: &str| Entry {
            version: history::VERSION,
            time: format!("2026-10-{night:02}T02:00:00Z"),
            run: format!("night-{night}"),
            commit: None,
            profile: "embedded".into(),
            case: "chat".into(),
            verdict: Verdict::Pass,
            failed: false,
            mode: Mode::Stored,
            conditions: conditions.into(),
            subject: BTreeMap::new(),
            checks: BTreeMap::from([(
                "tpot.p50".to_owned(),
                Some(if night > 20 { 4.95 } else { 4.5 } + f64::from(night % 5) * 0.01),
            )]),
        };
        assert_eq!(past("chat", &[]), None);
        let other = (1..=3).map(|night| entry(night, "other"));
        let entries: Vec<Entry> = other.chain((4..=30).map(|night| entry(night, "same"))).collect();
        let past = past("chat", &entries).unwrap();
        assert_eq!((past.runs.len(), &*past.runs[0].time), (27, "2026-10-04T02:00:00Z"));
        assert_eq!(past.changes, BTreeMap::from([("tpot.p50".to_owned(), vec![17])]));
    }
}

//! A run in other formats: for other tools, CI servers and people who read elsewhere.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::erased;
use crate::names;
use crate::redact::Redactor;
use crate::report::{self, AiperfRun, RequestLine, RunReport, RunTrials};

/// A format to write a run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// AIPerf's files, a folder a trial.
    Aiperf,
    /// The requests as comma-separated values.
    Csv,
    /// `junit.xml`.
    Junit,
    /// A comment for a pull request.
    Markdown,
    /// `summary.tsv`.
    Tsv,
    /// Annotations for GitHub.
    Github,
}

impl ExportFormat {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("aiperf", Self::Aiperf),
        ("csv", Self::Csv),
        ("junit", Self::Junit),
        ("markdown", Self::Markdown),
        ("tsv", Self::Tsv),
        ("github", Self::Github),
    ];
}

impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name.trim());
        found.map(|(_, format)| format).ok_or_else(|| {
            format!("no such format; write one of {}", Self::ALL.map(|(name, _)| format!("`{name}`")).join(", "))
        })
    }
}

/// Why a run could not be written in another format.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} `{}`: {source}", path.display())]
pub struct ExportError {
    /// What was tried.
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl ExportError {
    fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { action, path: path.to_path_buf(), source }
    }
}

/// Writes the run in `folder` to `out` in each format, and gives the files that were written. `place` is the package's
/// place in the repository, for annotations.
///
/// # Errors
/// If the run cannot be read, or a file cannot be written.
pub fn export(
    folder: &Path,
    out: &Path,
    formats: &[ExportFormat],
    place: &str,
    redactor: &Redactor,
) -> Result<Vec<PathBuf>, ExportError> {
    let run: RunReport = read_json(&folder.join("run.json"))?;
    let mut written = Vec::new();
    let mut write = |name: &str, text: &str| -> Result<(), ExportError> {
        let path = out.join(name);
        whole(&path, redactor.redact(text).as_bytes()).map_err(ExportError::new("write", &path))?;
        written.push(path);
        Ok(())
    };
    for format in formats {
        match format {
            ExportFormat::Junit => write("junit.xml", &report::junit(&run))?,
            ExportFormat::Markdown => write("comment.md", &report::comment(&run))?,
            ExportFormat::Tsv => write("summary.tsv", &report::tsv(&run))?,
            ExportFormat::Github => write("annotations.txt", &report::annotations(&run, place))?,
            ExportFormat::Csv => write("requests.csv", &report::csv(&requests(folder)?))?,
            ExportFormat::Aiperf => {
                let trials: RunTrials = read_json(&folder.join("trials.json"))?;
                for (name, text) in aiperf(&run, &trials, &requests(folder)?) {
                    write(&name, &text)?;
                }
            }
        }
    }
    Ok(written)
}

/// The files of every valid trial of the candidate, by their paths.
fn aiperf(run: &RunReport, trials: &RunTrials, requests: &[RequestLine]) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let command = run.run.command.join(" ");
    for case in &run.cases {
        let measured = trials.cases.iter().filter(|known| known.case == case.case).flat_map(|known| &known.trials);
        for trial in measured.filter(|trial| trial.valid && trial.side == "candidate") {
            let of_trial = requests.iter().filter(|request| {
                request.phase == "measured"
                    && request.side == trial.side
                    && request.trial == trial.trial
                    && request.case == case.case
            });
            // Where several jobs were recorded, the trials are those of the last one, and so are the requests.
            let last: BTreeMap<u32, &RequestLine> = of_trial.map(|request| (request.index, request)).collect();
            let own: Vec<&RequestLine> = last.into_values().collect();
            let began_ns = crate::harness::wall::nanos(&trial.started).unwrap_or(0);
            let ended = crate::harness::wall::at(began_ns + (trial.seconds * 1e9) as u64);
            let texts = report::aiperf(AiperfRun {
                run: &run.run.id,
                command: &command,
                case,
                trial,
                requests: &own,
                began_ns,
                ended: &ended,
            });
            // As AIPerf lays out repeated runs.
            let folder = format!("aiperf/{}/profile_runs/run_{:04}", names::file_name(&case.case), trial.trial);
            files.push((format!("{folder}/profile_export_aiperf.json"), texts.json));
            files.push((format!("{folder}/profile_export_aiperf.csv"), texts.csv));
            files.push((format!("{folder}/profile_export.jsonl"), texts.jsonl));
        }
    }
    files
}

fn requests(folder: &Path) -> Result<Vec<RequestLine>, ExportError> {
    let path = folder.join("requests.jsonl");
    let text = fs::read_to_string(&path).map_err(ExportError::new("read", &path))?;
    let line = |line: &str| erased::from_json(line.as_bytes()).map_err(io::Error::from);
    text.lines().map(line).collect::<io::Result<_>>().map_err(ExportError::new("read", &path))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, ExportError> {
    let bytes = fs::read(path).map_err(ExportError::new("read", path))?;
    erased::from_json(&bytes).map_err(|error| ExportError::new("read", path)(error.into()))
}

/// Writes a file in one step, with the folders that it needs.
fn whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

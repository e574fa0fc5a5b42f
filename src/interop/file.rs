//! A file of unknown make, recognised by what it holds.

use serde_json::Value;

use super::model::Measured;
use super::{aiperf, guidellm, sglang, tokpace, vllm};
use crate::erased;
use crate::report::{RunReport, RunTrials};

/// What a file turned out to be.
#[derive(Clone, Debug)]
pub enum Imported {
    /// `run.json` of a run of our own.
    Run(Box<RunReport>),
    /// `trials.json` of a run of our own.
    Trials(RunTrials),
    /// Results of another tool, in the order of the file.
    Results(Vec<Measured>),
}

/// A file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ImportError {
    /// The line, counted from 1, where there is one to name.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

const KNOWN: &str = "give a run folder, `run.json` or `trials.json` of tokpace, a result of `vllm bench serve \
    --save-result`, AIPerf's `profile_export_aiperf.json`, GuideLLM's JSON, or the JSON Lines of SGLang's \
    `bench_serving`";

/// Reads a file's text.
///
/// # Errors
/// If it is no JSON, is of no known kind, or lacks what its kind has.
pub fn read(text: &str) -> Result<Imported, ImportError> {
    if text.trim().is_empty() {
        return Err(ImportError { line: None, message: "the file is empty".into(), hint: "measure again".into() });
    }
    // Python writes infinities as no other reader of JSON takes them; only rates without limit are infinite here.
    let text = text.replace(": Infinity", ": 1e300").replace(": NaN", ": null");
    let mut results = Vec::new();
    let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let mut from = 0;
    while let Some(value) = values.next() {
        let line = Some(text[..from].lines().count() + 1);
        let value = value.map_err(|error| ImportError {
            line: Some(error.line()),
            message: format!("no JSON: {error}"),
            hint: "the file may have been cut off; measure again, or give the file that the tool wrote".into(),
        })?;
        if tokpace::is_run(&value) {
            return own(&text).map(|run| Imported::Run(Box::new(run)));
        }
        if tokpace::is_trials(&value) {
            return own(&text).map(Imported::Trials);
        }
        let unusable = |message: String| ImportError {
            line,
            message,
            hint: "measure again, with a release of the tool that tokpace knows".into(),
        };
        if guidellm::is(&value) {
            results.extend(guidellm::read(&value).map_err(unusable)?);
        } else if aiperf::is(&value) {
            results.push(aiperf::read(&value).map_err(unusable)?);
        } else if vllm::is(&value) {
            results.push(vllm::read(&value).map_err(unusable)?);
        } else if sglang::is(&value) {
            results.push(sglang::read(&value).map_err(unusable)?);
        } else {
            return Err(ImportError { line, message: "JSON, but of no tool that is known".into(), hint: KNOWN.into() });
        }
        from = values.byte_offset();
    }
    match results.iter().find(|trial| trial.values.n == 0) {
        Some(_) => Err(ImportError {
            line: None,
            message: "no request was attempted".into(),
            hint: "look at what the tool said; nothing was measured".into(),
        }),
        None => Ok(Imported::Results(results)),
    }
}

fn own<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ImportError> {
    erased::from_json(text.as_bytes()).map_err(|error| ImportError {
        line: Some(error.line()),
        message: format!("not what a run of tokpace writes: {error}"),
        hint: "it may be of another version of tokpace; measure again with this one".into(),
    })
}

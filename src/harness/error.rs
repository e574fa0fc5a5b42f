//! Why a case could not be measured.

use crate::engine::EngineError;
use crate::environment::EnvError;
use crate::gate;
use crate::plan::{DatasetError, PlanError};
use crate::profile::UnknownVariant;
use crate::target::{ManagedError, ProbeError, TargetError};

/// Why a case could not be measured. Every text ends in a hint.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The target cannot be used.
    #[error(transparent)]
    Target(TargetError),
    /// The target does not answer as it should.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The case cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The dataset is not what it should be.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A path holds a variable that is not set.
    #[error("{source}\nhint: {hint}", hint = .source.hint)]
    Environment {
        /// Which.
        #[from]
        source: EnvError,
    },
    /// A file that the scenario names.
    #[error("failed to read `{path}`: {source}\nhint: paths in a scenario are relative to its file")]
    File {
        /// The file as written.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The engine has failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The stored baseline cannot be used.
    #[error("{source}\nhint: {hint}", hint = .source.hint())]
    Baseline {
        /// Why.
        #[from]
        source: crate::baseline::BaselineError,
    },
    /// The judge refuses the values, which is a bug.
    #[error("failed to judge the trials: {0}\nhint: this is a bug of tokpace; report it with `trials.json`")]
    Judge(#[from] gate::JudgeError),
    /// Results cannot be written.
    #[error("failed to write results: {0}\nhint: check the space and permissions of cargo's target folder")]
    Write(#[from] std::io::Error),
    /// A variant that the profile does not have.
    #[error(transparent)]
    Variant(#[from] UnknownVariant),
    /// A signal ended the run.
    #[error("interrupted before the case was measured\nhint: run it again")]
    Interrupted,
}

impl From<TargetError> for MeasureError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Managed(ManagedError::Interrupted) => Self::Interrupted,
            other => Self::Target(other),
        }
    }
}

//! How old a baseline may be.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::file::{CommonFile, ProjectFile};
use crate::calendar::Days;

/// What a baseline that is older than it may be does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnStale {
    /// The report says so.
    #[default]
    Warn,
    /// The test fails.
    Fail,
}

/// How old a baseline may be, and what an older one does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aging {
    /// Most days since its latest job was measured; no limit if absent.
    pub max_age: Option<Days>,
    /// What an older one does.
    pub on_stale: OnStale,
}

impl Aging {
    /// What holds for every profile that says nothing else.
    pub(super) fn of_file(file: &ProjectFile) -> Self {
        Self { max_age: file.baseline_max_age, on_stale: file.on_stale_baseline.unwrap_or_default() }
    }

    /// A profile's own keys go before those of the file.
    pub(super) fn with(self, common: &CommonFile) -> Self {
        Self {
            max_age: common.baseline_max_age.or(self.max_age),
            on_stale: common.on_stale_baseline.unwrap_or(self.on_stale),
        }
    }
}

//! The layout of baseline files, as serde and JSON Schema see it.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "schema")]
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use toml::Spanned;

use super::model::PendingVerdict;

/// Stands for a value that is worse than anything measured.
pub(super) const CENSORED: &str = "censored";
/// Stands for a metric that one trial of a job lacks.
pub(super) const ABSENT: &str = "absent";

/// Columns of a `trials` table by name.
pub(super) type Columns = BTreeMap<String, Spanned<Vec<Cell>>>;

/// The JSON Schema of baseline files. With feature `schema`.
#[cfg(feature = "schema")]
pub fn schema() -> Schema {
    schemars::schema_for!(BaselineFile)
}

/// Accepted measurements of a case on a profile. Written by `cargo tokpace accept`.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(title = "tokpace baseline"))]
pub(super) struct BaselineFile {
    /// Format version.
    #[serde(rename = "version")]
    pub(super) _version: u32,
    /// Test name of the case.
    pub(super) case: String,
    /// Name of the profile.
    pub(super) profile: String,
    /// What must be equal for a comparison: model, plan hash, token source, …
    #[serde(default)]
    pub(super) conditions: BTreeMap<String, String>,
    /// Accepted jobs of this epoch, oldest first.
    pub(super) jobs: Vec<JobEntry>,
    /// What earlier epochs ended with, newest first; the last is the oldest.
    #[serde(default)]
    pub(super) anchors: Vec<EpochEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PendingFile {
    #[serde(rename = "version")]
    pub(super) _version: u32,
    pub(super) case: String,
    pub(super) profile: String,
    pub(super) verdict: PendingVerdict,
    #[serde(default)]
    pub(super) summary: Vec<String>,
    #[serde(default)]
    pub(super) conditions: BTreeMap<String, String>,
    pub(super) jobs: Vec<JobEntry>,
}

/// All trials of the case in one run.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct JobEntry {
    /// When it was measured, RFC 3339.
    pub(super) recorded: String,
    /// When it was accepted, RFC 3339.
    pub(super) accepted: Option<String>,
    /// Who accepted it.
    pub(super) by: Option<String>,
    /// The measured commit.
    pub(super) commit: Option<String>,
    /// Why it was accepted.
    pub(super) reason: Option<String>,
    /// Version of tokpace.
    pub(super) tokpace: String,
    /// What a change is expected to change.
    #[serde(default)]
    pub(super) subject: BTreeMap<String, String>,
    /// `n`, `errors` and metrics; one entry a trial in each array.
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, Vec<Cell>>"))]
    pub(super) trials: Spanned<Columns>,
}

/// Jobs of an earlier epoch.
#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct EpochEntry {
    /// When the next epoch began, RFC 3339.
    pub(super) until: String,
    /// Why it ended.
    pub(super) reason: String,
    /// Its conditions.
    #[serde(default)]
    pub(super) conditions: BTreeMap<String, String>,
    /// Its jobs, oldest first.
    pub(super) jobs: Vec<JobEntry>,
}

/// One trial's value of one metric.
#[derive(Clone, Copy)]
pub(super) enum Cell {
    Value(f64),
    Censored,
    Absent,
}

#[cfg(feature = "schema")]
impl JsonSchema for Cell {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "a value; `censored` if worse than anything measured, `absent` if the trial lacks the metric",
            "anyOf": [{ "type": "number" }, { "enum": [CENSORED, ABSENT] }],
        })
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CellVisitor;

        impl Visitor<'_> for CellVisitor {
            type Value = Cell;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a finite number, `{CENSORED}` or `{ABSENT}`")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Cell, E> {
                if value.is_finite() {
                    Ok(Cell::Value(value))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(value), &self))
                }
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Cell, E> {
                Ok(Cell::Value(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Cell, E> {
                Ok(Cell::Value(value as f64))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Cell, E> {
                match value {
                    CENSORED => Ok(Cell::Censored),
                    ABSENT => Ok(Cell::Absent),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(CellVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "schema")]
    #[test]
    fn the_schema_knows_every_key() {
        let schema = serde_json::to_string(&schema()).unwrap();
        for key in ["version", "anchors", "recorded", "until", "censored"] {
            assert!(schema.contains(&format!("\"{key}\"")), "{key}: {schema}");
        }
        assert!(!schema.contains("_version"));
    }
}

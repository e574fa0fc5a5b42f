//! What people and machines read before and after a run. Pure: figures in, text out.

mod check_text;
#[cfg(feature = "cli")]
mod forecast_table;
mod hints;
mod lines;
mod markdown;
mod model;
pub(crate) mod number;
#[cfg(feature = "cli")]
mod plan_table;
mod text;
mod tsv;
mod verdict_text;

pub use check_text::check_line;
#[cfg(feature = "cli")]
pub use forecast_table::{forecast_json, forecast_table};
pub use markdown::markdown;
pub use model::{
    BaselineInfo, Calibration, CaseReport, CaseTrials, CheckReport, ClientInfo, Invalidated, PrefixReport, PrefixSide,
    ReferenceInfo, RunInfo, RunReport, RunTrials, TrialReport, WaiverInfo,
};
pub(crate) use number::percent;
#[cfg(feature = "cli")]
pub use plan_table::{Amount, CasePlan, Price, plan_json, plan_table};
pub use text::table;
pub use tsv::tsv;
pub use verdict_text::verdict_text;

// Their figures come from `predict`.
#[cfg(feature = "cli")]
#[cfg(test)]
mod tests;

//! What people and machines read before and after a run. Pure: figures in, text out.

mod aiperf;
mod check_text;
mod comment;
#[cfg(feature = "cli")]
mod compared;
mod csv;
mod escape;
#[cfg(feature = "cli")]
mod forecast_table;
mod github;
mod hints;
mod html;
mod junit;
mod lines;
mod markdown;
#[cfg(feature = "cli")]
mod merged;
mod model;
pub(crate) mod number;
#[cfg(feature = "cli")]
mod plan_table;
mod requests;
mod server;
mod text;
mod tsv;
mod verdict_text;

pub use aiperf::{AiperfFiles, AiperfRun, aiperf};
pub use check_text::check_line;
pub use comment::comment;
#[cfg(feature = "cli")]
pub use compared::comparison_table;
pub use csv::csv;
#[cfg(feature = "cli")]
pub use forecast_table::{forecast_json, forecast_table};
pub use github::annotations;
pub use html::{BaselineJob, CaseBaseline, CaseHistory, Page, PastRun, RequestRow, html};
pub use junit::junit;
pub use markdown::markdown;
#[cfg(feature = "cli")]
pub use merged::{merged_markdown, merged_tsv};
pub use model::{
    BaselineInfo, Calibration, CaseReport, CaseTrials, CheckReport, ClientInfo, Invalidated, PrefixReport, PrefixSide,
    ReferenceInfo, RunInfo, RunReport, RunTrials, TrialReport, WaiverInfo,
};
pub(crate) use number::{percent, plain};
#[cfg(feature = "cli")]
pub use plan_table::{Amount, CasePlan, Price, plan_json, plan_table};
pub use requests::RequestLine;
pub(crate) use server::in_words as growth_in_words;
pub use server::{GrowthReport, ServerReport};
pub use text::table;
pub use tsv::tsv;
pub use verdict_text::verdict_text;

// Their figures come from `predict`.
#[cfg(feature = "cli")]
#[cfg(test)]
mod tests;

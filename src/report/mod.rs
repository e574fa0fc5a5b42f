//! What people and machines read after a run. Pure: figures in, text out.

mod check_text;
mod hints;
mod lines;
mod markdown;
mod model;
mod number;
mod text;
mod tsv;
mod verdict_text;

pub use check_text::check_line;
pub use markdown::markdown;
pub use model::{
    BaselineInfo, CaseReport, CaseTrials, CheckReport, ClientInfo, Invalidated, RunInfo, RunReport, RunTrials,
    TrialReport,
};
pub(crate) use number::percent;
pub use text::table;
pub use tsv::tsv;
pub use verdict_text::verdict_text;

#[cfg(test)]
mod tests;

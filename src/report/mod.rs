//! What people and machines read after a run. Pure: figures in, text out.

mod markdown;
mod model;
mod number;
mod text;
mod tsv;
mod verdict_text;

pub use markdown::markdown;
pub use model::{
    BaselineInfo, CaseReport, CaseTrials, CheckReport, ClientInfo, Invalidated, RunInfo, RunReport, RunTrials,
    TrialReport,
};
pub(crate) use number::percent;
pub use text::table;
pub use tsv::tsv;
pub use verdict_text::{check_line, verdict_text};

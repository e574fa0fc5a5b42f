//! From a case and a seed to the exact requests and their times. Pure, and the same for both sides of a comparison.

mod arrival;
mod build;
mod dataset;
mod draw;
mod hash;
mod length;
mod model;
mod prompts;
mod salt;
mod trace;
mod words;

pub use build::{PlanError, Sources, build};
pub use dataset::{DatasetError, Item, parse as parse_dataset};
pub(crate) use draw::{Draw, Purpose};
pub use model::{Cancel, Pacing, Plan, PlannedRequest, Prompt};
pub use salt::{SALT_TOKENS, Salt};
pub use trace::{Reuse, TRACE_BLOCK_TOKENS, TraceRequest, implied_reuse, parse_trace, replayed};
pub use words::{TooFewWords, Words};

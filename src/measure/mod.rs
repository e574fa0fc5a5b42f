//! From records to the figures of a trial, and whether the trial was a measurement at all. Pure.

mod calibration;
mod common;
mod repeat;
mod request;
mod row;
mod summary;
mod trust;
mod window;

pub use calibration::Errors;
pub(crate) use common::template_tokens;
pub(crate) use repeat::{gives_up, pause};
pub use request::RequestMetrics;
pub(crate) use row::{kept, row};
pub use summary::{Client, Trial, TrialSummary, Value};
pub use trust::{Expected, Invalid, check as check_trust};
pub use window::Window;

#[cfg(test)]
mod properties;

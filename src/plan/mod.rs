//! From a case and a seed to the exact requests and their times. Pure, and the same for both sides of a comparison.

mod model;

pub use model::{Pacing, Plan, PlannedRequest, Prompt};

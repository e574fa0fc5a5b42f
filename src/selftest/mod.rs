//! The gate's own rates: unchanged, slower and faster builds on noisy machines, judged by the thousand. Pure.

mod count;
mod noise;
mod pools;
mod rates;
mod suites;
mod table;

pub use count::Count;
pub use noise::{Machine, Noise, NoiseShape};
pub use pools::{Pool, Pools};
pub use rates::{Rates, rates};
pub use suites::{CHECKS, Candidate, Design, SCENARIOS, Suites, Tolerances};
pub use table::{rates_json, rates_table};

//! The gate's own rates: unchanged, slower and faster builds, judged by the thousand on simulated machines, or a few
//! times on a real one. Pure.

mod count;
mod live;
mod noise;
mod pools;
mod rates;
mod suites;
mod table;

pub use count::Count;
pub use live::{LiveRow, Steadiness, live_json, live_table};
pub use noise::{Machine, Noise, NoiseShape};
pub use pools::{Pool, Pools};
pub use rates::{Rates, rates};
pub use suites::{CHECKS, Candidate, Design, SCENARIOS, Suites, Tolerances};
pub use table::{rates_json, rates_table};

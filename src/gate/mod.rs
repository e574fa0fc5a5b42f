//! The statistical kernel: a suite of values in, verdicts out; the same for the harness and `cargo tokpace judge`.

mod absolute;
mod check;
mod errors;
mod evidence;
mod judge;
mod leak;
mod lines;
mod looks;
mod paired;
mod pairing;
mod power;
mod protocol;
mod stored;
mod verdict;

#[cfg(test)]
mod tests;

pub use absolute::{Absolute, absolute};
pub use judge::{JudgeError, judge};
pub use leak::leak;
pub use lines::{Outcome, judge_lines};
pub use looks::{FEWEST, Look, looks};
pub use power::pairs_needed;
pub use protocol::{
    CaseInput, CheckInput, Job, Mode, Order, Pair, Suite, TrialValues, default_alpha, default_job_noise, default_k_max,
};
pub use stored::{JOBS_AT_MOST, needs_more_trials};
pub use verdict::{CaseVerdict, CheckVerdict, JobNoise, SuiteVerdict, Verdict};

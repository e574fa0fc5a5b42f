//! What is measured: the embedded server, a managed one or an endpoint, how to reach it, whether it is fit to be measured, and
//! what it is.

mod accelerators;
mod fingerprint;
mod machine;
mod managed;
mod probe;
mod resolve;
mod secrets;
mod server_metrics;
mod walk;
mod watched;

pub use fingerprint::{Fingerprint, MEASURE_REVISION, of_case};
pub use machine::Machine;
pub use managed::{Ended, ManagedError, ManagedServer, supervise};
pub use probe::{ProbeError, smoke};
pub use resolve::{Counters, Opening, Target, TargetError, UP, up_name};
pub use secrets::learn;
pub use server_metrics::{PrefixCounters, ServerLoad, TokenCounters};
pub use walk::{Outcome, Probe, ProbeStep, walk};

//! What is measured: the embedded server, a managed one or an endpoint, how to reach it, whether it is fit to be measured, and
//! what it is.

mod fingerprint;
mod machine;
mod managed;
mod probe;
mod resolve;
mod secrets;
mod server_metrics;
mod watched;

pub use fingerprint::{Fingerprint, MEASURE_REVISION, of_case};
pub use machine::Machine;
pub use managed::{Ended, ManagedError, ManagedServer, supervise};
pub use probe::{Probe, ProbeError, ProbeStep, smoke, walk};
pub use resolve::{Opening, Target, TargetError, UP, up_name};
pub use secrets::learn;
pub use server_metrics::{PrefixCounters, ServerLoad, TokenCounters};

//! From a scenario file to cases: parse, validate, expand. Pure: text in, cases or problems out.

mod checks;
mod defaults;
mod expand;
mod file;
mod limit;
mod load;
mod model;
mod pacing;
mod request;
#[cfg(feature = "schema")]
mod schema;
mod soak;
#[cfg(test)]
mod tests;
mod unsupported;
mod validate;
mod workload;

pub use limit::{Against, Bound, Limit, LimitError, Margin, Reference};
pub use load::{check, load};
pub use model::{
    Arrival, Cancellation, Case, Check, Compare, Conversation, Dataset, DatasetFormat, Gate, Length, Load, LoadKind,
    OnInconclusive, OnMissing, Prefix, RequestOptions, Slo, Soak, SystemPrompt, Trials, Workload,
};
#[cfg(feature = "schema")]
pub use schema::schema;

pub use crate::toml_file::{Problem, Problems, Severity, SourceFile};
pub use crate::wire::Protocol;

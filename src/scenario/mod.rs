//! From a scenario file to cases: parse, validate, expand. Pure: text in, cases or problems out.

mod limit;
mod model;

pub use limit::{Bound, Limit, LimitError, Reference};
pub use model::{
    Arrival, Case, Check, Compare, Conversation, Dataset, DatasetFormat, Gate, Length, Load, LoadKind, OnInconclusive,
    OnMissing, Prefix, Protocol, RequestOptions, Slo, SystemPrompt, Trials, Workload,
};

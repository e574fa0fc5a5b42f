//! `tokpace.toml`: the profiles that a project measures. Pure: text in, profiles or problems out.

mod model;

pub use model::{Embedded, Endpoint, Fault, FaultKind, Profile, ProfileKind, Project, Slowdown, TtftCost};

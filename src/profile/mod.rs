//! `tokpace.toml`: the profiles that a project measures. Pure: text in, profiles or problems out.

mod file;
mod load;
mod model;
#[cfg(feature = "schema")]
mod schema;
mod set;
#[cfg(test)]
mod tests;
mod variants;

pub use load::{load, load_with};
pub use model::{
    Embedded, Endpoint, Fault, FaultKind, Profile, ProfileKind, Project, Slowdown, TtftCost, UnknownVariant,
};
#[cfg(feature = "schema")]
pub use schema::schema;

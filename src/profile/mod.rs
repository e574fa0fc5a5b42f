//! `tokpace.toml`: the profiles that a project measures. Pure: text in, profiles or problems out.

mod aging;
mod file;
mod load;
mod managed;
mod model;
mod preset;
#[cfg(feature = "schema")]
mod schema;
mod set;
#[cfg(test)]
mod tests;
mod variants;
mod waiver;

pub use aging::{Aging, OnStale};
pub use load::{load, load_with};
pub use model::{
    Embedded, Endpoint, Fault, FaultKind, Managed, PORT, Profile, ProfileKind, Project, Slowdown, TtftCost,
    UnknownVariant,
};
pub use preset::{CacheSwitch, Preset, Server};
#[cfg(feature = "schema")]
pub use schema::schema;
pub use waiver::{Known, Waiver, check_waivers};

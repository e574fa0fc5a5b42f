//! One file a verb of `cargo tokpace`.

pub mod accept;
mod context;
mod error;
mod numbers;
pub mod pending;
pub mod reject;
pub mod review;

pub use context::BaselineContext;
pub use error::CliError;

//! `cargo tokpace`: one file a verb.

pub mod accept;
mod check;
mod compare;
mod context;
mod decide;
mod error;
mod export;
mod history;
mod init;
mod judge;
mod main;
mod merge;
mod numbers;
pub mod pending;
mod plan;
pub mod reject;
mod report;
pub mod review;
mod run;
#[cfg(feature = "schema")]
mod schema;
mod selftest;
mod selftest_live;
mod sim;
mod sources;
mod surroundings;
mod up;
mod upkeep;

pub use context::BaselineContext;
pub use error::CliError;
pub use main::main;

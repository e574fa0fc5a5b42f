//! The test harness behind [`main!`](crate::main): scenarios become libtest cases that measure and judge.

mod args;
mod bench;
mod calibration;
mod case;
mod conclude;
mod discover;
mod error;
mod export;
mod folder;
mod github;
mod joint;
mod latest;
mod libtest;
mod lock;
mod log;
mod measure;
mod open;
mod paths;
mod session;
mod signal;
mod sources;
mod tally;
mod trial;
pub(crate) mod verdict;
mod wall;

pub use args::RunFlags;
pub use discover::{DiscoverError, Scenario};
pub use error::MeasureError;
pub use export::{ExportError, ExportFormat, export};
pub use folder::RunFolder;
pub(crate) use github::place_in_repository;
pub use latest::latest_run;
pub(crate) use libtest::labelled;
pub use libtest::main;
pub use lock::MeasureLock;

pub use paths::{Package, Paths};
pub(crate) use session::environment;
pub use session::{Session, SessionError};
pub use signal::Stop;
pub(crate) use wall::now;

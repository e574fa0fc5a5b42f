//! The test harness behind [`main!`](crate::main): scenarios become libtest cases that measure and judge.

mod args;
mod bench;
mod calibration;
mod case;
mod conclude;
mod discover;
mod error;
mod folder;
mod joint;
mod latest;
mod libtest;
mod life;
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
mod upkeep;
pub(crate) mod verdict;
mod wall;

pub use args::RunFlags;
pub use discover::{DiscoverError, Scenario};
pub use error::MeasureError;
pub use folder::RunFolder;
pub use latest::latest_run;
pub(crate) use libtest::labelled;
pub use libtest::main;
pub use lock::MeasureLock;

pub use paths::{Package, Paths};
pub use session::{Session, SessionError, history_of};
pub use signal::Stop;
pub use upkeep::{Abandoned, Ended, Stale, Upkeep, upkeep};
pub(crate) use wall::now;

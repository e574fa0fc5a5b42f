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
mod lock;
mod log;
mod measure;
mod open;
mod page;
mod paths;
mod servers;
mod session;
mod signal;
mod soak;
mod sources;
mod tally;
mod trial;
pub(crate) mod verdict;
mod wall;
mod watched;

pub use args::RunFlags;
pub use discover::{DiscoverError, Scenario};
pub use error::MeasureError;
pub use folder::RunFolder;
pub use latest::latest_run;
pub(crate) use libtest::labelled;
pub use libtest::main;
pub use lock::MeasureLock;
pub use page::{PageError, write_page};

pub use paths::{Package, Paths};
pub use servers::{Servers, StartServers};
pub(crate) use session::environment;
pub use session::{Session, SessionError};
pub use signal::Stop;
pub(crate) use wall::now;

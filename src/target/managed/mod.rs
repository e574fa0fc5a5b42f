//! A server that is started and stopped with the run.

mod error;
mod log;
mod process;
mod protocol;
mod ready;
#[cfg(unix)]
mod scrub;
mod server;
#[cfg(unix)]
mod supervisor;

pub use error::ManagedError;
pub use process::supervise;
pub use protocol::Ended;
pub use server::ManagedServer;

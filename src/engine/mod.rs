//! The load engine: the one place where clocks run and sockets are read. It stores stamps and bytes and
//! interprets nothing.

mod addresses;
mod body;
mod clock;
mod connect;
mod cpu;
mod exchange;
mod limits;
mod release;
mod round;
mod stamps;
mod transport;
mod watchdog;
mod worker;

pub use clock::Clock;
pub use round::{Engine, EngineError, Outgoing, Recording, Round};
pub(crate) use transport::classify;
pub use transport::{ClientError, Transport, TransportOptions};

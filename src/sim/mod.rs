//! The simulated inference server: a seeded model of continuous batching, the same model in virtual time, and an HTTP
//! server around it.

mod blocks;
mod chat;
mod clockwork;
mod completions;
mod dialect;
mod draw;
mod embeddings;
mod engine;
mod faults;
mod http;
mod journal;
mod lightllm;
mod metrics;
mod model;
#[cfg(feature = "grpc")]
mod ppl;
mod replay;
mod server;
mod stream;
mod tgi;

pub use clockwork::{Beat, Clockwork};
pub use journal::Departures;
pub use model::{Emission, Model, SimRequest, Stats, Step, TooLong};
pub use replay::{Replayer, replay};
pub use server::{Counters, Server, ServerOptions};

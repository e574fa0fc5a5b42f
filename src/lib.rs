//! tokpace fails the build when an LLM inference server got slower.

pub mod baseline;
pub mod cli;
pub mod engine;
pub mod environment;
pub mod gate;
pub mod measure;
pub mod metric;
pub mod names;
pub mod pacer;
pub mod plan;
pub mod profile;
pub mod record;
pub mod redact;
pub mod scenario;
pub mod sim;
pub mod stats;
pub mod tokens;
pub mod toml_file;
pub mod units;
pub mod wire;

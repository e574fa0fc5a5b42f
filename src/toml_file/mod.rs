//! TOML files that people write: every problem of a file at once, with spans and hints. Pure.

mod checker;
mod document;
mod message;
mod path;
mod problem;
#[cfg(feature = "schema")]
mod schema;

pub(crate) use checker::Checker;
pub(crate) use document::Document;
pub(crate) use message::did_you_mean;
pub(crate) use path::{join_path, show, split_path};
pub use problem::{Problem, Problems, Severity, SourceFile};
#[cfg(feature = "schema")]
pub(crate) use schema::root_schema;

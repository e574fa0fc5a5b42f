//! Stored baselines: the file format, the files, and how a measurement becomes the accepted one.

mod accept;
mod author;
mod drift;
mod error;
mod files;
mod format;
mod layout;
mod listing;
mod model;
mod parse;
mod store;
#[cfg(test)]
pub(crate) mod testing;
mod update;

pub use accept::{AcceptError, AcceptMode, Acceptance, JOBS_KEPT, RECENT_ANCHORS, accepted};
pub use author::Author;
pub(crate) use drift::{direction, drift_line, is_share, step};
pub use error::{BaselineError, StoreError};
pub use format::{baseline_text, pending_text};
#[cfg(feature = "schema")]
pub use layout::schema;
pub use listing::{Orphan, PendingEntry};
pub(crate) use model::metrics;
pub use model::{Baseline, Difference, Epoch, Job, Middle, Pending, PendingVerdict, conditions_differ, drift, middle};
pub use parse::{FormatError, VERSION, parse_baseline, parse_pending};
pub use store::{PendingWrite, Store};
pub use update::{UpdateError, UpdateMode, Write, is_ci, update_mode, write_policy};

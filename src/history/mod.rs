//! The history of a project: a line a run and case, and what the lines tell.

#[cfg(feature = "cli")]
mod csv;
mod entry;
mod file;
#[cfg(feature = "cli")]
mod plot;
mod series;

#[cfg(feature = "cli")]
pub use csv::{Csv, csv};
pub use entry::{Entry, EntryError, VERSION, fingerprint};
pub use file::{BadLine, History};
#[cfg(feature = "cli")]
pub use plot::{LEGEND, plot};
pub use series::{Change, NIGHTS, Series, Stretch, Track, tracks};

//! The product driven from outside, as a user drives it.

#![expect(clippy::unwrap_used, reason = "what fails in a helper of tests is a failed test")]

mod accept;
mod accuracy;
mod bad_files;
mod bad_targets;
mod cancel;
mod check;
mod guide;
mod history;
mod interop;
mod interruption;
mod judge;
mod layers;
mod libtest;
mod life;
mod managed;
mod nextest;
mod open_loop;
mod paired;
mod plan;
mod protocols;
mod readme;
mod redaction;
mod results;
#[cfg(feature = "schema")]
mod schema;
mod server_view;
mod support;
mod trace;
mod way;
mod wire_faults;
mod wire_framings;
mod wire_properties;

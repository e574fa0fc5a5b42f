//! `cargo tokpace`: the verbs around the test harness.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokpace::cli::main(std::env::args())
}

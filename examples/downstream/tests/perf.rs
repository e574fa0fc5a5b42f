//! Performance gate: `cargo test --test perf`.

tokpace::main!();

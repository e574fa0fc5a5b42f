//! The performance gate of this package is in `tests/perf.rs`.

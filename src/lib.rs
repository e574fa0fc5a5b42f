//! tokpace fails the build when an LLM inference server got slower.

pub mod baseline;
pub mod cli;
pub mod engine;
pub mod environment;
pub mod gate;
pub mod harness;
pub mod measure;
pub mod metric;
pub mod names;
pub mod pacer;
pub mod plan;
pub mod profile;
pub mod record;
pub mod redact;
pub mod report;
pub mod scenario;
pub mod sim;
pub mod stats;
pub mod target;
pub mod tokens;
pub mod toml_file;
pub mod units;
pub mod wire;

/// Makes the `main` of a test target with `harness = false`: the scenarios of the package become its tests.
///
/// ```no_run
/// tokpace::main!();
/// ```
///
/// Other folders than `scenarios` and `baselines` are named relative to the package root:
///
/// ```no_run
/// tokpace::main!(scenarios = "perf/scenarios", baselines = "perf/baselines");
/// ```
#[macro_export]
macro_rules! main {
    () => {
        $crate::main!(scenarios = "scenarios", baselines = "baselines");
    };
    (scenarios = $scenarios:expr, baselines = $baselines:expr $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::harness::main(&$crate::harness::Package::new(
                ::core::env!("CARGO_MANIFEST_DIR"),
                ::core::option_env!("CARGO_TARGET_TMPDIR"),
                $scenarios,
                $baselines,
            ))
        }
    };
}

//! tokpace fails the build when an LLM inference server got slower.
//!
//! A scenario file is a test. `cargo test --test perf` drives real streaming load at a server, repeats it in trials,
//! and judges percentiles and throughput against fixed limits and against a stored baseline. It never says *pass* when
//! it did not measure, and it does not say *regressed* because of noise: what cannot be told is *inconclusive*.
//!
//! # In 60 seconds
//!
//! `cargo tokpace init` adds what follows to a package, or makes a package of it. By hand:
//!
//! ```toml
//! [dev-dependencies]
//! tokpace = "0.1"
//!
//! [[test]]
//! name = "perf"
//! harness = false
//! test = false        # not part of a plain `cargo test`; `cargo test --test perf` runs it
//! ```
//!
//! ```no_run
//! // tests/perf.rs
//! tokpace::main!();
//! ```
//!
//! ```toml
//! # scenarios/chatbot.toml
//! [workload]
//! input_tokens = 128
//! output_tokens = 48
//!
//! [load]
//! concurrency = 8
//! requests = 48
//!
//! [gate]
//! "ttft.p50" = ["<= 300ms", "<= baseline + 10%"]
//! "tpot.p50" = "<= baseline + 3%"
//! ```
//!
//! Without a `tokpace.toml` a simulated server in the test's own process is measured. The first run leaves a pending
//! baseline; `cargo tokpace accept` makes it the baseline, which is committed. Runs after it are compared with it.
//!
//! # Words
//!
//! - A **scenario** is a TOML file; its matrix makes **cases**, and a case is a test.
//! - A **trial** is one measured run of a case. Trials are what is repeated and compared, never single requests.
//! - A **baseline** holds accepted trials of a case on one profile (a machine and a server), a reviewed text file.
//! - A **verdict** is one of the words of [`gate::Verdict`].
//!
//! # How a verdict is made
//!
//! Each trial gives one value a check, such as its median time to first token. The trials of a run make one *job*, and
//! jobs differ from one another by more than trials do: the machine's mood changes between them. So the run is compared
//! with the accepted jobs, with the noise from job to job as the unit of doubt; until enough jobs have measured it, the
//! profile's `job_noise` is assumed. A check *regressed* if the slowdown is beyond the tolerance with confidence, and
//! *passes* if it is within the tolerance with confidence. Otherwise it is *inconclusive*, and the report says which
//! slowdown would have been found. `docs/statistics.md` has the formulas and what to expect of few jobs.
//!
//! # Features
//!
//! All but `gpu` and `grpc` are on by default. A test target needs none of them, and is built sooner without.
//!
//! - `cli`: the binary `cargo-tokpace`, and the modules that only it needs: [`cli`], [`interop`], [`predict`] and
//!   [`selftest`].
//! - `gpu`: NVIDIA graphics cards beside a managed server: use and memory over time, names and driver as conditions.
//! - `grpc`: `protocol = "ppl"` in a scenario, and PPL.LLM's service in the embedded server.
//! - `http2`: `http2 = true` in a scenario, and HTTP/2 in the embedded server.
//! - `schema`: `cargo tokpace schema`, which writes JSON Schemas of the files for editors.
//! - `tls`: HTTPS endpoints, by rustls with ring and the system's certificate store.
//! - `tokenizers`: a profile's own `tokenizer.json`, and exact counts of the bundled tokenizer. Without it a word of
//!   the bundled vocabulary is one token and anything else is estimated; baselines of the two are not comparable.
//!
//! # Environment variables
//!
//! | variable | what it does |
//! |---|---|
//! | `TOKPACE_PROFILE` | profile to measure (`--profile`) |
//! | `TOKPACE_AGAINST` | profile to compare with, live, in place of the stored baselines (`--against`) |
//! | `TOKPACE_QUICK` | few trials, nothing is decided (`--quick`) |
//! | `TOKPACE_UPDATE` | `auto`, `new`, `always` or `no`: what to do with new figures (`--update`) |
//! | `TOKPACE_OUT` | folder for the results (`--out`) |
//! | `TOKPACE_SET` | settings of the profile, `key=value` separated by `;` (`--set`) |
//! | `TOKPACE_SCENARIOS`, `TOKPACE_BASELINES` | folders, relative to the package (`--scenarios`, `--baselines`) |
//! | `TOKPACE_EXPORT` | formats to write beside the results: `aiperf`, `csv`, `junit`, `markdown`, `tsv`, `github` (`--export`) |
//! | `GITHUB_ACTIONS`, `GITHUB_STEP_SUMMARY` | set by GitHub: annotations are printed, and the summary is written |
//! | `TOKPACE_VERBOSE` | details of every check (`--verbose`) |
//! | `RUST_LOG` | what goes into the run's log; `tokpace=info` if unset |
//! | `TOKPACE_UP` | set by `cargo tokpace up`: the managed server that is up already |
//! | `CI` (or `TF_BUILD`) | `auto` writes no pending file; what is missing, or too noisy to see `blind_above`, fails |
//! | `NEXTEST_RUN_ID` | set by nextest: the processes of one run share a folder |
//!
//! A file `.env` at the package root gives variables that the environment does not have to `${NAME}` in `tokpace.toml`
//! and in paths of scenarios, to `api_key_env`, and to `TOKPACE_UPDATE` and `CI`. The other `TOKPACE_*` variables are
//! read from the environment only.
//!
//! # Exit codes
//!
//! The test target ends with 0 or, like libtest, with 101. `cargo tokpace` ends with 0 if everything holds, 1 if a gate
//! failed, 2 for wrong usage or files, 3 if something could not be measured, 130 and 143 after Ctrl-C and SIGTERM.
//!
//! # The folder of a run
//!
//! `target/tokpace/<run>`, to which `target/tokpace/latest` points:
//!
//! | file | what it holds |
//! |---|---|
//! | `run.json` | the run and each case with its verdict, checks, conditions and statistics ([`report::RunReport`]) |
//! | `trials.json` | each trial's values ([`report::RunTrials`]) |
//! | `plan.jsonl` | each planned request: lengths and times, no texts |
//! | `requests.jsonl` | each request that was sent, with its times in nanoseconds, tokens and failure |
//! | `server.jsonl` | each look at the server, once a second: its counters, its memory and processor time |
//! | `report.html` | the report for people, with charts: one file that needs nothing else ([`report::html()`]) |
//! | `report.md` | the same without charts, for a pull request or a job summary |
//! | `summary.tsv` | a line a check, to paste |
//! | `junit.xml` | a test a case, for a CI server |
//! | `export/` | what `--export` asks for |
//! | `log.txt` | what happened when |
//! | `server-<profile>.log` | what a managed server printed |
//! | `cases/` | parts of the above by case, from which the processes of a run put the whole together |

// What only `cargo tokpace` uses is unused without it.
#![cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))]

pub mod baseline;
pub mod calendar;
#[cfg(feature = "cli")]
pub mod cli;
pub mod engine;
pub mod environment;
mod erased;
pub mod gate;
pub mod harness;
pub mod history;
#[cfg(feature = "cli")]
pub mod interop;
pub mod measure;
pub mod metric;
pub mod names;
pub mod pacer;
pub mod plan;
#[cfg(feature = "cli")]
pub mod predict;
pub mod profile;
pub mod record;
pub mod redact;
pub mod report;
pub mod scenario;
#[cfg(feature = "cli")]
pub mod selftest;
pub mod sim;
pub mod stats;
pub mod target;
pub mod tokens;
pub mod toml_file;
pub mod units;
pub mod watch;
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
///
/// A server that is written in Rust can be measured in the test's own process. A function starts it when it is needed,
/// and a profile names it by a variable, here with `url = "${GATEWAY_URL}"`:
///
/// ```no_run
/// use std::error::Error;
///
/// use tokpace::harness::Servers;
/// use tokpace::profile::Embedded;
///
/// tokpace::main!(servers = servers);
///
/// fn servers(servers: &mut Servers) -> Result<(), Box<dyn Error + Send + Sync>> {
///     let upstream = servers.simulate("UPSTREAM_URL", Embedded::default())?;
///     servers.serve("GATEWAY_URL", move |listener| serve(listener, upstream))?;
///     Ok(())
/// }
///
/// async fn serve(listener: std::net::TcpListener, upstream: String) -> std::io::Result<()> {
///     // … until the future is dropped
/// #   drop((listener, upstream));
/// #   Ok(())
/// }
/// ```
#[macro_export]
macro_rules! main {
    () => {
        $crate::main!(scenarios = "scenarios", baselines = "baselines");
    };
    (servers = $servers:expr $(,)?) => {
        $crate::main!(scenarios = "scenarios", baselines = "baselines", servers = $servers);
    };
    (scenarios = $scenarios:expr, baselines = $baselines:expr $(, servers = $servers:expr)? $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            let package = $crate::harness::Package::new(
                ::core::env!("CARGO_MANIFEST_DIR"),
                ::core::option_env!("CARGO_TARGET_TMPDIR"),
                $scenarios,
                $baselines,
            );
            $(let package = package.with_servers($servers);)?
            $crate::harness::main(&package)
        }
    };
}

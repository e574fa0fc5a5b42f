//! A whole run from the command line, so small that it is all start-up and report.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::figures::children_cpu_ns;
use crate::{Outcome, Server};

/// Requests of a trial.
const REQUESTS: u32 = 20;
/// Trials of the run.
const TRIALS: u32 = 6;
/// Tokens of an answer.
const TOKENS: u32 = 16;

const SCENARIO: &str = r#"
[workload]
input_tokens = 64
output_tokens = TOKENS

[load]
concurrency = 4
requests = REQUESTS
warmup = 4

[trials]
min = TRIALS
max = TRIALS

[gate]
"tpot.p50" = "<= baseline + 50%"
"#;

/// Runs `cargo tokpace run` against the server and prints what it took.
pub(crate) fn run() -> Outcome<()> {
    let server = Server::start()?;
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    write(
        "tokpace.toml",
        &format!(
            "profile = \"bench\"\n[profiles.bench]\nkind = \"endpoint\"\nurl = \"http://127.0.0.1:{}\"\nmodel = \"bench\"\n\
             headers = {{ x-pace = \"gap_us=2000\" }}\n",
            server.port
        ),
    )?;
    fs::create_dir(folder.path().join("scenarios"))?;
    let numbers = [("TOKENS", TOKENS), ("REQUESTS", REQUESTS), ("TRIALS", TRIALS)];
    let scenario =
        numbers.iter().fold(SCENARIO.to_owned(), |text, (name, number)| text.replace(name, &number.to_string()));
    write("scenarios/small.toml", &scenario)?;
    let (cpu, begin) = (children_cpu_ns(), Instant::now());
    let output = Command::new(env!("CARGO_BIN_EXE_cargo-tokpace"))
        .args(["tokpace", "run"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()?;
    let (cpu, wall) = (children_cpu_ns() - cpu, begin.elapsed());
    let said = String::from_utf8_lossy(&output.stdout);
    // On a busy machine it has measured nothing, but worked no less.
    let outcome = ["missing", "invalid"].into_iter().find(|word| said.contains(&format!("small ... {word}")));
    let Some(outcome) = outcome else {
        return Err(
            format!("the run ended with {}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)).into()
        );
    };
    let tokens = REQUESTS * TRIALS * TOKENS;
    println!(
        "start-up and report: `cargo tokpace run` with {} requests and {tokens} tokens takes {:.2} s of CPU and {:.2} s in all ({outcome})",
        REQUESTS * TRIALS,
        cpu as f64 / 1e9,
        wall.as_secs_f64()
    );
    Ok(())
}

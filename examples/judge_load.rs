//! Writes suites for `cargo tokpace judge`, a line each, to see how many it judges a second:
//!
//! ```console
//! cargo run --release --example judge_load -- paired 5000 > paired.jsonl
//! cargo run --release --example judge_load -- stored 5000 > stored.jsonl
//! ```
//!
//! Paired: 5 cases with 6 checks and 20 pairs. Stored: 7 cases with 4 checks, 10 jobs and a candidate, of 8 trials. The
//! machine is a medium one, and in the first case decode steps are 10 % slower.

use std::error::Error;
use std::io::{self, BufWriter, Write};

use tokpace::gate::Suite;
use tokpace::selftest::{Candidate, Design, Machine, Noise, NoiseShape, Pools, Suites, Tolerances};

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: judge_load paired|stored SUITES";
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, count] = &arguments[..] else { return Err(usage.into()) };
    let (cases, make): (usize, fn(&mut Suites, &Design<'_>) -> Suite) = match mode.as_str() {
        "paired" => (5, |suites, design| suites.paired(design, 20)),
        "stored" => (7, |suites, design| with_checks(suites.stored(design, 10, 8), 4)),
        _ => return Err(usage.into()),
    };
    let pools = Pools::exact();
    let mut candidates = vec![Candidate::new(&pools.reference); cases];
    candidates[0] = Candidate::new(&pools.slower_10);
    let noise = Noise { machine: Machine::Medium, shape: NoiseShape::Normal };
    let design = Design { noise, tolerances: Tolerances::Default, reference: &pools.reference, candidates };
    let mut suites = Suites::new(1);
    let mut out = BufWriter::new(io::stdout().lock());
    for _ in 0..count.parse::<u32>()? {
        serde_json::to_writer(&mut out, &make(&mut suites, &design))?;
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Leaves the first `count` checks of each case, and their values.
fn with_checks(mut suite: Suite, count: usize) -> Suite {
    for case in &mut suite.cases {
        case.checks.truncate(count);
        let checks = &case.checks;
        let jobs = case.jobs.iter_mut().flatten().chain(&mut case.candidate);
        for trial in jobs.flat_map(|job| &mut job.trials) {
            trial.values.retain(|metric, _| checks.iter().any(|check| check.metric == *metric));
        }
    }
    suite
}

//! `cargo tokpace selftest` without `--virtual`: the whole line on this machine, judging what is known.

use std::io::{IsTerminal, Write};
use std::path::Path;

use crate::cli::CliError;
use crate::cli::surroundings::Surroundings;
use crate::gate::Verdict;
use crate::harness::{MeasureLock, Package, Paths, RunFlags, Session, Stop};
use crate::predict::{self, Terms};
use crate::profile::{Embedded, Slowdown};
use crate::report::CaseReport;
use crate::scenario::{self, Case};
use crate::selftest::{LiveRow, live_json, live_table};
use crate::units::Share;

/// Suites a row.
const SUITES: u64 = 5;
/// Small trials, so that a suite takes some ten seconds.
const SCENARIO: &str = r#"
[workload]
input_tokens = 128
output_tokens = { mean = 32, stddev = 8, min = 16, max = 48 }
[load]
concurrency = 4
ramp_up = "40ms"
requests = 24
[gate]
"ttft.p50" = "<= baseline + 10%"
"tpot.p50" = "<= baseline + 3%"
"output_throughput" = ">= baseline - 5%"
"#;
const PROJECT: &str = "[profiles.embedded]\nkind = \"embedded\"\n[profiles.reference]\nkind = \"embedded\"\n";
/// What is injected into `tpot.p50`: nothing, the tolerance, and more.
const STEPS: [(&str, f64); 4] =
    [("none", 0.0), ("tpot +3 % (the tolerance)", 0.03), ("tpot +5 %", 0.05), ("tpot +10 %", 0.10)];

/// What is asked for.
pub(super) struct Live<'a> {
    pub(super) profile: Option<&'a str>,
    pub(super) suites: Option<u64>,
    pub(super) json: bool,
}

/// Measures and prints; exit code 1 after a false alarm, 3 if nothing could be measured.
pub(super) fn selftest(live: &Live<'_>, out: &mut dyn Write) -> Result<u8, CliError> {
    let suites = live.suites.unwrap_or(SUITES);
    let stop = Stop::listen();
    let package = Surroundings::find()?.package;
    let mut rows = Vec::new();
    // Held throughout: suites of another run in between would be noise of our own making.
    {
        let lock = Paths::of(&package, &RunFlags::default()).measure_lock();
        let _lock = MeasureLock::take(&lock, stop.flag(), |holder| progress(&format!("waiting for {holder}")))?;
        on_embedded(suites, &stop, &mut rows)?;
    }
    let mut tables = vec![("the embedded target with injected slow-downs, on this machine".to_owned(), rows)];
    if let Some(profile) = live.profile {
        let row = on_profile(&package, profile, suites, &stop)?;
        tables.push((format!("profile `{profile}` against itself"), vec![row]));
    }
    for (target, rows) in &tables {
        let text = if live.json { live_json(rows) } else { live_table(target, rows) + "\n" };
        write!(out, "{text}")?;
    }
    if let Some(code) = stop.exit_code() {
        return Ok(code);
    }
    let rows = || tables.iter().flat_map(|(_, rows)| rows);
    let alarms = rows().filter(|row| row.unchanged).any(|row| row.suites_with(Verdict::Regressed).hits > 0);
    let nothing = rows().all(|row| row.suites_with(Verdict::Invalid).hits == row.suites.len() as u64);
    Ok(if alarms {
        1
    } else if nothing {
        3
    } else {
        0
    })
}

fn on_embedded(suites: u64, stop: &Stop, rows: &mut Vec<LiveRow>) -> Result<(), CliError> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir(folder.path().join("scenarios"))?;
    std::fs::write(folder.path().join("scenarios/selftest.toml"), SCENARIO)?;
    std::fs::write(folder.path().join("tokpace.toml"), PROJECT)?;
    let package = package(folder.path());
    for (name, tpot) in STEPS {
        let mut row = LiveRow { name: name.into(), unchanged: tpot == 0.0, suites: Vec::new() };
        let decode = decode_slowdown(tpot)?;
        for number in 1..=suites {
            if stop.requested() {
                break;
            }
            progress(&format!("selftest: {name}, suite {number} of {suites}"));
            let flags = RunFlags {
                against: Some("reference".into()),
                sets: vec![format!("slowdown.decode={}%", decode * 100.0)],
                out: Some(folder.path().join(format!("{tpot}-{number}"))),
                ..RunFlags::default()
            };
            row.suites.push(suite(&package, flags, stop)?);
        }
        rows.push(row);
    }
    progress("");
    Ok(())
}

fn on_profile(package: &Package, profile: &str, suites: u64, stop: &Stop) -> Result<LiveRow, CliError> {
    let mut row = LiveRow { name: "none".into(), unchanged: true, suites: Vec::new() };
    let paths = Paths::of(package, &RunFlags::default());
    for number in 1..=suites {
        if stop.requested() {
            break;
        }
        progress(&format!("selftest: profile `{profile}` against itself, suite {number} of {suites}"));
        let flags = RunFlags {
            profile: Some(profile.to_owned()),
            against: Some(profile.to_owned()),
            out: Some(paths.results.join(format!("selftest-{}-{number}", std::process::id()))),
            ..RunFlags::default()
        };
        row.suites.push(suite(package, flags, stop)?);
    }
    progress("");
    Ok(row)
}

/// One run of all cases that can be compared with another profile.
fn suite(package: &Package, flags: RunFlags, stop: &Stop) -> Result<Vec<CaseReport>, CliError> {
    let mut session = Session::open(package, flags, &[])?;
    session.stop = stop.clone();
    let all = session.scenarios().iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
    let cases: Vec<Case> = all.filter(|case| !session.ignores(case)).cloned().collect();
    session.select(cases.iter().map(|case| case.name.clone()));
    cases.iter().map(|case| Ok(session.run_case(case)?)).collect()
}

/// The slow-down of decode steps at which `tpot.p50` is slower by so much, as the server's virtual twin has it.
fn decode_slowdown(tpot: f64) -> Result<f64, CliError> {
    if tpot == 0.0 {
        return Ok(0.0);
    }
    // A step is not all that a token waits for: prompts of others are computed in between.
    let cases = scenario::load("selftest", "scenarios/selftest.toml", SCENARIO);
    let case = cases.map_err(|problems| CliError::usage(problems.to_string(), ""))?.remove(0);
    let terms = Terms { family: 3, family_cases: 1, job_noise: 0.003, precision: 0.001 };
    let slower = |decode| Embedded {
        slowdown: Slowdown { decode: Share(decode), ..Slowdown::default() },
        ..Embedded::default()
    };
    let plan = predict::planned(&case).map_err(|error| CliError::usage(error.to_string(), ""))?;
    let forecast = predict::forecast_pairs(&case, &plan, [&Embedded::default(), &slower(tpot)], terms);
    let forecast = forecast.map_err(|error| CliError::usage(error.message, error.hint))?;
    let seen =
        forecast.checks.iter().find(|check| check.metric.to_string() == "tpot.p50").and_then(|check| check.change);
    Ok(seen.map_or(tpot, |ratio| tpot * tpot / (ratio - 1.0)))
}

fn package(root: &Path) -> Package {
    Package {
        root: root.to_path_buf(),
        target: root.join("target"),
        scenarios: "scenarios".into(),
        baselines: "baselines".into(),
        servers: None,
    }
}

/// Shows what is going on, if a person looks.
fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r{text:<78}\r");
        let _ = std::io::stderr().flush();
    }
}

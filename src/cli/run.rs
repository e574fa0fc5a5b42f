//! `cargo tokpace run`: the test harness without cargo's test runner, and the recording of baselines.

use std::io::Write;

use crate::cli::CliError;
use crate::cli::surroundings::Surroundings;
use crate::gate::Verdict;
use crate::harness::{RunFlags, Session};
use crate::report::CaseReport;
use crate::scenario::Case;

/// Arguments of `cargo tokpace run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Cases to run: those whose name contains any of these
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,

    /// Takes the filters as whole names
    #[arg(long)]
    exact: bool,

    /// Measures this many jobs, each with a fresh server, and leaves them pending
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=30), conflicts_with = "against")]
    record: Option<u32>,

    #[command(flatten)]
    run: RunFlags,
}

pub(super) fn run(args: &RunArgs, line: &[String], out: &mut dyn Write) -> Result<u8, CliError> {
    let package = Surroundings::find()?.package;
    let mut session = Session::open(&package, args.run.clone(), line)?;
    let cases = select(&session, args)?;
    session.select(cases.iter().map(|case| case.name.clone()));
    session.listen();
    if args.record.is_some() {
        session.record();
    }
    for job in 0..args.record.unwrap_or(1) {
        if job > 0 {
            session.next_job();
        }
        for case in &cases {
            if session.ignores(case) {
                let what = if case.soak.is_some() { "a soak test" } else { "a comparison of variants" };
                writeln!(out, "{} ... ignored ({what}, and `--against` is given)", case.name)?;
                continue;
            }
            let report = session.run_case(case).map_err(|error| CliError::Failed {
                exit_code: 3,
                message: format!("failed to write results: {error}"),
                hint: Some("check the space and permissions of cargo's target folder".into()),
            })?;
            let of = args.record.map_or_else(String::new, |n| format!(" (job {} of {n})", job + 1));
            writeln!(out, "{} ... {}{of}", report.case, report.verdict)?;
            if report.failed.is_some() {
                writeln!(out, "\n{}\n", report.text)?;
            }
            if session.stopped().is_some() {
                break;
            }
        }
        if session.stopped().is_some() {
            break;
        }
    }
    session.write_page();
    writeln!(out, "\n{}", session.table())?;
    write!(out, "{}", session.hand_over())?;
    if args.record.is_some() && session.reports().iter().any(|report| report.pending.is_some()) {
        writeln!(out, "hint: to add what was recorded to the baselines: `cargo tokpace accept --reason \"…\"`")?;
    }
    Ok(session.stopped().unwrap_or_else(|| exit_code(session.reports())))
}

fn select(session: &Session, args: &RunArgs) -> Result<Vec<Case>, CliError> {
    let wanted = |name: &str| {
        let matches = |filter: &String| if args.exact { name == filter } else { name.contains(filter.as_str()) };
        args.filters.is_empty() || args.filters.iter().any(matches)
    };
    let mut cases = Vec::new();
    for scenario in session.scenarios() {
        match &scenario.cases {
            Ok(known) => cases.extend(known.iter().filter(|case| wanted(&case.name)).cloned()),
            Err(problems) if wanted(&scenario.name) => {
                return Err(CliError::Failed { exit_code: 2, message: problems.clone(), hint: None });
            }
            Err(_) => {}
        }
    }
    if cases.is_empty() {
        let known = session.scenarios().iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
        let quoted = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(CliError::usage(
            format!("no case matches {}", quoted(args.filters.iter().map(String::as_str).collect())),
            format!("known cases: {}", quoted(known.map(|case| case.name.as_str()).collect())),
        ));
    }
    Ok(cases)
}

/// A gate that failed outranks a case that could not be measured.
fn exit_code(reports: &[CaseReport]) -> u8 {
    let failed = || reports.iter().filter(|report| report.failed.is_some());
    if failed().any(|report| report.verdict != Verdict::Invalid) {
        1
    } else if failed().next().is_some() {
        3
    } else {
        0
    }
}

//! The face towards cargo: one libtest case a scenario case, run one after the other.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Failed, FormatSetting, Trial};

use crate::harness::args::HarnessArgs;
use crate::harness::{Package, Session, SessionError};
use crate::scenario::Case;
use crate::target;

/// Exit code of a failed run, as libtest's.
const FAILED: u8 = 101;

/// Runs the scenarios of `package` as tests, as the process's arguments say. Called by [`main!`](crate::main).
pub fn main(package: &Package) -> ExitCode {
    let line: Vec<String> = std::env::args().collect();
    if let Some(code) = target::supervise(&line) {
        return code;
    }
    let args = match HarnessArgs::parse_from_line(line.clone()) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { FAILED } else { 0 });
        }
    };
    match run(package, &args, &line) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{}", labelled(&error.to_string()));
            ExitCode::from(FAILED)
        }
    }
}

/// The words of an error after `error: `, which those of a file's problems begin with already.
pub(crate) fn labelled(words: &str) -> String {
    let has_label = words.starts_with("error: ") || words.starts_with("warning: ");
    if has_label { words.to_owned() } else { format!("error: {words}") }
}

fn run(package: &Package, args: &HarnessArgs, line: &[String]) -> Result<ExitCode, SessionError> {
    let mut session = Session::open(package, args.run.clone(), line)?;
    if !args.libtest.list {
        session.listen();
    }
    let scenarios = session.scenarios().to_vec();
    let names = scenarios.iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
    let selected: Vec<String> = names.map(|case| case.name.clone()).filter(|name| args.selects(name)).collect();
    session.select(selected);
    let session = Arc::new(Mutex::new(session));
    let mut trials = Vec::new();
    for scenario in scenarios {
        match scenario.cases {
            Ok(cases) => trials.extend(cases.into_iter().map(|case| trial(case, &session))),
            // A broken file fails as a test, so that it neither hides nor keeps the others from running.
            Err(problems) => trials.push(Trial::test(scenario.name, move || Err(Failed::from(problems)))),
        }
    }
    let mut libtest = args.libtest.clone();
    if args.filters().len() > 1 {
        // The library takes one filter; libtest takes several, any of which may match.
        trials.retain(|trial| args.selects(trial.name()));
        libtest.filter = None;
        libtest.skip.clear();
    }
    let conclusion = libtest_mimic::run(&libtest, trials);
    let session = session.lock().unwrap_or_else(PoisonError::into_inner);
    if !libtest.list && !session.reports().is_empty() {
        session.write_page();
        let table = session.table() + &session.hand_over();
        // JSON on the standard output stream is for machines, to the last line.
        let written = if libtest.format == Some(FormatSetting::Json) {
            std::io::stderr().write_all(table.as_bytes())
        } else {
            std::io::stdout().write_all(table.as_bytes())
        };
        if let Err(error) = written {
            tracing::warn!(%error, "failed to print the verdict table");
        }
    }
    Ok(ExitCode::from(if conclusion.has_failed() { FAILED } else { 0 }))
}

fn trial(case: Case, session: &Arc<Mutex<Session>>) -> Trial {
    let ignored = session.lock().unwrap_or_else(PoisonError::into_inner).ignores(&case);
    let session = session.clone();
    let test = Trial::test(case.name.clone(), move || {
        // A panic in an earlier case is that case's failure, not this one's.
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        let report = session.run_case(&case).map_err(|error| {
            format!("failed to write results: {error}\nhint: check the space and permissions of cargo's target folder")
        })?;
        match report.failed {
            None => Ok(()),
            Some(_) => Err(Failed::from(report.text)),
        }
    });
    test.with_ignored_flag(ignored)
}

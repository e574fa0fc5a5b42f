//! The command line of `cargo tokpace` and what it does with errors.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

#[cfg(feature = "schema")]
use crate::cli::schema;
use crate::cli::surroundings::Surroundings;
use crate::cli::{
    CliError, accept, check, compare, export, history, init, judge, merge, pending, plan, reject, report, review, run,
    selftest, sim, up,
};
use crate::harness::without_empty_variables;

/// Fails the build when an LLM inference server got slower
#[derive(Debug, Parser)]
#[command(name = "cargo tokpace", bin_name = "cargo tokpace", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Set a package up: a scenario, a profile, a test target
    Init(init::InitArgs),
    /// Walk a target step by step and say what to change
    Check(check::CheckArgs),
    /// Say what would be sent, how long it takes, and on request what the gate would see or whether the target is fit
    Plan(plan::PlanArgs),
    /// Measure and judge, as `cargo test --test perf` does
    Run(run::RunArgs),
    /// Write the HTML report of a run anew and print its path
    Report(report::ReportArgs),
    /// Judge suites of values: JSON Lines in, verdicts out
    Judge(judge::JudgeArgs),
    /// Judge two runs, or results of other tools, as the gate does
    Compare(compare::CompareArgs),
    /// Set runs of several machines side by side
    Merge(merge::MergeArgs),
    /// Write a run in other tools' formats
    Export(export::ExportArgs),
    /// Look at what is pending, one case at a time
    Review(review::ReviewArgs),
    /// Make pending measurements the baseline
    Accept(accept::AcceptArgs),
    /// Throw pending measurements away, or baselines that no case uses
    Reject(reject::RejectArgs),
    /// List what is pending, and baselines without a case or beyond their age
    Pending(pending::PendingArgs),
    /// Show how the figures moved from run to run, and where they changed
    History(history::HistoryArgs),
    /// Serve the simulated inference server
    Sim(sim::SimArgs),
    /// Start the managed server of a profile, run a program beside it, and stop it
    Up(up::UpArgs),
    /// Say how often the gate is wrong, and what it finds
    Selftest(selftest::SelftestArgs),
    /// Write the JSON Schemas of all files
    #[cfg(feature = "schema")]
    Schema(schema::SchemaArgs),
}

/// Runs the verb that `line` (a whole command line) names and returns the program's exit code:
/// 0 all hold, 1 a gate failed, 2 wrong usage or files, 3 could not measure, 130 and 143 after a signal.
pub fn main(line: impl IntoIterator<Item = String>) -> ExitCode {
    let mut line: Vec<String> = line.into_iter().collect();
    if let Some(code) = crate::target::supervise(&line) {
        return code;
    }
    // Cargo passes the name of the subcommand again.
    if line.get(1).is_some_and(|word| word == "tokpace") {
        line.remove(1);
    }
    let matches = without_empty_variables(Cli::command()).try_get_matches_from(&line);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let code = dispatch(&cli.verb, &line).unwrap_or_else(|error| {
        let code = error.exit_code();
        if code != 0 {
            complain(&error);
        }
        code
    });
    ExitCode::from(code)
}

fn dispatch(verb: &Verb, line: &[String]) -> Result<u8, CliError> {
    let out = &mut io::stdout().lock();
    match verb {
        Verb::History(args) => history::history(args, out, &mut io::stderr().lock()),
        Verb::Init(args) => init::init(args, out),
        Verb::Judge(args) => judge::judge(args, out),
        Verb::Compare(args) => compare::compare(args, out),
        Verb::Merge(args) => merge::merge(args, out),
        Verb::Export(args) => export::export(args, out),
        #[cfg(feature = "schema")]
        Verb::Schema(args) => schema::schema(args, out),
        Verb::Selftest(args) => selftest::selftest(args, out),
        Verb::Sim(args) => sim::sim(args, out),
        Verb::Up(args) => up::up(args, line, out),
        Verb::Check(args) => check::check(args, line, out),
        Verb::Plan(args) => plan::plan(args, &Surroundings::find()?.package, line, out),
        Verb::Run(args) => run::run(args, line, out),
        Verb::Report(args) => report::report(args, out),
        Verb::Review(args) => {
            Surroundings::find()?.with_baselines(|context| review::review(args, context, &mut io::stdin().lock(), out))
        }
        Verb::Accept(args) => Surroundings::find()?.with_baselines(|context| accept::accept(args, context, out)),
        Verb::Reject(args) => Surroundings::find()?.with_baselines(|context| reject::reject(args, context, out)),
        Verb::Pending(args) => Surroundings::find()?.with_baselines(|context| pending::pending(args, context, out)),
    }
}

fn complain(error: &CliError) {
    let mut text = crate::harness::labelled(&error.to_string());
    if let CliError::Failed { hint: Some(hint), .. } = error {
        text.push_str("\nhint: ");
        text.push_str(hint);
    }
    // Nobody is left to be told when even this stream is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether somebody sits before a terminal, on both ends.
pub(super) fn at_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

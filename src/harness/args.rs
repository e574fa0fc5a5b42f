//! The command line: libtest's flags as libtest takes them, and our own, each with an environment variable.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, Command, CommandFactory, FromArgMatches, Parser};
use libtest_mimic::Arguments;

use crate::harness::ExportFormat;

/// Flags of a run, shared by the test harness and `cargo tokpace run`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "tokpace")]
pub struct RunFlags {
    /// Profile of `tokpace.toml` to measure
    #[arg(long, value_name = "NAME", env = "TOKPACE_PROFILE")]
    pub profile: Option<String>,

    /// Compares with this profile, measured in the same run, in place of the stored baselines
    #[arg(long, value_name = "NAME", env = "TOKPACE_AGAINST")]
    pub against: Option<String>,

    /// Few trials for development: nothing is decided
    #[arg(long, env = "TOKPACE_QUICK", value_parser = clap::builder::FalseyValueParser::new(), num_args = 0)]
    pub quick: bool,

    /// What to do with new figures: auto, new, always or no
    #[arg(long, value_name = "MODE", num_args = 0..=1, default_missing_value = "new")]
    pub update: Option<String>,

    /// Folder for the run's results, in place of `target/tokpace/<run>`
    #[arg(long, value_name = "DIR", env = "TOKPACE_OUT")]
    pub out: Option<PathBuf>,

    /// Sets a key of the chosen profile, such as `slowdown.decode=10%`
    #[arg(long = "set", value_name = "KEY=VALUE", env = "TOKPACE_SET", value_delimiter = ';')]
    pub sets: Vec<String>,

    /// Folder of scenario files
    #[arg(long, value_name = "DIR", env = "TOKPACE_SCENARIOS")]
    pub scenarios: Option<PathBuf>,

    /// Folder of baselines
    #[arg(long, value_name = "DIR", env = "TOKPACE_BASELINES")]
    pub baselines: Option<PathBuf>,

    /// Writes the results in further formats too: aiperf, csv, junit, markdown, tsv or github
    #[arg(long = "export", value_name = "FORMAT", env = "TOKPACE_EXPORT", value_delimiter = ',')]
    pub exports: Vec<ExportFormat>,

    /// Prints the details of every check, not only of those that do not hold
    #[arg(short = 'v', long, env = "TOKPACE_VERBOSE", value_parser = clap::builder::FalseyValueParser::new(), num_args = 0)]
    pub verbose: bool,
}

/// What `cargo test --test perf -- …` takes.
#[derive(Parser, Clone, Debug)]
pub(crate) struct HarnessArgs {
    #[command(flatten)]
    pub(crate) run: RunFlags,

    #[command(flatten)]
    pub(crate) libtest: Arguments,

    /// Further filters: a test runs if its name contains any of them
    #[arg(value_name = "MORE FILTERS", hide = true)]
    pub(crate) more_filters: Vec<String>,

    // libtest's own flags that change nothing here; rejecting them would break tools that pass them.
    #[arg(long, hide = true)]
    report_time: bool,
    #[arg(long, hide = true)]
    ensure_time: bool,
    #[arg(long, hide = true)]
    shuffle: bool,
    #[arg(long, hide = true, value_name = "SEED")]
    shuffle_seed: Option<u64>,
    #[arg(long, hide = true)]
    fail_fast: bool,
    #[arg(long, hide = true)]
    exclude_should_panic: bool,
    #[arg(long, hide = true)]
    force_run_in_process: bool,
}

impl HarnessArgs {
    /// Parses a command line whose first word is the program.
    pub(crate) fn parse_from_line(line: impl IntoIterator<Item = String>) -> Result<Self, clap::Error> {
        let normalised = line.into_iter().map(|word| match word.as_str() {
            // rustc's newer spelling, which the parser does not know yet.
            "--no-capture" => "--nocapture".to_owned(),
            _ => word,
        });
        let mut args = Self::from_arg_matches(&Self::described().try_get_matches_from(normalised)?)?;
        // Cases share the machine: two at once would measure each other.
        args.libtest.test_threads = Some(1);
        Ok(args)
    }

    /// The command in our words: those of libtest's part would take their place if they stood at the struct.
    fn described() -> Command {
        without_empty_variables(Self::command())
            .about("Measures the scenarios of this package and fails on a regression")
            .long_about(None)
            .override_usage("cargo test --test perf -- [OPTIONS] [FILTER]...")
            .help_template("{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}")
            .after_help("Cases run one at a time whatever `--test-threads` says: two at once would measure each other.")
    }

    /// All filters.
    pub(crate) fn filters(&self) -> Vec<String> {
        self.libtest.filter.iter().chain(&self.more_filters).cloned().collect()
    }

    /// Whether a test of this name is asked for, as libtest decides it: any filter, and no `--skip`.
    pub(crate) fn selects(&self, name: &str) -> bool {
        let matches =
            |filter: &String| if self.libtest.exact { name == filter } else { name.contains(filter.as_str()) };
        let filters = self.filters();
        (filters.is_empty() || filters.iter().any(matches)) && !self.libtest.skip.iter().any(matches)
    }
}

/// `command` without the environment variables that are set to nothing: that is how CI systems pass an input that was
/// not given.
pub(crate) fn without_empty_variables(command: Command) -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> HarnessArgs {
        let words = std::iter::once("perf").chain(line.split_whitespace()).map(str::to_owned);
        HarnessArgs::parse_from_line(words).unwrap()
    }

    #[test]
    fn several_filters_select_any_of_them() {
        let args = parse("chat batch --skip batch=4");
        assert!(args.selects("chatbot"));
        assert!(args.selects("batch::batch=8"));
        assert!(!args.selects("batch::batch=4"));
        assert!(!args.selects("summarization"));
        assert!(!parse("--exact chat").selects("chatbot"));
        assert!(parse("--exact chatbot").selects("chatbot"));
    }

    #[test]
    fn what_libtest_takes_is_taken() {
        for line in [
            "--list --format terse",
            "--no-capture",
            "--nocapture --exact chatbot --ignored",
            "--include-ignored --test-threads 4 --color never",
            "-q",
            "--format json -Z unstable-options",
            "--report-time --shuffle --shuffle-seed 3 --show-output",
            "--quick --profile p --set slowdown.decode=10% chatbot",
        ] {
            assert_eq!(parse(line).libtest.test_threads, Some(1), "{line}");
        }
    }

    #[test]
    fn update_without_a_word_means_new() {
        assert_eq!(parse("--update").run.update.as_deref(), Some("new"));
        assert_eq!(parse("--update=always").run.update.as_deref(), Some("always"));
        assert_eq!(parse("").run.update, None);
    }
}

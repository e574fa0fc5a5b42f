//! `cargo tokpace selftest`: the gate's own rates.

use std::io::Write;
use std::thread;

use crate::cli::CliError;
use crate::cli::selftest_live::{self, Live};
use crate::gate::JudgeError;
use crate::selftest::{Machine, Noise, NoiseShape, Pools, Rates, rates, rates_json, rates_table};

/// Arguments of `cargo tokpace selftest`.
#[derive(Debug, clap::Args)]
pub(super) struct SelftestArgs {
    /// Judges simulated trials with the noise of simulated machines; measures nothing
    #[arg(long = "virtual")]
    in_virtual_time: bool,

    /// Suites for each figure; 500 with `--virtual` (25 in a debug build), else 5
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    suites: Option<u64>,

    /// Also measures this profile against itself, which must not find anything
    #[arg(long, value_name = "NAME", conflicts_with = "in_virtual_time")]
    profile: Option<String>,

    /// Seed of the servers' draws and the machines' noise
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,

    /// Machines: `quiet`, `medium`, `noisy`; all of them if absent
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = machine)]
    machine: Vec<Machine>,

    /// Shapes of noise: `normal`, `heavy`, `bursts`, `drift`, `slots`; all of them if absent
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = shape)]
    noise: Vec<NoiseShape>,

    /// Prints a JSON object a line: a machine
    #[arg(long)]
    json: bool,
}

/// Suites are judged some ten times slower without optimisation.
const SUITES: u64 = if cfg!(debug_assertions) { 25 } else { 500 };

fn machine(name: &str) -> Result<Machine, String> {
    named(name, &Machine::ALL, Machine::name)
}

fn shape(name: &str) -> Result<NoiseShape, String> {
    named(name, &NoiseShape::ALL, NoiseShape::name)
}

fn named<T: Copy>(name: &str, all: &[T], of: impl Fn(T) -> &'static str) -> Result<T, String> {
    let known = || all.iter().map(|one| format!("`{}`", of(*one))).collect::<Vec<_>>().join(", ");
    all.iter().copied().find(|one| of(*one) == name).ok_or_else(|| format!("known are {}", known()))
}

/// Prints the rates; exit code 1 if they refute a promise of the gate.
///
/// # Errors
/// If this machine cannot be measured on.
pub(super) fn selftest(args: &SelftestArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    if !args.in_virtual_time {
        let live = Live { profile: args.profile.as_deref(), suites: args.suites, json: args.json };
        return selftest_live::selftest(&live, out);
    }
    virtual_machines(args, out)
}

fn virtual_machines(args: &SelftestArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let wanted = |noise: &Noise| {
        (args.machine.is_empty() || args.machine.contains(&noise.machine))
            && (args.noise.is_empty() || args.noise.contains(&noise.shape))
    };
    let chosen: Vec<Noise> = Noise::all().into_iter().filter(wanted).collect();
    let pools = Pools::virtual_time(args.seed);
    let all = on_every_core(&chosen, |noise| rates(noise, &pools, args.suites.unwrap_or(SUITES), args.seed));
    let all = all.into_iter().collect::<Result<Vec<Rates>, JudgeError>>();
    let all = all.map_err(|error| CliError::usage(error.message, error.hint))?;
    let text = if args.json { rates_json(&all, args.seed) } else { rates_table(&all, args.seed) };
    write!(out, "{text}")?;
    Ok(u8::from(all.iter().any(|rates| !rates.refuted().is_empty())))
}

/// `of` each machine, in their order. Each has draws of its own, so that the cores do not change what comes out.
fn on_every_core<T: Send>(chosen: &[Noise], of: impl Fn(Noise) -> T + Sync) -> Vec<T> {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(chosen.len()).max(1);
    let mut done: Vec<(usize, T)> = thread::scope(|scope| {
        let of = &of;
        let work = |core: usize| {
            let own = chosen.iter().enumerate().skip(core).step_by(cores);
            scope.spawn(move || own.map(|(at, noise)| (at, of(*noise))).collect::<Vec<_>>())
        };
        let workers: Vec<_> = (0..cores).map(work).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().flat_map(join).collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, of)| of).collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};
    use insta::assert_snapshot;

    use super::*;

    fn run(line: &str) -> Result<(u8, String), CliError> {
        let matches = SelftestArgs::augment_args(Command::new("selftest"))
            .try_get_matches_from(std::iter::once("selftest").chain(line.split_whitespace()))
            .map_err(|error| CliError::usage(error.to_string(), ""))?;
        let mut out = Vec::new();
        let code = selftest(&SelftestArgs::from_arg_matches(&matches).unwrap(), &mut out)?;
        Ok((code, String::from_utf8(out).unwrap()))
    }

    #[test]
    fn a_small_run() {
        let (code, table) = run("--virtual --suites 12 --seed 3 --noise normal,slots").unwrap();
        assert_eq!(code, 0);
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert_snapshot!(table, @r"
        tokpace · self-test of the gate · 12 suites of 30 checks a figure · seed 3
        ────────────────────────────────────────────────────────────────────────────────
                            false alarms     at tolerance    slower    faster
        machine noise     default       zero regr.  pass   +5 %  +10 %  -10 % open pairs
        quiet   normal  0.0 <22.1  8.3 <33.9   1.7   0.0  100.0  100.0  100.0  0.0     6
        quiet   slots   0.0 <22.1  0.0 <22.1   5.0   3.3  100.0  100.0   91.7  0.0    10
        medium  normal  0.0 <22.1  0.0 <22.1   5.0   6.7   41.7  100.0   66.7  1.1    14
        medium  slots   0.0 <22.1  0.0 <22.1   8.3   0.0   50.0  100.0   25.0  6.7    20
        noisy   normal  0.0 <22.1  0.0 <22.1   0.0   1.7    8.3  100.0   50.0 20.6    20
        noisy   slots   0.0 <22.1  8.3 <33.9   0.0   0.0   25.0   91.7   16.7 39.2    20
        ────────────────────────────────────────────────────────────────────────────────
        all in %, but pairs; <: upper 95 % bound
        false alarms: suites in which an unchanged build regressed, with default
          tolerances and with none
        at tolerance: checks slower by exactly their tolerance that regressed or passed
        +5 %, +10 %: decode steps so much slower in one of five scenarios, found there
        -10 %: decode steps faster in one scenario, found to be an improvement
        open: checks of an unchanged build that remained inconclusive
        pairs: median that a case of an unchanged build took, of at most 20
        no promise of the gate is refuted
        ");
    }

    #[test]
    fn wrong_usage_is_told() {
        let failed = |line: &str| match run(line) {
            Err(CliError::Failed { exit_code: 2, message, hint }) => format!("{message}\n{}", hint.unwrap_or_default()),
            other => panic!("{other:?}"),
        };
        assert!(failed("--virtual --suites 0").contains("0 is not in 1.."));
        assert!(failed("--virtual --noise pink").contains("known are `normal`, `heavy`, `bursts`, `drift`, `slots`"));
        assert!(failed("--virtual --machine loud").contains("known are `quiet`, `medium`, `noisy`"));
    }
}

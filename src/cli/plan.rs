//! `cargo tokpace plan`: what a run would send, cost and find. Sends nothing, unless it is to look at the target.

use std::io::Write;

use serde::Serialize;

use super::{CliError, check};
use crate::gate::FEWEST;
use crate::harness::{MeasureError, Package, RunFlags, Session};
use crate::predict::{self, Terms};
use crate::profile::{Embedded, Profile, ProfileKind, Slowdown};
use crate::report::{self, CasePlan, Price};
use crate::scenario::Case;
use crate::target::{Outcome, Probe};

/// Standard error that a predicted change may have: 0.2 points.
const PRECISION: f64 = 0.002;

/// Arguments of `cargo tokpace plan`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct PlanArgs {
    /// Cases to plan: those whose name contains any of these
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,

    /// Predicts what the gate says of the profile's slowdown or fault, such as `--set slowdown.decode=10%`
    #[arg(long)]
    pub predict: bool,

    /// Walks the target too, as `cargo tokpace check` does; exit code 3 if a step fails
    #[arg(long)]
    pub check: bool,

    /// Price of a million input tokens
    #[arg(long, value_name = "PRICE", value_parser = price, requires = "price_output", conflicts_with = "predict")]
    pub price_input: Option<f64>,

    /// Price of a million output tokens
    #[arg(long, value_name = "PRICE", value_parser = price, requires = "price_input", conflicts_with = "predict")]
    pub price_output: Option<f64>,

    /// Prints a JSON object a line: a case, or with `--predict` a comparison; with `--check` steps follow
    #[arg(long)]
    pub json: bool,

    /// What a run takes, so that the same is planned
    #[command(flatten)]
    pub run: RunFlags,
}

fn price(text: &str) -> Result<f64, String> {
    let price = text.parse::<f64>().ok().filter(|price| price.is_finite() && *price >= 0.0);
    price.ok_or_else(|| "a price is a number such as `0.15`".into())
}

/// Prints what a run of the selected cases would send, or what it would find, and whether the target can be measured;
/// exit code 0, or 3 if it cannot. `line` is the command line.
///
/// # Errors
/// If a scenario, the project or a file they name cannot be used, nothing is selected, or the target cannot be opened.
pub(super) fn plan(args: &PlanArgs, package: &Package, line: &[String], out: &mut dyn Write) -> Result<u8, CliError> {
    let mut session = Session::open(package, args.run.clone(), line)?;
    let cases = select(&session, &args.filters)?;
    let text = if args.predict { predicted(&mut session, &cases, args)? } else { planned(&mut session, &cases, args)? };
    write!(out, "{}", session.redacted(&text))?;
    if !args.check {
        return Ok(0);
    }
    // What was planned is of use even if the walk takes long or fails.
    out.flush()?;
    let probe = check::walk(&mut session)?;
    let text =
        if args.json { steps(&probe)? } else { format!("\nthe target, asked with a few short requests:\n{probe}") };
    write!(out, "{}", session.redacted(&text))?;
    Ok(check::exit_code(&session, &probe))
}

/// The steps of a walk as JSON Lines.
fn steps(probe: &Probe) -> Result<String, CliError> {
    #[derive(Serialize)]
    struct Line<'a> {
        step: &'a str,
        ok: bool,
        text: &'a str,
        hint: Option<&'a str>,
    }
    let mut lines = String::new();
    for step in &probe.steps {
        let (text, hint) = match &step.outcome {
            Outcome::Passed(text) | Outcome::Skipped(text) => (text, None),
            Outcome::Remarked(error) | Outcome::Failed(error) => (&error.message, Some(error.hint.as_str())),
        };
        let line = Line { step: step.name, ok: !matches!(step.outcome, Outcome::Failed(_)), text, hint };
        lines.push_str(&serde_json::to_string(&line).map_err(std::io::Error::from)?);
        lines.push('\n');
    }
    Ok(lines)
}

fn select(session: &Session, filters: &[String]) -> Result<Vec<Case>, CliError> {
    let wanted = |name: &str| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()));
    let mut cases = Vec::new();
    let mut names = Vec::new();
    for scenario in session.scenarios() {
        match &scenario.cases {
            Ok(known) => {
                names.extend(known.iter().map(|case| format!("`{}`", case.name)));
                cases.extend(known.iter().filter(|case| wanted(&case.name)).cloned());
            }
            Err(problems) if wanted(&scenario.name) => {
                return Err(CliError::Failed { exit_code: 2, message: problems.clone(), hint: None });
            }
            Err(_) => {}
        }
    }
    if cases.is_empty() {
        let words: Vec<_> = filters.iter().map(|filter| format!("`{filter}`")).collect();
        return Err(CliError::usage(
            format!("no case matches {}", words.join(", ")),
            format!("name one of {}", names.join(", ")),
        ));
    }
    Ok(cases)
}

fn planned(session: &mut Session, cases: &[Case], args: &PlanArgs) -> Result<String, CliError> {
    let profile = session.profile.clone();
    let mut plans = Vec::with_capacity(cases.len());
    for case in cases {
        let plan = session.plan(case).map_err(|error| unplanned(&error))?;
        let duration = match &profile.kind {
            ProfileKind::Embedded(config) => Some(predict::simulated(case, &plan, config)),
            ProfileKind::Endpoint(_) | ProfileKind::Managed(_) => {
                let baseline = session.store.load(&profile.name, &case.name)?;
                baseline.and_then(|baseline| predict::remembered(&plan, &baseline))
            }
        };
        let trials = if session.is_paired(case) {
            // Two trials a pair.
            let most = case.trials.pairs(args.run.quick);
            (2 * FEWEST.min(most), 2 * most)
        } else {
            case.trials.range(args.run.quick)
        };
        plans.push(CasePlan::new(&case.name, &plan, trials, duration));
    }
    let price = args.price_input.zip(args.price_output).map(|(input, output)| Price { input, output });
    if args.json {
        return Ok(report::plan_json(&plans, price));
    }
    let mut text = report::plan_table(&profile.name, &plans, price);
    let counted = |case: &Case| case.workload.dataset.is_some() || case.workload.system_prompt.is_some();
    if !matches!(profile.kind, ProfileKind::Embedded(_)) && cases.iter().any(counted) {
        text.push_str("datasets and system prompts are counted with the bundled tokenizer, not the model's\n");
    }
    Ok(text)
}

fn predicted(session: &mut Session, cases: &[Case], args: &PlanArgs) -> Result<String, CliError> {
    let config = embedded(&session.profile)?.clone();
    let unchanged = Embedded { slowdown: Slowdown::default(), fault: None, ..config.clone() };
    let terms = Terms {
        family: session.comparisons(),
        family_cases: session.family.len() as u64,
        job_noise: session.profile.job_noise,
        precision: PRECISION,
    };
    let mut forecasts = Vec::with_capacity(cases.len());
    for case in cases {
        let plan = session.plan(case).map_err(|error| unplanned(&error))?;
        let forecast = if session.is_paired(case) {
            let [reference, candidate] = session.profiles(case).map_err(|error| unplanned(&error))?;
            predict::forecast_pairs(case, &plan, [embedded(&reference)?, embedded(&candidate)?], terms)
        } else {
            predict::forecast(case, &plan, &unchanged, &config, terms)
        };
        forecasts.push(forecast.map_err(|error| CliError::usage(error.message, error.hint))?);
    }
    Ok(if args.json {
        report::forecast_json(&forecasts)
    } else {
        let subject = match &session.against {
            Some(against) => format!("a comparison with `{}`", against.name),
            None => subject(&config),
        };
        report::forecast_table(&session.profile.name, &subject, &forecasts)
    })
}

fn embedded(profile: &Profile) -> Result<&Embedded, CliError> {
    match &profile.kind {
        ProfileKind::Embedded(config) => Ok(config),
        ProfileKind::Endpoint(_) | ProfileKind::Managed(_) => Err(CliError::usage(
            format!("profile `{}` is a real server, and only the embedded one can be predicted", profile.name),
            "choose an embedded profile with `--profile`",
        )),
    }
}

/// What the profile does on purpose, in words.
fn subject(config: &Embedded) -> String {
    let Slowdown { prefill, decode } = config.slowdown;
    let slowdowns = [("slowdown.prefill", prefill), ("slowdown.decode", decode)];
    let mut words: Vec<String> =
        slowdowns.iter().filter(|(_, share)| share.0 != 0.0).map(|(name, share)| format!("{name} {share}")).collect();
    words.extend(config.fault.map(|fault| format!("fault {} {}", fault.kind, fault.rate)));
    words.join(", ")
}

fn unplanned(error: &MeasureError) -> CliError {
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((message, hint)) => CliError::usage(message, hint),
        None => CliError::Failed { exit_code: 2, message: text, hint: None },
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::{Args, Command, FromArgMatches};
    use insta::assert_snapshot;

    use super::*;

    const SCENARIO: &str = r#"[workload]
input_tokens = 128
output_tokens = 24
[load]
requests = 24
[trials]
min = 6
max = 8
[gate]
"ttft.p50" = "<= baseline + 10%"
"tpot.p50" = "<= baseline + 3%"
"output_throughput" = ">= baseline - 5%"
"e2e_latency.p50" = { limit = "<= baseline + 5%", advisory = true }
[matrix]
"load.batch" = [4, 8]
"#;

    /// Plans a package with these files as the command line says.
    fn run(files: &[(&str, &str)], line: &str) -> Result<String, CliError> {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("scenarios")).unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let matches = PlanArgs::augment_args(Command::new("plan"))
            .try_get_matches_from(std::iter::once("plan").chain(line.split_whitespace()))
            .unwrap();
        let mut args = PlanArgs::from_arg_matches(&matches).unwrap();
        // Absolute, since the test's own package is named by the environment.
        args.run.scenarios = Some(dir.path().join("scenarios"));
        let package = Package::new(&dir.path().display().to_string(), None, "scenarios", "baselines");
        let mut out = Vec::new();
        plan(&args, &package, &[], &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn failed(result: Result<String, CliError>) -> String {
        match result {
            Err(CliError::Failed { exit_code: 2, message, hint }) => format!("{message}\n{}", hint.unwrap_or_default()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_run_is_told_before_it_is_made() {
        let files = [("scenarios/batch.toml", SCENARIO)];
        assert_snapshot!(run(&files, "").unwrap(), @r#"
        tokpace · profile embedded · 2 cases · nothing was sent
        ────────────────────────────────────────────────────────────────────────────────
        case                        requests   input  output trials  a trial      in all
        batch::batch=4                    24    3072     576    6–8    0.9 s   6.0–7.8 s
        batch::batch=8                    24    3072     576    6–8    0.5 s   3.7–4.7 s
        ────────────────────────────────────────────────────────────────────────────────
        in all: 297–393 requests with 38016–50304 input tokens, and at most 7128–9432
          output tokens
        time: about 10–12 s
        warm-up and priming are counted; trials that are no measurement come on top
        "#);
        assert_snapshot!(run(&files, "batch=8 --quick --price-input 0.5 --price-output 1.5").unwrap(), @r#"
        tokpace · profile embedded · 1 case · nothing was sent
        ────────────────────────────────────────────────────────────────────────────────
        case            requests   input  output trials  a trial      in all       price
        batch::batch=8        24    3072     576      2    0.5 s       1.7 s      0.0053
        ────────────────────────────────────────────────────────────────────────────────
        in all: 53 requests with 6784 input tokens, and at most 1272 output tokens
        time: about 1.7 s
        price: at most 0.0053
        warm-up and priming are counted; trials that are no measurement come on top
        "#);
        assert_snapshot!(run(&files, "batch=8 --json --price-input 0.5 --price-output 1.5").unwrap(), @r#"
        {"case":"batch::batch=8","requests":24,"input_tokens":3072,"output_tokens":576,"at_most":false,"trials":[6,8],"trial_seconds":0.502019,"seconds":[3.686864,4.690903],"total_requests":[149,197],"total_input_tokens":[19072,25216],"total_output_tokens":[3576,4728],"price":[0.0149,0.0197],"plan":"sha256:16b337b32cb8ed0418388785e2701ae5"}
        "#);
    }

    #[test]
    fn what_the_gate_will_say_is_told_too() {
        let files = [("scenarios/batch.toml", SCENARIO)];
        assert_snapshot!(run(&files, "batch=8 --predict --set slowdown.decode=10%").unwrap(), @r#"
        tokpace · profile embedded · predicted for slowdown.decode 10%
        ────────────────────────────────────────────────────────────────────────────────
          check                       change    error  one run    limit   verdict expected
        batch::batch=8
          ttft.p50                    +0.6 %     ±0.0     ±0.2     +10%   pass
          tpot.p50                   +10.0 %     ±0.0     ±0.1      +3%   REGRESSED
          output_throughput           -5.7 %     ±0.0     ±0.1      -5%   REGRESSED
          e2e_latency.p50             +6.1 %     ±0.0     ±0.1      +5%   (regressed)
          error_rate                +0.00 pp     ±0.0     ±0.0   +0.5pp   pass
        ────────────────────────────────────────────────────────────────────────────────
        one run: what a single run adds or takes away at random, in 19 of 20 runs
        "#);
        assert_snapshot!(run(&files, "batch=8 --predict --json --set slowdown.decode=10%").unwrap(), @r#"
        {"case":"batch::batch=8","metric":"ttft.p50","ratio":1.00574,"tolerance":0.1,"beyond":false,"verdict":"pass","advisory":false,"error":4e-6,"spread":0.000909}
        {"case":"batch::batch=8","metric":"tpot.p50","ratio":1.1,"tolerance":0.03,"beyond":true,"verdict":"regressed","advisory":false,"error":0.0,"spread":0.000652}
        {"case":"batch::batch=8","metric":"output_throughput","ratio":1.060946,"tolerance":0.05,"beyond":true,"verdict":"regressed","advisory":false,"error":7e-6,"spread":0.000395}
        {"case":"batch::batch=8","metric":"e2e_latency.p50","ratio":1.060928,"tolerance":0.05,"beyond":true,"verdict":"regressed","advisory":true,"error":0.00001,"spread":0.000311}
        "#);
        let nothing = run(&files, "batch=8 --predict").unwrap();
        assert!(nothing.contains("predicted for the profile as it is") && nothing.contains("\nhint: "), "{nothing}");
        let body = run(&files, "batch=8 --predict --set fault.kind=no-stream").unwrap();
        assert!(body.contains("predicted for fault no-stream 100%"), "{body}");
        assert!(body.contains("  no measurement: 24 of 24 answers came as one JSON body"), "{body}");
    }

    #[test]
    fn mistakes_name_their_remedy() {
        let files = [("scenarios/batch.toml", SCENARIO)];
        assert_eq!(
            failed(run(&files, "chat")),
            "no case matches `chat`\nname one of `batch::batch=4`, `batch::batch=8`"
        );
        let broken = [files[0], ("scenarios/chat.toml", "[load]\nconcurency = 3\n")];
        assert!(failed(run(&broken, "chat")).contains("concurrency"));
        assert!(run(&broken, "batch").is_ok());
        assert!(failed(run(&[], "")).starts_with("no scenario files"));
        for line in ["--price-input 1", "--price-input 1 --price-output x", "--price-input -1 --price-output 1"] {
            let command = PlanArgs::augment_args(Command::new("plan"));
            assert!(command.try_get_matches_from(std::iter::once("plan").chain(line.split(' '))).is_err(), "{line}");
        }
        PlanArgs::augment_args(Command::new("plan")).debug_assert();
    }

    #[test]
    fn only_a_model_can_be_predicted() {
        let kind = ProfileKind::Endpoint(crate::profile::Endpoint::default());
        let profile = Profile {
            name: "staging".into(),
            kind,
            job_noise: 0.03,
            labels: std::collections::BTreeMap::new(),
            aging: crate::profile::Aging::default(),
            variants: std::collections::BTreeMap::new(),
            variant: None,
        };
        let error = embedded(&profile).unwrap_err();
        assert_eq!(
            failed(Err(error)),
            "profile `staging` is a real server, and only the embedded one can be predicted\n\
             choose an embedded profile with `--profile`"
        );
    }
}

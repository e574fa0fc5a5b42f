use std::collections::BTreeMap;

use super::*;
use crate::gate::{CaseInput, CheckInput, Job, Mode, Suite, SuiteVerdict, TrialValues, Verdict, judge};
use crate::metric::Metric;
use crate::plan::{self, Plan, Sources, Words};
use crate::profile::{self, Embedded, Fault, FaultKind, ProfileKind, Slowdown};
use crate::scenario::{self, Case};
use crate::tokens::Tokenizer;
use crate::units::Share;

/// What this repository is gated on.
const PROJECT: &str = include_str!("../../tokpace.toml");
/// Its scenarios: seven cases.
const FILES: [(&str, &str); 5] = [
    ("batch", include_str!("../../scenarios/batch.toml")),
    ("chatbot", include_str!("../../scenarios/chatbot.toml")),
    ("long-generation", include_str!("../../scenarios/long-generation.toml")),
    ("prefix-caching", include_str!("../../scenarios/prefix-caching.toml")),
    ("summarization", include_str!("../../scenarios/summarization.toml")),
];
const TRIALS: u32 = 6;
/// Eight requests at once.
const BATCH: &str = "[workload]\ninput_tokens = 128\noutput_tokens = 24\n[load]\nbatch = 8\nrequests = 24\n";

fn planned(name: &str, text: &str) -> Vec<(Case, Plan)> {
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer).unwrap();
    let sources = Sources { tokenizer: &tokenizer, words: &words, dataset: None, trace: None, system_prompt: None };
    let cases = scenario::load(name, "scenarios/x.toml", text).unwrap();
    cases
        .into_iter()
        .map(|case| (plan::build(&case, &sources).unwrap(), case))
        .map(|(plan, case)| (case, plan))
        .collect()
}

/// The cases that are compared with a baseline.
fn defaults() -> Vec<(Case, Plan)> {
    let all = FILES.iter().flat_map(|(name, text)| planned(name, text));
    all.filter(|(case, _)| case.compare.is_none()).collect()
}

fn batch() -> (Case, Plan) {
    planned("batch", BATCH).remove(0)
}

/// The repository's own server, and its job-to-job noise.
fn gated() -> (Embedded, f64) {
    let profile = profile::load("tokpace.toml", PROJECT).unwrap().profiles.remove("embedded").unwrap();
    let ProfileKind::Embedded(config) = profile.kind else { panic!("the profile `embedded` is embedded") };
    (config, profile.job_noise)
}

fn slowed(config: &Embedded, prefill: f64, decode: f64) -> Embedded {
    Embedded { slowdown: Slowdown { prefill: Share(prefill), decode: Share(decode) }, ..config.clone() }
}

fn slower(prefill: f64, decode: f64) -> Embedded {
    slowed(&Embedded::default(), prefill, decode)
}

fn faulty(kind: FaultKind, rate: f64) -> Embedded {
    Embedded { fault: Some(Fault { kind, rate: Share(rate) }), ..Embedded::default() }
}

/// Trials of the six-trial jobs with these seeds, by case.
fn jobs(cases: &[(Case, Plan)], config: &Embedded, seeds: std::ops::Range<u64>) -> Vec<Vec<Vec<TrialValues>>> {
    let of = |(case, plan): &(Case, Plan)| seeds.clone().map(|seed| trials(case, plan, config, seed, TRIALS)).collect();
    cases.iter().map(of).collect()
}

/// A case's accepted jobs and the candidate's trials.
type Sides = (Vec<Vec<TrialValues>>, Vec<TrialValues>);

/// The whole suite, judged against three accepted jobs.
fn suite(cases: &[(Case, Plan)], parts: Vec<Sides>) -> SuiteVerdict {
    let input = |((case, _), (accepted, candidate)): (&(Case, Plan), Sides)| {
        let checks = case.gate.checks.iter().filter(|check| check.limit.is_comparison());
        let checks = checks.map(|check| CheckInput {
            metric: check.metric.to_string(),
            better: check.metric.metric.better(),
            tolerance: check.limit.tolerance().unwrap(),
            advisory: check.advisory,
            unresolved: None,
        });
        let jobs = accepted.into_iter().map(|trials| Job { trials }).collect();
        CaseInput::stored(case.name.clone(), checks.collect(), gated().1, jobs, Job { trials: candidate })
    };
    let suite = Suite::new(Mode::Stored, cases.iter().zip(parts).map(input).collect());
    let family: u64 = cases.iter().map(|(case, _)| case.gate.comparisons().count() as u64).sum();
    assert_eq!(family, 18);
    judge(&suite).unwrap()
}

/// The verdict and the ratio of one metric in each case.
fn of_metric(verdict: &SuiteVerdict, metric: &str) -> Vec<(String, Verdict, f64)> {
    let check = |case: &crate::gate::CaseVerdict| {
        let check = case.checks.iter().find(|check| check.metric == metric).unwrap();
        (case.case.clone(), check.verdict, check.ratio.unwrap())
    };
    verdict.cases.iter().map(check).collect()
}

#[test]
fn the_gate_sees_what_it_should_see_and_nothing_else() {
    let cases = defaults();
    let (config, _) = gated();
    let same = jobs(&cases, &config, 0..5);
    let against = |candidates: &[Vec<Vec<TrialValues>>], at: usize| {
        suite(
            &cases,
            same.iter().zip(candidates).map(|(same, other)| (same[..3].to_vec(), other[at].clone())).collect(),
        )
    };
    for at in 3..5 {
        let verdict = against(&same, at);
        for case in &verdict.cases {
            for check in &case.checks {
                assert_eq!(check.verdict, Verdict::Pass, "{} {} {:?}", case.case, check.metric, check.ratio);
            }
        }
    }
    let slower = [("tpot.p50", slowed(&config, 0.0, 0.1), 1.03), ("ttft.p50", slowed(&config, 0.2, 0.0), 1.1)];
    for (metric, config, tolerance) in slower {
        let verdict = against(&jobs(&cases, &config, 3..4), 0);
        for (case, verdict, ratio) in of_metric(&verdict, metric) {
            assert!(ratio > tolerance, "{case} {metric}: {ratio}");
            assert_eq!(verdict, Verdict::Regressed, "{case} {metric}: {ratio}");
        }
    }
}

/// Prints how often unchanged builds pass and slower ones are found.
#[test]
#[ignore = "takes minutes in a debug build"]
fn rates_over_fifty_seeds() {
    let cases = defaults();
    let (config, _) = gated();
    let slow = [slowed(&config, 0.0, 0.1), slowed(&config, 0.2, 0.0)];
    let configs = [("A/A", &config), ("decode +10 %", &slow[0]), ("prefill +20 %", &slow[1])];
    let mut counts: BTreeMap<(&str, String, String, Verdict), u32> = BTreeMap::new();
    for seed in 0..50 {
        let accepted = jobs(&cases, &config, 4 * seed..4 * seed + 3);
        for (name, config) in configs {
            let candidates = jobs(&cases, config, 4 * seed + 3..4 * seed + 4);
            let parts = accepted.iter().cloned().zip(candidates.into_iter().map(|mut jobs| jobs.remove(0))).collect();
            let verdict = suite(&cases, parts);
            *counts.entry((name, "suite".into(), String::new(), verdict.verdict)).or_default() += 1;
            for case in &verdict.cases {
                for check in &case.checks {
                    let key = (name, case.case.clone(), check.metric.clone(), check.verdict);
                    *counts.entry(key).or_default() += 1;
                }
            }
        }
    }
    for ((name, case, metric, verdict), count) in &counts {
        println!("{name:<14} {case:<18} {metric:<18} {verdict:<13} {count}");
    }
    let count = |name: &str, case: &str, metric: &str, verdict| {
        counts
            .iter()
            .filter(|((n, c, m, v), _)| *n == name && c == case && m == metric && *v == verdict)
            .map(|(_, n)| n)
            .sum::<u32>()
    };
    assert_eq!(count("A/A", "suite", "", Verdict::Regressed), 0);
    for (case, _) in &cases {
        assert_eq!(count("decode +10 %", &case.name, "tpot.p50", Verdict::Regressed), 50, "{}", case.name);
        assert!(count("prefill +20 %", &case.name, "ttft.p50", Verdict::Regressed) >= 40, "{}", case.name);
    }
}

#[test]
fn a_forecast_says_how_much_and_what_the_gate_will_say() {
    let (case, plan) = batch();
    let terms = Terms { family: 21, family_cases: 7, job_noise: 0.003, precision: 0.001 };
    let of = |config: &Embedded| forecast(&case, &plan, &Embedded::default(), config, terms).unwrap();
    let slow = of(&slower(0.0, 0.1));
    assert_eq!(slow.invalid, None);
    let names: Vec<String> = slow.checks[..5].iter().map(|check| check.metric.to_string()).collect();
    assert_eq!(names, ["ttft.p50", "tpot.p50", "output_throughput", "error_rate", "e2e_latency.p50"]);
    let [ttft, tpot, throughput, errors, latency, ..] = &slow.checks[..] else { panic!("{slow:?}") };
    let near = |check: &CheckForecast, ratio: f64| (check.change.unwrap() - ratio).abs() < 0.005;
    // A decode step is the whole of `tpot`, and what is left of a prefill's neighbours in `ttft`.
    assert!(near(tpot, 1.1) && tpot.beyond && tpot.verdict == Verdict::Regressed && tpot.error < 0.001, "{tpot:?}");
    assert!(near(ttft, 1.006) && !ttft.beyond && ttft.verdict == Verdict::Pass, "{ttft:?}");
    // In the direction of cost: a throughput that fell has a ratio above 1.
    assert!(near(throughput, 1.0615) && throughput.beyond, "{throughput:?}");
    assert!(latency.advisory && latency.beyond && latency.spread < 0.01, "{latency:?}");
    assert!(errors.is_difference() && errors.change == Some(0.0) && !errors.beyond, "{errors:?}");
    assert!(tpot.agree == tpot.jobs && tpot.jobs >= 8);

    let same = of(&Embedded::default());
    for check in &same.checks[..5] {
        assert_eq!((check.change.unwrap().fract(), check.beyond), (0.0, false), "{check:?}");
        assert_eq!(check.verdict, Verdict::Pass, "{check:?}");
    }
    let faster = of(&slower(0.0, -0.1));
    assert!(faster.checks[1].verdict == Verdict::Improved && !faster.checks[1].beyond);
}

#[test]
fn a_forecast_of_failures() {
    let (case, plan) = batch();
    let terms = Terms { family: 21, family_cases: 7, job_noise: 0.003, precision: 1.0 };
    let of = |config: &Embedded| forecast(&case, &plan, &Embedded::default(), config, terms).unwrap();
    let errors = of(&faulty(FaultKind::Error, 0.2));
    let rate = errors.checks.iter().find(|check| check.metric.metric == Metric::ErrorRate).unwrap();
    assert!((rate.change.unwrap() - 0.2).abs() < 0.05 && rate.beyond && rate.verdict == Verdict::Regressed, "{rate:?}");
    let body = of(&faulty(FaultKind::NoStream, 1.0));
    assert!(body.invalid.as_ref().unwrap().contains("JSON body"), "{body:?}");
    assert!(
        body.checks.iter().all(|check| check.verdict == Verdict::Invalid && !check.beyond && check.change.is_none())
    );
    let short = of(&faulty(FaultKind::Short, 1.0));
    assert!(short.invalid.as_ref().unwrap().contains("those of the baseline"), "{short:?}");
    let lost = of(&faulty(FaultKind::Error, 0.7));
    let tpot = &lost.checks[1];
    assert_eq!((tpot.change, tpot.beyond, tpot.verdict), (None, false, Verdict::Inconclusive));
}

#[test]
fn a_job_is_sent_as_the_harness_sends_it() {
    let text = BATCH.replace("128", "{ uniform = [80, 128] }\nprefix = { groups = 4, prefix_tokens = 64 }");
    let (case, plan) = planned("prefix", &text).remove(0);
    let job = job(&case, &plan, &Embedded::default(), 1, 3, None);
    assert_eq!((job.trials.len(), job.lengths.len(), job.invalid.len()), (3, 3, 0));
    assert!(job.warmup > 0);
    // Every trial has its own salt and primes its own prefixes: none finds another one's, all find their own.
    for trial in &job.trials {
        let hits = trial.values["prefix_hit_ratio"].unwrap() * trial.values["input_tokens.mean"].unwrap();
        assert!((hits - 64.0).abs() < 1e-9, "{hits}");
    }
    // Nothing is primed in a case without shared prefixes, and no prompt finds an earlier trial's.
    let (case, plan) = batch();
    let trials = trials(&case, &plan, &Embedded::default(), 1, 2);
    assert!(trials.iter().all(|trial| trial.values["prefix_hit_ratio"] == Some(0.0)));
    assert_ne!(trials[0], trials[1]);
}

#[test]
fn what_is_no_measurement_is_repeated_up_to_a_quarter() {
    let (case, plan) = batch();
    let run = |config: &Embedded, n, length| job(&case, &plan, config, 1, n, length);
    let given_up = run(&faulty(FaultKind::NoStream, 1.0), 8, None);
    assert_eq!((given_up.trials.len(), given_up.lengths.len(), given_up.given_up), (0, 3, true));
    assert_eq!(given_up.invalid.iter().map(|(trial, _)| *trial).collect::<Vec<_>>(), [1, 2, 3]);
    let drifted = run(&Embedded::default(), 6, Some(48.0));
    assert!(drifted.given_up && drifted.invalid[0].1[0].reason.contains("those of the baseline"));
    assert!(!run(&Embedded::default(), 6, Some(24.0)).given_up);
}

#[test]
fn an_open_loop_counts_what_is_in_flight() {
    let text =
        "[workload]\ninput_tokens = 64\noutput_tokens = 16\n[load]\nrate = 50\nrequests = 20\nmax_in_flight = 3\n";
    let (case, plan) = planned("open", text).remove(0);
    let job = job(&case, &plan, &Embedded::default(), 1, 2, None);
    assert!(job.given_up && job.invalid[0].1[0].reason.contains("in flight at once"), "{job:?}");
}

#[test]
fn an_answer_in_one_piece_has_a_latency_only() {
    let text = "[workload]\ninput_tokens = 64\noutput_tokens = 16\n[load]\nbatch = 4\nrequests = 12\n[request]\nstream = false\n";
    let (case, plan) = planned("body", text).remove(0);
    let job = job(&case, &plan, &Embedded::default(), 1, 2, None);
    assert!(job.invalid.is_empty(), "{:?}", job.invalid);
    for trial in &job.trials {
        assert!(trial.values.contains_key("e2e_latency.p50") && !trial.values.contains_key("ttft.p50"), "{trial:?}");
    }
}

/// The reference is the server without its prefix cache.
#[test]
fn the_prefix_cache_saves_what_the_model_says() {
    let (case, plan) =
        FILES.iter().flat_map(|(name, text)| planned(name, text)).find(|(c, _)| c.compare.is_some()).unwrap();
    let on = gated().0;
    let off = Embedded { prefix_caching: false, ..on.clone() };
    let terms = Terms { family: 19, family_cases: 7, job_noise: 0.003, precision: 0.01 };
    let works = forecast_pairs(&case, &plan, [&off, &on], terms).unwrap();
    let ttft = &works.checks[0];
    assert_eq!((ttft.metric.to_string().as_str(), ttft.verdict), ("ttft.p50", Verdict::Pass));
    // Without the cache each of three users computes 1024 tokens, 26 ms of an engine that they share; with it 128.
    assert!((0.4..0.5).contains(&ttft.change.unwrap()), "{ttft:?}");
    for pair in pairs(&case, &plan, [&off, &on], 1, 3).pairs {
        let ratio = |side: &TrialValues| side.values["prefix_hit_ratio"].unwrap();
        assert!((ratio(&pair.b) - 896.0 / 1024.0).abs() < 1e-12 && ratio(&pair.a) < 1e-12, "{pair:?}");
    }
    let cold = Embedded { fault: Some(Fault { kind: FaultKind::ColdCache, rate: Share(1.0) }), ..on };
    let broken = forecast_pairs(&case, &plan, [&off, &cold], terms).unwrap();
    assert_eq!(broken.checks[0].verdict, Verdict::Regressed);
}

#[test]
fn a_slower_server_has_the_same_requests_in_its_figures() {
    // An answer takes 117 ms, and 139.8 ms on the slower server, where the chosen ones do not end in time.
    let text = "[workload]\ninput_tokens = 40\noutput_tokens = 20\n[load]\nconcurrency = 1\nramp_up = \"0s\"\n\
                requests = 10\nwarmup = 0\n[request]\ncancel = { rate = \"40%\", after = \"130ms\" }\n";
    let (case, plan) = planned("users", text).remove(0);
    for (decode, ms) in [(0.0, 117.0), (0.3, 139.8)] {
        let config = Embedded { jitter: Share(0.0), ..slower(0.0, decode) };
        for trial in trials(&case, &plan, &config, 1, 2) {
            assert_eq!((trial.n, trial.errors), (6, 0));
            for id in ["e2e_latency.p50", "e2e_latency.mean"] {
                let found = trial.values[id].unwrap();
                assert!((found - ms).abs() < 1e-6, "{id}: {found}, not {ms}");
            }
            assert_eq!((trial.values["ttft.p50"], trial.values["error_rate"]), (Some(41.0), Some(0.0)));
        }
    }
}

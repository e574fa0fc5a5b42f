//! Trials to draw from: what a server does on a machine without noise.

use crate::gate::TrialValues;
use crate::metric::{Better, MetricId};
use crate::plan::{self, Plan, Sources, Words};
use crate::predict;
use crate::profile::{Embedded, Slowdown};
use crate::scenario::{self, Case};
use crate::tokens::Tokenizer;
use crate::units::Share;

use super::suites::CHECKS;

/// Short questions and answers of several users, and as many requests as a p95 needs. All users start at once, so that
/// a server that is slower in everything gives the same trials on a stretched clock.
const CHATBOT: &str = r#"[workload]
input_tokens = 128
output_tokens = { mean = 48, stddev = 16, min = 16, max = 80 }
[load]
concurrency = 8
ramp_up = "0ms"
requests = 104
"#;
/// Trials of each build.
const TRIALS: u64 = 32;

/// Costs of trials of one build, check by check.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    /// Requests of a trial.
    pub(super) n: u64,
    pub(super) trials: Vec<[f64; CHECKS.len()]>,
}

/// Of the logarithm of a metric's value in its cost.
pub(super) fn sign(metric: &str) -> f64 {
    match metric.parse::<MetricId>().map(|id| id.metric.better()) {
        Ok(Better::Higher) => -1.0,
        _ => 1.0,
    }
}

impl Pool {
    /// The costs of measured or simulated trials; `None` without any, or if one lacks a check's value.
    pub fn of(trials: &[TrialValues]) -> Option<Self> {
        let n = trials.iter().map(|trial| trial.n).min()?;
        let cost = |trial: &TrialValues, metric: &str| {
            let value = (*trial.values.get(metric)?)?;
            (value > 0.0 && value.is_finite()).then(|| sign(metric) * value.ln())
        };
        let costs = |trial: &TrialValues| {
            let mut costs = [0.0; CHECKS.len()];
            for (at, (metric, _)) in CHECKS.iter().enumerate() {
                costs[at] = cost(trial, metric)?;
            }
            Some(costs)
        };
        Some(Self { n, trials: trials.iter().map(costs).collect::<Option<_>>()? })
    }

    /// As this, but slower by so much (logarithms of cost, by check).
    #[must_use]
    pub fn slower(&self, by: [f64; CHECKS.len()]) -> Self {
        let mut slower = self.clone();
        for trial in &mut slower.trials {
            for (cost, by) in trial.iter_mut().zip(by) {
                *cost += by;
            }
        }
        slower
    }
}

/// Builds to judge.
#[derive(Clone, Debug, PartialEq)]
pub struct Pools {
    /// The build that others are compared with.
    pub reference: Pool,
    /// Slower by exactly its tolerance in each check.
    pub at_tolerance: Pool,
    /// Decode steps take 5 % longer.
    pub slower_5: Pool,
    /// Decode steps take 10 % longer.
    pub slower_10: Pool,
    /// Decode steps take 10 % less.
    pub faster_10: Pool,
}

impl Pools {
    /// Builds that differ by exact factors, and trials that differ by the machine's noise only.
    pub fn exact() -> Self {
        let reference = Pool { n: 200, trials: vec![[4.0, 1.5, -7.3, 5.6, 4.1, 1.6]] };
        let decode = |by: f64| reference.slower([0.0, by, 0.8 * by, 0.8 * by, 0.0, by].map(f64::ln_1p));
        Self {
            at_tolerance: reference.slower(CHECKS.map(|(_, tolerance)| tolerance.ln_1p())),
            slower_5: decode(0.05),
            slower_10: decode(0.10),
            faster_10: decode(-0.10),
            reference,
        }
    }

    /// Builds of the simulated server under a chatbot's load in virtual time. `seed` names the servers' draws: each trial
    /// has its own, and the same on each build, so that builds differ by what was made slower and by nothing else.
    pub fn virtual_time(seed: u64) -> Self {
        let (case, plan) = chatbot();
        let pool = |prefill, decode| virtual_pool(&case, &plan, prefill, decode, seed);
        let reference = pool(0.0, 0.0);
        let mut at_tolerance = reference.clone();
        let mut tolerances = CHECKS.map(|(_, tolerance)| tolerance);
        tolerances.sort_by(f64::total_cmp);
        for same in tolerances.chunk_by(|a, b| a.total_cmp(b).is_eq()) {
            let slower = pool(same[0], same[0]);
            for (at, (_, tolerance)) in CHECKS.iter().enumerate() {
                if tolerance.total_cmp(&same[0]).is_eq() {
                    let trials = at_tolerance.trials.iter_mut().zip(&slower.trials);
                    trials.for_each(|(trial, slower)| trial[at] = slower[at]);
                }
            }
        }
        Self {
            at_tolerance,
            slower_5: pool(0.0, 0.05),
            slower_10: pool(0.0, 0.10),
            faster_10: pool(0.0, -0.10),
            reference,
        }
    }
}

/// Trials of a server whose prompts and decode steps take so much longer.
fn virtual_pool(case: &Case, plan: &Plan, prefill: f64, decode: f64, seed: u64) -> Pool {
    let slowdown = Slowdown { prefill: Share(prefill), decode: Share(decode) };
    let config = Embedded { slowdown, ..Embedded::default() };
    let seeds = (0..TRIALS).map(|at| seed.wrapping_mul(TRIALS).wrapping_add(at));
    let trials: Vec<TrialValues> = seeds.flat_map(|seed| predict::trials(case, plan, &config, seed, 1)).collect();
    Pool::of(&trials).expect("nothing fails on the simulated server, and 104 requests resolve a p95")
}

fn chatbot() -> (Case, Plan) {
    let case = scenario::load("chatbot", "chatbot.toml", CHATBOT).ok().and_then(|mut cases| cases.pop());
    let case = case.expect("the scenario is valid");
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer).expect("the bundled tokenizer is made of the corpus's words");
    let sources = Sources { tokenizer: &tokenizer, words: &words, dataset: None, trace: None, system_prompt: None };
    let plan = plan::build(&case, &sources).expect("the bundled words make prompts of any length");
    (case, plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::variance::{mean, variance};

    /// The mean change of each check, as a part, and what trials of the reference differ by.
    fn change(pools: &Pools, of: &Pool) -> Vec<f64> {
        let cost = |pool: &Pool, check: usize| mean(&column(pool, check));
        (0..CHECKS.len()).map(|check| (cost(of, check) - cost(&pools.reference, check)).exp_m1()).collect()
    }

    fn column(pool: &Pool, check: usize) -> Vec<f64> {
        pool.trials.iter().map(|trial| trial[check]).collect()
    }

    #[test]
    fn builds_in_virtual_time_are_as_slow_as_they_say() {
        let pools = Pools::virtual_time(1);
        assert_eq!((pools.reference.n, pools.reference.trials.len() as u64), (104, TRIALS));
        for ((metric, tolerance), change) in CHECKS.iter().zip(change(&pools, &pools.at_tolerance)) {
            assert!((change - tolerance).abs() < 1e-5, "{metric}: {change}");
        }
        let decode = |pool| change(&pools, pool);
        for (pool, step) in [(&pools.slower_5, 0.05), (&pools.slower_10, 0.10), (&pools.faster_10, -0.10)] {
            // A little less than the step: requests that join the batch make some steps longer, and are not slower.
            let [_, tpot, throughput, latency, ..] = decode(pool)[..] else { panic!() };
            assert!((0.9..1.0).contains(&(tpot / step)), "{tpot}");
            assert!((0.7..0.9).contains(&(throughput / step)), "{throughput}");
            assert!((0.7..0.9).contains(&(latency / step)), "{latency}");
        }
        // Trials are not copies of one another, and differ less than on any machine.
        let spread = variance(&column(&pools.reference, 1)).sqrt();
        assert!((0.0005..0.005).contains(&spread), "{spread}");
        let (case, plan) = chatbot();
        assert_ne!(pools.reference, virtual_pool(&case, &plan, 0.0, 0.0, 2));
    }

    #[test]
    fn a_pool_needs_every_check_in_every_trial() {
        let trial = |leave_out: &str| TrialValues {
            n: 150,
            errors: 0,
            values: CHECKS.iter().filter(|(m, _)| *m != leave_out).map(|(m, _)| ((*m).to_owned(), Some(2.0))).collect(),
        };
        let pool = Pool::of(&[trial(""), trial("")]).unwrap();
        assert_eq!((pool.n, pool.trials.len()), (150, 2));
        let costs: Vec<bool> = pool.trials[0].iter().map(|cost| *cost > 0.0).collect();
        assert_eq!(costs, [true, true, false, true, true, true]);
        assert_eq!(Pool::of(&[trial(""), trial("tpot.p95")]), None);
        assert_eq!(Pool::of(&[]), None);
        let mut censored = trial("");
        censored.values.insert("ttft.p50".into(), None);
        assert_eq!(Pool::of(&[censored]), None);
    }
}

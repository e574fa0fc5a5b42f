//! Suites as a harness would have measured them, of builds that are known.

use crate::gate::{CaseInput, CheckInput, Job, Mode, Order, Pair, Suite, TrialValues};
use crate::metric::Better;
use crate::plan::{Draw, Purpose};

use super::noise::{Mood, Noise};
use super::pools::{Pool, sign};

/// Cases of a suite whose rates are counted.
pub const SCENARIOS: usize = 5;
/// What each case is checked for, with the tolerance that a scenario has unless it says otherwise. All of them gate.
pub const CHECKS: [(&str, f64); 6] = [
    ("ttft.p50", 0.05),
    ("tpot.p50", 0.03),
    ("output_throughput", 0.03),
    ("e2e_latency.p50", 0.05),
    ("ttft.p95", 0.10),
    ("tpot.p95", 0.05),
];

/// How much worse is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tolerances {
    /// Those of [`CHECKS`].
    Default,
    /// Nothing.
    Zero,
}

/// What the candidate of a scenario is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate<'a> {
    /// The build. Its trials are those of the reference, made slower or faster one by one.
    pub pool: &'a Pool,
    /// The only check (a place in [`CHECKS`]) in which it differs from the reference; `None`: it differs as it does.
    pub only: Option<usize>,
}

impl<'a> Candidate<'a> {
    /// A build as it is.
    pub const fn new(pool: &'a Pool) -> Self {
        Self { pool, only: None }
    }
}

/// What suites are made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Design<'a> {
    /// The machine.
    pub noise: Noise,
    /// How much worse is accepted.
    pub tolerances: Tolerances,
    /// The reference build.
    pub reference: &'a Pool,
    /// The candidate, scenario by scenario.
    pub candidates: Vec<Candidate<'a>>,
}

/// An endless sequence of suites: equal seeds give equal suites.
#[derive(Clone, Debug)]
pub struct Suites {
    draw: Draw,
    /// Of the logarithm of each check's value in its cost.
    signs: [f64; CHECKS.len()],
}

/// A trial to be: of which case, of which side, and whether it is the second of its pair.
#[derive(Clone, Copy)]
struct Turn {
    case: usize,
    candidate: bool,
    second: bool,
}

impl Suites {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self { draw: Draw::new(seed, Purpose::Noise), signs: CHECKS.map(|(metric, _)| sign(metric)) }
    }

    /// The next suite, measured in one job with `pairs` pairs of each case: pair 1 of every case, then pair 2, and so on,
    /// with the orders in turn.
    pub fn paired(&mut self, design: &Design<'_>, pairs: u32) -> Suite {
        let mut mood = self.mood(design);
        let mut cases = vec![Vec::with_capacity(pairs as usize); design.candidates.len()];
        let mut candidate_first = self.draw.uniform() < 0.5;
        for _ in 0..pairs {
            for (case, measured) in cases.iter_mut().enumerate() {
                let first = self.trial(design, &mut mood, Turn { case, candidate: candidate_first, second: false });
                let second = self.trial(design, &mut mood, Turn { case, candidate: !candidate_first, second: true });
                measured.push(if candidate_first {
                    Pair { order: Order::Ba, a: second, b: first }
                } else {
                    Pair { order: Order::Ab, a: first, b: second }
                });
            }
            candidate_first = !candidate_first;
        }
        let case = |(at, pairs)| CaseInput::paired(name(at), checks(design.tolerances), pairs);
        Suite::new(Mode::Paired, cases.into_iter().enumerate().map(case).collect())
    }

    /// The next suite, with `jobs` accepted jobs and the candidate's, of `trials` trials of each case. The noise from job
    /// to job that is assumed is the machine's.
    pub fn stored(&mut self, design: &Design<'_>, jobs: u32, trials: u32) -> Suite {
        let mut accepted = vec![Vec::with_capacity(jobs as usize); design.candidates.len()];
        for _ in 0..jobs {
            for (jobs, job) in accepted.iter_mut().zip(self.job(design, trials, false)) {
                jobs.push(job);
            }
        }
        let candidates = self.job(design, trials, true);
        let assumed = design.noise.machine.job_sd();
        let case =
            |(at, (jobs, candidate))| CaseInput::stored(name(at), checks(design.tolerances), assumed, jobs, candidate);
        Suite::new(Mode::Stored, accepted.into_iter().zip(candidates).enumerate().map(case).collect())
    }

    /// One job of every case, trial 1 of each, then trial 2.
    fn job(&mut self, design: &Design<'_>, trials: u32, candidate: bool) -> Vec<Job> {
        let mut mood = self.mood(design);
        let mut jobs = vec![Job::default(); design.candidates.len()];
        for _ in 0..trials {
            for (case, job) in jobs.iter_mut().enumerate() {
                job.trials.push(self.trial(design, &mut mood, Turn { case, candidate, second: false }));
            }
        }
        jobs
    }

    fn mood(&mut self, design: &Design<'_>) -> Mood {
        Mood::new(design.noise, design.candidates.len(), CHECKS.len(), &mut self.draw)
    }

    fn trial(&mut self, design: &Design<'_>, mood: &mut Mood, turn: Turn) -> TrialValues {
        let at = self.draw.below(design.reference.trials.len());
        let mut costs = design.reference.trials[at];
        if turn.candidate {
            let Candidate { pool, only } = design.candidates[turn.case];
            let changed = pool.trials[at % pool.trials.len()];
            match only {
                None => costs = changed,
                Some(check) => costs[check] = changed[check],
            }
        }
        mood.add(&mut costs, turn.case, turn.second, &mut self.draw);
        let values = CHECKS.iter().zip(costs).zip(self.signs);
        let values = values.map(|(((metric, _), cost), sign)| ((*metric).to_owned(), Some((sign * cost).exp())));
        TrialValues { n: design.reference.n, errors: 0, values: values.collect() }
    }
}

fn name(case: usize) -> String {
    format!("scenario-{}", case + 1)
}

fn checks(tolerances: Tolerances) -> Vec<CheckInput> {
    let check = |(metric, tolerance): &(&str, f64)| CheckInput {
        metric: (*metric).to_owned(),
        better: if sign(metric) < 0.0 { Better::Higher } else { Better::Lower },
        tolerance: if tolerances == Tolerances::Zero { 0.0 } else { *tolerance },
        advisory: false,
        unresolved: None,
    };
    CHECKS.iter().map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Verdict, judge};
    use crate::scenario;
    use crate::selftest::{Count, Machine, NoiseShape, Pools};

    const QUIET: Noise = Noise { machine: Machine::Quiet, shape: NoiseShape::Normal };

    fn design<'a>(pools: &'a Pools, candidates: Vec<Candidate<'a>>) -> Design<'a> {
        Design { noise: QUIET, tolerances: Tolerances::Default, reference: &pools.reference, candidates }
    }

    /// What a case that sets no limit is checked for, as far as it can be taken for a gate of ratios.
    #[test]
    fn tolerances_are_those_of_scenarios() {
        let case = scenario::load(
            "c",
            "c.toml",
            "[workload]\ninput_tokens = 8\noutput_tokens = 8\n[load]\nconcurrency = 1\nrequests = 9\n",
        );
        let case = case.unwrap().remove(0);
        for (metric, tolerance) in CHECKS {
            let check = case.gate.checks.iter().find(|check| check.metric.to_string() == metric).unwrap();
            assert_eq!(check.limit.tolerance(), Some(tolerance), "{metric}");
        }
    }

    #[test]
    fn a_suite_is_what_its_design_says() {
        let pools = Pools::exact();
        let candidates = vec![Candidate::new(&pools.slower_10), Candidate { pool: &pools.slower_10, only: Some(5) }];
        let design = design(&pools, candidates);
        let suite = Suites::new(7).paired(&design, 400);
        assert_eq!(suite, Suites::new(7).paired(&design, 400));
        assert_ne!(suite, Suites::new(8).paired(&design, 400));
        let ratio = |case: usize, metric: &str| {
            let logs = suite.cases[case].pairs.iter().flatten();
            let of = |trial: &TrialValues| trial.values[metric].unwrap().ln();
            (logs.map(|pair| of(&pair.b) - of(&pair.a)).sum::<f64>() / 400.0).exp()
        };
        for (case, metric, expected) in [
            (0, "ttft.p50", 1.0),
            (0, "tpot.p50", 1.1),
            (0, "output_throughput", 1.0 / 1.08),
            (0, "tpot.p95", 1.1),
            (1, "tpot.p50", 1.0),
            (1, "tpot.p95", 1.1),
        ] {
            let ratio = ratio(case, metric);
            // Of 400 pairs with 1.6 % between them: three standard errors.
            assert!((ratio / expected - 1.0).abs() < 0.0024, "{case} {metric}: {ratio}");
        }
        let orders: Vec<Order> = suite.cases[1].pairs.iter().flatten().map(|pair| pair.order).collect();
        assert!(orders.windows(2).all(|two| two[0] != two[1]));
    }

    /// The rule for stored jobs, where its assumption about the noise from job to job is right.
    #[test]
    fn stored_suites_keep_their_rate_too() {
        let pools = Pools::exact();
        let rate = |candidate, tolerances, jobs| {
            let mut regressed = Count::default();
            let mut suites = Suites::new(9);
            for machine in Machine::ALL {
                let noise = Noise { machine, shape: NoiseShape::Normal };
                let design = Design { noise, tolerances, ..design(&pools, vec![candidate; SCENARIOS]) };
                for _ in 0..40 {
                    regressed.add(judge(&suites.stored(&design, jobs, 6)).unwrap().verdict == Verdict::Regressed);
                }
            }
            regressed
        };
        let same = Candidate::new(&pools.reference);
        assert!(rate(same, Tolerances::Default, 5).at_most() <= 0.05);
        assert!(rate(same, Tolerances::Zero, 5).at_least() <= 0.05);
        let twice = pools.reference.slower([2.0_f64.ln(); CHECKS.len()]);
        assert!(rate(Candidate::new(&twice), Tolerances::Default, 5).at_least() > 0.9);
    }
}

//! How often the gate is right.

use crate::gate::{CaseVerdict, JudgeError, SuiteVerdict, Verdict, default_k_max, judge};
use crate::plan::{Draw, Purpose};

use super::count::Count;
use super::noise::{Machine, Noise};
use super::pools::Pools;
use super::suites::{CHECKS, Candidate, Design, SCENARIOS, Suites, Tolerances};

/// Promised of an unchanged build with default tolerances: so many suites at most have a false alarm.
const FALSE_ALARMS: f64 = 0.01;
/// The same with a tolerance of nothing.
const FALSE_ALARMS_AT_ZERO: f64 = 0.05;
/// Promised of a check that is slower by exactly its tolerance: so often it regresses, and so often it passes, at most.
const AT_TOLERANCE: f64 = 0.05;
/// Promised of decode steps 10 % slower in one scenario of five: so often they are found, unless the machine is noisy.
const FOUND_10: f64 = 0.97;

/// What became of suites on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    /// The machine.
    pub noise: Noise,
    /// Suites of each kind.
    pub suites: u64,
    /// Unchanged builds, default tolerances: suites in which anything regressed.
    pub false_alarms: Count,
    /// Unchanged builds, no tolerance: suites in which anything regressed.
    pub false_alarms_at_zero: Count,
    /// One check a scenario is slower by exactly its tolerance: how often it regressed, in the order of [`CHECKS`].
    pub regressed_at_tolerance: [Count; CHECKS.len()],
    /// How often it passed.
    pub passed_at_tolerance: [Count; CHECKS.len()],
    /// Decode steps 5 % slower in one scenario: suites in which it regressed.
    pub found_5: Count,
    /// Decode steps 10 % slower in one scenario: suites in which it regressed.
    pub found_10: Count,
    /// Decode steps 10 % faster in one scenario: suites in which some check of it improved.
    pub improved_10: Count,
    /// Unchanged builds, default tolerances: checks that remained inconclusive.
    pub inconclusive: Count,
    /// Unchanged builds, default tolerances: the median of the pairs that a case took.
    pub pairs: u32,
}

/// Judges `suites` (at least 1) suites of each kind, of [`SCENARIOS`] cases with all of [`CHECKS`] and 20 pairs, as a
/// harness would while it measures: what is decided at a look stays decided, and later pairs are not looked at.
///
/// # Errors
///
/// Only if the values in `pools` are so large that noise makes them infinite.
pub fn rates(noise: Noise, pools: &Pools, suites: u64, seed: u64) -> Result<Rates, JudgeError> {
    let mut rates = Rates {
        noise,
        suites,
        false_alarms: Count::default(),
        false_alarms_at_zero: Count::default(),
        regressed_at_tolerance: [Count::default(); CHECKS.len()],
        passed_at_tolerance: [Count::default(); CHECKS.len()],
        found_5: Count::default(),
        found_10: Count::default(),
        improved_10: Count::default(),
        inconclusive: Count::default(),
        pairs: 0,
    };
    let same = Candidate::new(&pools.reference);
    let mut run = Run { noise, pools, suites: Suites::new(stream(noise, seed)) };
    let mut pairs = Vec::with_capacity(suites as usize * SCENARIOS);
    for number in 0..suites as usize {
        let unchanged = run.judge(Tolerances::Default, [same; SCENARIOS])?;
        rates.false_alarms.add(unchanged.verdict == Verdict::Regressed);
        for case in &unchanged.cases {
            pairs.push(case.pairs_used);
            case.checks.iter().for_each(|check| rates.inconclusive.add(check.verdict == Verdict::Inconclusive));
        }
        let unchanged = run.judge(Tolerances::Zero, [same; SCENARIOS])?;
        rates.false_alarms_at_zero.add(unchanged.verdict == Verdict::Regressed);

        // One check a scenario, so that no other one's verdict ends its case. Each has its turn in each scenario.
        let at = |case: usize| (number + case) % CHECKS.len();
        let slower = |case| Candidate { pool: &pools.at_tolerance, only: Some(at(case)) };
        let verdict = run.judge(Tolerances::Default, std::array::from_fn(slower))?;
        for (case, at) in verdict.cases.iter().zip((0..).map(at)) {
            let verdict = case.checks[at].verdict;
            rates.regressed_at_tolerance[at].add(verdict == Verdict::Regressed);
            rates.passed_at_tolerance[at].add(verdict.holds());
        }

        let mut first = |pool| -> Result<CaseVerdict, JudgeError> {
            let changed = |case| if case == 0 { Candidate::new(pool) } else { same };
            Ok(run.judge(Tolerances::Default, std::array::from_fn(changed))?.cases.swap_remove(0))
        };
        rates.found_5.add(first(&pools.slower_5)?.verdict == Verdict::Regressed);
        rates.found_10.add(first(&pools.slower_10)?.verdict == Verdict::Regressed);
        let faster = first(&pools.faster_10)?;
        rates.improved_10.add(faster.checks.iter().any(|check| check.verdict == Verdict::Improved));
    }
    pairs.sort_unstable();
    rates.pairs = pairs.get(pairs.len() / 2).copied().unwrap_or_default();
    Ok(rates)
}

/// A seed for each machine, so that what chance does to one says nothing of the others.
fn stream(noise: Noise, seed: u64) -> u64 {
    let place = Noise::all().iter().position(|other| *other == noise).unwrap_or_default();
    let mut draw = Draw::new(seed, Purpose::Noise);
    let drawn = std::iter::repeat_with(|| draw.uniform()).nth(place).unwrap_or_default();
    (drawn * (1_u64 << 53) as f64) as u64
}

struct Run<'a> {
    noise: Noise,
    pools: &'a Pools,
    suites: Suites,
}

impl<'a> Run<'a> {
    fn judge(
        &mut self,
        tolerances: Tolerances,
        candidates: [Candidate<'a>; SCENARIOS],
    ) -> Result<SuiteVerdict, JudgeError> {
        let reference = &self.pools.reference;
        let design = Design { noise: self.noise, tolerances, reference, candidates: candidates.to_vec() };
        judge(&self.suites.paired(&design, default_k_max()))
    }
}

impl Rates {
    /// How often a check that is slower by exactly its tolerance regressed, over all checks.
    pub fn regressed(&self) -> Count {
        self.regressed_at_tolerance.into_iter().fold(Count::default(), Count::and)
    }

    /// How often it passed.
    pub fn passed(&self) -> Count {
        self.passed_at_tolerance.into_iter().fold(Count::default(), Count::and)
    }

    /// What is promised and cannot be: a sentence for each promise at which these counts are all but impossible.
    pub fn refuted(&self) -> Vec<String> {
        let Noise { machine, shape } = self.noise;
        let mut refuted = Vec::new();
        let mut say = |what: &str, count: Count, promised: &str, limit: f64| {
            let (machine, shape, share) = (machine.name(), shape.name(), 100.0 * count.rate());
            refuted.push(format!("{machine}, {shape}: {what} {share:.1} %, promised {promised} {} %", 100.0 * limit));
        };
        for (what, count, limit) in [
            ("false alarms", self.false_alarms, FALSE_ALARMS),
            ("false alarms without tolerance", self.false_alarms_at_zero, FALSE_ALARMS_AT_ZERO),
            ("regressed at the tolerance", self.regressed(), AT_TOLERANCE),
            ("passed at the tolerance", self.passed(), AT_TOLERANCE),
        ] {
            if count.refutes_at_most(limit) {
                say(what, count, "at most", limit);
            }
        }
        if machine != Machine::Noisy && self.found_10.refutes_at_least(FOUND_10) {
            say("+10 % found", self.found_10, "at least", FOUND_10);
        }
        refuted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::NoiseShape;

    /// Rates on each machine, none of which may be refuted, and what each kind of suite came to on all of them.
    struct Everywhere {
        all: Vec<Rates>,
    }

    impl Everywhere {
        fn with(pools: &Pools, suites: u64, seed: u64) -> Self {
            let of = |noise| rates(noise, pools, suites, seed).unwrap();
            Self { all: Noise::all().into_iter().map(of).collect() }
        }

        fn sum(&self, machines: &[Machine], of: impl Fn(&Rates) -> Count) -> Count {
            let chosen = self.all.iter().filter(|rates| machines.contains(&rates.noise.machine));
            chosen.map(of).fold(Count::default(), Count::and)
        }
    }

    const NOT_NOISY: [Machine; 2] = [Machine::Quiet, Machine::Medium];

    /// Few suites of each kind on each machine, which refute only what is far off; together they say more.
    #[test]
    fn the_gate_keeps_its_promises_on_every_machine() {
        let rates = Everywhere::with(&Pools::exact(), 20, 1);
        let refuted: Vec<String> = rates.all.iter().flat_map(Rates::refuted).collect();
        assert!(refuted.is_empty(), "{}", refuted.join("\n"));
        let sum = |of: fn(&Rates) -> Count| rates.sum(&Machine::ALL, of);
        assert!(sum(|rates| rates.false_alarms).at_least() <= FALSE_ALARMS);
        assert_eq!(rates.sum(&NOT_NOISY, |rates| rates.false_alarms).hits, 0);
        assert!(sum(|rates| rates.false_alarms_at_zero).at_least() <= FALSE_ALARMS_AT_ZERO);
        assert!(sum(Rates::regressed).at_least() <= AT_TOLERANCE);
        assert!(sum(Rates::passed).at_least() <= AT_TOLERANCE);
        for check in 0..CHECKS.len() {
            let of = |rates: &Rates| rates.regressed_at_tolerance[check];
            assert!(!rates.sum(&Machine::ALL, of).refutes_at_most(AT_TOLERANCE), "{check}");
            let of = |rates: &Rates| rates.passed_at_tolerance[check];
            assert!(!rates.sum(&Machine::ALL, of).refutes_at_most(AT_TOLERANCE), "{check}");
        }
        assert!(rates.sum(&NOT_NOISY, |rates| rates.found_10).at_least() >= FOUND_10);

        // A gate that never decided would keep all promises but the last.
        let of = |machine, shape| rates.all.iter().find(|rates| rates.noise == Noise { machine, shape }).unwrap();
        let quiet = of(Machine::Quiet, NoiseShape::Normal);
        assert!(quiet.pairs == 6 && quiet.inconclusive.rate() < 0.01 && quiet.improved_10.rate() > 0.8, "{quiet:?}");
        let noisy = of(Machine::Noisy, NoiseShape::Normal);
        assert!(noisy.pairs == 20 && noisy.found_10.rate() > 0.9, "{noisy:?}");
        assert!(noisy.found_5.rate() < of(Machine::Medium, NoiseShape::Normal).found_5.rate(), "{noisy:?}");
    }

    /// Enough suites to see a rate that is off by a tenth of itself.
    #[test]
    #[ignore = "takes minutes in a release build"]
    fn the_gate_keeps_its_promises_over_thousands_of_suites() {
        let rates = Everywhere::with(&Pools::exact(), 4000, 2);
        print!("{}", crate::selftest::rates_json(&rates.all, 2));
        for each in &rates.all {
            let refuted = each.refuted();
            assert!(refuted.is_empty(), "{}", refuted.join("\n"));
            assert!(each.regressed().at_most() <= AT_TOLERANCE && each.passed().at_most() <= AT_TOLERANCE, "{each:?}");
            if each.noise.machine != Machine::Noisy {
                assert!(
                    each.false_alarms.at_most() <= FALSE_ALARMS && each.found_10.at_least() >= FOUND_10,
                    "{each:?}"
                );
            }
        }
        assert!(rates.sum(&[Machine::Noisy], |rates| rates.false_alarms).at_most() <= FALSE_ALARMS);
        assert!(rates.sum(&Machine::ALL, |rates| rates.false_alarms_at_zero).at_most() <= FALSE_ALARMS_AT_ZERO);
    }

    #[test]
    fn what_a_count_refutes_is_said() {
        let noise = Noise { machine: Machine::Quiet, shape: NoiseShape::Bursts };
        let mut rates = rates(noise, &Pools::exact(), 1, 0).unwrap();
        assert_eq!(rates.refuted(), Vec::<String>::new());
        rates.false_alarms = Count { hits: 10, of: 250 };
        rates.false_alarms_at_zero = Count { hits: 100, of: 1000 };
        rates.regressed_at_tolerance[3] = Count { hits: 40, of: 400 };
        rates.found_10 = Count { hits: 90, of: 100 };
        assert_eq!(
            rates.refuted(),
            [
                "quiet, bursts: false alarms 4.0 %, promised at most 1 %",
                "quiet, bursts: false alarms without tolerance 10.0 %, promised at most 5 %",
                "quiet, bursts: regressed at the tolerance 9.9 %, promised at most 5 %",
                "quiet, bursts: +10 % found 90.0 %, promised at least 97 %",
            ]
        );
    }
}

//! Two live sides: sequential looks at interleaved pairs, with Holm's procedure over the whole suite at each.

use std::collections::BTreeSet;

use crate::stats::multiple::holm;

use super::check::{Check, Kind};
use super::errors::{Counts, ErrorRates};
use super::evidence::{Criticals, Levels, Tests, describe, finite, undecided};
use super::judge::{JudgeError, missing, pair_place};
use super::looks::{FEWEST, Look, looks};
use super::pairing::{Pairing, difference, weigh};
use super::protocol::{CaseInput, Order, Pair, Suite};
use super::verdict::{CaseVerdict, CheckVerdict, SuiteVerdict, Verdict, of_checks};

/// How p-values are corrected for the number of checks.
#[derive(Clone, Copy)]
struct Family {
    /// Hypotheses that share the level.
    size: u64,
    /// No process sees all of them, so that only Bonferroni is possible.
    alone: bool,
}

/// One look of the sequence, with the rates that it may spend.
#[derive(Clone, Copy)]
struct Now {
    /// From 1.
    index: u32,
    pairs: usize,
    levels: Levels,
    /// Cases that share the error rates' level.
    cases: u64,
}

/// What one look found.
#[derive(Clone)]
enum Finding {
    Rates(ErrorRates),
    Pairs(Pairing, Option<Tests>),
    SatOut(String),
}

struct CheckState<'a> {
    check: Check<'a>,
    differences: Vec<Option<f64>>,
    verdict: Option<Verdict>,
    unresolved: Option<String>,
    /// Rejected by the correction for many checks, once and for all: slower, and faster.
    slower: bool,
    faster: bool,
    finding: Option<(Now, Finding)>,
    /// Tested at the look under way.
    examined: bool,
}

struct CaseState<'a> {
    input: &'a CaseInput,
    looks: Vec<Look>,
    pairs: &'a [Pair],
    orders: Vec<Order>,
    checks: Vec<CheckState<'a>>,
    used: u32,
    stopped: bool,
    /// The look under way.
    now: Option<Now>,
}

pub(super) fn judge(suite: &Suite) -> Result<SuiteVerdict, JudgeError> {
    let mut cases = suite
        .cases
        .iter()
        .map(|case| CaseState::new(case, looks(case.k_max.unwrap_or(suite.k_max))))
        .collect::<Result<Vec<_>, JudgeError>>()?;
    let own = cases
        .iter()
        .flat_map(|case| &case.checks)
        .filter(|state| state.check.in_family() && state.unresolved.is_none())
        .count() as u64;
    let family = Family { size: suite.family.unwrap_or(own), alone: suite.alone };
    let sharing = suite.family_cases.unwrap_or(suite.cases.len() as u64);
    let (mut slower, mut faster) = (0, 0);
    // Pairs are measured in rounds, so that looks after equally many pairs are taken at one time.
    let moments: BTreeSet<u32> = cases.iter().flat_map(|case| &case.looks).map(|look| look.pairs).collect();
    for pairs in moments {
        for case in &mut cases {
            case.examine(pairs, suite.alpha, sharing);
        }
        // Both corrections run over everything that was open at the start of the look, before anything is decided.
        let mut tested: Vec<&mut CheckState<'_>> =
            cases.iter_mut().flat_map(|case| &mut case.checks).filter(|state| state.examined).collect();
        correct(&mut tested, family, &mut slower, CheckState::slower);
        correct(&mut tested, family, &mut faster, CheckState::faster);
        for case in &mut cases {
            case.decide();
        }
    }
    let mut criticals = Criticals::default();
    let cases: Vec<CaseVerdict> = cases.into_iter().map(|case| case.answer(&mut criticals)).collect();
    Ok(SuiteVerdict { verdict: Verdict::of_all(cases.iter().map(|case| case.verdict)), cases })
}

/// Runs Holm over one p-value of the tested checks, each as a multiple of the level that its own look may spend: cases
/// with other maxima spend other parts at the same moment. `of` gives the multiple, and the mark to set once it is
/// rejected. Advisory checks, which must not use up the family's level, and checks measured alone have Bonferroni.
fn correct<'a>(
    tested: &mut [&mut CheckState<'a>],
    family: Family,
    rejected: &mut u64,
    of: impl for<'s> Fn(&'s mut CheckState<'a>) -> Option<(f64, &'s mut bool)>,
) {
    let mut multiples = Vec::with_capacity(tested.len());
    let mut marks = Vec::with_capacity(tested.len());
    for state in tested {
        let single = family.alone || !state.check.gates();
        let Some((multiple, mark)) = of(state) else { continue };
        if *mark {
            continue;
        }
        if single {
            *mark = multiple <= 1.0 / family.size.max(1) as f64;
        } else {
            multiples.push(multiple);
            marks.push(mark);
        }
    }
    for index in holm(&multiples, 1.0, family.size, *rejected) {
        *marks[index] = true;
        *rejected += 1;
    }
}

impl<'a> CaseState<'a> {
    fn new(input: &'a CaseInput, looks: Vec<Look>) -> Result<Self, JudgeError> {
        let pairs = input.pairs.as_deref().ok_or_else(|| missing(&input.case, "pairs"))?;
        let at_first = looks.first().map_or(pairs.len(), |look| pairs.len().min(look.pairs as usize));
        let checks = input
            .checks
            .iter()
            .map(|check| {
                let check = Check::new(&input.case, check)?;
                let unresolved = check.unresolved(sizes(&pairs[..at_first]));
                let mut differences = Vec::new();
                if check.kind != Kind::ErrorRate && check.input.unresolved.is_none() {
                    for (at, pair) in pairs.iter().enumerate() {
                        let a = check.cost(&input.case, &pair.a, || pair_place(at, 'a'))?;
                        let b = check.cost(&input.case, &pair.b, || pair_place(at, 'b'))?;
                        differences.push(difference(a, b));
                    }
                }
                let verdict = unresolved.as_ref().map(|_| Verdict::Unresolved);
                Ok(CheckState {
                    check,
                    differences,
                    verdict,
                    unresolved,
                    slower: false,
                    faster: false,
                    finding: None,
                    examined: false,
                })
            })
            .collect::<Result<_, JudgeError>>()?;
        let orders = pairs.iter().map(|pair| pair.order).collect();
        Ok(Self { input, looks, pairs, orders, checks, used: 0, stopped: false, now: None })
    }

    /// The look after so many pairs, if the case has one there and takes it.
    fn look(&self, pairs: u32, alpha: f64, cases: u64) -> Option<Now> {
        let (index, look) = (1..).zip(&self.looks).find(|(_, look)| look.pairs == pairs)?;
        let levels = Levels { regressed: alpha * look.regressed, pass: alpha * look.pass };
        let takes = !self.stopped && self.pairs.len() >= pairs as usize;
        takes.then_some(Now { index, pairs: pairs as usize, levels, cases })
    }

    /// Looks at the open checks, if it is time, without deciding anything.
    fn examine(&mut self, pairs: u32, alpha: f64, cases: u64) {
        for state in &mut self.checks {
            state.examined = false;
        }
        self.now = self.look(pairs, alpha, cases);
        let Some(now) = self.now else { return };
        self.used = pairs;
        let pairs = &self.pairs[..now.pairs];
        let a = Counts::of(pairs.iter().map(|pair| &pair.a));
        let b = Counts::of(pairs.iter().map(|pair| &pair.b));
        let unfit = a.unfit_reference();
        for state in self.checks.iter_mut().filter(|state| state.verdict.is_none()) {
            if let Some(reason) = state.check.unresolved(sizes(pairs)) {
                state.unresolved = Some(reason);
                state.verdict = Some(Verdict::Unresolved);
                continue;
            }
            let finding = match (&state.check.kind, &unfit) {
                (Kind::ErrorRate, _) => {
                    Finding::Rates(ErrorRates::compare(a, b, state.check.threshold, now.levels, now.cases))
                }
                (_, Some(reason)) => Finding::SatOut(reason.clone()),
                (_, None) => {
                    let pairing = weigh(&state.differences[..now.pairs], &self.orders[..now.pairs]);
                    let tests = match pairing {
                        Pairing::Mean { estimate, .. } => Some(Tests::new(estimate, state.check.threshold)),
                        Pairing::Signs { .. } | Pairing::TooFew { .. } => None,
                    };
                    Finding::Pairs(pairing, tests)
                }
            };
            state.examined = true;
            state.finding = Some((now, finding));
        }
    }

    /// Decides what the look allows, and whether the case needs no more pairs.
    fn decide(&mut self) {
        if self.now.is_none() {
            return;
        }
        for state in self.checks.iter_mut().filter(|state| state.examined) {
            state.verdict = state.decision();
        }
        let mut gating = self.checks.iter().filter(|state| state.check.gates());
        self.stopped = gating.clone().any(|state| state.verdict == Some(Verdict::Regressed))
            || gating.all(|state| state.verdict.is_some());
    }

    fn answer(self, criticals: &mut Criticals) -> CaseVerdict {
        let looks = &self.looks;
        let next_look = looks.iter().map(|look| look.pairs).find(|pairs| *pairs > self.used).filter(|_| !self.stopped);
        let measured = self.pairs.len();
        let checks: Vec<_> = self
            .checks
            .into_iter()
            .map(|state| {
                state.answer(criticals, || match looks.first() {
                    Some(look) => format!("{measured} pairs measured; the first look needs {}", look.pairs),
                    None => format!("nothing is decided when fewer than {FEWEST} pairs are allowed"),
                })
            })
            .collect();
        CaseVerdict {
            case: self.input.case.clone(),
            verdict: of_checks(&checks),
            pairs_used: self.used,
            checks,
            next_look,
        }
    }
}

impl CheckState<'_> {
    fn slower(&mut self) -> Option<(f64, &mut bool)> {
        let (now, p) = match &self.finding {
            Some((now, Finding::Pairs(_, Some(tests)))) => (now, tests.slower(&self.check)),
            Some((now, Finding::Pairs(Pairing::Signs { p, .. }, _))) => (now, *p),
            _ => return None,
        };
        Some((p / now.levels.regressed, &mut self.slower))
    }

    fn faster(&mut self) -> Option<(f64, &mut bool)> {
        match &self.finding {
            Some((now, Finding::Pairs(_, Some(tests)))) => Some((tests.q0 / now.levels.regressed, &mut self.faster)),
            _ => None,
        }
    }

    fn decision(&self) -> Option<Verdict> {
        match self.finding.as_ref()? {
            (_, Finding::Rates(rates)) => rates.verdict,
            (now, Finding::Pairs(_, Some(tests))) => tests.decide(&self.check, self.slower, self.faster, now.levels),
            // Signs tell that something hangs, not that nothing does: no pass.
            (now, Finding::Pairs(Pairing::Signs { p, .. }, _)) => {
                (self.slower && *p <= now.levels.regressed).then_some(Verdict::Regressed)
            }
            (_, Finding::Pairs(..) | Finding::SatOut(_)) => None,
        }
    }

    /// `unseen` says why no look was taken at all.
    fn answer(self, criticals: &mut Criticals, unseen: impl FnOnce() -> String) -> CheckVerdict {
        let open = self.verdict.is_none();
        let mut answer = CheckVerdict::new(&self.check.input.metric, self.verdict.unwrap_or(Verdict::Inconclusive));
        answer.advisory = self.check.input.advisory;
        answer.suspect = open && self.slower;
        let Some((now, finding)) = &self.finding else {
            answer.reason = self.unresolved.or_else(|| Some(unseen()));
            return answer;
        };
        answer.look = Some(now.index);
        let reason = match finding {
            Finding::Rates(rates) => {
                rates.describe(&mut answer);
                return answer;
            }
            Finding::SatOut(why) => why.clone(),
            Finding::Pairs(pairing, tests) => match *pairing {
                Pairing::Mean { estimate, sd, slot, trimmed, censored } => {
                    if let Some(tests) = tests {
                        describe(&mut answer, &self.check, estimate, tests, now.levels, criticals);
                    }
                    answer.pair_sd = finite(sd);
                    (answer.slot, answer.trimmed, answer.censored) = (slot, trimmed, censored);
                    undecided(&self.check, &answer)
                }
                Pairing::Signs { p, censored } => {
                    (answer.p0, answer.p_t, answer.censored) = (Some(p), Some(p), censored);
                    format!("{censored} of {} pairs have no finite value on some side", now.pairs)
                }
                Pairing::TooFew { usable, censored } => {
                    answer.censored = censored;
                    format!("only {usable} of {} pairs have a finite value on either side", now.pairs)
                }
            },
        };
        answer.reason = self.unresolved.or_else(|| open.then_some(reason));
        answer
    }
}

fn sizes(pairs: &[Pair]) -> impl Iterator<Item = u64> + '_ {
    pairs.iter().flat_map(|pair| [pair.a.n, pair.b.n])
}

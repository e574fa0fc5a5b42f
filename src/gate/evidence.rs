//! From an estimate to tail probabilities, to a decision, to the figures that are printed.

use std::collections::HashMap;

use crate::stats::student::{critical, tails};

use super::check::{Check, Kind};
use super::verdict::{CheckVerdict, Verdict};

/// An estimated difference of costs with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) m: f64,
    pub(super) se: f64,
    pub(super) df: f64,
}

/// The error rates that a look may spend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Levels {
    pub(super) regressed: f64,
    pub(super) pass: f64,
}

/// The tail probabilities that decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tests {
    pub(super) p0: f64,
    pub(super) p_t: f64,
    pub(super) p_u: f64,
    pub(super) q0: f64,
    pub(super) q_t: f64,
}

impl Tests {
    pub(super) fn new(estimate: Estimate, threshold: f64) -> Self {
        let Estimate { m, se, df } = estimate;
        let (at_zero, at_limit) = (tails(m / se, df), tails((m - threshold) / se, df));
        Self {
            p0: at_zero.upper,
            p_t: at_limit.upper,
            p_u: at_limit.lower,
            q0: at_zero.lower,
            q_t: tails((m + threshold) / se, df).lower,
        }
    }

    /// The p-value that the correction for many checks runs over: of "not slower", or of "meets its goal" where the
    /// candidate must be faster, since there being as slow as the reference is already a failure.
    pub(super) fn slower(&self, check: &Check<'_>) -> f64 {
        if check.is_goal() { self.p_t } else { self.p0 }
    }

    /// The decision, given what the corrections for many checks said about slower and faster.
    pub(super) fn decide(&self, check: &Check<'_>, slower: bool, faster: bool, levels: Levels) -> Option<Verdict> {
        if slower && self.p_t <= levels.regressed {
            Some(Verdict::Regressed)
        } else if self.p_u > levels.pass {
            None
        } else if faster && self.q_t <= levels.regressed && !check.is_goal() {
            // Reaching a goal is no improvement on it.
            Some(Verdict::Improved)
        } else {
            Some(Verdict::Pass)
        }
    }
}

/// Critical values of Student's t that were needed before: inverting the tail is the dearest step of a verdict, and
/// the checks of a suite share few degrees of freedom and levels.
#[derive(Debug, Default)]
pub(super) struct Criticals(HashMap<[u64; 2], f64>);

impl Criticals {
    fn at(&mut self, level: f64, df: f64) -> f64 {
        *self.0.entry([level.to_bits(), df.to_bits()]).or_insert_with(|| critical(level, df))
    }
}

/// Writes the figures of an estimate into an answer.
pub(super) fn describe(
    answer: &mut CheckVerdict,
    check: &Check<'_>,
    estimate: Estimate,
    tests: &Tests,
    levels: Levels,
    criticals: &mut Criticals,
) {
    let Estimate { m, se, df } = estimate;
    let half = criticals.at(0.05, df) * se;
    let power = criticals.at(0.10, df);
    let reach = |level: f64| (level + power) * se;
    let (found, certified) = (reach(criticals.at(levels.regressed, df)), reach(criticals.at(levels.pass, df)));
    let ratio = check.kind == Kind::Ratio;
    let outward = |cost: f64| if ratio { cost.exp() } else { cost };
    if ratio {
        answer.ratio = finite(m.exp());
    } else {
        answer.difference = finite(m);
    }
    let ci = [outward(m - half), outward(m + half)];
    answer.ci = ci.iter().all(|end| end.is_finite()).then_some(ci);
    (answer.m, answer.se, answer.df) = (finite(m), finite(se), finite(df));
    (answer.p0, answer.p_t, answer.p_u) = (finite(tests.p0), finite(tests.p_t), finite(tests.p_u));
    (answer.q0, answer.q_t) = (finite(tests.q0), finite(tests.q_t));
    answer.detectable = finite(outward(check.threshold + found) - if ratio { 1.0 } else { 0.0 });
    answer.certifiable = finite(if ratio { certified.exp_m1() } else { certified });
}

/// Why an assessed check is undecided.
pub(super) fn undecided(check: &Check<'_>, answer: &CheckVerdict) -> String {
    let shown = |end: f64| percent(if check.kind == Kind::Ratio { end - 1.0 } else { end });
    let interval =
        answer.ci.map_or_else(String::new, |[low, high]| format!(": {} to {} (90 %)", shown(low), shown(high)));
    let noise = answer
        .certifiable
        .map_or_else(String::new, |tolerance| format!("; so much noise can certify {} at best", percent(tolerance)));
    format!("neither clearly within the tolerance of {} nor beyond it{interval}{noise}", percent(check.input.tolerance))
}

/// JSON knows no infinities; a figure that is none is left out.
pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// `0.0312` as `3.1 %`.
pub(super) fn percent(share: f64) -> String {
    let rounded = (share * 1000.0).round() / 10.0;
    // Negative zero would read as a slowdown that is none.
    format!("{} %", if rounded == 0.0 { 0.0 } else { rounded })
}

//! What the judge answers.

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The outcome of a check, a case or a suite, from the best to the worst: of several, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Not slower than tolerated, with confidence.
    Pass,
    /// Passed, and better by more than the tolerance.
    Improved,
    /// A quantile that so few requests cannot show.
    Unresolved,
    /// Too noisy, or too little was measured, to tell.
    Inconclusive,
    /// There is no baseline to compare with.
    Missing,
    /// What was measured was no measurement.
    Invalid,
    /// An absolute limit was missed.
    Exceeded,
    /// Slower than tolerated, with confidence.
    Regressed,
}

impl Verdict {
    /// The word used in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Improved => "improved",
            Self::Unresolved => "unresolved",
            Self::Inconclusive => "inconclusive",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Exceeded => "exceeded",
            Self::Regressed => "regressed",
        }
    }

    /// Whether everything holds.
    pub const fn holds(self) -> bool {
        matches!(self, Self::Pass | Self::Improved)
    }

    /// The worst of several. Nothing at all is inconclusive: what was not compared does not pass.
    pub fn of_all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        verdicts.into_iter().max().unwrap_or(Self::Inconclusive)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The answer to a suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct SuiteVerdict {
    /// The worst of the cases; inconclusive without any.
    pub verdict: Verdict,
    /// One a case, in the order asked.
    pub cases: Vec<CaseVerdict>,
}

/// The answer to a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct CaseVerdict {
    /// The case's name.
    pub case: String,
    /// The worst of the checks that are not advisory; inconclusive without any.
    pub verdict: Verdict,
    /// Paired: pairs up to the last look taken (0 before the first). Stored: the candidate's trials.
    pub pairs_used: u32,
    /// One a check, in the order asked.
    pub checks: Vec<CheckVerdict>,
    /// Paired: how many pairs the case's next look needs; `None` when it is decided or has no look left, so that
    /// measuring more would change nothing. Not part of the JSON.
    #[serde(skip)]
    pub next_look: Option<u32>,
}

/// The answer to a check, with the figures of its deciding look, or of the last look if it was not decided.
///
/// Costs are logarithms for ratios and shares for differences, and more is worse whichever direction is good: a
/// throughput that fell by 3 % has a `ratio` of 1.031.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct CheckVerdict {
    /// The check's metric.
    pub metric: String,
    /// The outcome.
    pub verdict: Verdict,
    /// Whether it has no say in the case's verdict.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
    /// Candidate over reference in cost, `exp(m)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Candidate minus reference in cost, for shares; in points (0…1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<f64>,
    /// Two-sided 90 % interval of `ratio` or `difference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// Error rate: the one-sided lower and upper limit of `difference` that decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[f64; 2]>,
    /// Estimated difference of costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub m: Option<f64>,
    /// Standard error of `m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub se: Option<f64>,
    /// Degrees of freedom of `se`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub df: Option<f64>,
    /// `P(t > m/se)`: small when slower at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p0: Option<f64>,
    /// `P(t > (m-T)/se)`: small when slower than tolerated.
    #[serde(rename = "pT", default, skip_serializing_if = "Option::is_none")]
    pub p_t: Option<f64>,
    /// `P(t < (m-T)/se)`: small when within the tolerance.
    #[serde(rename = "pU", default, skip_serializing_if = "Option::is_none")]
    pub p_u: Option<f64>,
    /// `P(t < m/se)`: small when faster at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q0: Option<f64>,
    /// `P(t < (m+T)/se)`: small when faster by more than the tolerance.
    #[serde(rename = "qT", default, skip_serializing_if = "Option::is_none")]
    pub q_t: Option<f64>,
    /// The slowdown that would have been found with 90 %: a part for ratios, points for shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detectable: Option<f64>,
    /// The smallest tolerance within which an unchanged build would have passed with 90 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certifiable: Option<f64>,
    /// Standard deviation between pairs (winsorised), in units of cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair_sd: Option<f64>,
    /// Which look the figures are of, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<u32>,
    /// Half the difference between the second and the first slot, when above 1 % and beyond chance, and therefore taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<f64>,
    /// Pairs trimmed, both ends together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trimmed: u32,
    /// Pairs (stored: trials) without a finite value.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub censored: u32,
    /// Undecided, but clearly slower than before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspect: bool,
    /// Stored: the job-to-job noise that the verdict rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_noise: Option<JobNoise>,
    /// Why the check is undecided, unresolved or missing, or needed no reference to fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl CheckVerdict {
    /// A verdict without figures.
    pub fn new(metric: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            metric: metric.into(),
            verdict,
            advisory: false,
            ratio: None,
            difference: None,
            ci: None,
            bounds: None,
            m: None,
            se: None,
            df: None,
            p0: None,
            p_t: None,
            p_u: None,
            q0: None,
            q_t: None,
            detectable: None,
            certifiable: None,
            pair_sd: None,
            look: None,
            slot: None,
            trimmed: 0,
            censored: 0,
            suspect: false,
            job_noise: None,
            reason: None,
        }
    }
}

/// The worst of the checks that have a say.
pub(super) fn of_checks(checks: &[CheckVerdict]) -> Verdict {
    Verdict::of_all(checks.iter().filter(|check| !check.advisory).map(|check| check.verdict))
}

/// Job-to-job noise: what was assumed, what was measured, and how the two were weighed. Standard deviations of cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub struct JobNoise {
    /// The profile's assumption.
    pub assumed: f64,
    /// From the jobs, less what the trials explain; absent with fewer than two jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<f64>,
    /// The weight of what was measured, 0 to 1; nine jobs weigh as much as the assumption.
    pub weight: f64,
    /// What was used.
    pub used: f64,
    /// Accepted jobs.
    pub jobs: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_counts() {
        use Verdict::{Exceeded, Improved, Inconclusive, Invalid, Missing, Pass, Regressed, Unresolved};
        for (all, worst) in [
            (&[Pass, Pass][..], Pass),
            (&[Pass, Improved], Improved),
            (&[Improved, Unresolved], Unresolved),
            (&[Unresolved, Inconclusive], Inconclusive),
            (&[Missing, Inconclusive], Missing),
            (&[Missing, Invalid], Invalid),
            (&[Exceeded, Invalid], Exceeded),
            (&[Exceeded, Regressed, Pass], Regressed),
            (&[], Inconclusive),
        ] {
            assert_eq!(Verdict::of_all(all.iter().copied()), worst, "{all:?}");
        }
        assert_eq!(serde_json::to_string(&Regressed).unwrap(), "\"regressed\"");
    }

    #[test]
    fn absent_figures_are_not_written() {
        let check = CheckVerdict { p_t: Some(0.25), ..CheckVerdict::new("x", Verdict::Pass) };
        let text = serde_json::to_string(&check).unwrap();
        assert_eq!(text, r#"{"metric":"x","verdict":"pass","pT":0.25}"#);
        assert_eq!(serde_json::from_str::<CheckVerdict>(&text).unwrap(), check);
    }
}

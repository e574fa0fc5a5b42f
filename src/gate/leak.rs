//! Does a server's memory grow without end? Its trend against the growth that a scenario allows.

use crate::gate::Verdict;
use crate::stats::trend::Trend;

/// Whether a trend stays within a limit: `exceeded` if its whole 90 % interval lies beyond, `pass` if all of it lies
/// within, otherwise `inconclusive`. Both in the same unit.
pub fn leak(trend: &Trend, limit: f64) -> Verdict {
    let [low, high] = trend.interval();
    if low > limit {
        Verdict::Exceeded
    } else if high <= limit {
        Verdict::Pass
    } else {
        Verdict::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_interval_decides() {
        let verdict = |slope, se| leak(&Trend { slope, se, df: 30.0, rho: 0.0, points: 32 }, 1.0);
        assert_eq!(verdict(0.1, 0.2), Verdict::Pass);
        assert_eq!(verdict(1.0, 0.0), Verdict::Pass);
        assert_eq!(verdict(0.9, 0.2), Verdict::Inconclusive);
        assert_eq!(verdict(1.1, 0.2), Verdict::Inconclusive);
        assert_eq!(verdict(1.5, 0.2), Verdict::Exceeded);
        assert_eq!(verdict(-3.0, 5.0), Verdict::Inconclusive);
    }
}

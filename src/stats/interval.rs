//! Intervals for shares: Wilson's score interval and Newcombe's hybrid for a difference of two.

/// Failures among trials of a yes-or-no kind. Floating, so that pooled counts cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Proportion {
    /// How many have the property.
    pub count: f64,
    /// How many there are; above 0.
    pub of: f64,
}

impl Proportion {
    /// The observed share, 0 to 1.
    pub fn share(self) -> f64 {
        self.count / self.of
    }

    /// Wilson's lower and upper limit at the normal critical value `z`.
    pub fn wilson(self, z: f64) -> (f64, f64) {
        let (p, n) = (self.share(), self.of);
        let scale = 1.0 / (1.0 + z * z / n);
        let centre = (p + z * z / (2.0 * n)) * scale;
        let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() * scale;
        // At a share of 0 or 1 the limit is exact; subtraction would leave binary noise.
        (if self.count <= 0.0 { 0.0 } else { centre - half }, if self.count >= self.of { 1.0 } else { centre + half })
    }
}

/// Newcombe's one-sided lower limit of `b - a` at the normal critical value `z`.
pub fn difference_at_least(a: Proportion, b: Proportion, z: f64) -> f64 {
    let (_, a_high) = a.wilson(z);
    let (b_low, _) = b.wilson(z);
    b.share() - a.share() - (b.share() - b_low).hypot(a_high - a.share())
}

/// Newcombe's one-sided upper limit of `b - a` at the normal critical value `z`.
pub fn difference_at_most(a: Proportion, b: Proportion, z: f64) -> f64 {
    let (a_low, _) = a.wilson(z);
    let (_, b_high) = b.wilson(z);
    b.share() - a.share() + (b_high - b.share()).hypot(a.share() - a_low)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "edges are exact")]
mod tests {
    use super::*;
    use crate::stats::student::normal_critical;

    #[test]
    fn newcombe_limits() {
        let z = normal_critical(0.05);
        for (a, n_a, b, n_b, lower, upper) in [
            (0.0, 1000.0, 5.0, 1000.0, 0.001_277_77, 0.010_235_33),
            (0.0, 1000.0, 12.0, 1000.0, 0.006_761_18, 0.019_124),
            (2.0, 1000.0, 9.0, 1000.0, 0.001_494_04, 0.013_544_48),
            (10.0, 1600.0, 25.0, 1600.0, 0.003_349_21, 0.015_858_97),
            (0.0, 1000.0, 20.0, 1000.0, 0.013_337_63, 0.028_681_83),
        ] {
            let a = Proportion { count: a, of: n_a };
            let b = Proportion { count: b, of: n_b };
            // The expected values are printed to 1e-8.
            assert!((difference_at_least(a, b, z) - lower).abs() < 6e-9);
            assert!((difference_at_most(a, b, z) - upper).abs() < 6e-9);
        }
    }

    #[test]
    fn none_and_all_have_one_exact_limit() {
        let none = Proportion { count: 0.0, of: 50.0 };
        let all = Proportion { count: 50.0, of: 50.0 };
        assert_eq!(none.wilson(2.0).0, 0.0);
        assert_eq!(all.wilson(2.0).1, 1.0);
        assert!(none.wilson(2.0).1 > 0.0 && all.wilson(2.0).0 < 1.0);
    }
}

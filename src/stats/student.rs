//! Student's t and the normal: tail probabilities that keep their digits far out, and the inverses of them.

use std::f64::consts::{PI, SQRT_2};

use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::ln_gamma;

/// From here on the incomplete beta converges slowly and the normal tail at a corrected argument is as good.
const NORMAL_FROM_DF: f64 = 1e5;

/// Both tails of a distribution at one point; the small one is exact, not one minus the large one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tails {
    /// `P(t < x)`
    pub lower: f64,
    /// `P(t > x)`
    pub upper: f64,
}

/// Both tails at `x` of Student's t with `df > 0` degrees of freedom; NaN for arguments that are none.
pub fn tails(x: f64, df: f64) -> Tails {
    if x.is_nan() || df.is_nan() || df <= 0.0 {
        return Tails { lower: f64::NAN, upper: f64::NAN };
    }
    let small = beyond(x.abs(), df);
    if x >= 0.0 { Tails { lower: 1.0 - small, upper: small } } else { Tails { lower: small, upper: 1.0 - small } }
}

/// `P(t > x)` for `x >= 0`.
fn beyond(x: f64, df: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    if df > NORMAL_FROM_DF {
        let z = x * (1.0 - 0.25 / df) / (1.0 + 0.5 * x * x / df).sqrt();
        return 0.5 * erfc(z / SQRT_2);
    }
    0.5 * checked_beta_reg(0.5 * df, 0.5, df / (df + x * x)).unwrap_or(f64::NAN)
}

/// The `x` with `P(t > x) = p`: infinite for `p` 0 and 1, NaN for what is no probability.
pub fn critical(p: f64, df: f64) -> f64 {
    if p > 0.5 {
        return -critical(1.0 - p, df);
    }
    if p.is_nan() || p < 0.0 || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    let z = normal_critical(p);
    if z == 0.0 || z.is_infinite() {
        return z;
    }
    // Newton for ln P against ln x: the logarithm of a t variable has a log-concave density, so the curve is concave
    // and the iteration converges from any start.
    let density_at_0 = (ln_gamma(0.5 * (df.min(NORMAL_FROM_DF) + 1.0)) - ln_gamma(0.5 * df.min(NORMAL_FROM_DF))).exp()
        / (df.min(NORMAL_FROM_DF) * PI).sqrt();
    let mut x = z + z * (z * z + 1.0) / (4.0 * df);
    for _ in 0..60 {
        let tail = beyond(x, df);
        let density = density_at_0 * (-0.5 * (df + 1.0) * (x * x / df).ln_1p()).exp();
        let step = (tail / p).ln() * tail / (x * density);
        // Only a tail or density that underflows makes this infinite, and then x is as far as doubles can tell.
        if !step.is_finite() {
            break;
        }
        x *= step.clamp(-20.0, 20.0).exp();
        // The error of what remains is quadratic in the step.
        if step.abs() < 1e-8 {
            break;
        }
    }
    x
}

/// The `z` with `P(N > z) = p` for the standard normal; infinite for `p` 0 and 1.
pub fn normal_critical(p: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * p)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "edges are exact")]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{got} is not {expected}");
    }

    #[test]
    fn tails_keep_their_digits() {
        close(tails(15.427_034_748_8, 7.0).upper, 5.802_154_05e-7);
        close(tails(-18.292_109_763_1, 7.0).lower, 1.806_832_85e-7);
        close(tails(0.001_045_576_19, 7.0).upper, 0.499_597_462_188);
        close(tails(-8.458_162_494_43, 7.0).upper, 0.999_968_116_696);
        // P(t > x) ~ c x^-df far out; the ratio over a factor of ten is ten to the df.
        let far = tails(1e30, 5.0).upper;
        close(far / tails(1e31, 5.0).upper, 1e5);
        assert!(far > 0.0);
    }

    #[test]
    fn quantiles_of_the_tables() {
        let dfs = [3.0, 4.0, 7.0, 11.0, 15.0, 19.0];
        for (p, row) in [
            (0.9, [1.637_744, 1.533_206, 1.414_924, 1.363_430, 1.340_606, 1.327_728]),
            (0.95, [2.353_363, 2.131_847, 1.894_579, 1.795_885, 1.753_050, 1.729_133]),
            (0.975, [3.182_446, 2.776_445, 2.364_624, 2.200_985, 2.131_450, 2.093_024]),
            (0.99, [4.540_703, 3.746_947, 2.997_952, 2.718_079, 2.602_480, 2.539_483]),
            (0.995, [5.840_909, 4.604_095, 3.499_483, 3.105_807, 2.946_713, 2.860_935]),
            (0.9975, [7.453_319, 5.597_568, 4.029_337, 3.496_614, 3.286_039, 3.173_725]),
            (0.999, [10.214_532, 7.173_182, 4.785_290, 4.024_701, 3.732_834, 3.579_400]),
            (0.9995, [12.923_979, 8.610_302, 5.407_883, 4.436_979, 4.072_765, 3.883_406]),
            (0.9999, [22.203_742, 13.033_672, 7.063_433, 5.452_762, 4.879_998, 4.589_865]),
        ] {
            for (df, expected) in dfs.into_iter().zip(row) {
                close(critical(1.0 - p, df), expected);
                close(critical(p, df), -expected);
            }
        }
    }

    /// Critical values of the sequential scheme: level divided by the hypotheses left.
    #[test]
    fn criticals_of_the_sequential_scheme() {
        let looks = [(5.0, 0.005), (7.0, 0.01), (11.0, 0.0125), (15.0, 0.0225)];
        for (left, row) in [
            (1.0, [4.032_143, 2.997_952, 2.593_093, 2.186_968]),
            (3.0, [5.247_417, 3.805_521, 3.208_122, 2.746_214]),
            (15.0, [7.498_999, 5.143_655, 4.131_928, 3.535_025]),
            (30.0, [8.692_542, 5.795_399, 4.547_656, 3.873_562]),
        ] {
            for ((df, level), expected) in looks.into_iter().zip(row) {
                close(critical(level / left, df), expected);
            }
        }
        for (df, expected) in [(5.0, 3.163_381), (7.0, 2.841_244), (11.0, 2.593_093), (15.0, 2.489_880)] {
            close(critical(0.0125, df), expected);
        }
    }

    #[test]
    fn critical_inverts_the_tail_everywhere() {
        for df in [1.0, 2.0, 4.5, 10.237, 99.0, 5_000.0, 99_999.0, 1e6, 1e9] {
            for p in [1e-100, 1e-12, 1e-5, 0.01, 0.2, 0.499, 0.7, 0.99] {
                let x = critical(p, df);
                let back = tails(x, df).upper;
                assert!((back / p - 1.0).abs() < 1e-8, "df {df}, p {p}: x {x}, back {back}");
            }
        }
        // The switch to the normal is seamless.
        close(critical(1e-4, 99_999.0), critical(1e-4, 100_001.0));
    }

    #[test]
    fn nonsense_is_nan_and_edges_are_infinite() {
        assert!(tails(f64::NAN, 5.0).upper.is_nan());
        assert!(tails(1.0, 0.0).upper.is_nan());
        assert!(critical(f64::NAN, 5.0).is_nan());
        assert!(critical(-0.1, 5.0).is_nan());
        assert_eq!(critical(0.0, 5.0), f64::INFINITY);
        assert_eq!(critical(1.0, 5.0), f64::NEG_INFINITY);
        assert_eq!(critical(0.5, 5.0), 0.0);
        assert_eq!(tails(f64::NEG_INFINITY, 5.0), Tails { lower: 0.0, upper: 1.0 });
    }

    #[test]
    fn normal_criticals() {
        close(normal_critical(0.05), 1.644_853_626_951_472_2);
        close(normal_critical(0.001), 3.090_232_306_167_813);
    }
}

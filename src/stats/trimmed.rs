//! The 10 % trimmed mean, and its standard error from winsorised values (as in Yuen's test).

use super::variance::{mean, variance};

/// A trimmed mean with what a t-test needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trimmed {
    /// Mean of the values kept.
    pub mean: f64,
    /// Standard deviation (ddof 1) of the winsorised values, at least the floor asked for.
    pub sd: f64,
    /// Standard error of the mean.
    pub se: f64,
    /// Degrees of freedom: values kept, less one.
    pub df: f64,
    /// Values left out at each end.
    pub each_end: usize,
}

/// How many of `n` values are left out at each end: one in ten.
pub fn trim_count(n: usize) -> usize {
    n / 10
}

/// Sorts `values` and trims them; `None` for fewer than two. Infinities are absorbed as long as no more than
/// [`trim_count`] lie at either end.
pub fn trimmed(values: &mut [f64], least_sd: f64) -> Option<Trimmed> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    let each_end = trim_count(n);
    values.sort_by(f64::total_cmp);
    let kept = n - 2 * each_end;
    let mean = mean(&values[each_end..n - each_end]);
    let (low, high) = (values[each_end], values[n - each_end - 1]);
    values[..each_end].fill(low);
    values[n - each_end..].fill(high);
    let sd = variance(values).sqrt().max(least_sd);
    let (n, h) = (n as f64, kept as f64);
    Some(Trimmed { mean, sd, se: sd * (n - 1.0).sqrt() / (h * (h - 1.0)).sqrt(), df: h - 1.0, each_end })
}

/// The 10 % trimmed mean alone, of any number of values; NaN of nothing.
pub fn trimmed_mean(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let each_end = trim_count(sorted.len());
    mean(&sorted[each_end..sorted.len() - each_end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::student::{critical, tails};

    const A: [f64; 8] = [101.2, 99.8, 103.5, 100.1, 98.9, 102.3, 100.7, 99.5];
    const B1: [f64; 8] = [107.9, 104.6, 108.8, 106.2, 103.0, 108.1, 105.1, 106.4];
    const B2: [f64; 8] = [100.9, 100.6, 102.2, 101.4, 98.1, 102.9, 99.6, 100.3];
    const B3: [f64; 8] = [121.0, 99.9, 103.9, 100.5, 99.2, 103.0, 100.2, 99.9];

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{got} is not {expected}");
    }

    fn logs(a: &[f64], b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| (b / a).ln()).collect()
    }

    fn with(tail: [f64; 2], start: &[f64]) -> Vec<f64> {
        start.iter().copied().chain(tail).collect()
    }

    /// Plain paired t-tests: nothing is trimmed from eight pairs.
    #[test]
    fn eight_pairs() {
        let (t3, t5) = (1.03_f64.ln(), 1.05_f64.ln());
        for (b, mean, sd, se, ci, p_slower, p_t3, p_u3, p_t5) in [
            (
                B1,
                0.053_219_605_014_6,
                0.009_757_401_655_15,
                0.003_449_762_438_56,
                [1.047_790_602_23, 1.061_576_907_36],
                5.802_154_05e-7,
                1.200_505_145_47e-4,
                0.999_879_949_485,
                0.120_004_923_634,
            ),
            (
                B2,
                3.653_531_119_93e-6,
                0.009_883_303_181_21,
                0.003_494_275_349_98,
                [0.993_405_315_222, 1.006_645_818_95],
                0.499_597_462_188,
                0.999_968_116_696,
                3.188_330_436_4e-5,
                0.999_998_855_907,
            ),
            (
                B3,
                0.024_552_642_376_1,
                0.062_377_231_588_9,
                0.022_053_681_724_1,
                [0.982_917_792_841, 1.068_584_714_21],
                0.151_168_879_729,
                0.586_544_226_262,
                0.413_455_773_738,
                0.845_943_161_202,
            ),
        ] {
            let t = trimmed(&mut logs(&A, &b), 0.001).unwrap();
            close(t.mean, mean);
            close(t.sd, sd);
            close(t.se, se);
            assert_eq!((t.df, t.each_end), (7.0, 0));
            let half = critical(0.05, t.df) * t.se;
            close((t.mean - half).exp(), ci[0]);
            close((t.mean + half).exp(), ci[1]);
            close(tails(t.mean / t.se, t.df).upper, p_slower);
            close(tails((t.mean - t3) / t.se, t.df).upper, p_t3);
            close(tails((t.mean - t3) / t.se, t.df).lower, p_u3);
            close(tails((t.mean - t5) / t.se, t.df).upper, p_t5);
        }
    }

    #[test]
    fn ten_pairs_lose_one_at_each_end() {
        let d = logs(&with([101.0, 100.4], &A), &with([101.6, 100.1], &B3));
        close(trimmed_mean(&d), 0.003_204_682_338_21);
        let t = trimmed(&mut d.clone(), 0.001).unwrap();
        close(t.mean, 0.003_204_682_338_21);
        close(t.se, 0.001_440_737_030_59);
        assert_eq!((t.df, t.each_end), (7.0, 1));
        let x = (t.mean - 1.03_f64.ln()) / t.se;
        close(x, -18.292_109_763_1);
        close(tails(x, t.df).lower, 1.806_832_85e-7);
        close(tails(t.mean / t.se, t.df).upper, 0.030_741_322_563_1);
        let half = critical(0.05, t.df) * t.se;
        close((t.mean - half).exp(), 1.000_475_205_66);
        close((t.mean + half).exp(), 1.005_951_914_56);
    }

    #[test]
    fn an_infinity_in_the_trimmed_end_is_absorbed() {
        let mut d = vec![0.01, 0.02, -0.01, 0.0, 0.03, 0.01, -0.02, 0.02, 0.01, f64::INFINITY];
        let t = trimmed(&mut d, 0.001).unwrap();
        assert!(t.mean.is_finite() && t.se.is_finite());
    }

    #[test]
    fn equal_values_have_the_floor_as_their_spread() {
        let t = trimmed(&mut [0.0; 6], 0.001).unwrap();
        assert_eq!((t.mean, t.sd), (0.0, 0.001));
        assert_eq!(trimmed(&mut [1.0], 0.001), None);
        assert!(trimmed_mean(&[]).is_nan());
    }
}

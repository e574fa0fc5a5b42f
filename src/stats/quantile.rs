//! Hyndman–Fan type 7 quantiles, with failures counted as infinitely slow.

/// The type-7 quantile `q` (0 to 1) of `sorted`, ascending; `None` when it is empty.
///
/// `sorted` may end in `+inf`, one for each failure. The answer is `+inf` (censored) as soon as the interpolation
/// touches an infinity.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    quantile_with_failures(sorted, 0, q)
}

/// As [`quantile`], of `sorted` followed by `failures` infinities that need not be stored.
pub fn quantile_with_failures(sorted: &[f64], failures: usize, q: f64) -> Option<f64> {
    let n = sorted.len() + failures;
    let last = n.checked_sub(1)?;
    let h = last as f64 * q.clamp(0.0, 1.0);
    // A rank that is whole but for binary noise must not drag its neighbour in, which may be infinite.
    let h = if (h - h.round()).abs() < 1e-9 { h.round() } else { h };
    let below = (h.floor() as usize).min(last);
    let part = h - h.floor();
    let at = |rank: usize| sorted.get(rank).copied().unwrap_or(f64::INFINITY);
    let low = at(below);
    if part == 0.0 || low == f64::INFINITY {
        return Some(low);
    }
    Some(low + part * (at(below + 1) - low))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "edges are exact")]
mod tests {
    use super::*;

    #[test]
    fn type_7_of_ten_values() {
        let mut data = [12.0, 15.0, 11.0, 14.0, 30.0, 13.0, 12.5, 18.0, 16.0, 11.5];
        data.sort_by(f64::total_cmp);
        for (q, expected) in
            [(0.0, 11.0), (0.25, 12.125), (0.5, 13.5), (0.9, 19.2), (0.95, 24.6), (0.99, 28.92), (1.0, 30.0)]
        {
            let got = quantile(&data, q).unwrap();
            assert!((got - expected).abs() < 1e-12 * expected, "q {q}: {got}");
        }
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
    }

    #[test]
    fn five_failures_in_a_hundred_censor_the_tail_only() {
        let finite: Vec<f64> = (1..=95).map(f64::from).collect();
        let mut stored = finite.clone();
        stored.extend([f64::INFINITY; 5]);
        for (q, expected) in [(0.5, 50.5), (0.9, 90.1), (0.95, f64::INFINITY), (0.99, f64::INFINITY)] {
            for got in [quantile(&stored, q), quantile_with_failures(&finite, 5, q)] {
                let got = got.unwrap();
                assert!(got == expected || (got - expected).abs() < 1e-9, "q {q}: {got}");
            }
        }
    }

    #[test]
    fn a_whole_rank_does_not_touch_the_infinity_above_it() {
        // The rank is 0.7 * 10, which is 7 only but for the last bit.
        let finite: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(quantile_with_failures(&finite, 3, 0.7), Some(7.0));
        assert_eq!(quantile_with_failures(&finite, 3, 0.71), Some(f64::INFINITY));
        assert_eq!(quantile_with_failures(&[], 3, 0.0), Some(f64::INFINITY));
    }
}

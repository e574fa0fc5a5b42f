//! Change points of a series: E-divisive splits (Matteson and James, exponent 1), each confirmed by Student's t-test.

use super::student::tails;
use super::variance::{mean, squared_deviations};

/// A split needs a t-test at least this clear; at 1e-3 one in five steady series of 60 nights has a split.
const P_AT_MOST: f64 = 1e-4;
/// Shifts below one per cent are of no interest.
const SHIFT_AT_LEAST: f64 = 0.01;

/// A point from which on the series is different.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChangePoint {
    /// Index of the first value after the change.
    pub index: usize,
    /// Two-sided p of Student's t-test (equal variances) between the stretches on both sides.
    pub p: f64,
    /// Relative shift of the mean, `0.05` for +5 %.
    pub shift: f64,
}

/// All change points of `values` (positive, oldest first), in order. Few points and nonsense have none.
pub fn change_points(values: &[f64]) -> Vec<ChangePoint> {
    let mut found = Vec::new();
    let mut stretches = vec![(0, values.len())];
    while let Some((start, end)) = stretches.pop() {
        let Some(split) = best_split(&values[start..end]) else { continue };
        let (left, right) = values[start..end].split_at(split);
        let (p, shift) = (t_test(left, right), mean(right) / mean(left) - 1.0);
        if p <= P_AT_MOST && shift.abs() >= SHIFT_AT_LEAST {
            found.push(ChangePoint { index: start + split, p, shift });
            stretches.extend([(start, start + split), (start + split, end)]);
        }
    }
    found.sort_by_key(|point| point.index);
    found
}

/// Where the energy distance between the two sides is largest; each side keeps at least two values.
fn best_split(values: &[f64]) -> Option<usize> {
    (2..(values.len() + 1).saturating_sub(2))
        .map(|t| (energy(values, t), t))
        .filter(|(q, _)| q.is_finite())
        .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
        .map(|(_, t)| t)
}

fn energy(values: &[f64], t: usize) -> f64 {
    let (left, right) = values.split_at(t);
    let distances =
        |a: &[f64], b: &[f64]| -> f64 { a.iter().map(|x| b.iter().map(|y| (x - y).abs()).sum::<f64>()).sum() };
    let (n, m) = (left.len() as f64, right.len() as f64);
    let q =
        2.0 / (n * m) * distances(left, right) - distances(left, left) / (n * n) - distances(right, right) / (m * m);
    q * n * m / (n + m)
}

fn t_test(left: &[f64], right: &[f64]) -> f64 {
    let (n, m) = (left.len() as f64, right.len() as f64);
    let df = n + m - 2.0;
    let pooled = (squared_deviations(left) + squared_deviations(right)) / df;
    let difference = mean(right) - mean(left);
    if difference == 0.0 {
        return 1.0;
    }
    2.0 * tails((difference / (pooled * (1.0 / n + 1.0 / m)).sqrt()).abs(), df).upper
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() <= 1e-6 * expected.abs(), "{got} is not {expected}");
    }

    #[test]
    fn published_series() {
        let nights = [
            100.2, 99.1, 100.8, 99.6, 100.4, 101.1, 99.3, 100.0, 100.5, 99.8, 103.4, 102.6, 103.9, 102.2, 103.1, 104.0,
        ];
        let points = change_points(&nights);
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].index, 10);
        close(points[0].p, 3.281_786e-7);
        let halved = [
            1.02, 0.95, 0.99, 1.0, 1.12, 1.0, 1.01, 0.98, 1.01, 0.96, 0.5, 0.51, 0.48, 0.48, 0.55, 0.5, 0.49, 0.51,
            0.5, 0.49,
        ];
        let points = change_points(&halved);
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].index, 10);
        close(points[0].p, 3.627_606e-17);
        assert!((points[0].shift + 0.5).abs() < 0.01);
    }

    #[test]
    fn two_steps_are_two_points_in_order() {
        let wobble = [0.0, 0.4, -0.3, 0.2, -0.4, 0.3, -0.1, 0.1, -0.2, 0.0];
        let series: Vec<f64> = [100.0, 110.0, 105.0].iter().flat_map(|l| wobble.map(|w| l + w)).collect();
        assert_eq!(change_points(&series).iter().map(|c| c.index).collect::<Vec<_>>(), [10, 20]);
    }

    #[test]
    fn steady_short_and_broken_series_have_none() {
        for series in [&[][..], &[1.0], &[1.0, 2.0, 3.0], &[5.0; 40], &[f64::NAN; 12]] {
            assert_eq!(change_points(series), []);
        }
        // Clear but too small to matter.
        let mut small = [100.0; 20].to_vec();
        small[10..].fill(100.5);
        assert_eq!(change_points(&small), []);
    }
}

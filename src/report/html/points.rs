//! Thousands of points as a path of a bounded length.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::report::html::svg::place;

/// Most points of a series that are drawn.
const MOST: usize = 2_500;

/// Places on paper as the path of a round or square pen, a dot each. Dots that would cover one another are one, on a
/// grid that gets coarser until there are few enough. The lowest and the highest place stay.
pub(super) fn dots(places: &[[f64; 2]]) -> String {
    let mut path = String::new();
    for [x, y] in thinned(places, MOST) {
        let _ = write!(path, "M{} {}h0", place(x), place(y));
    }
    path
}

fn thinned(places: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    let by_height = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
    let extremes = places.iter().min_by(by_height).into_iter().chain(places.iter().max_by(by_height)).copied();
    let extremes: Vec<[f64; 2]> = extremes.collect();
    let mut cell = 0.5;
    loop {
        let mut taken = BTreeSet::new();
        let mut free = |[x, y]: &[f64; 2]| taken.insert([(x / cell).floor() as i64, (y / cell).floor() as i64]);
        let kept: Vec<[f64; 2]> = extremes.iter().chain(places).filter(|place| free(place)).copied().collect();
        if kept.len() <= most.max(2) {
            return kept;
        }
        cell *= 1.5;
    }
}

/// The share of values up to each, as steps from the left edge to the right: `sorted` values on the axis given by the
/// two functions. Long series are shown by so many of their quantiles; the ends are exact.
pub(super) fn cumulative(sorted: &[f64], x: &dyn Fn(f64) -> f64, y: &dyn Fn(f64) -> f64, edge: f64) -> String {
    const STEPS: usize = 200;
    let n = sorted.len();
    let steps = n.min(STEPS);
    let mut path = String::new();
    for step in 0..steps {
        let at = if steps > 1 { step * (n - 1) / (steps - 1) } else { 0 };
        let share = (at + 1) as f64 / n as f64;
        if step == 0 {
            let _ = write!(path, "M{} {}", place(x(sorted[0])), place(y(0.0)));
        } else {
            let _ = write!(path, "H{}", place(x(sorted[at])));
        }
        let _ = write!(path, "V{}", place(y(share)));
    }
    if n > 0 {
        let _ = write!(path, "H{}", place(edge));
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_points_stay_and_many_keep_their_ends() {
        let few = [[1.0, 2.0], [3.0, 1.0], [5.0, 9.0]];
        assert_eq!(thinned(&few, 10).len(), 3);
        let many: Vec<[f64; 2]> = (0..50_000).map(|n| [f64::from(n % 300), f64::from(n * 7919 % 997) / 7.0]).collect();
        let kept = thinned(&many, 2_500);
        assert!((500..=2_500).contains(&kept.len()), "{}", kept.len());
        let highest = |of: &[[f64; 2]]| of.iter().map(|place| place[1]).fold(0.0, f64::max);
        let lowest = |of: &[[f64; 2]]| of.iter().map(|place| place[1]).fold(f64::MAX, f64::min);
        assert_eq!((lowest(&kept), highest(&kept)), (lowest(&many), highest(&many)));
        assert!(thinned(&[], 5).is_empty());
    }

    #[test]
    fn a_cumulative_path_begins_at_nothing_and_ends_at_all() {
        let same = |value: f64| value;
        let share = |share: f64| 100.0 - 100.0 * share;
        assert_eq!(cumulative(&[1.0, 2.0], &same, &share, 9.0), "M1 100V50H2V0H9");
        assert_eq!(cumulative(&[], &same, &share, 9.0), "");
        let long: Vec<f64> = (0..10_000).map(f64::from).collect();
        let path = cumulative(&long, &same, &share, 9999.0);
        assert!(path.ends_with("H9999V0H9999") && path.len() < 4_000, "{}", path.len());
    }
}

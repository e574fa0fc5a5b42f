//! The slope of a line through values over time that are not independent of each other.
//!
//! What is left of a value around its line may be noise that is soon forgotten, or a random walk that is never
//! forgotten, and an ordinary regression takes the second for a trend. So the residuals' first-order autocorrelation
//! is estimated, taken for 1 where it cannot be told from that, and taken out before the line is fitted: for a random
//! walk that is a t-test of the increments, for noise without memory ordinary least squares (docs/statistics.md).

use crate::stats::student::critical;

/// Most points that a line is fitted to: of more, every second, third, … is kept. They are not averaged, since that
/// would make neighbours of a random walk's steps depend on each other.
const MOST: usize = 240;

/// With fewer points a walk and noise look alike, so the worse of the two is assumed.
const FEWEST_TO_TELL: usize = 40;

/// Fewest points through which a line is fitted.
pub const FEWEST: usize = 10;

/// A straight line through values over time, with what an interval of its slope needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Change of the value in a unit of time.
    pub slope: f64,
    /// Standard error of the slope.
    pub se: f64,
    /// Degrees of freedom of `se`.
    pub df: f64,
    /// How much of a deviation from the line is left at the next point: 0 for independent ones, 1 for a random walk.
    pub rho: f64,
    /// Points that were used.
    pub points: usize,
}

impl Trend {
    /// The two-sided 90 % interval of the slope.
    pub fn interval(&self) -> [f64; 2] {
        let half = if self.se > 0.0 { critical(0.05, self.df) * self.se } else { 0.0 };
        [self.slope - half, self.slope + half]
    }
}

/// The common slope of `runs` of (time, value), each in order of time and at about equal distances; each has a height
/// of its own. `None` for fewer than [`FEWEST`] points.
pub fn trend(runs: &[Vec<[f64; 2]>]) -> Option<Trend> {
    let total: usize = runs.iter().map(Vec::len).sum();
    let every = total.div_ceil(MOST).max(1);
    let runs: Vec<Vec<[f64; 2]>> = runs.iter().map(|run| run.iter().step_by(every).copied().collect()).collect();
    let runs: Vec<Vec<[f64; 2]>> = runs.into_iter().filter(|run| run.len() > 1).collect();
    let points: usize = runs.iter().map(Vec::len).sum();
    if points < FEWEST {
        return None;
    }
    let plain: Vec<Run> = runs.iter().map(|run| Run::of(run, 0.0)).collect();
    let line = fit(&plain)?;
    let rho = persistence(&runs, line.slope, points);
    let whitened: Vec<Run> = runs.iter().map(|run| Run::of(run, rho)).collect();
    Some(Trend { rho, points, ..fit(&whitened)? })
}

/// First-order autocorrelation of what a line leaves, corrected for its bias, and 1 where it cannot be told from that.
fn persistence(runs: &[Vec<[f64; 2]>], slope: f64, points: usize) -> f64 {
    let (mut own, mut next) = (0.0, 0.0);
    for run in runs {
        let n = run.len() as f64;
        let middle = run.iter().map(|[t, y]| y - slope * t).sum::<f64>() / n;
        let left: Vec<f64> = run.iter().map(|[t, y]| y - slope * t - middle).collect();
        for pair in left.windows(2) {
            own += pair[0] * pair[0];
            next += pair[0] * pair[1];
        }
    }
    if own <= 0.0 {
        return 0.0;
    }
    if points < FEWEST_TO_TELL {
        return 1.0;
    }
    let n = points as f64 / runs.len() as f64;
    let found = next / own;
    let corrected = found + (2.0 + 4.0 * found) / n;
    if corrected >= 1.0 - 2.0 / n.sqrt() { 1.0 } else { corrected.max(0.0) }
}

/// A run in which each point has lost `rho` of the one before: time, value, and what became of a constant.
struct Run {
    time: Vec<f64>,
    value: Vec<f64>,
    one: Vec<f64>,
}

impl Run {
    fn of(run: &[[f64; 2]], rho: f64) -> Self {
        let first = (1.0 - rho * rho).sqrt();
        let column = |of: &dyn Fn(&[f64; 2]) -> f64| {
            let rest = run.windows(2).map(|pair| of(&pair[1]) - rho * of(&pair[0]));
            std::iter::once(first * of(&run[0])).chain(rest).collect::<Vec<f64>>()
        };
        let (from, base) = (run[0][0], run[0][1]);
        Self { time: column(&|point| point[0] - from), value: column(&|point| point[1] - base), one: column(&|_| 1.0) }
    }
}

fn fit(runs: &[Run]) -> Option<Trend> {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (mut times, mut both, mut values, mut free) = (0.0, 0.0, 0.0, -1.0);
    for Run { time, value, one } in runs {
        let ones = product(one, one);
        let share = |column: &[f64]| if ones > 0.0 { product(column, one) / ones } else { 0.0 };
        let (of_time, of_value) = (share(time), share(value));
        let rest = |column: &[f64], of: f64| column.iter().zip(one).map(|(x, one)| x - of * one).collect::<Vec<f64>>();
        let (time, value) = (rest(time, of_time), rest(value, of_value));
        times += product(&time, &time);
        both += product(&time, &value);
        values += product(&value, &value);
        free += time.len() as f64 - 1.0;
    }
    if times <= 0.0 || free <= 0.0 {
        return None;
    }
    let slope = both / times;
    // Rounding may leave less than nothing of a perfect line.
    let se = ((values - slope * both).max(0.0) / free / times).sqrt();
    Some(Trend { slope, se, df: free, rho: 0.0, points: 0 })
}

#[cfg(test)]
mod tests {
    use rand_core::Rng as _;
    use rand_pcg::Pcg64Mcg;

    use super::*;

    struct Noise(Pcg64Mcg);

    impl Noise {
        fn uniform(&mut self) -> f64 {
            ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let angle = std::f64::consts::TAU * self.uniform();
            (-2.0 * self.uniform().ln()).sqrt() * angle.cos()
        }

        /// `n` values of which each keeps `rho` of the last one, upon a line.
        fn run(&mut self, n: usize, rho: f64, slope: f64) -> Vec<[f64; 2]> {
            let mut level = if rho < 1.0 { self.normal() / (1.0 - rho * rho).sqrt() } else { 0.0 };
            let point = |t: usize| {
                level = rho * level + self.normal();
                [t as f64, level + slope * t as f64]
            };
            (0..n).map(point).collect()
        }
    }

    /// Share of series whose slope is above 0 for certain; 5 % is what the interval promises without a slope.
    fn found(runs: usize, n: usize, rho: f64, slope: f64) -> f64 {
        let mut noise = Noise(Pcg64Mcg::new(u128::from(n as u64) << 64 | 7));
        let mut one = || {
            let runs: Vec<_> = (0..runs).map(|_| noise.run(n, rho, slope)).collect();
            trend(&runs).unwrap().interval()[0] > 0.0
        };
        (0..600).filter(|_| one()).count() as f64 / 600.0
    }

    #[test]
    fn noise_without_a_trend_is_seldom_taken_for_one() {
        for n in [10, 30, 60, 240, 1200] {
            for rho in [0.0, 0.5, 0.8, 0.95, 1.0] {
                for runs in [1, 3] {
                    let share = found(runs, n, rho, 0.0);
                    assert!(share <= 0.09, "{runs} × {n} points, rho {rho}: {share}");
                }
            }
        }
    }

    #[test]
    fn a_trend_is_found() {
        assert!(found(1, 20, 0.0, 1.0) > 0.9);
        assert!(found(1, 100, 0.0, 0.02) > 0.95);
        assert!(found(1, 240, 0.8, 0.3) > 0.95);
        // The steps of a walk have a deviation of 1: four times its standard error over 100 of them.
        assert!(found(1, 100, 1.0, 0.4) > 0.95);
        assert!(found(3, 40, 1.0, 0.4) > 0.95);
    }

    #[test]
    fn a_line_is_met_exactly() {
        let line = |n: usize, base: f64| (0..n).map(|t| [t as f64 * 0.5, base + 3.0 * t as f64]).collect::<Vec<_>>();
        let trend = super::trend(&[line(12, 1e9), line(30, 5.0)]).unwrap();
        assert!((trend.slope - 6.0).abs() < 1e-9 && trend.se < 1e-6, "{trend:?}");
        let flat = super::trend(&vec![vec![[0.0, 7.0], [1.0, 7.0]]; 6]).unwrap();
        assert_eq!((flat.slope.abs(), flat.interval().map(f64::abs), flat.points), (0.0, [0.0, 0.0], 12));
    }

    #[test]
    fn one_step_is_no_trend() {
        let step = |n: usize, at: usize| (0..n).map(|t| [t as f64, f64::from(u8::from(t >= at))]).collect::<Vec<_>>();
        for (n, at) in [(12, 5), (60, 10), (60, 30), (240, 120), (1000, 700)] {
            let trend = super::trend(&[step(n, at)]).unwrap();
            assert!(trend.slope > 0.0 && trend.interval()[0] < 0.0, "{n}, {at}: {trend:?}");
        }
    }

    #[test]
    fn too_few_points_tell_nothing() {
        assert_eq!(trend(&[]), None);
        assert_eq!(trend(&[vec![[0.0, 1.0]; 9]]), None);
        // At one moment there is no slope.
        assert_eq!(trend(&[vec![[0.0, 1.0]; 20]]), None);
        assert_eq!(trend(&vec![vec![[0.0, 1.0]]; 20]), None);
    }
}

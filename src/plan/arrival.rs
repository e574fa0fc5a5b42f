//! Arrival times of open-loop load. They are drawn once and never rescaled: what was drawn is what is sent.

use crate::plan::draw::Draw;
use crate::scenario::Arrival;
use crate::units::Nanos;

/// Times of arrivals at `rate` a second, from the trial's start: the first at 0, until `stop` says that
/// arrival number n at time t is not wanted any more.
pub(crate) fn times(rate: f64, arrival: Arrival, draw: &mut Draw, stop: impl Fn(usize, Nanos) -> bool) -> Vec<Nanos> {
    let mean = 1e9 / rate;
    let mut at = 0.0;
    let mut times = Vec::new();
    while !stop(times.len(), at as Nanos) {
        times.push(at as Nanos);
        at += mean
            * match arrival {
                Arrival::Constant => 1.0,
                Arrival::Poisson => draw.exponential(),
                Arrival::Gamma(shape) => draw.gamma(shape),
            };
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draw::Purpose;

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        let mut draw = Draw::new(1, Purpose::Arrival);
        assert_eq!(times(4.0, Arrival::Constant, &mut draw, |n, _| n == 4), [0, 250_000_000, 500_000_000, 750_000_000]);
    }

    #[test]
    fn poisson_arrivals_keep_the_rate() {
        let mut draw = Draw::new(3, Purpose::Arrival);
        let n = times(1000.0, Arrival::Poisson, &mut draw, |_, at| at > 10_000_000_000).len();
        assert!((9700..=10_300).contains(&n), "{n} arrivals in 10 s at 1000 a second");
    }
}

//! Seeded draws that do not depend on the order in which they are made.
//!
//! Each draw has a generator of its own, named by its purpose and a number: when a real run interleaves its requests
//! differently from the last one, the other draws stay as they were.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};

/// What a draw is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// The length of an engine step, by the step's number.
    Step = 1,
    /// A request's time before it is ready, by the request's number.
    Base = 2,
    /// Whether a request meets a fault, by the request's number.
    Fault = 3,
    /// The words of an answer, by the request's number.
    Answer = 4,
}

/// The generator of one draw.
pub(super) fn generator(seed: u64, purpose: Purpose, number: u64) -> Pcg64 {
    Pcg64::seed_from_u64(mix(mix(mix(seed) ^ purpose as u64) ^ number))
}

/// The finaliser of `SplitMix64`: neighbouring numbers must not give neighbouring states.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in `0..1`.
pub(super) fn uniform(generator: &mut impl Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A positive factor with mean 1 and this relative standard deviation (lognormal, by Box and Muller).
pub(super) fn factor(generator: &mut impl Rng, relative_stddev: f64) -> f64 {
    if relative_stddev.is_nan() || relative_stddev <= 0.0 {
        return 1.0;
    }
    let variance = relative_stddev.powi(2).ln_1p();
    // 1 − u lies in (0, 1], so that the logarithm is finite.
    let radius = (-2.0 * (1.0 - uniform(generator)).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * uniform(generator)).cos();
    (variance.sqrt() * normal - variance / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_have_the_mean_and_deviation_that_were_asked_for() {
        let draws: Vec<f64> = (0..40_000).map(|n| factor(&mut generator(7, Purpose::Step, n), 0.2)).collect();
        let count = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / count;
        let deviation = (draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!((mean - 1.0).abs() < 0.004, "{mean}");
        assert!((deviation - 0.2).abs() < 0.006, "{deviation}");
        assert!(draws.iter().all(|d| *d > 0.0));
        // Neighbouring numbers are not alike.
        let product = draws.windows(2).map(|w| (w[0] - 1.0) * (w[1] - 1.0)).sum::<f64>() / count;
        assert!(product.abs() < 0.001, "{product}");
    }

    #[test]
    fn a_draw_has_a_name() {
        let draw = |seed, purpose, number| generator(seed, purpose, number).next_u64();
        assert_eq!(draw(1, Purpose::Step, 5), draw(1, Purpose::Step, 5));
        assert_ne!(draw(1, Purpose::Step, 5), draw(1, Purpose::Base, 5));
        assert_ne!(draw(1, Purpose::Step, 5), draw(2, Purpose::Step, 5));
        assert_ne!(draw(1, Purpose::Step, 5), draw(1, Purpose::Step, 6));
    }

    #[test]
    fn no_jitter_is_exactly_one() {
        assert_eq!(factor(&mut generator(1, Purpose::Step, 0), 0.0).to_bits(), 1.0_f64.to_bits());
    }
}

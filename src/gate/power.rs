//! How many pairs a comparison needs.

use crate::stats::student::critical;
use crate::stats::trimmed::trim_count;

use super::looks::{FEWEST, looks};

/// More pairs than anyone would wait for.
const PAIRS_AT_MOST: u32 = 400;

/// The fewest pairs at which a slowdown of `wished` beyond the tolerance is found with 90 %: with at most so many
/// pairs, its last look has `(1+tolerance)·exp((t + t)·se) - 1 <= wished`.
///
/// `pair_sd` is the standard deviation between pairs (logarithms), `tolerance` and `wished` are parts (`0.05`), `alpha`
/// is the suite's rate. `None` when 400 pairs would not do, or `wished` lies within the tolerance.
pub fn pairs_needed(pair_sd: f64, tolerance: f64, wished: f64, alpha: f64) -> Option<u32> {
    let room = (wished.ln_1p() - tolerance.ln_1p()).max(0.0);
    (FEWEST..=PAIRS_AT_MOST).step_by(2).find(|pairs| {
        let level = alpha * looks(*pairs).last().map_or(0.0, |look| look.regressed);
        let kept = f64::from(*pairs) - 2.0 * trim_count(*pairs as usize) as f64;
        let se = pair_sd * (f64::from(*pairs) - 1.0).sqrt() / (kept * (kept - 1.0)).sqrt();
        (critical(level, kept - 1.0) + critical(0.10, kept - 1.0)) * se <= room
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_noise_or_a_smaller_wish_needs_more_pairs() {
        // Six pairs have one look at the full level: (2.0150 + 1.4759) · 0.03 / sqrt(6) = 0.0428 = ln 1.0437.
        assert_eq!(pairs_needed(0.03, 0.0, 0.0438, 0.05), Some(6));
        assert_eq!(pairs_needed(0.03, 0.0, 0.0436, 0.05), Some(8));
        // Fourteen: (2.2569 + 1.3634) · 0.03 · sqrt(13 / 132) = 0.0341 = ln 1.0347.
        assert_eq!(pairs_needed(0.03, 0.0, 0.0348, 0.05), Some(14));
        assert_eq!(pairs_needed(0.03, 0.0, 0.0346, 0.05), Some(16));
        assert_eq!(pairs_needed(0.001, 0.03, 0.05, 0.05), Some(6));
        assert!(pairs_needed(0.06, 0.03, 0.06, 0.05) > pairs_needed(0.03, 0.03, 0.06, 0.05));
        assert_eq!(pairs_needed(0.03, 0.05, 0.05, 0.05), None);
        assert_eq!(pairs_needed(0.03, 0.05, f64::NAN, 0.05), None);
        assert_eq!(pairs_needed(10.0, 0.05, 0.06, 0.05), None);
    }
}

//! Holm's step-down procedure for many tests at once.

/// Runs Holm over `p` and returns the indices that it rejects, smallest p first.
///
/// `family` is the number of hypotheses that the level `alpha` is shared by and `rejected` how many of them were
/// rejected before (by an earlier look, say) and are not in `p`.
pub fn holm(p: &[f64], alpha: f64, family: u64, rejected: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut left = family.saturating_sub(rejected);
    let accepted = order.iter().position(|i| {
        let holds = p[*i] <= alpha / left.max(1) as f64;
        left = left.saturating_sub(1);
        !holds
    });
    order.truncate(accepted.unwrap_or(p.len()));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: [f64; 8] = [0.0004, 0.0102, 0.0131, 0.0300, 0.2400, 0.0090, 0.8000, 0.0039];

    /// The adjusted p-value is the level at which a hypothesis starts to be rejected.
    #[test]
    fn rejects_exactly_from_the_adjusted_p_on() {
        for (i, adjusted) in [0.0032, 0.054, 0.054, 0.09, 0.48, 0.054, 0.8, 0.0273].into_iter().enumerate() {
            assert!(holm(&P, adjusted * (1.0 + 1e-6), 8, 0).contains(&i), "{i}");
            assert!(!holm(&P, adjusted * (1.0 - 1e-6), 8, 0).contains(&i), "{i}");
        }
        let three = [4.153_992_846e-7, 0.448_004_446_4, 0.001_201_814_334];
        assert!(holm(&three, 0.002_403_628_668 * (1.0 + 1e-6), 3, 0).contains(&2));
        assert!(!holm(&three, 0.002_403_628_668 * (1.0 - 1e-6), 3, 0).contains(&2));
    }

    #[test]
    fn earlier_rejections_relax_the_level() {
        assert_eq!(holm(&[0.02], 0.05, 3, 0), Vec::<usize>::new());
        assert_eq!(holm(&[0.02], 0.05, 3, 1), vec![0]);
    }

    #[test]
    fn a_family_that_is_too_small_is_a_single_hypothesis() {
        assert_eq!(holm(&[0.04, 0.03, 0.06], 0.05, 0, 5), vec![1, 0]);
        assert_eq!(holm(&[], 0.05, 3, 0), Vec::<usize>::new());
    }
}

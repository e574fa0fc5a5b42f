//! Means, variances, and the degrees of freedom of a sum of variances.

/// The arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Squared deviations from the mean, summed; 0 of nothing.
pub fn squared_deviations(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean).powi(2)).sum()
}

/// The sample variance (divisor n − 1); 0 for fewer than two values.
pub fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 { 0.0 } else { squared_deviations(values) / (values.len() - 1) as f64 }
}

/// Welch–Satterthwaite: the degrees of freedom of a sum of independent variances, each given with its own.
///
/// Parts without degrees of freedom or of size zero do not count; when none is left, all degrees of freedom add up.
pub fn satterthwaite(parts: &[(f64, f64)]) -> f64 {
    let counted = || parts.iter().filter(|(part, df)| *part > 0.0 && *df > 0.0);
    let sum: f64 = counted().map(|(part, _)| part).sum();
    if sum == 0.0 {
        return parts.iter().map(|(_, df)| df).sum();
    }
    // Relative sizes, because squares of tiny variances underflow.
    1.0 / counted().map(|(part, df)| (part / sum).powi(2) / df).sum::<f64>()
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "edges are exact")]
mod tests {
    use super::*;

    #[test]
    fn variances() {
        assert!((variance(&[1.0, 2.0, 4.0]) - 7.0 / 3.0).abs() < 1e-15);
        assert_eq!(variance(&[5.0]), 0.0);
        assert_eq!(variance(&[]), 0.0);
    }

    #[test]
    fn satterthwaite_lies_between_the_smallest_part_and_the_sum() {
        assert!((satterthwaite(&[(1.0, 8.0), (1.0, 8.0)]) - 16.0).abs() < 1e-12);
        assert!((satterthwaite(&[(3.0, 8.0), (0.0, 5.0)]) - 8.0).abs() < 1e-12);
        assert!((satterthwaite(&[(3.0, 8.0), (9.0, 0.0)]) - 8.0).abs() < 1e-12);
        assert!((satterthwaite(&[(0.0, 8.0), (0.0, 5.0)]) - 13.0).abs() < 1e-12);
        assert!((satterthwaite(&[(1e-300, 8.0), (1e-300, 8.0)]) - 16.0).abs() < 1e-12);
    }
}

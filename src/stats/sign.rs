//! The exact sign test.

use statrs::function::beta::checked_beta_reg;

/// `P(Bin(against + for_it, ½) >= for_it)`: how surprising so many signs in favour would be if both were as likely.
pub fn sign_test(against: u32, for_it: u32) -> f64 {
    if for_it == 0 {
        return 1.0;
    }
    // The binomial tail is an incomplete beta, which neither overflows nor underflows for many pairs.
    checked_beta_reg(f64::from(for_it), f64::from(against) + 1.0, 0.5).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_tails() {
        for (against, for_it, p) in [
            (0, 0, 1.0),
            (3, 0, 1.0),
            (0, 1, 0.5),
            (0, 6, 1.0 / 64.0),
            (1, 1, 0.75),
            (1, 7, 9.0 / 256.0),
            (2, 5, (21.0 + 7.0 + 1.0) / 128.0),
        ] {
            assert!((sign_test(against, for_it) - p).abs() < 1e-12, "{against} {for_it}");
        }
        assert!(sign_test(0, 2000) < 1e-300);
    }
}

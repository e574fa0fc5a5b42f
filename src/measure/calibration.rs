//! How far what the client reports is from what a server of known times recorded.

use crate::stats::quantile::quantile;
use crate::units::{Nanos, millis};

/// Differences between the client's figures and the server's own, without their signs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Errors {
    millis: Vec<f64>,
}

impl Errors {
    /// From what the client reported and what the server recorded of each request, in nanoseconds.
    pub fn of(pairs: impl IntoIterator<Item = (Nanos, Nanos)>) -> Self {
        let mut millis: Vec<f64> =
            pairs.into_iter().map(|(reported, recorded)| millis(reported.abs_diff(recorded))).collect();
        millis.sort_by(f64::total_cmp);
        Self { millis }
    }

    /// The error that a share of the requests do not exceed, in milliseconds; `None` without requests.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        quantile(&self.millis, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_no_sign() {
        let errors = Errors::of([(3_000_000, 1_000_000), (1_000_000, 2_000_000), (5, 5)]);
        assert_eq!((errors.quantile(0.5), errors.quantile(1.0)), (Some(1.0), Some(2.0)));
        assert_eq!(Errors::of([]).quantile(0.5), None);
    }
}

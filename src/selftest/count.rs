//! How often something happened, and what that says about how often it does.

use serde::{Serialize, Serializer};
use statrs::function::beta::checked_beta_reg;

/// How often a bound may be wrong.
const DOUBT: f64 = 0.05;
/// How often a refutation may be: some hundred are tried at a time.
const REFUTED: f64 = 0.001;

/// Times something happened, among those it could have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Times it happened.
    pub hits: u64,
    /// Times it could have happened.
    pub of: u64,
}

impl Count {
    /// Counts one more time.
    pub fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, of: self.of + other.of }
    }

    /// The share of times it happened, 0 to 1; NaN of nothing.
    pub fn rate(self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    /// The lowest rate that agrees with the count: Clopper and Pearson's one-sided 95 % limit.
    pub fn at_least(self) -> f64 {
        if self.hits == 0 {
            return 0.0;
        }
        rising(DOUBT, |p| self.or_more(p))
    }

    /// The highest rate that agrees with the count: Clopper and Pearson's one-sided 95 % limit.
    pub fn at_most(self) -> f64 {
        if self.hits >= self.of {
            return 1.0;
        }
        rising(1.0 - DOUBT, |p| self.more(p))
    }

    /// Whether so many hits are all but impossible (once in a thousand) at this rate or a lower one.
    pub fn refutes_at_most(self, rate: f64) -> bool {
        self.hits > 0 && self.or_more(rate) < REFUTED
    }

    /// Whether so few hits are all but impossible (once in a thousand) at this rate or a higher one.
    pub fn refutes_at_least(self, rate: f64) -> bool {
        self.hits < self.of && self.more(rate) > 1.0 - REFUTED
    }

    /// The chance of so many hits or more; there must be one.
    fn or_more(self, rate: f64) -> f64 {
        checked_beta_reg(self.hits as f64, (self.of - self.hits) as f64 + 1.0, rate).unwrap_or(f64::NAN)
    }

    /// The chance of more hits than these; there must be a miss.
    fn more(self, rate: f64) -> f64 {
        checked_beta_reg(self.hits as f64 + 1.0, (self.of - self.hits) as f64, rate).unwrap_or(f64::NAN)
    }
}

/// Where a function that rises from 0 to 1 takes a value, by bisection.
fn rising(value: f64, of: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if of(middle) < value {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Six digits: more than a count of suites can tell.
        fn rounded(rate: f64) -> f64 {
            (rate * 1e6).round() / 1e6
        }
        #[derive(Serialize)]
        struct WithBounds {
            hits: u64,
            of: u64,
            rate: f64,
            at_least: f64,
            at_most: f64,
        }
        let bounds = [self.rate(), self.at_least(), self.at_most()].map(rounded);
        let [rate, at_least, at_most] = bounds;
        WithBounds { hits: self.hits, of: self.of, rate, at_least, at_most }.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(hits: u64, of: u64) -> Count {
        Count { hits, of }
    }

    fn close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-9, "{got} is not {expected}");
    }

    #[test]
    fn bounds_of_none_and_all_are_powers() {
        for of in [1, 10, 300] {
            let edge = 0.05_f64.powf(1.0 / of as f64);
            close(count(0, of).at_most(), 1.0 - edge);
            close(count(0, of).at_least(), 0.0);
            close(count(of, of).at_least(), edge);
            close(count(of, of).at_most(), 1.0);
        }
        // The rule of three: nothing in 300 is less than 1 %.
        assert!(count(0, 300).at_most() < 0.01 && count(0, 290).at_most() > 0.01);
    }

    /// At the bounds, the binomial's own tail is 5 %.
    #[test]
    fn bounds_are_where_the_tail_is_five_per_cent() {
        let at_most = |hits: u64, of: u64, p: f64| -> f64 {
            let choose = |k: u64| (0..k).map(|i| ((of - i) as f64 / (i + 1) as f64).ln()).sum::<f64>();
            (0..=hits).map(|k| (choose(k) + k as f64 * p.ln() + (of - k) as f64 * (-p).ln_1p()).exp()).sum()
        };
        for (hits, of) in [(1, 20), (3, 50), (12, 40), (60, 1000)] {
            close(at_most(hits, of, count(hits, of).at_most()), 0.05);
            close(at_most(hits - 1, of, count(hits, of).at_least()), 0.95);
        }
    }

    #[test]
    fn a_refutation_is_surer_than_a_bound() {
        // P(3 or more of 20 at 1 %) is 0.00100, just too likely; of 4 or more it is 0.00004.
        assert!(count(3, 20).at_least() > 0.01 && !count(3, 20).refutes_at_most(0.01));
        assert!(count(4, 20).refutes_at_most(0.01));
        assert!(!count(0, 20).refutes_at_most(0.0) && !count(20, 20).refutes_at_least(1.0));
        // P(17 or fewer of 20 at 99 %), the same from the other side.
        assert!(count(16, 20).refutes_at_least(0.99) && !count(17, 20).refutes_at_least(0.99));
    }

    #[test]
    fn counts_add_up() {
        let mut some = count(1, 4);
        some.add(true);
        some.add(false);
        assert_eq!(some.and(count(2, 4)), count(4, 10));
        close(some.rate(), 1.0 / 3.0);
        let text = serde_json::to_string(&count(0, 300)).unwrap();
        assert_eq!(text, r#"{"hits":0,"of":300,"rate":0.0,"at_least":0.0,"at_most":0.009936}"#);
        assert_eq!((Count::default().at_least(), Count::default().at_most()), (0.0, 1.0));
    }
}

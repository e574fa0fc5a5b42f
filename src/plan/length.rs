//! Token lengths of prompts and answers.

use crate::plan::draw::Draw;
use crate::scenario::Length;

/// No prompt or answer is longer than this; it bounds what an unlucky draw can ask for.
pub(crate) const LONGEST: u32 = 1_000_000;

/// The length of request `index`; at least 1.
pub(crate) fn sample(length: &Length, index: u32, draw: &mut Draw) -> u32 {
    let whole = |value: f64| value.round().clamp(1.0, f64::from(LONGEST)) as u32;
    match length {
        Length::Fixed(tokens) => *tokens,
        Length::Normal { mean, stddev, min, max } => whole(mean + stddev * draw.normal()).clamp(*min, *max),
        Length::Uniform(low, high) => low + draw.below((high - low + 1) as usize) as u32,
        Length::Lognormal { median, p95 } => {
            // The 95th percentile of the standard normal ties the spread to the two figures given.
            let sigma = (p95 / median).ln() / crate::plan::draw::normal_quantile(0.95);
            whole(median * (sigma * draw.normal()).exp())
        }
        Length::List(values) => values[index as usize % values.len()],
    }
    .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::draw::Purpose;

    fn lengths(length: &Length, n: u32) -> Vec<u32> {
        let mut draw = Draw::new(1, Purpose::InputLength);
        (0..n).map(|i| sample(length, i, &mut draw)).collect()
    }

    #[test]
    fn each_form_gives_what_it_says() {
        assert_eq!(lengths(&Length::Fixed(7), 2), [7, 7]);
        assert_eq!(lengths(&Length::List(vec![1, 2, 3]), 4), [1, 2, 3, 1]);
        let uniform = lengths(&Length::Uniform(10, 12), 300);
        assert_eq!((uniform.iter().min(), uniform.iter().max()), (Some(&10), Some(&12)));
        let normal = lengths(&Length::Normal { mean: 100.0, stddev: 50.0, min: 16, max: 180 }, 2000);
        assert_eq!((normal.iter().min(), normal.iter().max()), (Some(&16), Some(&180)));
        let mut lognormal = lengths(&Length::Lognormal { median: 90.0, p95: 400.0 }, 4000);
        lognormal.sort_unstable();
        assert!((85..=95).contains(&lognormal[2000]), "{}", lognormal[2000]);
        assert!((360..=440).contains(&lognormal[3800]), "{}", lognormal[3800]);
    }
}

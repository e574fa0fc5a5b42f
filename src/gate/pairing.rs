//! What a number of pairs say about one check: a trimmed mean, or a sign test when values are censored.

use crate::stats::sign::sign_test;
use crate::stats::student::critical;
use crate::stats::trimmed::{trim_count, trimmed};
use crate::stats::variance::{mean, squared_deviations};

use super::evidence::Estimate;
use super::looks::FEWEST;
use super::protocol::Order;

/// A smaller spread of pairs (in units of cost) is not believed: timers and schedulers are not that steady.
const LEAST_SD: f64 = 0.001;
/// A difference between first and second slot up to here is left alone.
const SLOT_AT_MOST: f64 = 0.01;
/// How often chance alone may pass for a difference between the slots.
const SLOT_CHANCE: f64 = 0.001;

/// Candidate minus reference of one pair; `∓inf` when censored on one side, `None` when on both.
pub(super) fn difference(a: f64, b: f64) -> Option<f64> {
    (a.is_finite() || b.is_finite()).then_some(b - a)
}

/// The outcome of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pairing {
    /// The trimmed mean and what went into it.
    Mean {
        estimate: Estimate,
        sd: f64,
        /// Half the difference of second and first slot, if it was taken out.
        slot: Option<f64>,
        /// Pairs trimmed, both ends together.
        trimmed: u32,
        censored: u32,
    },
    /// Too many pairs are censored for a mean; the p-value of the sign test.
    Signs { p: f64, censored: u32 },
    /// Too few pairs have a value on either side.
    TooFew { usable: u32, censored: u32 },
}

/// Weighs the pairs up to a look, in the order measured.
pub(super) fn weigh(differences: &[Option<f64>], orders: &[Order]) -> Pairing {
    let mut usable = Vec::with_capacity(differences.len());
    // Differences of finite pairs by slot: B second, B first.
    let (mut second, mut first) = (Vec::with_capacity(differences.len()), Vec::with_capacity(differences.len()));
    for (difference, order) in differences.iter().zip(orders) {
        let Some(d) = *difference else { continue };
        usable.push((d, *order));
        if d.is_finite() {
            match order {
                Order::Ab => second.push(d),
                Order::Ba => first.push(d),
            }
        }
    }
    let dropped = (differences.len() - usable.len()) as u32;
    let infinite = |sign: f64| usable.iter().filter(|(d, _)| d.is_infinite() && d * sign > 0.0).count() as u32;
    let (on_a, on_b) = (infinite(-1.0), infinite(1.0));
    let censored = dropped + on_a + on_b;
    if (usable.len() as u32) < FEWEST {
        return Pairing::TooFew { usable: usable.len() as u32, censored };
    }
    if (on_a + on_b) as usize > trim_count(usable.len()) {
        return Pairing::Signs { p: sign_test(on_a, on_b), censored };
    }
    let slot = slot_effect(&second, &first);
    let mut costs: Vec<f64> = usable
        .iter()
        .map(|(d, order)| match order {
            Order::Ab => d - slot.unwrap_or(0.0),
            Order::Ba => d + slot.unwrap_or(0.0),
        })
        .collect();
    let Some(t) = trimmed(&mut costs, LEAST_SD) else {
        return Pairing::TooFew { usable: usable.len() as u32, censored };
    };
    let df = if slot.is_some() { t.df - 1.0 } else { t.df };
    Pairing::Mean {
        estimate: Estimate { m: t.mean, se: t.se, df },
        sd: t.sd,
        slot,
        trimmed: 2 * t.each_end as u32,
        censored,
    }
}

/// Half the difference of second and first slot, if it is beyond what is left alone and beyond chance.
///
/// What chance alone shows on a noisy machine must stay in: to take it out would make the spread look smaller than it
/// is, and with it the doubt.
fn slot_effect(second: &[f64], first: &[f64]) -> Option<f64> {
    if second.is_empty() || first.is_empty() {
        return None;
    }
    let slot = 0.5 * (mean(second) - mean(first));
    let (n, m) = (second.len() as f64, first.len() as f64);
    let df = n + m - 2.0;
    let sd = ((squared_deviations(second) + squared_deviations(first)) / df).sqrt().max(LEAST_SD);
    let chance = critical(SLOT_CHANCE / 2.0, df) * 0.5 * sd * (1.0 / n + 1.0 / m).sqrt();
    (slot.abs() > SLOT_AT_MOST.max(chance)).then_some(slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn orders(n: usize) -> Vec<Order> {
        [Order::Ab, Order::Ba].into_iter().cycle().take(n).collect()
    }

    fn of(d: &[Option<f64>]) -> Pairing {
        weigh(d, &orders(d.len()))
    }

    #[test]
    fn censored_sides_have_signs() {
        assert_eq!(difference(1.0, INF), Some(INF));
        assert_eq!(difference(INF, 1.0), Some(-INF));
        assert_eq!(difference(INF, INF), None);
        assert_eq!(difference(1.0, 1.5), Some(0.5));
    }

    #[test]
    fn slots_differ_when_chance_alone_would_not_make_them() {
        let slot = |d: &[f64]| match of(&d.iter().copied().map(Some).collect::<Vec<_>>()) {
            Pairing::Mean { slot, .. } => slot.map(|slot| (slot * 1e4).round() / 1e4),
            other => panic!("{other:?}"),
        };
        // Beyond 1 % in both: half of 6 % with little noise around it, and with as much noise as that.
        assert_eq!(slot(&[0.03, -0.03, 0.031, -0.029, 0.028, -0.031]), Some(0.0298));
        assert_eq!(slot(&[0.09, -0.06, -0.02, 0.01, 0.02, -0.04]), None);
        // Certain, and too small to matter.
        assert_eq!(slot(&[0.005, -0.005, 0.005, -0.005, 0.005, -0.005]), None);
        assert_eq!(slot_effect(&[0.5], &[]), None);
    }

    #[test]
    fn a_few_censored_pairs_are_trimmed_and_more_are_counted() {
        let mut d = vec![Some(0.01); 10];
        d[3] = Some(INF);
        assert!(matches!(of(&d), Pairing::Mean { censored: 1, trimmed: 2, .. }));
        d[4] = Some(INF);
        let signs = |d: &[Option<f64>]| match of(d) {
            Pairing::Signs { p, censored } => ((p * 1e12).round() / 1e12, censored),
            other => panic!("{other:?}"),
        };
        assert_eq!(signs(&d), (0.25, 2));
        d[5] = Some(-INF);
        assert_eq!(signs(&d), (0.5, 3));
    }

    #[test]
    fn pairs_censored_on_both_sides_are_dropped() {
        let mut d = vec![Some(0.01); 8];
        d[0] = None;
        d[1] = None;
        assert!(matches!(of(&d), Pairing::Mean { censored: 2, estimate: Estimate { df: 5.0, .. }, .. }));
        d[2] = None;
        assert_eq!(of(&d), Pairing::TooFew { usable: 5, censored: 3 });
        assert_eq!(of(&[]), Pairing::TooFew { usable: 0, censored: 0 });
    }

    #[test]
    fn the_slot_is_taken_out_only_when_both_orders_show_it() {
        let swing: Vec<_> = (0..8).map(|i| Some(if i % 2 == 0 { 0.05 } else { -0.03 })).collect();
        let Pairing::Mean { estimate, slot, .. } = of(&swing) else { panic!() };
        assert!((slot.unwrap() - 0.04).abs() < 1e-12);
        assert!((estimate.m - 0.01).abs() < 1e-12 && estimate.df < 6.5);
        let Pairing::Mean { estimate, slot, .. } = weigh(&swing, &[Order::Ab; 8]) else { panic!() };
        assert_eq!(slot, None);
        assert!(estimate.df > 6.5);
        let calm: Vec<_> = (0..8).map(|i| Some(if i % 2 == 0 { 0.009 } else { -0.009 })).collect();
        assert!(matches!(of(&calm), Pairing::Mean { slot: None, .. }));
    }
}

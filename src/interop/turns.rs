//! Whether two sides were measured in turn, so that pairs of trials share the machine's mood.

use super::model::Measured;
use crate::gate::{Order, Pair};

/// The pairs of trials that were measured one after the other: `None` unless every trial has a partner of the other
/// side next to it in time and none overlap.
pub(super) fn in_turn(a: &[&Measured], b: &[&Measured]) -> Option<Vec<Pair>> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let timed = |trials: &[&Measured], second: bool| {
        trials.iter().map(|trial| Some((trial.span?, second, trial.values.clone()))).collect::<Option<Vec<_>>>()
    };
    let mut all = timed(a, false)?;
    all.extend(timed(b, true)?);
    all.sort_by(|x, y| x.0[0].total_cmp(&y.0[0]));
    // Some tools write whole seconds only, so that neighbours may seem to overlap by less than one.
    let slack = |span: [f64; 2]| (0.5 * (span[1] - span[0])).min(1.0);
    if all.windows(2).any(|two| two[1].0[0] < two[0].0[1] - slack(two[0].0)) {
        return None;
    }
    let mut pairs = Vec::with_capacity(a.len());
    for two in all.chunks(2) {
        let [(_, first, x), (_, second, y)] = two else { return None };
        pairs.push(match (first, second) {
            (false, true) => Pair { order: Order::Ab, a: x.clone(), b: y.clone() },
            (true, false) => Pair { order: Order::Ba, a: y.clone(), b: x.clone() },
            _ => return None,
        });
    }
    Some(pairs)
}

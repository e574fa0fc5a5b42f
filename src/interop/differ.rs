//! In what two sides differ besides what was measured.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Measured;
use super::side::{conditions, subject};
use crate::stats::quantile::quantile;

/// Counts and lengths further apart than this are another load.
const APART: f64 = 0.05;

/// Conditions that mean the same whichever tool names them.
const COMMON: [&str; 4] = ["concurrency", "model", "rate", "tool"];

/// Conditions in which the sides differ, in words; those in `allowed` are left out.
pub(super) fn differences(a: &[&Measured], b: &[&Measured], allowed: &[String]) -> Vec<String> {
    let (mut found, left, right) = (Vec::new(), conditions(a), conditions(b));
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let same_tool = left.get("tool") == right.get("tool");
    for key in keys.into_iter().filter(|key| !allowed.contains(key)) {
        let (ours, theirs) = (left.get(key), right.get(key));
        // Each tool has words of its own: across tools only what means the same in all of them can be compared.
        let same = ours == theirs && ours.is_some_and(|values| values.len() == 1);
        let foreign = !same_tool && (!COMMON.contains(&key.as_str()) || ours.is_none() || theirs.is_none());
        if same || foreign {
            continue;
        }
        found.push(format!("`{key}`: A {}, B {}", listed(ours), listed(theirs)));
    }
    let same_plan = left.get("plan").is_some_and(|plan| right.get("plan") == Some(plan));
    for (name, value) in [
        ("requests", (|trial| Some(trial.values.n as f64)) as fn(&Measured) -> Option<f64>),
        ("input_tokens", |trial| mean(trial, "input_tokens.mean")),
        ("output_tokens", |trial| mean(trial, "output_tokens.mean")),
    ] {
        if (same_plan && name == "requests") || allowed.iter().any(|allowed| allowed == name) {
            continue;
        }
        let Some((a, b)) = median(a, value).zip(median(b, value)) else { continue };
        if (a - b).abs() > APART * a.abs().max(b.abs()) {
            found.push(format!("`{name}`: A {}, B {}", rounded(a), rounded(b)));
        }
    }
    found
}

/// What a change may have changed, in words.
pub(super) fn changes(a: &[&Measured], b: &[&Measured]) -> Vec<String> {
    let (left, right): (BTreeMap<_, _>, BTreeMap<_, _>) = (subject(a), subject(b));
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let same_tool = conditions(a).get("tool") == conditions(b).get("tool");
    let both = |key: &&String| left.contains_key(*key) && right.contains_key(*key);
    let differing = keys.into_iter().filter(|key| left.get(*key) != right.get(*key) && (same_tool || both(key)));
    differing.map(|key| format!("`{key}`: A {}, B {}", listed(left.get(key)), listed(right.get(key)))).collect()
}

fn listed(values: Option<&BTreeSet<String>>) -> String {
    values.map_or_else(
        || "says nothing".into(),
        |values| values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(" and "),
    )
}

fn mean(trial: &Measured, metric: &str) -> Option<f64> {
    trial.values.values.get(metric).copied().flatten()
}

fn median(trials: &[&Measured], value: fn(&Measured) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = trials.iter().filter_map(|trial| value(trial)).collect();
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// At most one digit behind the point.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

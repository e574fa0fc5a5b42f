//! Runs of several machines side by side: one column a run, and no verdict between them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::gate::Verdict;
use crate::metric::MetricId;
use crate::report::RunReport;

/// What is set side by side; everything else is in the JSON.
const SHOWN: [&str; 14] = [
    "ttft.p50",
    "ttft.p95",
    "tpot.p50",
    "tpot.p95",
    "itl.p99",
    "e2e_latency.p50",
    "e2e_latency.p95",
    "output_throughput",
    "total_throughput",
    "request_throughput",
    "goodput_ratio",
    "prefix_hit_ratio",
    "input_tokens.mean",
    "output_tokens.mean",
];

/// Runs side by side.
#[derive(Clone, Debug, Serialize)]
pub struct MergedRuns {
    /// Version of this format.
    pub version: u32,
    /// The runs, a column each.
    pub runs: Vec<Column>,
    /// Facts on the environment in which they differ: one value a run, absent where a run does not say.
    pub differences: BTreeMap<String, Vec<Option<String>>>,
    /// The cases of all runs.
    pub cases: Vec<MergedCase>,
}

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// The name over its column.
    pub name: String,
    /// The run's own name.
    pub run: String,
    /// The profile.
    pub profile: String,
    /// When it began.
    pub started: String,
    /// Its verdict against its own baselines.
    pub verdict: Verdict,
}

/// A case.
#[derive(Clone, Debug, Serialize)]
pub struct MergedCase {
    /// Its name.
    pub case: String,
    /// Whether all runs that have it sent the same requests; differing plans make figures of different loads.
    pub same_plan: bool,
    /// The verdict of each run against its own baseline; absent where a run does not have the case.
    pub verdicts: Vec<Option<Verdict>>,
    /// Trials, or pairs, of each run.
    pub trials: Vec<Option<u32>>,
    /// Its figures.
    pub values: Vec<MergedValue>,
}

/// A figure: medians over the trials of each run.
#[derive(Clone, Debug, Serialize)]
pub struct MergedValue {
    /// Its metric.
    pub metric: String,
    /// Its unit; empty for shares.
    pub unit: String,
    /// One value a run.
    pub values: Vec<Option<f64>>,
}

/// Sets named runs side by side.
pub fn merge(runs: &[(String, RunReport)]) -> MergedRuns {
    let columns = runs.iter().map(|(name, run)| Column {
        name: name.clone(),
        run: run.run.id.clone(),
        profile: run.run.profile.clone(),
        started: run.run.started.clone(),
        verdict: run.verdict,
    });
    let mut names: Vec<&str> = Vec::new();
    for case in runs.iter().flat_map(|(_, run)| &run.cases) {
        if !names.contains(&case.case.as_str()) {
            names.push(&case.case);
        }
    }
    MergedRuns {
        version: 1,
        runs: columns.collect(),
        differences: differences(runs),
        cases: names.into_iter().map(|name| merged(name, runs)).collect(),
    }
}

fn merged(name: &str, runs: &[(String, RunReport)]) -> MergedCase {
    let found: Vec<_> = runs.iter().map(|(_, run)| run.cases.iter().find(|case| case.case == name)).collect();
    let plans: BTreeSet<_> = found.iter().flatten().map(|case| case.conditions.get("plan")).collect();
    let values = SHOWN.iter().filter_map(|metric| {
        let values: Vec<Option<f64>> =
            found.iter().map(|case| case.and_then(|case| case.statistics.get(*metric).copied())).collect();
        let id: MetricId = metric.parse().ok()?;
        values.iter().any(Option::is_some).then(|| MergedValue {
            metric: (*metric).to_owned(),
            unit: id.metric.unit().to_owned(),
            values,
        })
    });
    let errors = found
        .iter()
        .map(|case| case.filter(|case| case.requests > 0).map(|case| case.errors as f64 / case.requests as f64));
    let errors = MergedValue { metric: "error_rate".into(), unit: String::new(), values: errors.collect() };
    MergedCase {
        case: name.to_owned(),
        same_plan: plans.len() <= 1,
        verdicts: found.iter().map(|case| case.map(|case| case.verdict)).collect(),
        trials: found.iter().map(|case| case.map(|case| case.pairs_used)).collect(),
        values: values.chain([errors]).collect(),
    }
}

/// What the runs say of themselves, where they do not all say the same.
fn differences(runs: &[(String, RunReport)]) -> BTreeMap<String, Vec<Option<String>>> {
    let facts: Vec<BTreeMap<String, String>> = runs.iter().map(|(_, run)| facts(run)).collect();
    let names: BTreeSet<&String> = facts.iter().flat_map(BTreeMap::keys).collect();
    names
        .into_iter()
        .map(|name| (name.clone(), facts.iter().map(|facts| facts.get(name).cloned()).collect::<Vec<_>>()))
        .filter(|(_, values)| values.windows(2).any(|two| two[0] != two[1]))
        .collect()
}

fn facts(run: &RunReport) -> BTreeMap<String, String> {
    let machine = &run.run.machine;
    let mut facts = BTreeMap::from([
        ("profile".to_owned(), run.run.profile.clone()),
        ("target".to_owned(), run.run.target.clone()),
        ("tokpace".to_owned(), format!("{} ({})", run.run.tokpace, machine.build)),
        ("client.os".to_owned(), machine.os_version.clone().unwrap_or_else(|| machine.os.clone())),
        ("client.cores".to_owned(), machine.cores.to_string()),
        ("accelerators".to_owned(), machine.accelerators.join(", ")),
    ]);
    for (name, value) in [
        ("client.cpu", machine.cpu.clone()),
        ("client.memory", machine.memory_mib.map(|mib| format!("{mib} MiB"))),
        ("client.instance", machine.instance.clone()),
        ("commit", machine.commit.clone()),
    ] {
        facts.extend(value.map(|value| (name.to_owned(), value)));
    }
    facts.extend(machine.variables.iter().map(|(name, value)| (format!("variable {name}"), value.clone())));
    // The plan is the case's own; it is named there.
    for case in &run.cases {
        let stated = case.conditions.iter().chain(&case.subject).filter(|(name, _)| *name != "plan");
        for (name, value) in stated {
            let known = facts.entry(name.clone()).or_insert_with(|| value.clone());
            if !known.split("; ").any(|part| part == value) {
                *known = format!("{known}; {value}");
            }
        }
    }
    facts
}

//! Runs side by side, in Markdown and as tab-separated values.

use std::fmt::Write as _;

use crate::interop::{MergedCase, MergedRuns};
use crate::report::escape;
use crate::report::number;

/// A table a case with a column a run, after what the runs differ in.
pub fn merged_markdown(merged: &MergedRuns) -> String {
    let mut text = String::from("# tokpace: runs side by side\n\n");
    text.push_str(
        "Each run was measured by itself, on its own machine. The verdicts are each run's own, against its own baselines; \
         nothing is judged across runs.\n\n",
    );
    text.push_str("| column | run | profile | started | own verdict |\n|---|---|---|---|---|\n");
    for run in &merged.runs {
        let cells = [&run.name, &run.run, &run.profile, &run.started].map(|cell| escape::markdown(cell));
        let _ = writeln!(text, "| {} | {} |", cells.join(" | "), run.verdict);
    }
    text.push_str("\n## Differences of environment\n\n");
    if merged.differences.is_empty() {
        text.push_str("None that the runs tell of.\n");
    } else {
        head(&mut text, "", merged, "---");
        for (name, values) in &merged.differences {
            let cells = values.iter().map(|value| value.as_deref().map_or_else(|| "–".into(), escape::markdown));
            let _ = writeln!(text, "| {} | {} |", escape::markdown(name), cells.collect::<Vec<_>>().join(" | "));
        }
    }
    for case in &merged.cases {
        section(&mut text, merged, case);
    }
    text
}

fn section(text: &mut String, merged: &MergedRuns, case: &MergedCase) {
    let _ = writeln!(text, "\n## {}\n", escape::markdown(&case.case));
    if !case.same_plan {
        text.push_str("**The runs did not send the same requests: these are figures of different loads.**\n\n");
    }
    head(text, "metric", merged, "--:");
    let own = case.verdicts.iter().map(|verdict| verdict.map_or_else(|| "not measured".into(), |v| v.to_string()));
    let _ = writeln!(text, "| own verdict | {} |", own.collect::<Vec<_>>().join(" | "));
    let trials = case.trials.iter().map(|trials| trials.map_or_else(|| "–".into(), |count| count.to_string()));
    let _ = writeln!(text, "| trials | {} |", trials.collect::<Vec<_>>().join(" | "));
    for value in &case.values {
        let cells = value.values.iter().map(|v| v.map_or_else(|| "–".into(), |v| number::value(v, &value.unit)));
        let _ = writeln!(text, "| `{}` | {} |", value.metric, cells.collect::<Vec<_>>().join(" | "));
    }
}

fn head(text: &mut String, first: &str, merged: &MergedRuns, alignment: &str) {
    let names: Vec<String> = merged.runs.iter().map(|run| escape::markdown(&run.name)).collect();
    let _ = writeln!(text, "| {first} | {} |", names.join(" | "));
    let _ = writeln!(text, "|---|{}", format!("{alignment}|").repeat(names.len()));
}

/// A line a case and metric, with a column a run.
pub fn merged_tsv(merged: &MergedRuns) -> String {
    let names = merged.runs.iter().map(|run| run.name.replace(['\t', '\n'], " "));
    let mut text = format!("case\tmetric\tunit\t{}\n", names.collect::<Vec<_>>().join("\t"));
    for case in &merged.cases {
        for value in &case.values {
            let cells = value.values.iter().map(|v| v.map_or_else(String::new, |v| format!("{v:.6}")));
            let cells: Vec<String> = cells.collect();
            let name = case.case.replace(['\t', '\n'], " ");
            let _ = writeln!(text, "{name}\t{}\t{}\t{}", value.metric, value.unit, cells.join("\t"));
        }
    }
    text
}

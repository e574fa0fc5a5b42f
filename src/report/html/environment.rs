//! Under which conditions a case was measured, and the machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::html::blocks::{cell, details, facts, head, table_end, table_start};
use crate::report::html::input::Page;
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::{CaseReport, RunReport};

/// Conditions and subject of a case beside those of its baseline.
pub(super) fn conditions(html: &mut Html, page: &Page, case: &CaseReport) {
    if case.conditions.is_empty() && case.subject.is_empty() {
        return;
    }
    let baseline = page.baseline_of(case);
    let subject = baseline.and_then(|baseline| baseline.jobs.last()).map(|job| &job.subject);
    let differ = baseline.map_or_else(Vec::new, |known| differing(&case.conditions, &known.conditions));
    let tested = subject.map_or_else(Vec::new, |known| differing(&case.subject, known));
    let names = [&*differ, &*tested].concat();
    let summary = match (baseline.is_some(), names.is_empty()) {
        (true, true) => "Conditions: as those of the baseline".to_owned(),
        (true, false) => format!("Conditions: what differs from the baseline ({})", names.join(", ")),
        (false, _) => "Conditions".to_owned(),
    };
    // What is tested may differ; conditions may not.
    details(html, &summary, !differ.is_empty());
    table_start(html, &format!("Conditions of {}", case.case));
    if baseline.is_some() {
        head(html, &[("", false), ("this run", false), ("baseline", false), ("", false)]);
    } else {
        head(html, &[("", false), ("this run", false)]);
    }
    rows(html, &case.conditions, baseline.map(|known| &known.conditions), "differs: not comparable");
    rows(html, &case.subject, subject, "differs: what is tested");
    table_end(html);
    html.close();
}

/// The keys that two maps do not have in common with equal values.
fn differing<'a>(own: &'a BTreeMap<String, String>, other: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let keys: BTreeSet<&String> = own.keys().chain(other.keys()).collect();
    keys.into_iter().filter(|key| own.get(*key) != other.get(*key)).map(String::as_str).collect()
}

fn rows(html: &mut Html, own: &BTreeMap<String, String>, other: Option<&BTreeMap<String, String>>, differs: &str) {
    let keys: BTreeSet<&String> = own.keys().chain(other.into_iter().flat_map(BTreeMap::keys)).collect();
    for key in keys {
        let value = |of: Option<&BTreeMap<String, String>>| {
            of.and_then(|of| of.get(key)).cloned().unwrap_or_else(|| "–".into())
        };
        let (mine, theirs) = (value(Some(own)), value(other));
        let same = other.is_none() || mine == theirs;
        html.open("tr", &[("class", if same { "" } else { "differs" })]);
        html.leaf("th", &[("scope", "row")], key);
        html.leaf("td", &[("class", "any")], &mine);
        if other.is_some() {
            html.leaf("td", &[("class", "any")], &theirs);
            cell(html, false, if same { "" } else { differs });
        }
        html.close();
    }
}

/// The client's machine and how the run was started.
pub(super) fn machine(html: &mut Html, run: &RunReport) {
    let (info, machine) = (&run.run, &run.run.machine);
    html.open("section", &[("id", "environment"), ("aria-labelledby", "environment-title")]);
    html.leaf("h2", &[("id", "environment-title")], "Environment");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    facts(
        html,
        &[
            ("System", machine.os_version.clone().unwrap_or_else(|| machine.os.clone())),
            ("Processor", text(&machine.cpu)),
            ("Cores", machine.cores.to_string()),
            ("Memory", machine.memory_mib.map_or_else(String::new, |mib| format!("{:.1} GiB", mib as f64 / 1024.0))),
            ("Instance", text(&machine.instance)),
            ("Accelerators", machine.accelerators.join(", ")),
            ("Project", text(&machine.commit)),
            ("tokpace", format!("{}, {} build", info.tokpace, machine.build)),
            ("Started", moment(&info.started)),
            ("Written", moment(&info.updated)),
        ],
    );
    html.open("p", &[]);
    html.text("Command: ");
    html.leaf("code", &[("class", "any")], &info.command.join(" "));
    html.close();
    if !machine.variables.is_empty() {
        let count = number::count(machine.variables.len() as u64, "variable");
        details(html, &format!("{count} that may change how servers and clients behave"), false);
        table_start(html, "Environment variables");
        head(html, &[("variable", false), ("value", false)]);
        for (name, value) in &machine.variables {
            html.open("tr", &[]);
            html.leaf("th", &[("scope", "row")], name);
            html.leaf("td", &[("class", "any")], value);
            html.close();
        }
        table_end(html);
        html.close();
    }
    html.close();
}

/// `2026-01-31 10:00:00 UTC` of a full timestamp.
pub(super) fn moment(timestamp: &str) -> String {
    let short = timestamp.split(['.', 'Z']).next().unwrap_or(timestamp);
    format!("{} UTC", short.replacen('T', " ", 1))
}

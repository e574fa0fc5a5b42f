//! The table of what was judged.

use crate::report::check_text::{change, detectable, is_error_rate, other_side, word};
use crate::report::html::blocks::{badge, cell, head, named_table, table_end};
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::{CaseReport, CheckReport};

pub(super) fn checks(html: &mut Html, case: &CaseReport) {
    named_table(html, "checks", &format!("Checks of {}", case.case));
    let columns = [
        ("check", false),
        ("measured", true),
        (other_side(case), true),
        ("change", true),
        ("90 % interval", true),
        ("limit", false),
        ("would find", true),
        ("verdict", false),
    ];
    head(html, &columns);
    for check in &case.checks {
        row(html, case, check);
    }
    table_end(html);
    if case.checks.iter().any(|check| check.judged.suspect) {
        let other = other_side(case);
        html.leaf(
            "p",
            &[("class", "small")],
            &format!("suspect: worse than the {other} for certain; whether by more than tolerated is open."),
        );
    }
    if case.checks.iter().any(|check| check.marginal) {
        let text = "marginal: the limit lies within the interval, so another run may decide otherwise.";
        html.leaf("p", &[("class", "small")], text);
    }
    if case.checks.iter().any(|check| check.judged.advisory) {
        html.leaf("p", &[("class", "small")], "advisory: shown, never fails the build.");
    }
}

fn row(html: &mut Html, case: &CaseReport, check: &CheckReport) {
    let dash = || "–".to_owned();
    let value = |value: Option<f64>| value.map_or_else(dash, |value| number::value(value, &check.unit));
    let (size, interval) = match change(check) {
        Some(change) => (change.size, change.interval.unwrap_or_else(dash)),
        None => (dash(), check.value_ci.map_or_else(dash, |ci| number::value_interval(ci, &check.unit))),
    };
    html.open("tr", &[]);
    html.open("th", &[("scope", "row")]);
    html.leaf("code", &[], &check.judged.metric);
    html.close();
    html.open("td", &[("class", "n")]);
    html.text(&value(check.value));
    if is_error_rate(check) && case.errors > 0 {
        html.void("br", &[]);
        html.leaf("span", &[("class", "small")], &format!("{} of {}", case.errors, case.requests));
    }
    html.close();
    cell(html, true, &value(check.reference));
    let class = if check.judged.verdict.holds() || check.judged.advisory { "n" } else { "n strong" };
    html.leaf("td", &[("class", class)], &size);
    cell(html, true, &interval);
    html.open("td", &[]);
    html.leaf("code", &[], &check.limit);
    if check.line.is_none() {
        html.leaf("span", &[("class", "small")], " default");
    }
    html.close();
    cell(html, true, &detectable(check).unwrap_or_else(dash));
    html.open("td", &[]);
    badge(html, check.judged.verdict, &word(check), check.judged.advisory);
    if check.judged.advisory {
        html.leaf("span", &[("class", "small")], " advisory");
    }
    html.close();
    html.close();
}

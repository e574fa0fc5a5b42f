//! Whether what was measured can be believed: how late the client was, and which trials were no measurement.

use crate::gate::Mode;
use crate::report::html::blocks::{anchor, cell, head, table_end, table_start};
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::verdict_text::grouped;
use crate::report::{CaseReport, RunReport};

pub(super) fn validity(html: &mut Html, run: &RunReport) {
    html.open("section", &[("id", "validity"), ("aria-labelledby", "validity-title")]);
    html.leaf("h2", &[("id", "validity-title")], "Validity");
    match &run.run.calibration {
        Some(error) => {
            html.open("p", &[]);
            html.text(&format!(
                "Just before the run the client was held against a server of known times ({}, {} at a time). It was off by ",
                number::count(u64::from(error.requests), "answer"),
                error.streams
            ));
            html.leaf("strong", &[], &format!("{:.3} ms of TTFT", error.ttft_error_p50_ms));
            html.text(&format!(" at the median ({:.3} ms at p99) and by ", error.ttft_error_p99_ms));
            html.leaf("strong", &[], &format!("{:.4} ms of TPOT", error.tpot_error_p50_ms));
            html.text(&format!(" ({:.4} ms at p99).", error.tpot_error_p99_ms));
            html.close();
        }
        None => html.leaf("p", &[], "The client was not held against a server of known times before this run."),
    }
    lags(html, &run.cases);
    if run.cases.iter().all(|case| case.invalid.is_empty()) {
        html.leaf("p", &[], "Every trial was a measurement.");
    }
    html.close();
}

fn lags(html: &mut Html, cases: &[CaseReport]) {
    table_start(html, "How late the client was");
    let columns = [
        ("case", false),
        ("send lag p50 / p99", true),
        ("wake-up lag p50 / p99", true),
        ("worker CPU", true),
        ("server late p50 / p99", true),
        ("no measurement", true),
    ];
    head(html, &columns);
    for (at, case) in cases.iter().enumerate() {
        let client = &case.client;
        let both = |p50: f64, p99: f64| format!("{p50:.3} / {p99:.3} ms");
        let late = client.server_late_p50_ms.zip(client.server_late_p99_ms);
        html.open("tr", &[]);
        html.open("th", &[("scope", "row")]);
        html.leaf("a", &[("href", &format!("#{}", anchor(at)))], &case.case);
        html.close();
        cell(html, true, &both(client.send_lag_p50_ms, client.send_lag_p99_ms));
        cell(html, true, &both(client.wake_lag_p50_ms, client.wake_lag_p99_ms));
        cell(html, true, &client.cpu_share.map_or_else(|| "–".into(), number::percent));
        cell(html, true, &late.map_or_else(|| "–".into(), |(p50, p99)| both(p50, p99)));
        cell(html, true, &case.invalid.len().to_string());
        html.close();
    }
    table_end(html);
}

/// The trials of a case that were no measurement, with their reasons.
pub(super) fn invalid(html: &mut Html, case: &CaseReport) {
    let groups = grouped(&case.invalid);
    if groups.is_empty() {
        return;
    }
    let unit = if case.mode == Mode::Paired { "pair" } else { "trial" };
    html.leaf("h3", &[], &format!("No measurement: {}", number::count(case.invalid.len() as u64, unit)));
    html.open("ul", &[]);
    for group in groups {
        let numbers: Vec<String> = group.trials.iter().map(u32::to_string).collect();
        html.open("li", &[]);
        let plural = if numbers.len() == 1 { "" } else { "s" };
        html.text(&format!("{unit}{plural} {}: ", numbers.join(", ")));
        html.words(group.reason);
        if group.differ {
            html.text(&format!(" ({unit} {})", group.trials[0]));
        }
        html.close();
    }
    html.close();
}

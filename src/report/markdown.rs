//! The report in Markdown, for a pull request or a job summary.

use std::fmt::Write as _;

use crate::gate::Verdict;
use crate::report::check_text::{change, detectable, loud, measured, of_case, word};
use crate::report::{CaseReport, RunReport};
use crate::report::{number, server};

/// `report.md` of a run: verdict first, then a table a case, then what is known of the machine and the client.
pub fn markdown(run: &RunReport) -> String {
    let mut text = format!("# tokpace: {}\n\n", loud(run.verdict));
    let _ = writeln!(
        text,
        "Profile `{}`{} ({}), {}, {:.0} s measured, run `{}`, started {}.",
        run.run.profile,
        run.run.against.as_ref().map(|name| format!(" against `{name}`")).unwrap_or_default(),
        run.run.target,
        number::count(run.cases.len() as u64, "case"),
        run.run.measured_seconds,
        run.run.id,
        run.run.started
    );
    if run.run.quick {
        text.push_str("\n**Quick run: too few trials to decide anything.**\n");
    }
    if run.run.interrupted {
        text.push_str("\n**The run was interrupted; what follows is what was measured until then.**\n");
    }
    text.push_str("\n| case | verdict | measured | requests | failed |\n|---|---|--:|--:|--:|\n");
    for case in &run.cases {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            escaped(&case.case),
            of_case_bold(case),
            measured(case),
            case.requests,
            case.errors
        );
    }
    for case in &run.cases {
        section(&mut text, case);
    }
    server::section(&mut text, run);
    machine(&mut text, run);
    text
}

/// What does not hold stands out.
fn bold(verdict: Verdict, word: &str) -> String {
    if verdict.holds() { word.to_owned() } else { format!("**{word}**") }
}

fn of_case_bold(case: &CaseReport) -> String {
    if case.is_waived() { of_case(case) } else { bold(case.verdict, &of_case(case)) }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

fn section(text: &mut String, case: &CaseReport) {
    let _ = writeln!(text, "\n## {} — {}\n", escaped(&case.case), of_case_bold(case));
    if !case.description.is_empty() {
        let _ = writeln!(text, "{}\n", escaped(&case.description));
    }
    if case.verdict != Verdict::Invalid {
        checks(text, case);
    }
    if !case.verdict.holds() || !case.notes.is_empty() {
        // A server's words must not end the block.
        let _ = writeln!(text, "\n```text\n{}\n```", case.text.replace("```", "~~~"));
    }
    let statistics =
        ["ttft.p50", "ttft.p90", "ttft.p95", "tpot.p50", "itl.p99", "e2e_latency.p50", "output_throughput"];
    let known: Vec<String> = statistics
        .iter()
        .filter_map(|name| {
            let id: crate::metric::MetricId = name.parse().ok()?;
            Some(format!("{name} {}", number::value(*case.statistics.get(*name)?, id.metric.unit())))
        })
        .collect();
    if !known.is_empty() {
        let _ = writeln!(text, "\nMedians over the trials: {}.", known.join(", "));
    }
}

fn checks(text: &mut String, case: &CaseReport) {
    text.push_str("| check | measured | compared with | change [90 %] | limit | would find | verdict |\n");
    text.push_str("|---|--:|--:|--:|---|--:|---|\n");
    for check in &case.checks {
        let value = |v: Option<f64>| v.map_or_else(|| "–".into(), |v| number::value(v, &check.unit));
        let change = change(check).map_or_else(
            || "–".into(),
            |change| format!("{} {}", change.size, change.interval.unwrap_or_default()).trim_end().to_owned(),
        );
        let advisory = if check.judged.advisory { " (advisory)" } else { "" };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | `{}` | {} | {}{advisory} |",
            check.judged.metric,
            value(check.value),
            value(check.reference),
            change,
            check.limit,
            detectable(check).unwrap_or_else(|| "–".into()),
            if check.is_waived() { escaped(&word(check)) } else { bold(check.judged.verdict, &escaped(&word(check))) }
        );
    }
}

fn machine(text: &mut String, run: &RunReport) {
    let machine = &run.run.machine;
    let _ = writeln!(text, "\n## Machine and client\n");
    let _ = writeln!(
        text,
        "{}, {}, {} cores, {} build of tokpace {}{}.\n",
        machine.os_version.as_deref().unwrap_or(&machine.os),
        machine.cpu.as_deref().unwrap_or("unknown processor"),
        machine.cores,
        machine.build,
        run.run.tokpace,
        machine.commit.as_ref().map(|commit| format!(", commit `{commit}`")).unwrap_or_default()
    );
    if let Some(error) = &run.run.calibration {
        let _ = writeln!(
            text,
            "Client error before the run, against a server of known times ({} answers, {} at a time): TTFT {:.3} ms at the \
             median and {:.3} ms at p99, TPOT {:.4} and {:.4} ms.\n",
            error.requests,
            error.streams,
            error.ttft_error_p50_ms,
            error.ttft_error_p99_ms,
            error.tpot_error_p50_ms,
            error.tpot_error_p99_ms
        );
    }
    text.push_str("| case | send lag p50 / p99 | wake-up lag p50 / p99 | worker CPU | server late p50 / p99 |\n");
    text.push_str("|---|--:|--:|--:|--:|\n");
    for case in &run.cases {
        let client = &case.client;
        let cpu = client.cpu_share.map_or_else(|| "–".into(), number::percent);
        let late = client
            .server_late_p50_ms
            .zip(client.server_late_p99_ms)
            .map_or_else(|| "–".into(), |(p50, p99)| format!("{p50:.3} / {p99:.3} ms"));
        let _ = writeln!(
            text,
            "| `{}` | {:.3} / {:.3} ms | {:.3} / {:.3} ms | {cpu} | {late} |",
            escaped(&case.case),
            client.send_lag_p50_ms,
            client.send_lag_p99_ms,
            client.wake_lag_p50_ms,
            client.wake_lag_p99_ms
        );
    }
}

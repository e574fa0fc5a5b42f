//! What the gate is expected to say, before anything is measured.

use serde::Serialize;

use crate::gate::Verdict;
use crate::metric::Better;
use crate::predict::{CheckForecast, Forecast};
use crate::report::check_text::loud;
use crate::report::lines::{WIDTH, clipped, wrapped};
use crate::report::number::{self, json_line, six_digits};

/// The table of predictions. `subject` says what is compared with the unchanged server: `slowdown.decode 10%`.
pub fn forecast_table(profile: &str, subject: &str, cases: &[Forecast]) -> String {
    let rule = "─".repeat(WIDTH);
    let as_it_is = subject.is_empty();
    let subject = if as_it_is { "the profile as it is" } else { subject };
    let mut lines = vec![
        wrapped("", "  ", &format!("tokpace · profile {} · predicted for {subject}", clipped(profile, 40))),
        rule.clone(),
        row("  check", ["change", "error", "one run", "limit", "verdict expected"]),
    ];
    for case in cases {
        lines.push(clipped(&case.case, WIDTH));
        match &case.invalid {
            Some(reason) => lines.push(wrapped("  no measurement: ", "    ", reason)),
            None => lines.extend(case.checks.iter().map(check)),
        }
    }
    lines.push(rule);
    lines.push("one run: what a single run adds or takes away at random, in 19 of 20 runs".into());
    if as_it_is {
        lines.push("hint: choose what to predict, such as `--set slowdown.decode=10%`".into());
    }
    lines.join("\n") + "\n"
}

fn row(name: &str, [change, error, run, limit, verdict]: [&str; 5]) -> String {
    let row = format!("{:<26}{change:>10}{error:>9}{run:>9}{limit:>9}   {verdict}", clipped(name, 26));
    row.trim_end().to_owned()
}

fn check(check: &CheckForecast) -> String {
    let higher = check.metric.metric.better() == Better::Higher;
    let limit = match (check.tolerance < 0.0 && !check.is_difference(), higher) {
        // A goal: the candidate must be better by so much.
        (true, true) => format!("{:+}%", (1e4 / (1.0 + check.tolerance) - 1e4).round() / 1e2),
        (true, false) => format!("{}%", (check.tolerance * 1e4).round() / 1e2),
        (false, _) => {
            let sign = if higher { '-' } else { '+' };
            let unit = if check.is_difference() { "pp" } else { "%" };
            format!("{sign}{}{unit}", (check.tolerance * 1e4).round() / 1e2)
        }
    };
    let change = check.change.map_or_else(
        || "–".into(),
        |change| match (check.is_difference(), higher) {
            (true, _) => number::points(if higher { -change } else { change }),
            (false, true) => number::change(1.0 / change),
            (false, false) => number::change(change),
        },
    );
    let points = |size: f64| if check.change.is_some() { format!("±{:.1}", size * 100.0) } else { String::new() };
    let share = if check.agree < check.jobs {
        format!(" {:.0} %", 100.0 * f64::from(check.agree) / f64::from(check.jobs))
    } else {
        String::new()
    };
    let verdict = if check.advisory { format!("({})", check.verdict) } else { loud(check.verdict) };
    row(
        &format!("  {}", check.metric),
        [&change, &points(check.error), &points(2.0 * check.spread), &limit, &(verdict + &share)],
    )
}

/// A comparison as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    case: &'a str,
    metric: String,
    ratio: f64,
    tolerance: f64,
    beyond: bool,
    verdict: Verdict,
    advisory: bool,
    error: f64,
    spread: f64,
}

/// One JSON object for each comparison of ratios, in the direction of cost as in `run.json`.
pub fn forecast_json(cases: &[Forecast]) -> String {
    let mut text = String::new();
    for case in cases {
        for check in case.checks.iter().filter(|check| !check.is_difference()) {
            let Some(ratio) = check.change else { continue };
            text.push_str(&json_line(&Line {
                case: &case.case,
                metric: check.metric.to_string(),
                ratio: six_digits(ratio),
                tolerance: check.tolerance,
                beyond: check.beyond,
                verdict: check.verdict,
                advisory: check.advisory,
                error: six_digits(check.error),
                spread: six_digits(check.spread),
            }));
        }
    }
    text
}

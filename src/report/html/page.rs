//! The page as a whole: the verdict first, then each case, then what the run stands on.

use crate::gate::{Mode, Verdict};
use crate::report::check_text::{change, loud, measured};
use crate::report::html::blocks::{anchor, cell, details, facts, head, table_end, table_start, verdict};
use crate::report::html::case::case;
use crate::report::html::environment::{machine, moment};
use crate::report::html::input::Page;
use crate::report::html::sweep::sweeps;
use crate::report::html::validity::validity;
use crate::report::html::writer::Html;
use crate::report::number;
use crate::report::verdict_text::grouped;
use crate::report::{CaseReport, CheckReport, RunReport};

/// Nothing is loaded and nothing is executed, whatever a text may try.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// `report.html` of a run. It needs no other file and no script.
pub fn html(page: &Page) -> String {
    let run = &page.run;
    let mut html = Html::new();
    let html = &mut html;
    html.open("html", &[("lang", "en")]);
    html.open("head", &[]);
    html.void("meta", &[("charset", "utf-8")]);
    html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    html.leaf("title", &[], &format!("{} · {} · tokpace", loud(run.verdict), run.run.profile));
    html.style(include_str!("style.css"));
    html.close();
    html.open("body", &[]);
    html.leaf("a", &[("class", "skip"), ("href", "#cases")], "Skip to the cases");
    header(html, run);
    html.open("main", &[]);
    overview(html, run);
    sweeps(html, page);
    for (number, one) in run.cases.iter().enumerate() {
        case(html, page, number, one);
    }
    validity(html, run);
    machine(html, run);
    reading(html);
    html.close();
    html.close();
    std::mem::replace(html, Html::new()).finish()
}

fn header(html: &mut Html, run: &RunReport) {
    html.open("header", &[("class", if run.cases.iter().any(|case| case.failed.is_some()) { "failed" } else { "" })]);
    html.leaf("p", &[("class", "small")], "tokpace report");
    html.open("h1", &[]);
    verdict(html, run.verdict);
    html.text(" ");
    html.leaf(
        "span",
        &[("class", "any")],
        &match &run.run.against {
            Some(against) => format!("{} against {against}", run.run.profile),
            None => run.run.profile.clone(),
        },
    );
    html.close();
    html.leaf("p", &[("class", "lead")], &counts(run));
    if run.run.quick {
        html.leaf("p", &[("class", "banner")], "Quick run: too few trials to decide anything.");
    }
    if run.run.interrupted {
        html.leaf("p", &[("class", "banner")], "The run was interrupted; this is what was measured until then.");
    }
    failing(html, run);
    let units = |mode: Mode, noun: &str| {
        let of_mode: Vec<&CaseReport> = run.cases.iter().filter(|case| case.mode == mode).collect();
        let used: u32 = of_mode.iter().map(|case| case.pairs_used).sum();
        (!of_mode.is_empty()).then(|| number::count(u64::from(used), noun))
    };
    let measured = [units(Mode::Stored, "trial"), units(Mode::Paired, "pair")];
    let measured: Vec<String> = measured.into_iter().flatten().collect();
    let requests: u64 = run.cases.iter().map(|case| case.requests).sum();
    facts(
        html,
        &[
            ("Target", run.run.target.clone()),
            ("Measured", format!("{}, {:.0} s", measured.join(", "), run.run.measured_seconds)),
            ("Requests judged", requests.to_string()),
            ("Started", moment(&run.run.started)),
            ("Run", run.run.id.clone()),
        ],
    );
    html.close();
}

/// `7 cases: 5 pass, 1 improved, 1 REGRESSED. The build fails.`
fn counts(run: &RunReport) -> String {
    let order = [
        Verdict::Pass,
        Verdict::Improved,
        Verdict::Regressed,
        Verdict::Exceeded,
        Verdict::Invalid,
        Verdict::Missing,
        Verdict::Inconclusive,
        Verdict::Unresolved,
    ];
    let parts: Vec<String> = order
        .into_iter()
        .map(|verdict| (verdict, run.cases.iter().filter(|case| case.verdict == verdict).count()))
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {}", loud(verdict)))
        .collect();
    if parts.is_empty() {
        return "Nothing was measured.".into();
    }
    let failed = run.cases.iter().filter(|case| case.failed.is_some()).count();
    let end = if failed > 0 { "The build fails." } else { "The build does not fail." };
    format!("{}: {}. {end}", number::count(run.cases.len() as u64, "case"), parts.join(", "))
}

/// Every case that fails the build, with its reason.
fn failing(html: &mut Html, run: &RunReport) {
    if run.cases.iter().all(|case| case.failed.is_none()) {
        return;
    }
    html.open("ul", &[("class", "failing")]);
    for (number, case) in run.cases.iter().enumerate().filter(|(_, case)| case.failed.is_some()) {
        html.open("li", &[]);
        html.leaf("a", &[("href", &format!("#{}", anchor(number)))], &case.case);
        html.text(" ");
        html.words(&reason(case));
        html.close();
    }
    html.close();
}

/// What is wrong with a case, in a few words.
fn reason(case: &CaseReport) -> String {
    let worst: Vec<String> = case
        .checks
        .iter()
        .filter(|check| check.judged.verdict == case.verdict && !check.judged.advisory)
        .map(|check| match (change(check), check.value) {
            (Some(change), _) => format!("`{}` {}, limit `{}`", check.judged.metric, change.size, check.limit),
            (None, Some(value)) => {
                format!("`{}` {}, limit `{}`", check.judged.metric, number::value(value, &check.unit), check.limit)
            }
            (None, None) => format!("`{}`", check.judged.metric),
        })
        .collect();
    if case.verdict == Verdict::Invalid || worst.is_empty() {
        let groups = grouped(&case.invalid);
        let first = groups.first().map(|group| group.reason).or(case.notes.first().map(String::as_str));
        return first.or(case.failed.as_deref()).unwrap_or_default().lines().next().unwrap_or_default().to_owned();
    }
    worst.join("; ")
}

fn overview(html: &mut Html, run: &RunReport) {
    html.open("section", &[("id", "cases"), ("aria-labelledby", "cases-title"), ("tabindex", "-1")]);
    html.leaf("h2", &[("id", "cases-title")], "Cases");
    table_start(html, "Cases with their verdicts");
    let columns = [
        ("case", false),
        ("verdict", false),
        ("worst change", true),
        ("measured", true),
        ("requests", true),
        ("failed", true),
    ];
    head(html, &columns);
    for (number, case) in run.cases.iter().enumerate() {
        html.open("tr", &[]);
        html.open("th", &[("scope", "row")]);
        html.leaf("a", &[("href", &format!("#{}", anchor(number)))], &case.case);
        html.close();
        html.open("td", &[]);
        verdict(html, case.verdict);
        html.close();
        cell(html, true, &worst(case));
        cell(html, true, &measured(case));
        cell(html, true, &case.requests.to_string());
        cell(html, true, &case.errors.to_string());
        html.close();
    }
    table_end(html);
    html.close();
}

/// The gating check that got worse by most, of those that decide a verdict that does not hold; nothing where nothing was
/// compared.
fn worst(case: &CaseReport) -> String {
    let decides = |check: &&CheckReport| case.verdict.holds() || check.judged.verdict == case.verdict;
    let cost = |check: &CheckReport| check.judged.ratio.or(check.judged.difference.map(f64::exp));
    let worst = case
        .checks
        .iter()
        .filter(|check| !check.judged.advisory && (check.judged.ratio.is_some() || !case.verdict.holds()))
        .filter(decides)
        .filter_map(|check| Some((cost(check)?, check)))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let words = |check: &CheckReport| Some(format!("{} {}", check.judged.metric, change(check)?.size));
    worst.and_then(|(_, check)| words(check)).unwrap_or_else(|| "–".into())
}

/// The few words that a reader needs who sees such a page for the first time.
fn reading(html: &mut Html) {
    const WORDS: [(&str, &str); 9] = [
        ("trial", "One measured run of a case. Percentiles are taken within a trial and never over several."),
        ("change", "The estimate over all trials or pairs, in the metric's own direction."),
        ("90 % interval", "Where the true change lies with a confidence of 90 %."),
        ("would find", "The change that would have been found 9 times out of 10."),
        ("pass", "Not worse than tolerated, with confidence; improved: better by more than the tolerance, too."),
        ("regressed", "Worse than tolerated, with confidence; exceeded: a fixed limit is missed."),
        ("inconclusive", "Too noisy to tell; unresolved: a quantile that so few requests cannot show."),
        ("missing", "There is no baseline to compare with."),
        ("invalid", "What was measured was no measurement."),
    ];
    html.open("section", &[("id", "reading"), ("aria-labelledby", "reading-title")]);
    html.leaf("h2", &[("id", "reading-title")], "How to read this");
    details(html, "Words of this page", false);
    html.open("dl", &[("class", "words")]);
    for (word, meaning) in WORDS {
        html.open("div", &[]);
        html.leaf("dt", &[], word);
        html.leaf("dd", &[], meaning);
        html.close();
    }
    html.close();
    html.close();
    html.close();
}

//! Pieces that occur all over a page.

use crate::gate::Verdict;
use crate::report::check_text::loud;
use crate::report::html::writer::Html;

/// A verdict with a sign of its own, so that it is not told by its colour alone.
pub(super) fn badge(html: &mut Html, verdict: Verdict, word: &str, advisory: bool) {
    let (class, sign) = match verdict {
        Verdict::Pass => ("badge good", "✓"),
        Verdict::Improved => ("badge good", "▲"),
        Verdict::Regressed => ("badge bad", "▼"),
        Verdict::Exceeded => ("badge bad", "✕"),
        Verdict::Invalid => ("badge bad", "!"),
        Verdict::Missing => ("badge warn", "–"),
        Verdict::Inconclusive | Verdict::Unresolved => ("badge warn", "?"),
    };
    let class = if advisory { "badge quiet" } else { class };
    html.open("span", &[("class", class)]);
    html.leaf("span", &[("aria-hidden", "true")], sign);
    html.text(" ");
    html.text(word);
    html.close();
}

/// The badge of a case or a run.
pub(super) fn verdict(html: &mut Html, verdict: Verdict) {
    badge(html, verdict, &loud(verdict), false);
}

/// Names with what they are, side by side where there is room.
pub(super) fn facts(html: &mut Html, facts: &[(&str, String)]) {
    html.open("dl", &[("class", "facts")]);
    for (name, value) in facts.iter().filter(|fact| !fact.1.is_empty()) {
        html.open("div", &[]);
        html.leaf("dt", &[], name);
        html.leaf("dd", &[], value);
        html.close();
    }
    html.close();
}

/// Begins a table that can be scrolled by keyboard where it is too wide.
pub(super) fn table_start(html: &mut Html, caption: &str) {
    named_table(html, "", caption);
}

/// The same with a class of the style sheet.
pub(super) fn named_table(html: &mut Html, class: &str, caption: &str) {
    html.open("div", &[("class", "scroll"), ("role", "region"), ("aria-label", caption), ("tabindex", "0")]);
    html.open("table", &[("class", class)]);
    html.leaf("caption", &[("class", "unseen")], caption);
}

pub(super) fn table_end(html: &mut Html) {
    html.close();
    html.close();
    html.close();
}

/// The head of a table, and the beginning of its body: names, and whether numbers stand below.
pub(super) fn head(html: &mut Html, columns: &[(&str, bool)]) {
    html.open("thead", &[]);
    html.open("tr", &[]);
    for (name, numbers) in columns {
        html.leaf("th", &[("scope", "col"), ("class", if *numbers { "n" } else { "" })], name);
    }
    html.close();
    html.close();
    html.open("tbody", &[]);
}

pub(super) fn cell(html: &mut Html, number: bool, text: &str) {
    html.leaf("td", &[("class", if number { "n" } else { "" })], text);
}

/// Begins something that is read on request.
pub(super) fn details(html: &mut Html, summary: &str, open: bool) {
    html.open("details", if open { &[("open", "open")] } else { &[] });
    html.leaf("summary", &[], summary);
}

/// The place of a case on the page.
pub(super) fn anchor(number: usize) -> String {
    format!("case-{}", number + 1)
}

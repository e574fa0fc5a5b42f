//! Whole files: what they mean, and what people read when they are wrong.

mod diagnostics;
mod meaning;
mod soak;
mod trace;
mod unsupported;

use super::{Case, check, load};

/// The smallest scenario.
const GOOD: &str = "[workload]\ninput_tokens = 128\noutput_tokens = 64\n[load]\nconcurrency = 8\nrequests = 100\n";

/// The messages alone.
fn said(text: &str) -> Vec<String> {
    check("chatbot", "scenarios/chatbot.toml", text).1.list().iter().map(|problem| problem.message.clone()).collect()
}

/// The one case of a good file.
fn one(text: &str) -> Case {
    let cases = load("chatbot", "scenarios/chatbot.toml", text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(cases.len(), 1);
    cases.into_iter().next().unwrap()
}

/// What people read when a file is wrong.
fn wrong(text: &str) -> String {
    load("chatbot", "scenarios/chatbot.toml", text).unwrap_err().to_string()
}

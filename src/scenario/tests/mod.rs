//! Whole files: what they mean, and what people read when they are wrong.

mod diagnostics;
mod meaning;

use super::check;

/// The smallest scenario.
const GOOD: &str = "[workload]\ninput_tokens = 128\noutput_tokens = 64\n[load]\nconcurrency = 8\nrequests = 100\n";

/// The messages alone.
fn said(text: &str) -> Vec<String> {
    check("chatbot", "scenarios/chatbot.toml", text).1.list().iter().map(|problem| problem.message.clone()).collect()
}

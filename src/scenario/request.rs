//! How a request is made: what is spoken, how long it may take, what is given up.

use super::checks::in_one_piece;
use super::file::{CancelFile, RequestFile};
use super::{Cancellation, Length, Load, LoadKind, RequestOptions, Workload, defaults};
use crate::toml_file::{Checker, Problem};
use crate::units::Time;
use crate::wire::Protocol;

pub(super) fn resolve(
    file: &RequestFile,
    workload: &Workload,
    load: &Load,
    checker: &mut Checker<'_, '_>,
) -> RequestOptions {
    checker.some_time(&["request", "timeout"], file.timeout);
    checker.some_time(&["request", "no_progress"], file.no_progress);
    let timeout = file.timeout.unwrap_or(defaults::TIMEOUT);
    if let Some(no_progress) = file.no_progress.filter(|time| *time > timeout) {
        let path = ["request", "no_progress"];
        let message = format!("`request.no_progress` never applies: a request ends after {timeout}");
        let problem = Problem::warning(message).at(checker.doc.value_span(&path));
        checker.problems.push(problem.hint(format!("raise `request.timeout` above {no_progress}, or lower this")));
    }
    let protocol = file.protocol.unwrap_or_default();
    let stream = file.stream.unwrap_or(true) && protocol.has_tokens();
    if file.stream == Some(true) && !protocol.has_tokens() {
        let problem = checker.at(&["request", "stream"], format!("`{protocol}` answers in one piece"));
        let problem = problem.context(checker.doc.value_span(&["request", "protocol"]), "chosen here");
        checker.problems.push(problem.hint("remove `stream = true`"));
    }
    if protocol.is_grpc() {
        over_grpc(file, protocol, checker);
    }
    if file.prompt_list == Some(true) {
        prompt_list(protocol, file.cancel.is_some(), workload, load, checker);
    }
    let extra = checker.request_body(&["request", "extra"], &file.extra);
    if let Some(misfit) = protocol.misfit(&extra) {
        let problem = checker.at(&["request", "extra"], format!("`{protocol}` cannot send this: {misfit}"));
        checker.problems.push(problem.context(checker.doc.value_span(&["request", "protocol"]), "chosen here"));
    }
    RequestOptions {
        protocol,
        stream,
        http2: file.http2.unwrap_or(protocol.is_grpc()),
        timeout,
        no_progress: file.no_progress.unwrap_or(defaults::NO_PROGRESS.min(timeout)),
        prompt_list: file.prompt_list.unwrap_or(false),
        extra,
        cancel: file.cancel.as_ref().map(|cancel| cancellation(cancel, protocol, stream, timeout, checker)),
    }
}

/// What gRPC leaves no choice of.
fn over_grpc(file: &RequestFile, protocol: Protocol, checker: &mut Checker<'_, '_>) {
    let mut refuse = |path: [&str; 2], message: String, hint: &str| {
        let problem = checker.at(&path, message);
        let problem = problem.context(checker.doc.value_span(&["request", "protocol"]), "chosen here");
        checker.problems.push(problem.hint(hint));
    };
    if file.stream == Some(false) {
        refuse(["request", "stream"], format!("`{protocol}` always answers in a stream"), "remove `stream = false`");
    }
    if file.http2 == Some(false) {
        refuse(["request", "http2"], format!("`{protocol}` is spoken over HTTP/2 only"), "remove `http2 = false`");
    }
}

/// What a list of prompts in one request needs.
fn prompt_list(protocol: Protocol, cancels: bool, workload: &Workload, load: &Load, checker: &mut Checker<'_, '_>) {
    let key = checker.doc.key_span(&["request", "prompt_list"]);
    let mut refuse = |message: &str, other: &[&str], hint: &str| {
        let problem =
            Problem::error(message).at(key.clone()).context(checker.doc.value_span(other), "but this is here");
        checker.problems.push(problem.hint(hint));
    };
    if !protocol.has_lists() {
        let message = "`request.prompt_list` needs a protocol that takes several prompts in one request";
        refuse(message, &["request", "protocol"], "write `protocol = \"openai-completions\"`");
    }
    if !matches!(load.kind, LoadKind::Batch { .. }) {
        refuse("`request.prompt_list` needs `load.batch`", &["load"], "write for example `batch = 8` in `[load]`");
    }
    if !matches!(workload.output_tokens, Length::Fixed(_)) && !protocol.lists_have_lengths() {
        let message = "`request.prompt_list` needs answers of one length: a list has one `max_tokens`";
        refuse(message, &["workload", "output_tokens"], "write for example `output_tokens = 64`");
    }
    if cancels {
        let message = "`request.cancel` cannot give up one prompt of a list";
        refuse(message, &["request", "cancel"], "remove `cancel` or `prompt_list`");
    }
}

fn cancellation(
    file: &CancelFile,
    protocol: Protocol,
    stream: bool,
    timeout: Time,
    checker: &mut Checker<'_, '_>,
) -> Cancellation {
    let table = ["request", "cancel"];
    let [rate, after, after_tokens] = ["rate", "after", "after_tokens"].map(|key| ["request", "cancel", key]);
    if file.rate.is_none() {
        let hint = "write for example `rate = \"10%\"`";
        checker.absent(&table, "`request.cancel` does not say how many requests are cancelled", hint);
    }
    // Without any request left there is nothing to measure.
    if file.rate.is_some_and(|rate| !(rate.0 > 0.0 && rate.0 < 1.0)) {
        let problem = checker.at(&rate, "`request.cancel.rate` must be above 0% and below 100%");
        checker.problems.push(problem);
    }
    if file.after.is_none() && file.after_tokens.is_none() {
        let hint = "write `after = \"200ms\"`, `after_tokens = 5`, or both";
        checker.absent(&table, "`request.cancel` does not say when requests are cancelled", hint);
    }
    checker.some_time(&after, file.after);
    checker.positive(&after_tokens, file.after_tokens);
    if let Some(key) = checker.doc.key_span(&after_tokens).filter(|_| !stream) {
        let problem = Problem::error("`request.cancel.after_tokens` needs a streamed answer").at(key);
        let problem = in_one_piece(problem, protocol, checker.doc);
        let hint = if protocol.has_tokens() { "use `after`, or remove `stream = false`" } else { "use `after`" };
        checker.problems.push(problem.hint(hint));
    }
    if file.after.is_some_and(|time| time >= timeout) {
        let message = format!("`request.cancel.after` never applies: a request ends after {timeout}");
        let problem = Problem::warning(message).at(checker.doc.value_span(&after));
        checker.problems.push(problem.hint("raise `request.timeout`, or lower this"));
    }
    Cancellation { rate: file.rate.unwrap_or_default().0, after: file.after, after_tokens: file.after_tokens }
}

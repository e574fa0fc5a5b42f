//! What must hold: the limits of `[gate]`, or the default checks.

use super::file::{GateFile, LimitFile, LimitsFile};
use super::{Against, Check, Gate, Limit, Load, RequestOptions, Slo, defaults};
use crate::metric::{Metric, MetricId};
use crate::toml_file::{Checker, Document, Problem, Problems, did_you_mean, join_path};
use crate::wire::Protocol;

/// Keys of `[gate]` that are no metrics.
const POLICIES: [&str; 3] = ["on_inconclusive", "on_missing_baseline", "blind_above"];

/// What of a case decides about its checks.
pub(super) struct Facts {
    /// What is spoken.
    protocol: Protocol,
    /// Whether answers are streamed.
    stream: bool,
    /// Whether there is a limit for single requests.
    slo: bool,
    /// What comparisons are made with.
    against: Against,
    /// Requests of a trial that no duration cuts short, cancelled ones left out.
    requests: Option<u32>,
    /// Whether it is about memory in the first place, so that there are no checks by default but that of errors.
    soak: bool,
}

impl Facts {
    pub(super) fn of(load: &Load, request: &RequestOptions, slo: &Slo, against: Against, soak: bool) -> Self {
        // None at all is an error of its own, which needs no warning beside it.
        let requests = load.requests.filter(|requests| *requests > 0 && load.duration.is_none());
        let cancelled = |requests| request.cancel.map_or(0, |cancel| cancel.of(requests as usize) as u32);
        let requests = requests.map(|requests| requests - cancelled(requests));
        Self {
            protocol: request.protocol,
            stream: request.stream,
            slo: !slo.limits.is_empty(),
            against,
            requests,
            soak,
        }
    }
}

/// Whether a metric is about the moments of a stream.
fn needs_stream(metric: Metric) -> bool {
    matches!(
        metric,
        Metric::Ttft
            | Metric::Ttfo
            | Metric::Ttst
            | Metric::Tpot
            | Metric::Itl
            | Metric::ChunkGap
            | Metric::MaxStall
            | Metric::ServiceTtft
            | Metric::UserThroughput
    )
}

/// The problem that `name` is about what answers do not have, if it is.
pub(super) fn lacking(
    metric: Metric,
    name: &str,
    protocol: Protocol,
    stream: bool,
    doc: &Document<'_>,
) -> Option<Problem> {
    let of_tokens = matches!(metric, Metric::OutputTokens | Metric::ReasoningTokens | Metric::OutputThroughput);
    let problem = if !protocol.has_tokens() && (of_tokens || needs_stream(metric)) {
        Problem::error(format!("`{name}` needs answers with tokens"))
            .hint("use `e2e_latency`, `request_throughput` or `input_throughput`")
    } else if !stream && needs_stream(metric) {
        Problem::error(format!("`{name}` needs a streamed answer"))
            .hint("use `e2e_latency`, or remove `stream = false`")
    } else {
        return None;
    };
    Some(in_one_piece(problem, protocol, doc))
}

/// Shows why answers come in one piece.
pub(super) fn in_one_piece(problem: Problem, protocol: Protocol, doc: &Document<'_>) -> Problem {
    if protocol.has_tokens() {
        problem.context(doc.value_span(&["request", "stream"]), "switched off here")
    } else {
        problem.context(doc.value_span(&["request", "protocol"]), "answers in one piece, without tokens")
    }
}

pub(super) fn resolve(file: &GateFile, facts: &Facts, checker: &mut Checker<'_, '_>) -> Gate {
    let mut checks = Vec::new();
    for (name, limits) in in_file_order(file, checker.doc) {
        let Some(metric) = metric(name, limits, facts, checker) else { continue };
        match limits {
            LimitsFile::One(one) => checks.extend(check(metric, one, &["gate", name], facts, checker)),
            LimitsFile::Many(many) => {
                if many.is_empty() {
                    let problem = checker.at(&["gate", name], format!("`{name}` has an empty list of limits"));
                    checker.problems.push(problem.hint("write a limit, or remove the key"));
                }
                for (index, limit) in many.iter().enumerate() {
                    let index = index.to_string();
                    checks.extend(check(metric, limit, &["gate", name, &index], facts, checker));
                }
            }
        }
    }
    if file.limits.is_empty() && !facts.soak {
        checks = defaults::checks(facts.protocol, facts.stream, facts.slo, facts.against);
    } else if !checks.iter().any(|check| check.metric.metric == Metric::ErrorRate) {
        checks.push(defaults::error_rate(facts.against));
    }
    let on_missing = ["gate", "on_missing_baseline"];
    if let Some(key) = checker.doc.key_span(&on_missing).filter(|_| facts.against == Against::Variant) {
        let problem = Problem::error("`on_missing_baseline` does not apply to a `[compare]` scenario").at(key);
        let problem = problem.context(checker.doc.key_span(&["compare"]), "compared with a variant, not a baseline");
        checker.problems.push(problem.hint("remove it"));
    }
    let blind_above = file.blind_above.map_or(defaults::BLIND_ABOVE, |share| share.0);
    checker.above_zero(&["gate", "blind_above"], Some(blind_above));
    Gate {
        checks,
        on_inconclusive: file.on_inconclusive.unwrap_or_default(),
        on_missing_baseline: file.on_missing_baseline.unwrap_or_default(),
        blind_above,
    }
}

/// Reports and removes `ttft.p95 = …` without quotes, which is the key `p95` of a table `ttft`.
pub(super) fn refuse_unquoted(doc: &mut Document<'_>, problems: &mut Problems) {
    let Some(gate) = doc.child("gate") else { return };
    for metric in gate.keys() {
        let Some(statistics) = gate.child(&metric) else { continue };
        let dotted = statistics.keys().into_iter().find(|key| format!("{metric}.{key}").parse::<MetricId>().is_ok());
        let Some(statistic) = dotted else { continue };
        let quoted = join_path([format!("{metric}.{statistic}").as_str()]);
        let problem = Problem::error(format!("`{metric}.{statistic}` must be in quotes"))
            .at(statistics.key_span(&[&statistic]))
            .label("without quotes this is a key of a table")
            .hint(format!("write `{quoted} = …`"));
        problems.push(problem);
        doc.remove(&["gate".to_owned(), metric]);
    }
}

fn in_file_order<'f>(file: &'f GateFile, doc: &Document<'_>) -> Vec<(&'f str, &'f LimitsFile)> {
    let mut limits: Vec<_> = file.limits.iter().map(|(name, limits)| (name.as_str(), limits)).collect();
    limits.sort_by_key(|(name, _)| doc.key_span(&["gate", name]).map(|span| span.start));
    limits
}

/// The metric of a key of `[gate]`; what is none is reported.
fn metric(name: &str, limits: &LimitsFile, facts: &Facts, checker: &mut Checker<'_, '_>) -> Option<MetricId> {
    let key = checker.doc.key_span(&["gate", name]);
    let metric = match name.parse::<MetricId>() {
        Ok(metric) => metric,
        Err(error) => {
            let hint = did_you_mean(name, &POLICIES).unwrap_or(error.hint);
            checker.problems.push(Problem::error(error.message).at(key).hint(hint));
            return None;
        }
    };
    if let Some(problem) = lacking(metric.metric, name, facts.protocol, facts.stream, checker.doc) {
        checker.problems.push(problem.at(key.clone()));
    }
    if metric.metric == Metric::GoodputRatio || metric.metric == Metric::Goodput {
        let slo = facts.slo || !checker.doc.intact(&["slo"]);
        if !slo {
            let problem = Problem::error(format!("`{name}` needs an `[slo]` that says which requests are good"));
            checker.problems.push(problem.at(key.clone()).hint("add for example `[slo]` with `ttft = \"500ms\"`"));
        }
    }
    let gates = match limits {
        LimitsFile::One(limit) => !advisory(limit),
        LimitsFile::Many(many) => many.iter().any(|limit| !advisory(limit)),
    };
    let needed = metric.needed_requests();
    if let Some(requests) = facts.requests.filter(|requests| gates && u64::from(*requests) < needed) {
        let problem = Problem::warning(format!("`{name}` cannot be resolved with {requests} requests a trial"))
            .at(key)
            .label("will be `unresolved`, which never passes")
            .context(checker.doc.value_span(&["load", "requests"]), format!("{needed} are needed"));
        checker.problems.push(problem);
    }
    Some(metric)
}

fn advisory(limit: &LimitFile) -> bool {
    matches!(limit, LimitFile::Table(table) if table.advisory)
}

fn check(
    metric: MetricId,
    file: &LimitFile,
    path: &[&str],
    facts: &Facts,
    checker: &mut Checker<'_, '_>,
) -> Option<Check> {
    let inner = [path, &["limit"]].concat();
    let (text, path) = match file {
        LimitFile::Text(text) => (text, path),
        LimitFile::Table(table) => {
            let Some(text) = &table.limit else {
                let name = checker.doc.name(path);
                checker.absent(path, &format!("`{name}` needs the key `limit`"), "write `limit = \"<= …\"`");
                return None;
            };
            (text, inner.as_slice())
        }
    };
    let span = checker.doc.value_span(path);
    let limit = match Limit::parse(text, metric, facts.against) {
        Ok(limit) => limit,
        Err(error) => {
            checker.problems.push(Problem::error(error.message).at(span).hint(error.hint));
            return None;
        }
    };
    let line = span.map(|span| checker.problems.line(&span));
    Some(Check { metric, limit, advisory: advisory(file), line })
}

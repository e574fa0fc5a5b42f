//! From a decoded scenario to a case: what the types cannot say is checked here and in the modules beside it.

use super::file::{CancelFile, CompareFile, RequestFile, ScenarioFile, TrialsFile};
use super::{
    Against, Cancellation, Case, Compare, RequestOptions, Slo, Trials, checks, defaults, pacing, unsupported, workload,
};
use crate::metric::Metric;
use crate::names;
use crate::toml_file::{Checker, Document, Problem, Problems, did_you_mean};
use crate::units::Time;

/// Metrics that a single request has, so that an objective can be set for it.
const SLO_METRICS: [Metric; 7] = [
    Metric::Ttft,
    Metric::Ttfo,
    Metric::Tpot,
    Metric::E2eLatency,
    Metric::MaxStall,
    Metric::ServiceTtft,
    Metric::ServiceE2eLatency,
];

/// What a case is called.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label<'s> {
    /// The case's own name.
    pub(super) case: &'s str,
    /// The scenario's.
    pub(super) scenario: &'s str,
    /// The scenario's file.
    pub(super) file: &'s str,
}

/// Decodes and checks one case. Where something is wrong the case holds a stand-in, so that checking goes on;
/// it is of use only if no error was reported. `None` if nothing could be decoded.
pub(super) fn case(label: Label<'_>, doc: &mut Document<'_>, problems: &mut Problems) -> Option<Case> {
    checks::refuse_unquoted(doc, problems);
    let file: ScenarioFile = doc.decode(&["matrix"], problems)?;
    unsupported::report(doc, problems);
    let checker = &mut Checker { doc, problems };
    let workload = workload::resolve(&file.workload, checker);
    let load = pacing::resolve(&file.load, checker);
    let request = request(&file.request, checker);
    // A table that cannot be read still says what kind of scenario this is.
    let compares = file.compare.is_some() || !checker.doc.intact(&["compare"]);
    let against = if compares { Against::Variant } else { Against::Baseline };
    let trials = trials(&file.trials, against, checker);
    let slo = slo(&file, request.stream, checker);
    let compare = file.compare.as_ref().map(|compare| variants(compare, checker));
    let gate = checks::resolve(&file.gate, &checks::Facts::of(&load, &request, &slo, against), checker);
    Some(Case {
        name: label.case.to_owned(),
        scenario: label.scenario.to_owned(),
        file: label.file.to_owned(),
        description: file.description,
        workload,
        load,
        request,
        trials,
        gate,
        slo,
        compare,
    })
}

fn request(file: &RequestFile, checker: &mut Checker<'_, '_>) -> RequestOptions {
    checker.some_time(&["request", "timeout"], file.timeout);
    checker.some_time(&["request", "no_progress"], file.no_progress);
    let timeout = file.timeout.unwrap_or(defaults::TIMEOUT);
    if let Some(no_progress) = file.no_progress.filter(|time| *time > timeout) {
        let path = ["request", "no_progress"];
        let message = format!("`request.no_progress` never applies: a request ends after {timeout}");
        let problem = Problem::warning(message).at(checker.doc.value_span(&path));
        checker.problems.push(problem.hint(format!("raise `request.timeout` above {no_progress}, or lower this")));
    }
    let stream = file.stream.unwrap_or(true);
    RequestOptions {
        protocol: file.protocol.unwrap_or_default(),
        stream,
        http2: file.http2.unwrap_or(false),
        timeout,
        no_progress: file.no_progress.unwrap_or(defaults::NO_PROGRESS.min(timeout)),
        extra: checker.request_body(&["request", "extra"], &file.extra),
        cancel: file.cancel.as_ref().map(|cancel| cancellation(cancel, stream, timeout, checker)),
    }
}

fn cancellation(file: &CancelFile, stream: bool, timeout: Time, checker: &mut Checker<'_, '_>) -> Cancellation {
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
        let problem = problem.context(checker.doc.value_span(&["request", "stream"]), "switched off here");
        checker.problems.push(problem.hint("use `after`, or remove `stream = false`"));
    }
    if file.after.is_some_and(|time| time >= timeout) {
        let message = format!("`request.cancel.after` never applies: a request ends after {timeout}");
        let problem = Problem::warning(message).at(checker.doc.value_span(&after));
        checker.problems.push(problem.hint("raise `request.timeout`, or lower this"));
    }
    Cancellation { rate: file.rate.unwrap_or_default().0, after: file.after, after_tokens: file.after_tokens }
}

fn trials(file: &TrialsFile, against: Against, checker: &mut Checker<'_, '_>) -> Trials {
    checker.positive(&["trials", "min"], file.min);
    checker.positive(&["trials", "max"], file.max);
    checker.positive(&["trials", "quick"], file.quick);
    let min = file.min.unwrap_or(file.max.map_or(defaults::MIN_TRIALS, |max| max.min(defaults::MIN_TRIALS)));
    if let Some(max) = file.max.filter(|max| *max < min && *max > 0) {
        let problem = checker
            .at(&["trials", "max"], format!("`trials.max` is {max}, less than `trials.min`, which is {min}"))
            .context(checker.doc.value_span(&["trials", "min"]), "at least so many are run");
        checker.problems.push(problem);
    }
    let few = file.max.filter(|max| (1..defaults::MIN_PAIRS).contains(max) && against == Against::Variant);
    if let Some(max) = few {
        let message = format!("`trials.max` is {max}, and nothing is decided below {} pairs", defaults::MIN_PAIRS);
        let problem = Problem::warning(message).at(checker.doc.value_span(&["trials", "max"]));
        let problem = problem.context(checker.doc.key_span(&["compare"]), "measured in pairs");
        checker.problems.push(problem.hint("raise it, or leave it out for 20; `quick` sets the pairs of `--quick`"));
    }
    Trials { min, max: file.max, quick: file.quick.unwrap_or(defaults::QUICK_TRIALS) }
}

fn slo(file: &ScenarioFile, stream: bool, checker: &mut Checker<'_, '_>) -> Slo {
    let names = SLO_METRICS.map(Metric::name);
    let mut limits = Vec::new();
    for (name, time) in &file.slo {
        let path = ["slo", name.as_str()];
        let key = checker.doc.key_span(&path);
        let Some(metric) = SLO_METRICS.into_iter().find(|metric| metric.name() == name) else {
            let hint = match name.split_once('.') {
                Some((metric, _)) if names.contains(&metric) => {
                    format!("an objective is set for each single request: write `{metric}`")
                }
                _ => {
                    did_you_mean(name, &names).unwrap_or_else(|| format!("a single request has: {}", names.join(", ")))
                }
            };
            let message = format!("`{name}` is not a metric of a single request");
            checker.problems.push(Problem::error(message).at(key).hint(hint));
            continue;
        };
        if !stream && checks::needs_stream(metric) {
            checker.problems.push(checks::not_streamed(&format!("`{name}`"), checker.doc).at(key));
        }
        checker.some_time(&path, Some(*time));
        limits.push((metric, time.0));
    }
    Slo { limits }
}

fn variants(file: &CompareFile, checker: &mut Checker<'_, '_>) -> Compare {
    let (reference, candidate) = (["compare", "reference"], ["compare", "candidate"]);
    for (path, name) in [(reference, &file.reference), (candidate, &file.candidate)] {
        let Some(name) = name else {
            let message = format!("`compare` needs the key `{}`", path[1]);
            checker.absent(&["compare"], &message, "name two variants: `reference` and `candidate`");
            continue;
        };
        if let Err(error) = names::check("variant", name) {
            let problem = checker.at(&path, error.message).hint(error.hint);
            checker.problems.push(problem);
        }
    }
    if let Some(name) = file.candidate.as_ref().filter(|name| file.reference.as_ref() == Some(name)) {
        let problem = checker
            .at(&candidate, format!("`{}` is compared with itself", name.escape_debug()))
            .context(checker.doc.value_span(&reference), "the same variant")
            .hint("name two variants, such as `prefix-caching-off` and `prefix-caching-on`");
        checker.problems.push(problem);
    }
    Compare {
        reference: file.reference.clone().unwrap_or_default(),
        candidate: file.candidate.clone().unwrap_or_default(),
    }
}

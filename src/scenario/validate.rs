//! From a decoded scenario to a case: what the types cannot say is checked here and in the modules beside it.

use super::file::{CompareFile, ScenarioFile, TrialsFile};
use super::{
    Against, Case, Compare, RequestOptions, Slo, Trials, checks, defaults, pacing, request, soak, unsupported, workload,
};
use crate::metric::Metric;
use crate::names;
use crate::toml_file::{Checker, Document, Problem, Problems, did_you_mean};

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
    unsupported::report(doc, problems);
    let file: ScenarioFile = doc.decode(&["matrix"], problems)?;
    let checker = &mut Checker { doc, problems };
    let workload = workload::resolve(&file.workload, file.request.protocol.unwrap_or_default(), checker);
    let load = pacing::resolve(&file.load, checker);
    let request = request::resolve(&file.request, &workload, &load, checker);
    // A table that cannot be read still says what kind of scenario this is.
    let compares = file.compare.is_some() || !checker.doc.intact(&["compare"]);
    let against = if compares { Against::Variant } else { Against::Baseline };
    let soak = file.soak.as_ref().map(|soak| soak::resolve(soak, compares, checker));
    let trials = trials(&file.trials, against, soak.is_some(), checker);
    let slo = slo(&file, &request, checker);
    let compare = file.compare.as_ref().map(|compare| variants(compare, checker));
    let gate = checks::resolve(&file.gate, &checks::Facts::of(&load, &request, &slo, against, soak.is_some()), checker);
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
        soak,
    })
}

fn trials(file: &TrialsFile, against: Against, soak: bool, checker: &mut Checker<'_, '_>) -> Trials {
    checker.positive(&["trials", "min"], file.min);
    checker.positive(&["trials", "max"], file.max);
    checker.positive(&["trials", "quick"], file.quick);
    let usual = if soak { defaults::SOAK_TRIALS } else { defaults::MIN_TRIALS };
    let min = file.min.unwrap_or(file.max.map_or(usual, |max| max.min(usual)));
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
    let quick = if soak { defaults::SOAK_TRIALS } else { defaults::QUICK_TRIALS };
    Trials { min, max: file.max.or(soak.then_some(min)), quick: file.quick.unwrap_or(quick) }
}

fn slo(file: &ScenarioFile, request: &RequestOptions, checker: &mut Checker<'_, '_>) -> Slo {
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
        if let Some(problem) = checks::lacking(metric, name, request.protocol, request.stream, checker.doc) {
            checker.problems.push(problem.at(key));
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

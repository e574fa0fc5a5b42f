//! What was measured becomes a report: notes that every kind of case can have.

use std::collections::BTreeMap;

use crate::gate::Verdict;
use crate::harness::bench::Side;
use crate::harness::tally::Tally;
use crate::measure::Invalid;
use crate::metric::{Metric, MetricId};
use crate::plan::Plan;
use crate::redact::Redactor;
use crate::report::{self, CaseReport, CheckReport, Invalidated, PrefixReport, PrefixSide};
use crate::scenario::{Case, Check};
use crate::target::Fingerprint;

/// Answers off their planned length by more than 5 % in more than this share of the requests say that times per
/// token and rates were not measured on what was planned.
const MOST_OFF_LENGTH: f64 = 0.01;
/// Tokens a chunk may differ so much from one, and between two sides.
const ONE_TOKEN_WITHIN: f64 = 0.01;
/// Hit ratios that differ by more than this (2 points) contradict each other.
const SAME_HIT_RATIO: f64 = 0.02;
/// Below this share a cache is as good as off.
const NO_HITS: f64 = 0.01;

/// The worst of the checks that gate.
pub(super) fn verdict_of(checks: &[CheckReport]) -> Verdict {
    Verdict::of_all(checks.iter().filter(|check| !check.judged.advisory).map(|check| check.judged.verdict))
}

/// A server's words go into the baseline and the history, and it may say what it was sent.
pub(super) fn without_secrets(fingerprint: Fingerprint, redactor: &Redactor) -> Fingerprint {
    let clean = |map: BTreeMap<String, String>| {
        map.into_iter().map(|(key, value)| (key, redactor.redact(&value).into_owned())).collect()
    };
    Fingerprint { conditions: clean(fingerprint.conditions), subject: clean(fingerprint.subject) }
}

/// Checks that the answers of these sides cannot support become advisory, and a note says why.
pub(super) fn advise(case: &mut Case, sides: &[&Tally]) -> Vec<String> {
    let mut notes = Vec::new();
    let share = sides.iter().map(|side| side.off_length_share()).fold(0.0, f64::max);
    if share > MOST_OFF_LENGTH {
        notes.push(format!(
            "{} of the answers were off their planned length by more than 5 %: times per token, latencies and rates \
             are advisory\nhint: fix the length with `request.extra = {{ ignore_eos = true }}`",
            report::percent(share)
        ));
        let affected = |id: MetricId| {
            !matches!(id.metric, Metric::Ttft | Metric::Ttfo | Metric::ErrorRate | Metric::PrefixHitRatio)
        };
        case.gate.checks.iter_mut().filter(|check| affected(check.metric)).for_each(|check| check.advisory = true);
    }
    let packed = sides.iter().map(|side| side.tokens_per_chunk).find(|ratio| (ratio - 1.0).abs() > ONE_TOKEN_WITHIN);
    if let Some(ratio) = packed {
        let itl = |check: &&mut Check| check.metric.metric == Metric::Itl && !check.advisory;
        let mut gated = false;
        for check in case.gate.checks.iter_mut().filter(itl) {
            check.advisory = true;
            gated = true;
        }
        if gated {
            notes.push(format!("{ratio:.2} tokens a chunk: `itl` is advisory, `tpot` gates"));
        }
    }
    if let [reference, candidate] = sides
        && (candidate.tokens_per_chunk / reference.tokens_per_chunk - 1.0).abs() > ONE_TOKEN_WITHIN
    {
        notes.push(format!(
            "the candidate packs {:.2} tokens into a chunk, the reference {:.2}: gaps between chunks do not compare",
            candidate.tokens_per_chunk, reference.tokens_per_chunk
        ));
    }
    notes
}

/// What the prefix cache did, with a word on everything that contradicts itself.
pub(super) fn prefix(report: &mut CaseReport, case: &Case, plan: &Plan, candidate: &Tally, reference: Option<&Tally>) {
    if !plan.shares_prefix || candidate.requests == 0 {
        return;
    }
    let found = PrefixReport { candidate: candidate.prefix(), reference: reference.map(Tally::prefix) };
    let sides = [("the candidate", Some(&found.candidate)), ("the reference", found.reference.as_ref())];
    for (name, side) in sides.into_iter().filter_map(|(name, side)| Some((name, side?))) {
        if let (Some(usage), Some(counters)) = (side.hit_ratio, side.counter_hit_ratio)
            && (usage - counters).abs() > SAME_HIT_RATIO
        {
            report.notes.push(format!(
                "{name}'s answers say that {} of the prompt tokens came from the cache, its counters say {}: somebody \
                 else uses the server, or it counts otherwise",
                report::percent(usage),
                report::percent(counters)
            ));
        }
    }
    let ratio = |side: &PrefixSide| side.hit_ratio.or(side.counter_hit_ratio);
    match (ratio(&found.candidate), found.reference.as_ref().and_then(ratio)) {
        (Some(candidate), _) if candidate < NO_HITS => {
            report.notes.push(format!(
                "the prefix cache was hardly used: the hit ratio is {}, {} of {} prompt tokens were reused",
                report::percent(candidate),
                found.candidate.reused_tokens.unwrap_or_default(),
                found.candidate.input_tokens
            ));
            report.hints.push(
                "prefix caching is off or broken: check that the server was started with it (its flag may be ignored), \
                 and that `prefix_tokens` fills at least one of its blocks"
                    .into(),
            );
        }
        (Some(candidate), Some(reference))
            if case.compare.is_some() && (candidate - reference).abs() <= SAME_HIT_RATIO =>
        {
            report.notes.push(format!(
                "both variants reuse as much: the hit ratio is {} and {}",
                report::percent(candidate),
                report::percent(reference)
            ));
            report.hints.push("the two variants do not differ in prefix caching: check that their flags work".into());
        }
        (None, _) if case.gate.checks.iter().any(|check| check.metric.metric == Metric::PrefixHitRatio) => {
            report.hints.push(
                "the server does not report cached tokens: switch it on (vLLM: `--enable-prompt-tokens-details`)"
                    .into(),
            );
        }
        _ => {}
    }
    report.prefix = Some(found);
}

/// Whether nothing is known of how much a new start of a side's server would change.
pub(super) fn started_once(side: &Side) -> bool {
    side.target.embedded.is_none() && side.starts() <= 1
}

pub(super) fn invalidated((trial, reasons): &(u32, Vec<Invalid>)) -> Invalidated {
    Invalidated {
        trial: *trial,
        reasons: reasons.iter().map(|invalid| invalid.reason.clone()).collect(),
        hints: reasons.iter().map(|invalid| invalid.hint.clone()).collect(),
    }
}

/// Counts and medians of the judged trials.
pub(super) fn count(report: &mut CaseReport, tally: &Tally) {
    report.statistics = crate::harness::verdict::medians(&tally.trials);
    report.requests = tally.requests;
    report.errors = tally.errors();
    report.failures.clone_from(&tally.failures);
}

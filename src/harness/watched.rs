//! The server's own view of a trial: kept in the run folder, added up for the report.

use std::fmt::Write as _;

use crate::harness::bench::{Role, Side};
use crate::harness::tally::Tally;
use crate::measure::{TrialSummary, Value};
use crate::metric::{Metric, MetricId};
use crate::report::{self, CaseReport, ServerReport};
use crate::target::PrefixCounters;
use crate::watch::{Observed, Sample, ServerView, Watch};

/// Fewest samples on which a word about the requests in hand rests.
const ENOUGH_SAMPLES: u64 = 20;
/// The server's requests in hand and the client's in flight may differ by so much of the latter, …
const SAME_WITHIN: f64 = 0.25;
/// … and by so many.
const SAME_WITHIN_REQUESTS: f64 = 1.0;

/// Begins to watch a side's server.
pub(super) fn begin(side: &Side) -> Watch {
    Watch::begin(side.target.source())
}

/// The samples of a trial as lines of `server.jsonl`.
pub(super) fn lines(case: &str, trial: u32, role: Role, samples: &[Sample]) -> String {
    let mut lines = String::new();
    for Sample { moment, t_s, values } in samples {
        let line = serde_json::json!({
            "case": case,
            "trial": trial,
            "side": role.name(),
            "moment": moment,
            "t_s": (t_s * 1e3).round() / 1e3,
            "values": values,
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}

/// A trial as its server was seen, with the part of it that the client's figures are from.
pub(super) fn observed(samples: Vec<Sample>, summary: &TrialSummary) -> Observed {
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let in_flight = match summary.value(MetricId { metric: Metric::ConcurrencyMean, statistic: None }) {
        Value::Known(mean) => Some(mean),
        _ => None,
    };
    Observed { samples, window: [seconds(summary.window.from), seconds(summary.window.to)], in_flight }
}

/// What the prefix cache's counters have counted in a trial.
pub(super) fn prefix(observed: &Observed) -> Option<PrefixCounters> {
    let view = ServerView::of(std::slice::from_ref(observed))?;
    Some(PrefixCounters { queries: view.prefix_queries?, hits: view.prefix_hits? })
}

/// The server's own view of all judged trials, with a word on what plainly contradicts the client's.
pub(super) fn conclude(report: &mut CaseReport, candidate: &Tally, reference: Option<&Tally>) {
    let view = |tally: &Tally| ServerView::of(&tally.observed);
    let found = ServerReport { candidate: view(candidate), reference: reference.and_then(view), growth: None };
    for (name, side) in [("the server", &found.candidate), ("the reference's server", &found.reference)] {
        report.notes.extend(side.as_ref().and_then(|side| contradiction(name, side)));
    }
    report.server = (found.candidate.is_some() || found.reference.is_some()).then_some(found);
}

/// A server that has other requests in hand than the client has in flight.
fn contradiction(name: &str, view: &ServerView) -> Option<String> {
    let (in_hand, in_flight) = (view.in_hand?, view.in_flight?);
    let differ = (in_hand - in_flight).abs() > f64::max(SAME_WITHIN * in_flight, SAME_WITHIN_REQUESTS);
    if view.in_hand_samples < ENOUGH_SAMPLES || !differ {
        return None;
    }
    let why = if in_hand > in_flight {
        "somebody else uses it"
    } else {
        "requests wait or answers linger somewhere between the two, such as in a proxy"
    };
    Some(format!(
        "{name} had {} requests in hand on average (running and waiting), the client {} in flight: {why}",
        report::plain(in_hand),
        report::plain(in_flight)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::{Moment, Readings};

    #[test]
    fn a_sample_is_a_line() {
        let values = Readings { running: Some(2.0), rss_bytes: Some(4096), ..Readings::default() };
        let samples = [Sample { moment: Moment::During, t_s: 0.500_123_4, values }];
        assert_eq!(
            lines("chat", 3, Role::Candidate, &samples),
            "{\"case\":\"chat\",\"moment\":\"during\",\"side\":\"candidate\",\"t_s\":0.5,\"trial\":3,\
             \"values\":{\"rss_bytes\":4096,\"running\":2.0}}\n"
        );
        assert_eq!(lines("chat", 3, Role::Reference, &[]), "");
    }

    #[test]
    fn only_a_plain_contradiction_is_worth_a_word() {
        let view = |in_hand_samples, in_hand, in_flight| ServerView {
            in_hand_samples,
            in_hand: Some(in_hand),
            in_flight: Some(in_flight),
            ..ServerView::default()
        };
        let word = |view: &ServerView| contradiction("the server", view);
        assert_eq!(word(&view(20, 8.0, 10.0)), None);
        assert_eq!(word(&view(20, 1.9, 1.0)), None);
        assert_eq!(word(&view(19, 2.0, 10.0)), None);
        assert_eq!(word(&ServerView::default()), None);
        let other = word(&view(20, 13.0, 10.0)).unwrap();
        assert_eq!(
            other,
            "the server had 13 requests in hand on average (running and waiting), the client 10 in flight: \
             somebody else uses it"
        );
        assert!(word(&view(40, 7.44, 10.0)).unwrap().contains("7.4 requests in hand"));
    }
}

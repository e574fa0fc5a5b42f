//! Writes baselines as text that is made to be read in a diff: fixed order, one line a metric.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::layout::{ABSENT, CENSORED};
use super::model::{Baseline, Job, Pending, metrics, rounded};
use super::parse::VERSION;

const ABOUT: &str = "in ms, tok/s, req/s and shares; one value a trial";

/// The text of a baseline file.
///
/// Values are rounded to six significant digits, and a value that is not finite is written as a censored one.
pub fn baseline_text(baseline: &Baseline) -> String {
    let mut out = format!("# A baseline of tokpace, {ABOUT}.\n");
    head(&mut out, &baseline.case, &baseline.profile);
    table(&mut out, "conditions", &baseline.conditions);
    jobs(&mut out, "jobs", &baseline.jobs);
    for epoch in &baseline.anchors {
        out.push_str("\n[[anchors]]\n");
        line(&mut out, "until", &quoted(&epoch.until));
        line(&mut out, "reason", &quoted(&epoch.reason));
        table(&mut out, "anchors.conditions", &epoch.conditions);
        jobs(&mut out, "anchors.jobs", &epoch.jobs);
    }
    out
}

/// The text of a pending file; see [`baseline_text`].
pub fn pending_text(pending: &Pending) -> String {
    let mut out = format!("# Not accepted yet: see `cargo tokpace review`. Values {ABOUT}.\n");
    head(&mut out, &pending.case, &pending.profile);
    line(&mut out, "verdict", &quoted(&pending.verdict.to_string()));
    if pending.summary.is_empty() {
        out.push_str("summary = []\n");
    } else {
        out.push_str("summary = [\n");
        for text in &pending.summary {
            let _ = writeln!(out, "    {},", quoted(text));
        }
        out.push_str("]\n");
    }
    table(&mut out, "conditions", &pending.conditions);
    jobs(&mut out, "jobs", &pending.jobs);
    out
}

fn head(out: &mut String, case: &str, profile: &str) {
    line(out, "version", &VERSION.to_string());
    line(out, "case", &quoted(case));
    line(out, "profile", &quoted(profile));
}

fn jobs(out: &mut String, path: &str, jobs: &[Job]) {
    for job in jobs {
        let _ = writeln!(out, "\n[[{path}]]");
        line(out, "recorded", &quoted(&job.recorded));
        let optional = [("accepted", &job.accepted), ("by", &job.by), ("commit", &job.commit), ("reason", &job.reason)];
        for (key, value) in optional {
            if let Some(value) = value {
                line(out, key, &quoted(value));
            }
        }
        line(out, "tokpace", &quoted(&job.tokpace));
        if !job.subject.is_empty() {
            table(out, &format!("{path}.subject"), &job.subject);
        }
        let _ = writeln!(out, "\n[{path}.trials]");
        line(out, "n", &array(job.trials.iter().map(|trial| trial.n.to_string())));
        line(out, "errors", &array(job.trials.iter().map(|trial| trial.errors.to_string())));
        // Those two names are taken; no metric is called so.
        for metric in metrics(std::slice::from_ref(job)).into_iter().filter(|m| !matches!(*m, "n" | "errors")) {
            let cells = job.trials.iter().map(|trial| cell(trial.values.get(metric)));
            line(out, &quoted(metric), &array(cells));
        }
    }
}

fn table(out: &mut String, path: &str, entries: &BTreeMap<String, String>) {
    let _ = writeln!(out, "\n[{path}]");
    for (key, value) in entries {
        line(out, &quoted(key), &quoted(value));
    }
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

fn array(cells: impl Iterator<Item = String>) -> String {
    format!("[{}]", cells.collect::<Vec<_>>().join(", "))
}

fn cell(value: Option<&Option<f64>>) -> String {
    match value {
        None => quoted(ABSENT),
        Some(Some(value)) if value.is_finite() => format!("{:?}", rounded(*value)),
        Some(_) => quoted(CENSORED),
    }
}

/// A basic string of TOML, always on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::super::model::{Epoch, PendingVerdict};
    use super::super::parse::{parse_baseline, parse_pending};
    use super::super::testing::map;
    use super::*;
    use crate::gate::TrialValues;

    fn chatbot() -> Baseline {
        let trial = |n, errors, ttft, goodput| TrialValues {
            n,
            errors,
            values: BTreeMap::from([("ttft.p50".to_owned(), ttft), ("goodput_ratio".to_owned(), Some(goodput))]),
        };
        let job = |recorded: &str, reason: &str| Job {
            recorded: recorded.into(),
            accepted: Some("2026-11-23T08:15:00Z".into()),
            by: Some("Jane <jane@example.org>".into()),
            commit: Some("abc1234".into()),
            reason: Some(reason.into()),
            tokpace: "0.1.0".into(),
            subject: map(&[("server.version", "0.11.0"), ("args", "--flag \"x\"")]),
            trials: vec![trial(48, 0, Some(51.234_567_89), 1.0), trial(48, 2, None, 0.958_333_333)],
        };
        Baseline {
            case: "chatbot::concurrency=4".into(),
            profile: "embedded".into(),
            conditions: map(&[("token_source", "usage"), ("plan", "sha256:0a1b")]),
            jobs: vec![job("2026-11-22T21:00:00Z", "longer prompts are worth it")],
            anchors: vec![Epoch {
                until: "2026-11-23T08:15:00Z".into(),
                reason: "regressed: longer prompts are worth it".into(),
                conditions: map(&[("token_source", "usage"), ("plan", "sha256:0a1b")]),
                jobs: vec![job("2026-10-01T12:00:00Z", "first recording")],
            }],
        }
    }

    #[test]
    fn a_file_reads_well_in_a_diff() {
        insta::assert_snapshot!(baseline_text(&chatbot()), @r##"
        # A baseline of tokpace, in ms, tok/s, req/s and shares; one value a trial.
        version = 1
        case = "chatbot::concurrency=4"
        profile = "embedded"

        [conditions]
        "plan" = "sha256:0a1b"
        "token_source" = "usage"

        [[jobs]]
        recorded = "2026-11-22T21:00:00Z"
        accepted = "2026-11-23T08:15:00Z"
        by = "Jane <jane@example.org>"
        commit = "abc1234"
        reason = "longer prompts are worth it"
        tokpace = "0.1.0"

        [jobs.subject]
        "args" = "--flag \"x\""
        "server.version" = "0.11.0"

        [jobs.trials]
        n = [48, 48]
        errors = [0, 2]
        "goodput_ratio" = [1.0, 0.958333]
        "ttft.p50" = [51.2346, "censored"]

        [[anchors]]
        until = "2026-11-23T08:15:00Z"
        reason = "regressed: longer prompts are worth it"

        [anchors.conditions]
        "plan" = "sha256:0a1b"
        "token_source" = "usage"

        [[anchors.jobs]]
        recorded = "2026-10-01T12:00:00Z"
        accepted = "2026-11-23T08:15:00Z"
        by = "Jane <jane@example.org>"
        commit = "abc1234"
        reason = "first recording"
        tokpace = "0.1.0"

        [anchors.jobs.subject]
        "args" = "--flag \"x\""
        "server.version" = "0.11.0"

        [anchors.jobs.trials]
        n = [48, 48]
        errors = [0, 2]
        "goodput_ratio" = [1.0, 0.958333]
        "ttft.p50" = [51.2346, "censored"]
        "##);
    }

    #[test]
    fn a_pending_file_says_what_changed() {
        let mut baseline = chatbot();
        baseline.jobs[0].accepted = None;
        baseline.jobs[0].by = None;
        baseline.jobs[0].reason = None;
        baseline.jobs[0].subject.clear();
        let pending = Pending {
            case: baseline.case,
            profile: baseline.profile,
            verdict: PendingVerdict::Regressed,
            summary: vec!["ttft.p50 +10.1 % [+9.6, +10.6], tolerance 5 %: regressed".into()],
            conditions: baseline.conditions,
            jobs: baseline.jobs,
        };
        insta::assert_snapshot!(pending_text(&pending), @r##"
        # Not accepted yet: see `cargo tokpace review`. Values in ms, tok/s, req/s and shares; one value a trial.
        version = 1
        case = "chatbot::concurrency=4"
        profile = "embedded"
        verdict = "regressed"
        summary = [
            "ttft.p50 +10.1 % [+9.6, +10.6], tolerance 5 %: regressed",
        ]

        [conditions]
        "plan" = "sha256:0a1b"
        "token_source" = "usage"

        [[jobs]]
        recorded = "2026-11-22T21:00:00Z"
        commit = "abc1234"
        tokpace = "0.1.0"

        [jobs.trials]
        n = [48, 48]
        errors = [0, 2]
        "goodput_ratio" = [1.0, 0.958333]
        "ttft.p50" = [51.2346, "censored"]
        "##);
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![3 => "[a-z._=:/ -]{0,12}", 1 => any::<String>()]
    }

    fn entries() -> impl Strategy<Value = BTreeMap<String, String>> {
        btree_map(text(), text(), 0..4)
    }

    fn value() -> impl Strategy<Value = Option<f64>> {
        option::weighted(0.8, prop_oneof![0.0..1e4, -1e-9..1e-9, any::<f64>()])
            .prop_map(|value| value.map(rounded).filter(|v: &f64| v.is_finite()))
    }

    fn trial() -> impl Strategy<Value = TrialValues> {
        let metric = prop_oneof![Just("ttft.p50".to_owned()), Just("tpot.p50".to_owned()), "[ -~]{3,8}"];
        (0..1_u64 << 53, 0..100_u64, btree_map(metric.prop_filter("taken", |m| m != "errors"), value(), 0..4))
            .prop_map(|(n, errors, values)| TrialValues { n: n.max(errors), errors, values })
    }

    fn job() -> impl Strategy<Value = Job> {
        let optional = || option::of(text());
        (text(), optional(), optional(), optional(), optional(), text(), entries(), vec(trial(), 1..4)).prop_map(
            |(recorded, accepted, by, commit, reason, tokpace, subject, trials)| Job {
                recorded,
                accepted,
                by,
                commit,
                reason,
                tokpace,
                subject,
                trials,
            },
        )
    }

    prop_compose! {
        fn epoch()(until in text(), reason in text(), conditions in entries(), jobs in vec(job(), 1..3)) -> Epoch {
            Epoch { until, reason, conditions, jobs }
        }
    }

    prop_compose! {
        fn any_baseline()(
            case in text(), profile in text(), conditions in entries(), jobs in vec(job(), 1..3), anchors in vec(epoch(), 0..3),
        ) -> Baseline {
            Baseline { case, profile, conditions, jobs, anchors }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(baseline in any_baseline(), summary in vec(text(), 0..3)) {
            let written = baseline_text(&baseline);
            prop_assert_eq!(&parse_baseline(&written).expect(&written), &baseline);

            let Baseline { case, profile, conditions, jobs, .. } = baseline;
            let pending = Pending { case, profile, verdict: PendingVerdict::Improved, summary, conditions, jobs };
            let written = pending_text(&pending);
            prop_assert_eq!(&parse_pending(&written).expect(&written), &pending);
        }

        #[test]
        fn one_line_a_metric(mut baseline in any_baseline(), value in text()) {
            let lines = baseline_text(&baseline).lines().count();
            for job in &mut baseline.jobs {
                job.tokpace.clone_from(&value);
                job.trials.push(job.trials[0].clone());
            }
            prop_assert_eq!(baseline_text(&baseline).lines().count(), lines);
        }
    }

    #[test]
    fn a_value_that_is_not_finite_is_censored() {
        let mut baseline = chatbot();
        baseline.jobs[0].trials[0].values.insert("ttft.p50".into(), Some(f64::INFINITY));
        baseline.jobs[0].trials[1].values.insert("ttft.p50".into(), Some(f64::NAN));
        let read = parse_baseline(&baseline_text(&baseline)).unwrap();
        assert!(read.jobs[0].trials.iter().all(|trial| trial.values["ttft.p50"].is_none()));
    }
}

//! When requests are sent and when a trial ends.

use super::file::{ArrivalFile, LoadFile};
use super::{Arrival, Load, LoadKind, defaults};
use crate::toml_file::{Checker, Problem};
use crate::units::Time;

/// The keys that choose a kind of load.
const KINDS: [&str; 4] = ["concurrency", "rate", "batch", "trace"];

/// Keys that apply to some kinds only.
const OPTIONS: [(&str, &[&str]); 5] = [
    ("ramp_up", &["concurrency"]),
    ("arrival", &["rate"]),
    ("max_in_flight", &["rate", "trace"]),
    ("speed", &["trace"]),
    ("offset", &["trace"]),
];

/// Most users or requests a batch: more than one client machine can drive.
const MOST_USERS: u32 = 100_000;

pub(super) fn resolve(file: &LoadFile, checker: &mut Checker<'_, '_>) -> Load {
    let kind = one_kind(checker);
    for (option, needed) in OPTIONS {
        let path = ["load", option];
        if let Some(span) = checker.doc.key_span(&path).filter(|_| kind.is_some_and(|kind| !needed.contains(&kind))) {
            let needed: Vec<_> = needed.iter().map(|kind| format!("`load.{kind}`")).collect();
            let problem = Problem::error(format!("`load.{option}` applies to {} only", needed.join(" and ")))
                .at(span)
                .context(kind.and_then(|kind| checker.doc.key_span(&["load", kind])), "the kind of load");
            checker.problems.push(problem.hint(format!("remove `{option}`")));
        }
    }
    for (key, value) in [("concurrency", file.concurrency), ("batch", file.batch)] {
        let path = ["load", key];
        checker.positive(&path, value);
        if value.is_some_and(|value| value > MOST_USERS) {
            let problem = checker.at(&path, format!("`load.{key}` must be at most {MOST_USERS}"));
            checker.problems.push(problem);
        }
    }
    checker.above_zero(&["load", "rate"], file.rate);
    checker.above_zero(&["load", "speed"], file.speed);
    checker.positive(&["load", "max_in_flight"], file.max_in_flight);
    if file.trace.as_ref().is_some_and(String::is_empty) {
        let problem = checker.at(&["load", "trace"], "`load.trace` is empty");
        checker.problems.push(problem.hint("write the path of a file, relative to the scenario file"));
    }
    checker.positive(&["load", "requests"], file.requests);
    checker.some_time(&["load", "duration"], file.duration);
    if file.requests.is_none() && file.duration.is_none() && file.trace.is_none() {
        let hint = "write `requests = 100`, `duration = \"30s\"`, or both";
        checker.absent(&["load"], "`load` does not say when a trial ends", hint);
    }
    if let (Some(users), Some(requests)) = (file.concurrency, file.requests)
        && (1..users).contains(&requests)
        && users <= MOST_USERS
    {
        let problem = Problem::warning(format!("{requests} requests never keep {users} users busy"))
            .at(checker.doc.value_span(&["load", "requests"]))
            .context(checker.doc.value_span(&["load", "concurrency"]), "users");
        checker.problems.push(problem.hint("use several requests a user"));
    }
    let kind = load_kind(kind, file, checker);
    let users = match kind {
        LoadKind::Closed { concurrency: users, .. } | LoadKind::Batch { size: users } => users,
        LoadKind::Open { .. } | LoadKind::Trace { .. } => defaults::WARMUP,
    };
    Load {
        kind,
        requests: file.requests,
        duration: file.duration,
        warmup: file.warmup.unwrap_or(users.min(defaults::WARMUP)),
    }
}

/// The key that chooses the kind of load; none or a second one is reported.
fn one_kind(checker: &mut Checker<'_, '_>) -> Option<&'static str> {
    let mut present: Vec<_> =
        KINDS.iter().filter_map(|kind| Some((checker.doc.key_span(&["load", kind])?.start, *kind))).collect();
    present.sort_unstable();
    let Some((_, first)) = present.first().copied() else {
        let hint =
            "write one of `concurrency = 8`, `rate = 20.0`, `batch = 8` and `trace = \"trace.jsonl\"` in `[load]`";
        checker.absent(&["load"], "`load` does not say how requests are paced", hint);
        return None;
    };
    for (_, second) in &present[1..] {
        let problem = Problem::error(format!("`load.{first}` and `load.{second}` exclude each other"))
            .at(checker.doc.key_span(&["load", second]))
            .label("a second kind of load")
            .context(checker.doc.key_span(&["load", first]), "the first one")
            .hint("keep exactly one of `concurrency`, `rate`, `batch` and `trace`");
        checker.problems.push(problem);
    }
    // With two kinds no option is wrong for sure.
    (present.len() == 1).then_some(first)
}

fn load_kind(kind: Option<&str>, file: &LoadFile, checker: &mut Checker<'_, '_>) -> LoadKind {
    if let (Some("rate"), Some(rate)) = (kind, file.rate) {
        let arrival = match &file.arrival {
            None | Some(ArrivalFile::Constant) => Arrival::Constant,
            Some(ArrivalFile::Poisson) => Arrival::Poisson,
            Some(ArrivalFile::Gamma(shape)) => {
                checker.above_zero(&["load", "arrival", "gamma"], Some(*shape));
                Arrival::Gamma(*shape)
            }
        };
        return LoadKind::Open { rate, arrival, max_in_flight: file.max_in_flight };
    }
    if let (Some("batch"), Some(size)) = (kind, file.batch) {
        return LoadKind::Batch { size };
    }
    if let (Some("trace"), Some(path)) = (kind, &file.trace) {
        return LoadKind::Trace {
            path: path.clone(),
            speed: file.speed.unwrap_or(1.0),
            offset: file.offset.unwrap_or_default(),
            max_in_flight: file.max_in_flight,
        };
    }
    let concurrency = file.concurrency.unwrap_or(1);
    let default = Time(defaults::RAMP_UP_PER_USER.0.saturating_mul(u64::from(concurrency)));
    LoadKind::Closed { concurrency, ramp_up: file.ramp_up.unwrap_or(default) }
}

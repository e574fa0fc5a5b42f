//! `cargo tokpace history`: how the figures of the runs moved.

use std::io::Write;

use serde::Serialize;

use super::CliError;
use super::context::{counted, meant};
use super::surroundings::Surroundings;
use crate::gate::Verdict;
use crate::history::{Entry, LEGEND, Series, Stretch, Track, csv, plot, tracks};
use crate::metric::MetricId;
use crate::toml_file::did_you_mean;

/// Arguments of `cargo tokpace history`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct HistoryArgs {
    /// Cases, by name or part of it; all of them if none is named
    #[arg(value_name = "CASE")]
    cases: Vec<String>,
    /// Only this metric, such as `tpot.p50`
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Only runs under these conditions, by the fingerprint that is shown
    #[arg(long, value_name = "FINGERPRINT")]
    conditions: Option<String>,
    /// Print a JSON array of series in place of text
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print the newest series of one case as CSV
    #[arg(long)]
    csv: bool,
}

pub(super) fn history(args: &HistoryArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, CliError> {
    let (history, shown) = Surroundings::find()?.history()?;
    let unreadable = |error: std::io::Error| {
        CliError::usage(format!("failed to read `{}`: {error}", shown(history.root())), "check its permissions")
    };
    let (entries, bad) = history.read().map_err(unreadable)?;
    for line in bad {
        writeln!(err, "warning: {}:{}: {}; the line is left out", shown(&line.path), line.line, line.message)?;
    }
    if entries.is_empty() && !args.json && !args.csv {
        writeln!(out, "no run is in `{}` yet; `cargo test --test perf` adds one", shown(history.root()))?;
        return Ok(0);
    }
    show(args, &entries, out, err)
}

fn show(args: &HistoryArgs, entries: &[Entry], out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, CliError> {
    let tracks = chosen(args, entries)?;
    let wanted = |metric: &str| args.metric.as_deref().is_none_or(|name| name == metric);
    if args.json {
        let series: Vec<Item<'_>> = tracks
            .iter()
            .flat_map(|track| track.stretches.iter().map(move |stretch| (track, stretch)))
            .flat_map(|(track, stretch)| {
                let metrics = stretch.metrics().into_iter().filter(|metric| wanted(metric));
                metrics.map(|metric| Item::new(track, stretch, metric)).collect::<Vec<_>>()
            })
            .collect();
        serde_json::to_writer_pretty(&mut *out, &series).map_err(std::io::Error::from)?;
        writeln!(out)?;
    } else if args.csv {
        write!(out, "{}", table(&tracks, wanted, err)?)?;
    } else {
        for track in &tracks {
            writeln!(out, "{}", plot(track, wanted))?;
        }
        writeln!(out, "{LEGEND}")?;
    }
    Ok(0)
}

/// The tracks that the arguments mean.
fn chosen<'e>(args: &HistoryArgs, entries: &'e [Entry]) -> Result<Vec<Track<'e>>, CliError> {
    let mut all = tracks(entries);
    all.retain(|track| args.profile.as_deref().is_none_or(|profile| track.profile == profile));
    let names = all.iter().map(|track| track.case);
    let (mean, unknown) = meant(&args.cases, &names);
    if let Some(word) = unknown.first() {
        let known: Vec<&str> = names.collect();
        return Err(CliError::usage(
            format!("no run of `{word}` is in the history"),
            suggestion(word, &known, "cases"),
        ));
    }
    let mut mean = mean.into_iter();
    all.retain(|_| mean.next() == Some(true) || args.cases.is_empty());
    if let Some(conditions) = &args.conditions {
        let known: Vec<&str> = all.iter().flat_map(|track| &track.stretches).map(|one| one.conditions).collect();
        if !known.contains(&conditions.as_str()) {
            let message = format!("no run under the conditions `{conditions}` is in the history");
            return Err(CliError::usage(message, suggestion(conditions, &known, "fingerprints")));
        }
        for track in &mut all {
            track.stretches.retain(|stretch| stretch.conditions == conditions);
        }
        all.retain(|track| !track.stretches.is_empty());
    }
    if let Some(metric) = &args.metric {
        let has = |track: &Track<'_>| track.stretches.iter().any(|one| one.metrics().contains(&metric.as_str()));
        if !all.iter().any(has) {
            let mut known: Vec<&str> =
                all.iter().flat_map(|track| &track.stretches).flat_map(Stretch::metrics).collect();
            known.sort_unstable();
            known.dedup();
            let message = format!("no run with the check `{metric}` is in the history");
            return Err(CliError::usage(message, suggestion(metric, &known, "checks")));
        }
        all.retain(has);
    }
    Ok(all)
}

fn suggestion(word: &str, known: &[&str], plural: &str) -> String {
    if known.is_empty() {
        return "measure with `cargo test --test perf` first".into();
    }
    let mut known = known.to_vec();
    known.sort_unstable();
    known.dedup();
    did_you_mean(word, &known).unwrap_or_else(|| format!("known {plural}: `{}`", known.join("`, `")))
}

/// The newest series of the one case that is meant.
fn table(tracks: &[Track<'_>], wanted: impl Fn(&str) -> bool, err: &mut dyn Write) -> Result<String, CliError> {
    let [track] = tracks else {
        let names: Vec<String> = tracks.iter().map(|track| format!("`{}` ({})", track.case, track.profile)).collect();
        return Err(CliError::usage(
            "a CSV file holds one case on one profile",
            if names.is_empty() {
                "measure with `cargo test --test perf` first".to_owned()
            } else {
                format!("name one of {}, and the profile with `--profile`", names.join(", "))
            },
        ));
    };
    let Some((newest, older)) = track.stretches.split_last() else { return Ok(String::new()) };
    if !older.is_empty() {
        let names: Vec<&str> = older.iter().map(|stretch| stretch.conditions).collect();
        let runs = counted(older.iter().map(|stretch| stretch.runs.len()).sum(), "run");
        writeln!(
            err,
            "note: {runs} under other conditions left out; `--conditions` chooses them: {}",
            names.join(", ")
        )?;
    }
    let table = csv(newest, wanted);
    if !table.left_out.is_empty() {
        writeln!(err, "note: not every run has a value of {}: left out", table.left_out.join(", "))?;
    }
    Ok(table.text)
}

/// A series as JSON.
#[derive(Serialize)]
struct Item<'e> {
    case: &'e str,
    profile: &'e str,
    conditions: &'e str,
    metric: &'e str,
    unit: &'static str,
    points: Vec<Point<'e>>,
    changes: Vec<ChangeItem<'e>>,
}

#[derive(Serialize)]
struct Point<'e> {
    time: &'e str,
    run: &'e str,
    commit: Option<&'e str>,
    verdict: Verdict,
    value: Option<f64>,
}

#[derive(Serialize)]
struct ChangeItem<'e> {
    time: &'e str,
    run: &'e str,
    commit: Option<&'e str>,
    before: f64,
    after: f64,
    shift: f64,
    p: f64,
}

impl<'e> Item<'e> {
    fn new(track: &Track<'e>, stretch: &Stretch<'e>, metric: &'e str) -> Self {
        let Series { changes, .. } = stretch.series(metric);
        let looked_at = stretch.runs.len().saturating_sub(crate::history::NIGHTS);
        let point = |run: &&'e Entry| Point {
            time: &run.time,
            run: &run.run,
            commit: run.commit.as_deref(),
            verdict: run.verdict,
            value: run.checks.get(metric).copied().flatten(),
        };
        let changed = changes.iter().map(|change| {
            let run: &'e Entry = stretch.runs[looked_at + change.index];
            ChangeItem {
                time: &run.time,
                run: &run.run,
                commit: run.commit.as_deref(),
                before: change.before,
                after: change.after,
                shift: change.shift(metric),
                p: change.p,
            }
        });
        Self {
            case: track.case,
            profile: track.profile,
            conditions: stretch.conditions,
            metric,
            unit: metric.parse::<MetricId>().map_or("", |id| id.metric.unit()),
            points: stretch.runs.iter().map(point).collect(),
            changes: changed.collect(),
        }
    }
}

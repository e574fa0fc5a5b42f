//! `cargo tokpace pending`: what waits to be accepted or rejected.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::context::{counted, printable, title};
use super::{BaselineContext, CliError, upkeep};
use crate::baseline::PendingEntry;
use crate::harness::Upkeep;

/// Arguments of `cargo tokpace pending`.
#[derive(Debug, Default, clap::Args)]
pub struct PendingArgs {
    /// Print a JSON array instead of text
    #[arg(long)]
    pub json: bool,
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

#[derive(Serialize)]
struct Item<'a> {
    case: &'a str,
    profile: &'a str,
    verdict: Option<String>,
    summary: &'a [String],
    jobs: usize,
    path: String,
    error: Option<String>,
    /// `pending`, `unreadable`, or what is wrong with a baseline: `orphan`, `stale`; `unknown` if that cannot be told.
    state: &'static str,
}

impl<'a> Item<'a> {
    fn new(entry: &'a PendingEntry, context: &BaselineContext<'_>) -> Self {
        let content = entry.content.as_ref();
        Self {
            case: &entry.case,
            profile: &entry.profile,
            verdict: content.ok().map(|pending| pending.verdict.to_string()),
            summary: content.map_or(&[], |pending| &pending.summary),
            jobs: content.map_or(0, |pending| pending.jobs.len()),
            path: (context.shown)(&entry.path),
            error: content.err().map(ToString::to_string),
            state: if content.is_ok() { "pending" } else { "unreadable" },
        }
    }

    /// A baseline that needs attention; `error` says why.
    fn of_baseline(
        state: &'static str,
        (case, profile): (&'a str, &'a str),
        path: &Path,
        why: &str,
        context: &BaselineContext<'_>,
    ) -> Self {
        let (path, error) = ((context.shown)(path), Some(why.to_owned()));
        Self { case, profile, verdict: None, summary: &[], jobs: 0, path, error, state }
    }
}

/// Lists the pending measurements; exit code 0 whether there are any or not.
pub fn pending(args: &PendingArgs, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<u8, CliError> {
    let entries = context.waiting(args.profile.as_deref())?;
    let items: Vec<Item<'_>> = entries.iter().map(|entry| Item::new(entry, context)).collect();
    if args.json {
        let (found, unknown) = match upkeep::of_profile(context, args.profile.as_deref()) {
            Ok(found) => (found, None),
            Err(CliError::Failed { message, .. }) => (Upkeep::default(), Some(message)),
            Err(error) => return Err(error),
        };
        let unknown = unknown.map(|why| Item::of_baseline("unknown", ("", ""), context.store.root(), &why, context));
        let orphans = found.abandoned.iter();
        let orphans =
            orphans.map(|one| Item::of_baseline("orphan", (&one.case, &one.profile), &one.path, &one.why, context));
        let stale = found.stale.iter();
        let stale =
            stale.map(|one| Item::of_baseline("stale", (&one.case, &one.profile), &one.path, &one.why, context));
        let items: Vec<Item<'_>> = items.into_iter().chain(orphans).chain(stale).chain(unknown).collect();
        serde_json::to_writer_pretty(&mut *out, &items).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(0);
    }
    for item in &items {
        let state = item.verdict.as_deref().unwrap_or("unreadable");
        writeln!(out, "{}: {state}, {}", title(item.case, item.profile), printable(&item.path))?;
        for line in item.summary.iter().chain(&item.error) {
            writeln!(out, "  {}", printable(line))?;
        }
    }
    match items.len() {
        0 => writeln!(out, "nothing is pending")?,
        count => writeln!(out, "{} pending; see `cargo tokpace review`", counted(count, "measurement"))?,
    }
    upkeep::tell(context, args.profile.as_deref(), out)?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::super::context::testing::Project;
    use super::*;
    use crate::baseline::PendingVerdict::{Missing, Regressed};
    use crate::baseline::testing::{job, pending as measured};
    use crate::harness::{Abandoned, Ended, Stale, Upkeep};

    fn list(project: &Project, json: bool) -> String {
        let args = PendingArgs { json, profile: None };
        let (result, out) = project.run(|context, out| pending(&args, context, out));
        assert_eq!(result.unwrap(), 0);
        out
    }

    #[test]
    fn every_file_is_listed_broken_ones_too() {
        let mut project = Project::new();
        assert_eq!(list(&project, false), "nothing is pending\n");
        assert_eq!(list(&project, true), "[]\n");

        let mut slower = measured(Regressed, vec![job("1", &[5.0])]);
        slower.summary.push("tpot.p50 +10.1 % [+9.6, +10.6], tolerance 3 %: regressed".into());
        project.store.write_pending(&slower).unwrap();
        let mut first = measured(Missing, vec![job("1", &[5.0]), job("2", &[5.0])]);
        first.case = "batch::batch=4".into();
        project.store.write_pending(&first).unwrap();
        std::fs::write(project.store.pending_path("embedded", "broken").unwrap(), "version = 1\n").unwrap();

        insta::assert_snapshot!(list(&project, false), @r"
        batch::batch=4 (embedded): missing, baselines/embedded/batch%3A%3Abatch%3D4.toml.new
        broken (embedded): unreadable, baselines/embedded/broken.toml.new
          `baselines/embedded/broken.toml.new` cannot be used: line 1: missing field `case`
        chatbot (embedded): regressed, baselines/embedded/chatbot.toml.new
          tpot.p50 +10.1 % [+9.6, +10.6], tolerance 3 %: regressed
        3 measurements pending; see `cargo tokpace review`
        ");
        insta::assert_snapshot!(list(&project, true), @r#"
        [
          {
            "case": "batch::batch=4",
            "profile": "embedded",
            "verdict": "missing",
            "summary": [],
            "jobs": 2,
            "path": "baselines/embedded/batch%3A%3Abatch%3D4.toml.new",
            "error": null,
            "state": "pending"
          },
          {
            "case": "broken",
            "profile": "embedded",
            "verdict": null,
            "summary": [],
            "jobs": 0,
            "path": "baselines/embedded/broken.toml.new",
            "error": "`baselines/embedded/broken.toml.new` cannot be used: line 1: missing field `case`",
            "state": "unreadable"
          },
          {
            "case": "chatbot",
            "profile": "embedded",
            "verdict": "regressed",
            "summary": [
              "tpot.p50 +10.1 % [+9.6, +10.6], tolerance 3 %: regressed"
            ],
            "jobs": 1,
            "path": "baselines/embedded/chatbot.toml.new",
            "error": null,
            "state": "pending"
          }
        ]
        "#);

        let case = |case: &str| (case.to_owned(), "embedded".to_owned(), project.store.path("embedded", case).unwrap());
        let ((gone, profile, path), (old, _, old_path)) = (case("gone"), case("old"));
        project.upkeep = Upkeep {
            abandoned: vec![Abandoned { case: gone, profile: profile.clone(), path, why: "no scenario has it".into() }],
            stale: vec![Stale { case: old, profile, path: old_path, why: "its latest job is 91 days old".into() }],
            ended: vec![Ended {
                what: "tpot.p50 of old".into(),
                until: "2026-11-01".parse().unwrap(),
                reason: "x".into(),
            }],
            unreadable: Vec::new(),
        };
        let listed = list(&project, false);
        insta::assert_snapshot!(listed.split_once("`cargo tokpace review`\n").unwrap().1, @r"
        gone (embedded): orphan, baselines/embedded/gone.toml
          no scenario has it
        old (embedded): stale, baselines/embedded/old.toml
          its latest job is 91 days old
        the waiver of tpot.p50 of old ended on 2026-11-01 (x)
        hint: `cargo tokpace reject --orphans` removes what no case uses
        hint: `cargo tokpace run CASE --record 3`, then `cargo tokpace accept CASE`, renews a baseline
        ");
        let items: Vec<serde_json::Value> = serde_json::from_str(&list(&project, true)).unwrap();
        let states: Vec<_> = items.iter().map(|item| item["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["pending", "unreadable", "pending", "orphan", "stale"]);
        assert_eq!(items[3]["error"], "no scenario has it");

        project.broken = Some("`tokpace.toml` is wrong\nmore words".into());
        assert!(list(&project, false).ends_with("ages of baselines are unknown: `tokpace.toml` is wrong\n"));
        let items: Vec<serde_json::Value> = serde_json::from_str(&list(&project, true)).unwrap();
        assert_eq!((items.len(), &items[3]["state"]), (4, &"unknown".into()));
        project.broken = None;

        project.upkeep.ended.clear();
        let args = PendingArgs { json: false, profile: Some("staging".into()) };
        let (_, out) = project.run(|context, out| pending(&args, context, out));
        assert_eq!(out, "nothing is pending\n");
    }
}

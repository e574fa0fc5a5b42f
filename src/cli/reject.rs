//! `cargo tokpace reject`: throws pending measurements away; the baselines stay as they are.

use std::io::Write;

use super::context::{meant, no_match, printable, title};
use super::decide::Decisions;
use super::{BaselineContext, CliError, upkeep};

/// Arguments of `cargo tokpace reject`.
#[derive(Debug, Default, clap::Args)]
pub struct RejectArgs {
    /// Cases, by name or part of it; all that are pending if none is named
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// Everything that is pending
    #[arg(long, conflicts_with = "cases")]
    pub all: bool,
    /// Baselines that no case uses, in place of pending measurements
    #[arg(long)]
    pub orphans: bool,
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// Removes pending files, unreadable ones too, or baselines without a case; exit code 0.
///
/// # Errors
/// If a named case is not there (nothing is removed then), or some file cannot be removed: the others are.
pub fn reject(args: &RejectArgs, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<u8, CliError> {
    if args.orphans {
        return orphans(args, context, out);
    }
    let entries = context.waiting(args.profile.as_deref())?;
    let names = entries.iter().map(|entry| entry.case.as_str());
    let (chosen, unknown) = meant(&args.cases, &names);
    if !unknown.is_empty() {
        return Err(no_match(&unknown, names));
    }
    if entries.is_empty() {
        writeln!(out, "nothing is pending")?;
    }
    let mut decisions = Decisions::default();
    for (entry, _) in entries.iter().zip(chosen).filter(|(_, chosen)| args.cases.is_empty() || *chosen) {
        decisions.reject(entry, context, out)?;
    }
    decisions.end("rejected")
}

fn orphans(args: &RejectArgs, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<u8, CliError> {
    let found = upkeep::of_profile(context, args.profile.as_deref())?;
    for name in &found.unreadable {
        writeln!(out, "scenario `{name}` cannot be read, so baselines of its cases are left alone")?;
    }
    let names = found.abandoned.iter().map(|one| one.case.as_str());
    let (chosen, unknown) = meant(&args.cases, &names);
    if !unknown.is_empty() {
        let names: Vec<&str> = names.collect();
        let hint = if names.is_empty() {
            "every baseline has a case".to_owned()
        } else {
            format!(
                "orphans: {}",
                names.iter().map(|name| format!("`{}`", printable(name))).collect::<Vec<_>>().join(", ")
            )
        };
        return Err(CliError::usage(format!("`{}` is no orphan", unknown.join("`, `")), hint));
    }
    if found.abandoned.is_empty() {
        writeln!(out, "no baseline is an orphan")?;
    }
    let mut decisions = Decisions::default();
    for (one, _) in found.abandoned.iter().zip(chosen).filter(|(_, chosen)| args.cases.is_empty() || *chosen) {
        let title = title(&one.case, &one.profile);
        let result = match context.store.remove_orphan(&one.path) {
            Ok(true) => writeln!(out, "removed the baseline of {title}: {}", one.why).map_err(CliError::from),
            Ok(false) => writeln!(out, "the baseline of {title} is no longer there").map_err(CliError::from),
            Err(error) => Err(context.failed(error)),
        };
        decisions.keep(title, result)?;
    }
    decisions.end("removed")
}

#[cfg(test)]
mod tests {
    use super::super::context::testing::Project;
    use super::*;
    use crate::baseline::PendingVerdict::{Missing, Regressed};
    use crate::baseline::testing::{job, pending as measured};
    use crate::baseline::{AcceptMode, Acceptance};
    use crate::harness::{Abandoned, Upkeep};

    fn run(project: &Project, cases: &[&str]) -> (Result<u8, CliError>, String) {
        let args = RejectArgs { cases: cases.iter().map(ToString::to_string).collect(), ..RejectArgs::default() };
        project.run(|context, out| reject(&args, context, out))
    }

    #[test]
    fn what_is_named_goes_and_the_rest_stays() {
        let project = Project::new();
        for case in ["chatbot", "batch", "batch::batch=4"] {
            let mut pending = measured(Regressed, vec![job("1", &[5.0])]);
            pending.case = case.into();
            project.store.write_pending(&pending).unwrap();
        }
        let (result, out) = run(&project, &["chat", "summary", "long"]);
        let error = result.unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert_eq!(error.to_string(), "no measurement of `summary`, `long` is there");
        assert_eq!((out.as_str(), project.store.list_pending().unwrap().len()), ("", 3));

        assert_eq!(run(&project, &["batch"]).1, "rejected batch (embedded)\n");
        assert_eq!(run(&project, &[]).1, "rejected batch::batch=4 (embedded)\nrejected chatbot (embedded)\n");
        assert_eq!(run(&project, &[]).1, "nothing is pending\n");
        assert!(run(&project, &["chatbot"]).0.is_err());
    }

    #[test]
    fn orphans_go_only_when_asked_for() {
        let mut project = Project::new();
        let store = &project.store;
        for case in ["chatbot", "gone", "also-gone"] {
            let mut first = measured(Missing, vec![job("1", &[5.0])]);
            first.case = case.into();
            store.accept(&first, AcceptMode::Auto, &Acceptance::default()).unwrap();
        }
        let orphan = |case: &str| Abandoned {
            case: case.into(),
            profile: "embedded".into(),
            path: store.path("embedded", case).unwrap(),
            why: "no scenario has such a case".into(),
        };
        project.upkeep = Upkeep {
            abandoned: vec![orphan("also-gone"), orphan("gone")],
            unreadable: vec!["odd".into()],
            ..Upkeep::default()
        };
        assert_eq!(run(&project, &[]).1, "nothing is pending\n");
        let remove = |cases: &[&str]| {
            let cases = cases.iter().map(ToString::to_string).collect();
            let args = RejectArgs { cases, orphans: true, ..RejectArgs::default() };
            project.run(|context, out| reject(&args, context, out))
        };
        let error = remove(&["chatbot"]).0.unwrap_err();
        assert_eq!(error.to_string(), "`chatbot` is no orphan");
        insta::assert_snapshot!(remove(&["also"]).1, @r"
        scenario `odd` cannot be read, so baselines of its cases are left alone
        removed the baseline of also-gone (embedded): no scenario has such a case
        ");
        insta::assert_snapshot!(remove(&[]).1, @r"
        scenario `odd` cannot be read, so baselines of its cases are left alone
        the baseline of also-gone (embedded) is no longer there
        removed the baseline of gone (embedded): no scenario has such a case
        ");
        let left = |case: &str| project.store.load("embedded", case).unwrap().is_some();
        assert_eq!(["chatbot", "gone", "also-gone"].map(left), [true, false, false]);
    }
}

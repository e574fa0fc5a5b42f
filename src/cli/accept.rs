//! `cargo tokpace accept`: measurements become the baseline, with who, when, at which commit and why.

use std::io::Write;

use super::context::{meant, no_match, title};
use super::decide::Decisions;
use super::{BaselineContext, CliError};
use crate::baseline::{AcceptMode, Pending};

/// Arguments of `cargo tokpace accept`.
#[derive(Debug, Default, clap::Args)]
pub struct AcceptArgs {
    /// Cases, by name or part of it; all that are pending if none is named, else those of the latest run
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// Everything that is pending
    #[arg(long, conflicts_with = "cases")]
    pub all: bool,
    /// Add the run to the baseline as one more job, whatever its verdict
    #[arg(long)]
    pub append: bool,
    /// Why; kept in the baseline
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// A measurement that may be meant, or the error that stands in its place.
struct Candidate {
    case: String,
    profile: String,
    content: Result<Pending, CliError>,
}

/// Accepts what is named; exit code 0.
///
/// # Errors
/// If a named case was not measured (nothing is accepted then), or some measurement cannot be accepted: the others are.
pub fn accept(args: &AcceptArgs, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<u8, CliError> {
    let chosen = choose(args, context, out)?;
    let mode = if args.append { AcceptMode::Append } else { AcceptMode::Auto };
    let mut decisions = Decisions::default();
    for candidate in chosen {
        match candidate.content {
            Ok(pending) => decisions.accept(&pending, mode, args.reason.as_deref(), context, out)?,
            Err(error) => decisions.keep(title(&candidate.case, &candidate.profile), Err(error))?,
        };
    }
    decisions.remind(out)?;
    decisions.end("accepted")
}

/// What the arguments mean: pending files first, then the latest run.
fn choose(args: &AcceptArgs, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<Vec<Candidate>, CliError> {
    let profile = args.profile.as_deref();
    let mut waiting: Vec<Candidate> = context
        .waiting(profile)?
        .into_iter()
        .map(|entry| Candidate {
            case: entry.case,
            profile: entry.profile,
            content: entry.content.map_err(CliError::from),
        })
        .collect();
    if args.cases.is_empty() {
        if waiting.is_empty() {
            waiting = latest(profile, context)?;
            match waiting.len() {
                0 => writeln!(out, "nothing is pending, and no run was found to accept")?,
                _ => writeln!(out, "nothing is pending, so the latest run is taken")?,
            }
        }
        return Ok(waiting);
    }
    let mut unknown = Vec::new();
    let mut chosen = take(&mut waiting, &args.cases, &mut unknown);
    if !unknown.is_empty() {
        let mut run = latest(profile, context)?;
        let words: Vec<String> = unknown.iter().map(ToString::to_string).collect();
        let mut still_unknown = Vec::new();
        chosen.extend(take(&mut run, &words, &mut still_unknown));
        if !still_unknown.is_empty() {
            let all = chosen.iter().chain(&waiting).chain(&run);
            return Err(no_match(&still_unknown, all.map(|candidate| candidate.case.as_str())));
        }
    }
    Ok(chosen)
}

fn latest(profile: Option<&str>, context: &BaselineContext<'_>) -> Result<Vec<Candidate>, CliError> {
    let run = (context.latest)()?.into_iter().filter(|pending| profile.is_none_or(|name| pending.profile == name));
    Ok(run
        .map(|pending| Candidate { case: pending.case.clone(), profile: pending.profile.clone(), content: Ok(pending) })
        .collect())
}

/// Moves the candidates that some word means out of the list; words that mean none go to `unknown`.
fn take<'w>(from: &mut Vec<Candidate>, words: &'w [String], unknown: &mut Vec<&'w str>) -> Vec<Candidate> {
    let (meant, none) = meant(words, &from.iter().map(|candidate| candidate.case.as_str()));
    unknown.extend(none);
    let mut meant = meant.into_iter();
    from.extract_if(.., |_| meant.next() == Some(true)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::context::testing::Project;
    use super::*;
    use crate::baseline::PendingVerdict::{self, Inconclusive, Missing, Pass, Regressed};
    use crate::baseline::testing::{job, pending};

    fn measured(case: &str, verdict: PendingVerdict, recorded: &str, tpot: f64) -> Pending {
        Pending { case: case.into(), ..pending(verdict, vec![job(recorded, &[tpot])]) }
    }

    fn run(project: &Project, cases: &[&str], change: impl FnOnce(&mut AcceptArgs)) -> (Result<u8, CliError>, String) {
        let mut args = AcceptArgs { cases: cases.iter().map(ToString::to_string).collect(), ..AcceptArgs::default() };
        change(&mut args);
        project.run(|context, out| accept(&args, context, out))
    }

    fn failed(result: Result<u8, CliError>) -> (String, Option<String>) {
        match result.unwrap_err() {
            CliError::Failed { exit_code: 2, message, hint } => (message, hint),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_life_of_a_baseline() {
        let mut project = Project::new();
        let (result, out) = run(&project, &[], |_| ());
        assert_eq!((result.unwrap(), out.as_str()), (0, "nothing is pending, and no run was found to accept\n"));

        project.store.write_pending(&measured("chatbot", Missing, "2026-11-20T00:00:00Z", 4.0)).unwrap();
        let (_, out) = run(&project, &[], |args| args.reason = Some(" first ".into()));
        assert_eq!(out, "accepted chatbot (embedded): first baseline, 1 job\n");

        project.latest = vec![measured("chatbot", Pass, "2026-11-21T00:00:00Z", 4.01)];
        let (_, out) = run(&project, &[], |args| args.all = true);
        assert_eq!(
            out,
            "nothing is pending, so the latest run is taken\naccepted chatbot (embedded): 1 job added, 2 in all\n"
        );
        let (result, out) = run(&project, &["chatbot"], |_| ());
        assert_eq!((result.unwrap(), out.as_str()), (0, "chatbot (embedded) is already part of the baseline\n"));

        project.store.write_pending(&measured("chatbot", Regressed, "2026-11-22T00:00:00Z", 4.4)).unwrap();
        let (_, out) = run(&project, &[], |_| ());
        insta::assert_snapshot!(out, @r"
        accepted chatbot (embedded): new epoch, 1 job; the 2 jobs before stay as an anchor (regressed)
          drift since 2026-11-21: tpot.p50 +9.9 % (worse)
        hint: a regression was accepted without a word; `--reason TEXT` keeps why beside the numbers
        ");

        let baseline = project.store.load("embedded", "chatbot").unwrap().unwrap();
        assert_eq!(baseline.jobs[0].by.as_deref(), Some("Jane <jane@x>"));
        assert_eq!(baseline.jobs[0].reason, None);
        assert_eq!(baseline.anchors[0].jobs[0].reason.as_deref(), Some("first"));
    }

    #[test]
    fn append_whatever_the_verdict_but_not_across_conditions() {
        let project = Project::new();
        for (case, recorded) in [("a", "1"), ("b", "1")] {
            project.store.write_pending(&measured(case, Missing, recorded, 4.0)).unwrap();
        }
        run(&project, &[], |_| ()).0.unwrap();
        project.store.write_pending(&measured("a", Regressed, "2", 4.4)).unwrap();
        let mut moved = measured("b", Pass, "2", 4.0);
        moved.conditions.insert("plan".into(), "sha256:2".into());
        project.store.write_pending(&moved).unwrap();

        let (result, out) = run(&project, &[], |args| {
            args.append = true;
            args.reason = Some("noise".into());
        });
        assert_eq!(out, "accepted a (embedded): 1 job added, 2 in all\n");
        let (message, hint) = failed(result);
        insta::assert_snapshot!(message, @r"
        1 of 2 measurements not accepted
          b (embedded): it was measured under other conditions than the baseline: `plan`
        ");
        assert_eq!(hint.as_deref(), Some("accept it without `--append`: that starts a new epoch"));

        let (_, out) = run(&project, &["b"], |_| ());
        assert_eq!(
            out,
            "accepted b (embedded): new epoch, 1 job; the 1 job before stay as an anchor (conditions changed (plan))\n"
        );
    }

    #[test]
    fn a_named_case_may_wait_or_be_in_the_latest_run() {
        let mut project = Project::new();
        project.store.write_pending(&measured("chatbot", Missing, "1", 4.0)).unwrap();
        project.latest = vec![
            measured("batch::batch=4", Missing, "1", 4.0),
            Pending { profile: "staging".into(), ..measured("other", Missing, "1", 4.0) },
        ];
        let (result, out) = run(&project, &["chatbot", "nothing"], |_| ());
        assert_eq!(out, "", "nothing is accepted if a name is wrong");
        assert_eq!(
            failed(result),
            (
                "no measurement of `nothing` is there".to_owned(),
                Some("name one of `batch::batch=4`, `chatbot`, `other`".to_owned())
            )
        );
        assert!(run(&project, &["other"], |args| args.profile = Some("embedded".into())).0.is_err());
        let (result, out) = run(&project, &["batch=4", "chatbot"], |_| ());
        result.unwrap();
        insta::assert_snapshot!(out, @r"
        accepted chatbot (embedded): first baseline, 1 job
        accepted batch::batch=4 (embedded): first baseline, 1 job
        ");
    }

    #[test]
    fn one_that_cannot_be_accepted_does_not_stop_the_others() {
        let mut project = Project::new();
        for case in ["a", "b"] {
            project.store.write_pending(&measured(case, Missing, "1", 4.0)).unwrap();
        }
        run(&project, &[], |_| ()).0.unwrap();
        project.latest = vec![
            measured("a", Inconclusive, "2", 4.0),
            measured("b", Pass, "2", 4.0),
            measured("..", Missing, "2", 4.0),
        ];
        project.latest[2].profile = "../..".into();
        let (result, out) = run(&project, &[], |_| ());
        assert!(out.contains("accepted b (embedded): 1 job added, 2 in all"), "{out}");
        let (message, hint) = failed(result);
        insta::assert_snapshot!(message, @r"
        2 of 3 measurements not accepted
          a (embedded): its verdict is inconclusive
            hint: record more jobs with `run --record N`, or add it as one more job with `accept --append`
          .. (../..): `../..` cannot name a profile
            hint: use letters, digits, `.`, `_` and `-`, and no leading dot
        ");
        assert_eq!(hint, None);
    }
}

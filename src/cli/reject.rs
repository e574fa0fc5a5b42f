//! `cargo tokpace reject`: throws pending measurements away; the baselines stay as they are.

use std::io::Write;

use super::context::{meant, no_match};
use super::decide::Decisions;
use super::{BaselineContext, CliError};

/// Arguments of `cargo tokpace reject`.
#[derive(Debug, Default, clap::Args)]
pub struct RejectArgs {
    /// Cases, by name or part of it; all that are pending if none is named
    #[arg(value_name = "CASE")]
    pub cases: Vec<String>,
    /// Everything that is pending
    #[arg(long, conflicts_with = "cases")]
    pub all: bool,
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
}

/// Removes pending files, unreadable ones too; exit code 0.
///
/// # Errors
/// If a named case is not pending (nothing is removed then), or some file cannot be removed: the others are.
pub fn reject(args: &RejectArgs, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<u8, CliError> {
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

#[cfg(test)]
mod tests {
    use super::super::context::testing::Project;
    use super::*;
    use crate::baseline::PendingVerdict::Regressed;
    use crate::baseline::testing::{job, pending as measured};

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
}

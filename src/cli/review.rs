//! `cargo tokpace review`: pending measurements one at a time, with what they would change.

use std::io::{BufRead, Write};

use super::context::{printable, title};
use super::decide::Decisions;
use super::numbers::{fingerprint, table};
use super::{BaselineContext, CliError, upkeep};
use crate::baseline::{AcceptMode, Baseline, Pending, PendingEntry, PendingVerdict, accepted, drift_line};

/// Arguments of `cargo tokpace review`.
#[derive(Debug, Default, clap::Args)]
pub struct ReviewArgs {
    /// Only this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Why; kept in the baseline of everything that is accepted
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Accept,
    Reject,
    Skip,
}

/// Shows each pending measurement and, on a terminal, asks what to do with it; exit code 0.
///
/// # Errors
/// If something that was to be accepted could not be (the rest is still asked), or a file cannot be read.
pub fn review(
    args: &ReviewArgs,
    context: &BaselineContext<'_>,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<u8, CliError> {
    let entries = context.waiting(args.profile.as_deref())?;
    if entries.is_empty() {
        writeln!(out, "nothing is pending")?;
        upkeep::tell(context, args.profile.as_deref(), out)?;
        return Ok(0);
    }
    let mut for_all = None;
    let mut decisions = Decisions::default();
    for (at, entry) in entries.iter().enumerate() {
        let title = title(&entry.case, &entry.profile);
        writeln!(out, "{}/{} {title}", at + 1, entries.len())?;
        show(entry, context, out)?;
        if !context.terminal {
            continue;
        }
        let answer = match for_all {
            Some(answer) => answer,
            None => match ask(input, out)? {
                None => return ended(&decisions, out),
                Some((answer, all)) => {
                    for_all = all.then_some(answer);
                    answer
                }
            },
        };
        let failure = match (answer, &entry.content) {
            (Answer::Skip, _) => None,
            (Answer::Reject, _) => decisions.reject(entry, context, out)?,
            (Answer::Accept, Err(error)) => {
                decisions.keep(title, Err(CliError::usage(error.to_string(), error.hint())))?
            }
            (Answer::Accept, Ok(pending)) => {
                let why = reason(args, pending, for_all.is_some(), input, out)?;
                decisions.accept(pending, AcceptMode::Auto, why.as_deref(), context, out)?
            }
        };
        // Told at once, while the measurement is in sight.
        if let Some(failure) = failure {
            writeln!(out, "error: {}", failure.message)?;
            if let Some(hint) = &failure.hint {
                writeln!(out, "hint: {hint}")?;
            }
        }
        writeln!(out)?;
    }
    upkeep::tell(context, args.profile.as_deref(), out)?;
    if context.terminal {
        return ended(&decisions, out);
    }
    commands(&entries, out)?;
    Ok(0)
}

fn ended(decisions: &Decisions, out: &mut dyn Write) -> Result<u8, CliError> {
    decisions.remind(out)?;
    out.flush()?;
    Ok(decisions.exit_code())
}

/// The verdict, what changed, and the figures.
fn show(entry: &PendingEntry, context: &BaselineContext<'_>, out: &mut dyn Write) -> Result<(), CliError> {
    let pending = match &entry.content {
        Ok(pending) => pending,
        Err(error) => {
            writeln!(out, "  unreadable: {error}\n  hint: {}\n", error.hint())?;
            return Ok(());
        }
    };
    writeln!(out, "  {}", pending.verdict)?;
    for line in &pending.summary {
        writeln!(out, "  {}", printable(line))?;
    }
    writeln!(out)?;
    match context.store.load(&entry.profile, &entry.case).map_err(|error| context.near(error)) {
        Err(error) => writeln!(out, "  the baseline is unreadable: {error}\n  hint: {}", error.hint())?,
        Ok(baseline) => {
            write!(out, "{}", table(baseline.as_ref(), pending))?;
            if let Some(baseline) = &baseline {
                write!(out, "{}", fingerprint(baseline, pending))?;
                if let Some(drift) = drift_once_accepted(baseline, pending, context) {
                    writeln!(out, "  once accepted, {drift}")?;
                }
            }
        }
    }
    writeln!(out)?;
    Ok(())
}

/// How far accepting would take the baseline from its oldest anchor; without an anchor the table says it already.
fn drift_once_accepted(baseline: &Baseline, pending: &Pending, context: &BaselineContext<'_>) -> Option<String> {
    baseline.oldest_anchor()?;
    let after = accepted(Some(baseline), pending, AcceptMode::Auto, &context.acceptance(None)).ok()?;
    drift_line(&after, |_| true)
}

/// The answer, and whether it is for everything that follows; `None` to quit, also at the end of the input.
fn ask(input: &mut dyn BufRead, out: &mut dyn Write) -> Result<Option<(Answer, bool)>, CliError> {
    loop {
        write!(out, "a accept, r reject, s skip, q quit; A and R for all that follow: ")?;
        out.flush()?;
        let Some(line) = line(input)? else {
            writeln!(out)?;
            return Ok(None);
        };
        return Ok(Some(match line.trim() {
            "a" | "accept" => (Answer::Accept, false),
            "A" => (Answer::Accept, true),
            "r" | "reject" => (Answer::Reject, false),
            "R" => (Answer::Reject, true),
            "s" | "skip" => (Answer::Skip, false),
            "q" | "quit" => return Ok(None),
            _ => continue,
        }));
    }
}

/// Why it is accepted. A regression is asked about where somebody is looking at just this one.
fn reason(
    args: &ReviewArgs,
    pending: &Pending,
    for_all: bool,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<Option<String>, CliError> {
    if args.reason.is_some() || for_all || pending.verdict != PendingVerdict::Regressed {
        return Ok(args.reason.clone());
    }
    write!(out, "why is it worth it (kept in the baseline; may be empty): ")?;
    out.flush()?;
    line(input)
}

fn line(input: &mut dyn BufRead) -> Result<Option<String>, CliError> {
    let mut text = String::new();
    Ok((input.read_line(&mut text)? > 0).then_some(text))
}

/// How to decide without a terminal.
fn commands(entries: &[PendingEntry], out: &mut dyn Write) -> Result<(), CliError> {
    let several = entries.iter().any(|entry| entry.profile != entries[0].profile);
    writeln!(out, "this is not a terminal; decide with")?;
    for entry in entries {
        let case = shell_word(&entry.case);
        let profile = if several { format!(" --profile {}", entry.profile) } else { String::new() };
        if entry.content.is_ok() {
            writeln!(out, "  cargo tokpace accept {case}{profile} --reason \"…\"")?;
        }
        writeln!(out, "  cargo tokpace reject {case}{profile}")?;
    }
    writeln!(out, "or for all of them `cargo tokpace accept --all` and `cargo tokpace reject --all`")?;
    Ok(())
}

/// A case as it is typed into a shell.
fn shell_word(case: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-:=,/+@%".contains(c);
    if case.chars().all(plain) && !case.starts_with('-') {
        case.to_owned()
    } else {
        format!("'{}'", printable(case).replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::testing::Project;
    use super::*;
    use crate::baseline::testing::{job, map, pending};
    use crate::baseline::{Acceptance, PendingVerdict::*};

    /// Four measurements wait: one without a baseline, two regressions and a broken file.
    fn project() -> Project {
        let project = Project::new();
        let who = Acceptance::default();
        for (case, verdict) in [("batch::batch=4", Missing), ("chatbot", Regressed), ("summary", Regressed)] {
            let measured = |verdict, recorded: &str, tpot: &[f64]| Pending {
                case: case.into(),
                ..pending(verdict, vec![job(recorded, tpot)])
            };
            if verdict == Regressed {
                let first = measured(Missing, "2026-10-01T00:00:00Z", &[4.0]);
                project.store.accept(&first, AcceptMode::Auto, &who).unwrap();
            }
            if case == "chatbot" {
                let second = measured(Improved, "2026-11-01T00:00:00Z", &[3.8]);
                project.store.accept(&second, AcceptMode::Auto, &who).unwrap();
            }
            let mut run = measured(verdict, "2026-11-22T00:00:00Z", &[4.4, 4.5]);
            run.jobs[0].subject = map(&[("server.version", "0.12.0")]);
            run.summary = vec!["tpot.p50 +11.2 % [+9.6, +12.6], tolerance 3 %: regressed".into()];
            project.store.write_pending(&run).unwrap();
        }
        std::fs::write(project.store.pending_path("embedded", "zzz").unwrap(), "version = 1\n").unwrap();
        project
    }

    fn run(project: &Project, input: &str) -> (Result<u8, CliError>, String) {
        let mut input = input.as_bytes();
        let args = ReviewArgs::default();
        project.run(|context, out| review(&args, context, &mut input, out))
    }

    fn waiting(project: &Project) -> Vec<String> {
        project.store.list_pending().unwrap().into_iter().map(|entry| entry.case).collect()
    }

    #[test]
    fn without_a_terminal_everything_is_shown_with_the_commands() {
        let project = project();
        let (result, out) = run(&project, "A\n");
        assert_eq!(result.unwrap(), 0);
        insta::assert_snapshot!(out, @r#"
        1/4 batch::batch=4 (embedded)
          missing
          tpot.p50 +11.2 % [+9.6, +12.6], tolerance 3 %: regressed

                           baseline       new  change
          tpot.p50                –  4.450 ms
          failed requests         –   0 of 96

        2/4 chatbot (embedded)
          regressed
          tpot.p50 +11.2 % [+9.6, +12.6], tolerance 3 %: regressed

                           baseline       new  change
          tpot.p50         3.800 ms  4.450 ms  +17.1 %  worse
          failed requests   0 of 48   0 of 96
          changed:
            server.version: none → 0.12.0
          once accepted, drift since 2026-10-01: tpot.p50 +11.3 % (worse)

        3/4 summary (embedded)
          regressed
          tpot.p50 +11.2 % [+9.6, +12.6], tolerance 3 %: regressed

                           baseline       new  change
          tpot.p50         4.000 ms  4.450 ms  +11.3 %  worse
          failed requests   0 of 48   0 of 96
          changed:
            server.version: none → 0.12.0

        4/4 zzz (embedded)
          unreadable: `baselines/embedded/zzz.toml.new` cannot be used: line 1: missing field `case`
          hint: reject it with `cargo tokpace reject` and measure again

        this is not a terminal; decide with
          cargo tokpace accept batch::batch=4 --reason "…"
          cargo tokpace reject batch::batch=4
          cargo tokpace accept chatbot --reason "…"
          cargo tokpace reject chatbot
          cargo tokpace accept summary --reason "…"
          cargo tokpace reject summary
          cargo tokpace reject zzz
        or for all of them `cargo tokpace accept --all` and `cargo tokpace reject --all`
        "#);
        assert_eq!(waiting(&project).len(), 4, "nothing is decided");
        assert_eq!(run(&Project::new(), "").1, "nothing is pending\n");
    }

    #[test]
    fn one_key_each() {
        let mut project = project();
        project.terminal = true;
        let (result, out) = run(&project, "s\nwhat?\na\nfaster first token\nr\na\n");
        assert_eq!(result.unwrap(), 2, "the broken file could not be accepted");
        assert_eq!(waiting(&project), ["batch::batch=4", "zzz"]);
        let baseline = project.store.load("embedded", "chatbot").unwrap().unwrap();
        assert_eq!(baseline.anchors[0].reason, "regressed: faster first token");
        assert_eq!(project.store.load("embedded", "summary").unwrap().unwrap().jobs.len(), 1);
        insta::assert_snapshot!(out.split_once("2/4").unwrap().1, @r"
         chatbot (embedded)
          regressed
          tpot.p50 +11.2 % [+9.6, +12.6], tolerance 3 %: regressed

                           baseline       new  change
          tpot.p50         3.800 ms  4.450 ms  +17.1 %  worse
          failed requests   0 of 48   0 of 96
          changed:
            server.version: none → 0.12.0
          once accepted, drift since 2026-10-01: tpot.p50 +11.3 % (worse)

        a accept, r reject, s skip, q quit; A and R for all that follow: a accept, r reject, s skip, q quit; A and R for all that follow: why is it worth it (kept in the baseline; may be empty): accepted chatbot (embedded): new epoch, 1 job; the 1 job before stay as an anchor (regressed: faster first token)
          drift since 2026-10-01: tpot.p50 +11.3 % (worse)

        3/4 summary (embedded)
          regressed
          tpot.p50 +11.2 % [+9.6, +12.6], tolerance 3 %: regressed

                           baseline       new  change
          tpot.p50         4.000 ms  4.450 ms  +11.3 %  worse
          failed requests   0 of 48   0 of 96
          changed:
            server.version: none → 0.12.0

        a accept, r reject, s skip, q quit; A and R for all that follow: rejected summary (embedded)

        4/4 zzz (embedded)
          unreadable: `baselines/embedded/zzz.toml.new` cannot be used: line 1: missing field `case`
          hint: reject it with `cargo tokpace reject` and measure again

        a accept, r reject, s skip, q quit; A and R for all that follow: error: `baselines/embedded/zzz.toml.new` cannot be used: line 1: missing field `case`
        hint: reject it with `cargo tokpace reject` and measure again
        ");
    }

    #[test]
    fn one_key_for_all() {
        let mut project = project();
        project.terminal = true;
        let (result, out) = run(&project, "s\nA\n");
        assert_eq!(result.unwrap(), 2);
        assert!(out.contains("hint: a regression was accepted without a word"), "{out}");
        assert_eq!(waiting(&project), ["batch::batch=4", "zzz"]);
        assert_eq!(run(&project, "R\n").0.unwrap(), 0);
        assert!(waiting(&project).is_empty());
    }

    #[test]
    fn quitting_or_closing_the_input_leaves_the_rest() {
        for input in ["r\nq\n", "r\n", "r\n\n"] {
            let mut project = project();
            project.terminal = true;
            assert_eq!(run(&project, input).0.unwrap(), 0);
            assert_eq!(waiting(&project).len(), 3, "{input:?}");
        }
    }

    #[test]
    fn cases_are_quoted_for_the_shell() {
        assert_eq!(shell_word("batch::batch=4"), "batch::batch=4");
        assert_eq!(shell_word("a b'c"), "'a b'\\''c'");
        assert_eq!(shell_word("$(rm)"), "'$(rm)'");
    }
}

//! What becomes of pending measurements: the decisions that `accept`, `reject` and `review` share.

use std::fmt::Write as _;
use std::io::Write;

use super::context::{counted, printable, title};
use super::error::USAGE;
use super::{BaselineContext, CliError};
use crate::baseline::{
    AcceptError, AcceptMode, Baseline, Pending, PendingEntry, PendingVerdict, StoreError, drift_line,
};

/// Decisions one after the other: one that fails does not stop those after it.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    made: usize,
    failures: Vec<Failure>,
    /// A regression was accepted without a reason.
    unexplained: bool,
}

/// Why a decision could not be carried out.
#[derive(Debug)]
pub(super) struct Failure {
    title: String,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Decisions {
    /// Accepts a measurement, or keeps why it cannot be accepted.
    ///
    /// # Errors
    /// If the output is closed.
    pub(super) fn accept(
        &mut self,
        pending: &Pending,
        mode: AcceptMode,
        reason: Option<&str>,
        context: &BaselineContext<'_>,
        out: &mut dyn Write,
    ) -> Result<Option<&Failure>, CliError> {
        let result = accept_one(pending, mode, reason, context, out).map(|new| {
            self.unexplained |= new && reason.is_none() && pending.verdict == PendingVerdict::Regressed;
        });
        self.keep(title(&pending.case, &pending.profile), result)
    }

    /// Rejects a pending file, or keeps why it cannot be rejected.
    ///
    /// # Errors
    /// If the output is closed.
    pub(super) fn reject(
        &mut self,
        entry: &PendingEntry,
        context: &BaselineContext<'_>,
        out: &mut dyn Write,
    ) -> Result<Option<&Failure>, CliError> {
        let title = title(&entry.case, &entry.profile);
        let result = match context.store.reject(entry) {
            Ok(true) => writeln!(out, "rejected {title}").map_err(CliError::from),
            Ok(false) => writeln!(out, "{title} is no longer pending").map_err(CliError::from),
            Err(error) => Err(context.failed(error)),
        };
        self.keep(title, result)
    }

    /// Keeps how a decision ended. What is printed nowhere any more ends all of them.
    pub(super) fn keep(&mut self, title: String, result: Result<(), CliError>) -> Result<Option<&Failure>, CliError> {
        self.made += 1;
        match result {
            Ok(()) => Ok(None),
            Err(CliError::Failed { message, hint, .. }) => {
                self.failures.push(Failure { title, message, hint });
                Ok(self.failures.last())
            }
            Err(error) => Err(error),
        }
    }

    /// Says what should have been said with what was accepted.
    pub(super) fn remind(&self, out: &mut dyn Write) -> Result<(), CliError> {
        if self.unexplained {
            writeln!(
                out,
                "hint: a regression was accepted without a word; `--reason TEXT` keeps why beside the numbers"
            )?;
        }
        Ok(())
    }

    /// Exit code of decisions whose failures were told one by one.
    pub(super) fn exit_code(&self) -> u8 {
        if self.failures.is_empty() { 0 } else { USAGE }
    }

    /// The end of decisions whose failures are told together; `done` says what was to be done, as `accepted`.
    ///
    /// # Errors
    /// If some failed.
    pub(super) fn end(mut self, done: &str) -> Result<u8, CliError> {
        if self.failures.is_empty() {
            return Ok(0);
        }
        let mut message = format!("{} of {} not {done}", self.failures.len(), counted(self.made, "measurement"));
        let several = self.failures.len() > 1;
        for Failure { title, message: reason, hint } in &self.failures {
            let _ = write!(message, "\n  {title}: {reason}");
            // The hint of a single failure stands at the end.
            if let (Some(hint), true) = (hint, several) {
                let _ = write!(message, "\n    hint: {hint}");
            }
        }
        let hint = if several { None } else { self.failures.remove(0).hint };
        Err(CliError::Failed { exit_code: USAGE, message, hint })
    }
}

/// Accepts one measurement and says what became of it. `false` if it is part of the baseline already, which is no error.
fn accept_one(
    pending: &Pending,
    mode: AcceptMode,
    reason: Option<&str>,
    context: &BaselineContext<'_>,
    out: &mut dyn Write,
) -> Result<bool, CliError> {
    let title = title(&pending.case, &pending.profile);
    match context.store.accept(pending, mode, &context.acceptance(reason)) {
        Ok((before, after)) => {
            writeln!(out, "accepted {title}: {}", outcome(before.as_ref(), &after, pending.jobs.len()))?;
            if let Some(drift) = drift_line(&after, |_| true) {
                writeln!(out, "  {drift}")?;
            }
            Ok(true)
        }
        Err(StoreError::Accept(AcceptError::AlreadyAccepted { .. })) => {
            writeln!(out, "{title} is already part of the baseline")?;
            Ok(false)
        }
        Err(error) => Err(context.failed(error)),
    }
}

fn outcome(before: Option<&Baseline>, after: &Baseline, added: usize) -> String {
    let jobs = counted(after.jobs.len(), "job");
    match (before, after.anchors.first()) {
        (None, _) => format!("first baseline, {jobs}"),
        // An epoch that ended has moved to the anchors; their number may be at its limit, so the newest one tells.
        (Some(before), Some(ended)) if before.anchors.first() != Some(ended) => {
            let kept = counted(before.jobs.len(), "job");
            format!("new epoch, {jobs}; the {kept} before stay as an anchor ({})", printable(&ended.reason))
        }
        _ => format!("{} added, {} in all", counted(added, "job"), after.jobs.len()),
    }
}

//! What `pending` and `review` say of baselines that nobody measured this time.

use std::io::Write;

use super::context::{printable, title};
use super::{BaselineContext, CliError};
use crate::harness::Upkeep;

/// Everything that needs attention, as lines; what cannot be known is said, and is no failure.
pub(super) fn tell(context: &BaselineContext<'_>, profile: Option<&str>, out: &mut dyn Write) -> Result<(), CliError> {
    let found = match of_profile(context, profile) {
        Ok(found) => found,
        Err(CliError::Failed { message, .. }) => {
            let message = message.lines().next().unwrap_or_default();
            writeln!(out, "orphans and ages of baselines are unknown: {}", printable(message))?;
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mut item = |word: &str, case: &str, profile: &str, path: &std::path::Path, why: &str| {
        let path = (context.shown)(path);
        writeln!(out, "{}: {word}, {}", title(case, profile), printable(&path))?;
        writeln!(out, "  {}", printable(why))
    };
    for one in &found.abandoned {
        item("orphan", &one.case, &one.profile, &one.path, &one.why)?;
    }
    for one in &found.stale {
        item("stale", &one.case, &one.profile, &one.path, &one.why)?;
    }
    for one in &found.ended {
        writeln!(out, "the waiver of {} ended on {} ({})", printable(&one.what), one.until, printable(&one.reason))?;
    }
    if !found.abandoned.is_empty() {
        writeln!(out, "hint: `cargo tokpace reject --orphans` removes what no case uses")?;
    }
    if !found.stale.is_empty() {
        writeln!(
            out,
            "hint: `cargo tokpace run CASE --record 3`, then `cargo tokpace accept CASE`, renews a baseline"
        )?;
    }
    Ok(())
}

/// What needs attention on one profile, or on all.
pub(super) fn of_profile(context: &BaselineContext<'_>, profile: Option<&str>) -> Result<Upkeep, CliError> {
    let mut found = (context.upkeep)()?;
    let wanted = |name: &str| profile.is_none_or(|profile| profile == name);
    found.abandoned.retain(|one| wanted(&one.profile));
    found.stale.retain(|one| wanted(&one.profile));
    Ok(found)
}

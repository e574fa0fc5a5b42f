//! What of a project's baselines needs somebody's attention: those without a case, those that are too old, and waivers
//! that have ended.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::baseline::{BaselineError, Store};
use crate::calendar::Date;
use crate::harness::discover::{self, Scenario};
use crate::harness::life::{today, too_old};
use crate::harness::project;
use crate::harness::session::Session;
use crate::harness::{Package, Paths, RunFlags, SessionError};
use crate::profile::{self, Known, Project, Waiver};

/// Most names in a line at the end of a run.
const NAMED: usize = 3;

/// What needs attention.
#[derive(Clone, Debug, Default)]
pub struct Upkeep {
    /// Baselines that no case uses.
    pub abandoned: Vec<Abandoned>,
    /// Baselines that are older than they may be.
    pub stale: Vec<Stale>,
    /// Waivers that no longer hold.
    pub ended: Vec<Ended>,
    /// Scenario files that cannot be read: which cases they have is unknown, so no baseline is called abandoned.
    pub unreadable: Vec<String>,
}

/// A baseline that no case uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abandoned {
    /// The case, as the file's name says.
    pub case: String,
    /// The profile, as the folder's name says.
    pub profile: String,
    /// The file.
    pub path: PathBuf,
    /// Why no case uses it.
    pub why: String,
}

/// A baseline that is older than it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The case.
    pub case: String,
    /// The profile.
    pub profile: String,
    /// The file.
    pub path: PathBuf,
    /// By how much, in words.
    pub why: String,
}

/// A waiver that no longer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The case, and the check if it is about one.
    pub what: String,
    /// The last day on which it held.
    pub until: Date,
    /// Why it was there.
    pub reason: String,
}

/// The upkeep of the package's baselines on all profiles, with the folders that `flags` name.
///
/// # Errors
/// If the project file is wrong, there are no scenarios, or the folder of baselines cannot be read.
pub fn upkeep(package: &Package, flags: &RunFlags) -> Result<Upkeep, SessionError> {
    let paths = Paths::of(package, flags);
    let (project, text) = project::project(&paths, flags)?;
    let scenarios = discover::scenarios(&paths)?;
    check_waivers(&project.waivers, &text, &scenarios)?;
    let store = Store::new(&paths.baselines, paths.baselines_lock());
    let failed = |error: BaselineError| SessionError::other(error.to_string(), error.hint());
    let mut found = Upkeep::default();
    for name in store.profiles().map_err(failed)? {
        found.of_profile(&name, &project, &scenarios, &store).map_err(failed)?;
    }
    found.of_waivers(&project.waivers);
    Ok(found)
}

impl Upkeep {
    /// Whether nothing needs attention.
    pub fn is_empty(&self) -> bool {
        self.abandoned.is_empty() && self.stale.is_empty() && self.ended.is_empty()
    }

    fn of_profile(
        &mut self,
        name: &str,
        project: &Project,
        scenarios: &[Scenario],
        store: &Store,
    ) -> Result<(), BaselineError> {
        let profile = project.profiles.get(name);
        let cases = || scenarios.iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
        // A case that compares variants has no baseline.
        let stored: BTreeSet<&str> =
            cases().filter(|case| case.compare.is_none() && profile.is_some()).map(|case| case.name.as_str()).collect();
        self.unreadable = scenarios.iter().filter(|one| one.cases.is_err()).map(|one| one.name.clone()).collect();
        for orphan in store.orphans(name, stored.iter().copied())? {
            let of_unreadable = |scenario: &String| {
                orphan.case == *scenario
                    || orphan.case.strip_prefix(scenario.as_str()).is_some_and(|rest| rest.starts_with("::"))
            };
            let why = if profile.is_none() {
                "`tokpace.toml` has no such profile"
            } else if self.unreadable.iter().any(of_unreadable) {
                continue;
            } else if cases().any(|case| case.name == orphan.case) {
                "the case compares variants and needs none"
            } else {
                "no scenario has such a case"
            };
            let (case, path) = (orphan.case, orphan.path);
            self.abandoned.push(Abandoned { case, profile: name.to_owned(), path, why: why.into() });
        }
        let Some(profile) = profile.filter(|profile| profile.aging.max_age.is_some()) else { return Ok(()) };
        for case in stored {
            // A file that cannot be read is the business of whoever needs it.
            let Ok(Some(baseline)) = store.load(name, case) else { continue };
            if let Some(why) = too_old(&baseline, profile.aging.max_age) {
                let (case, path) = (case.to_owned(), store.path(name, case)?);
                self.stale.push(Stale { case, profile: name.to_owned(), path, why });
            }
        }
        Ok(())
    }

    fn of_waivers(&mut self, waivers: &[Waiver]) {
        let ended = |waiver: &&Waiver| today().is_some_and(|today| waiver.has_ended(today));
        self.ended.extend(waivers.iter().filter(ended).map(|waiver| Ended {
            what: match &waiver.check {
                Some(check) => format!("{check} of {}", waiver.case),
                None => waiver.case.clone(),
            },
            until: waiver.until,
            reason: waiver.reason.clone(),
        }));
    }
}

/// Whether every waiver is about a case and a check that exist.
pub(super) fn check_waivers(waivers: &[Waiver], text: &str, scenarios: &[Scenario]) -> Result<(), SessionError> {
    let cases = scenarios.iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
    let known: Vec<Known<'_>> = cases
        .map(|case| Known {
            case: &case.name,
            checks: case.gate.checks.iter().map(|check| check.metric.to_string()).collect(),
        })
        .collect();
    let complete = scenarios.iter().all(|scenario| scenario.cases.is_ok());
    profile::check_waivers("tokpace.toml", text, waivers, &known, complete)
        .map_err(|problems| SessionError::Project(problems.to_string()))
}

impl Session {
    /// Baselines of the profile that no case uses, as a line for the end of a run; empty if there are none.
    pub(super) fn unkept(&self) -> String {
        let mut found = Upkeep::default();
        let project =
            Project { profiles: [(self.profile.name.clone(), self.profile.clone())].into(), ..Project::default() };
        // A folder that cannot be read was said before, by the cases that need it.
        if self.against.is_some()
            || found.of_profile(&self.profile.name, &project, self.scenarios(), &self.store).is_err()
        {
            return String::new();
        }
        let mut text = String::new();
        if let Some(first) = found.abandoned.first() {
            let names: Vec<String> =
                found.abandoned.iter().take(NAMED).map(|orphan| format!("`{}`", orphan.case.escape_debug())).collect();
            let more = found.abandoned.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (count, hint) = (found.abandoned.len(), "`cargo tokpace reject --orphans` removes what no case uses");
            let _ = if count == 1 {
                writeln!(text, "the baseline of {} is an orphan: {}\nhint: {hint}", names[0], first.why)
            } else {
                writeln!(text, "{count} baselines are orphans: {}{more}\nhint: {hint}", names.join(", "))
            };
        }
        text
    }
}

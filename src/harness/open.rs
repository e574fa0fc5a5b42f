//! Targets from profiles, with what the run knows: secrets, seeds, where a server's log goes.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::harness::bench::Role;
use crate::harness::{MeasureError, Servers, Session};
use crate::profile::{Profile, ProfileKind};
use crate::target::{self, ManagedError, Opening, Target, TargetError};
use crate::watch;

impl Session {
    /// Starts or finds the target of one side.
    pub(super) fn open_target(&mut self, role: Role, profile: &Profile) -> Result<Target, MeasureError> {
        let variant = profile.variant.as_deref().unwrap_or_default();
        let seed = seed_of(&format!("{}\n{}\n{}\n{variant}", self.salt_run(), role.name(), profile.name));
        // Those of both sides: a managed server inherits the variables of the other's secrets.
        for known in [Some(profile), Some(&self.profile), self.against.as_ref()].into_iter().flatten() {
            for kind in [&known.kind].into_iter().chain(known.variants.values()) {
                target::learn(kind, &self.environment, &mut self.redactor);
            }
        }
        self.bring_servers(profile)?;
        let log = self.server_log(role, profile)?;
        let brought = self.servers.as_ref();
        let environment = brought.map(|servers| servers.environment(&self.environment));
        let opening = Opening {
            environment: environment.as_ref().unwrap_or(&self.environment),
            redactor: &self.redactor,
            root: &self.paths.root,
            seed,
            log: &log,
            stop: self.stop.flag(),
            in_process: brought.map_or(0, Servers::count),
        };
        let name = target::up_name(profile);
        if let Some((_, why)) = self.unstarted.iter().find(|(known, _)| *known == name) {
            return Err(TargetError::from(ManagedError::Again(why.clone())).into());
        }
        let opened = Target::open(profile, &opening);
        if let Err(TargetError::Managed(why)) = &opened {
            self.unstarted.push((name, why.to_string()));
        }
        let target = opened?;
        if cfg!(feature = "gpu") && self.flags.verbose && role == Role::Candidate && target.managed.is_some() {
            match watch::gpus() {
                Ok(gpus) => self.say(&format!("tokpace: watching {}, driver {}", gpus.names.join(", "), gpus.driver)),
                Err(why) => self.say(&format!("tokpace: no graphics card is watched: {why}")),
            }
        }
        Ok(target)
    }

    /// Starts what the test target brings along, once, for profiles that can name it.
    fn bring_servers(&mut self, profile: &Profile) -> Result<(), MeasureError> {
        let Some(start) = self.start_servers else { return Ok(()) };
        if self.servers.is_none() && !matches!(profile.kind, ProfileKind::Embedded(_)) {
            let seed = seed_of(&format!("{}\nservers", self.salt_run()));
            let mut servers = Servers::new(self.environment.clone(), seed);
            start(&mut servers).map_err(TargetError::Brought)?;
            self.servers = Some(servers);
        }
        Ok(())
    }

    /// Starts the chosen profile's managed server for programs that are run beside it, and says what
    /// [`UP`](target::UP) tells them of it. It is up until the target is dropped; nothing is measured here.
    ///
    /// # Errors
    /// If the server does not start.
    pub fn up(&mut self) -> Result<(Target, String), MeasureError> {
        self.walks = true;
        let profile = self.profile.clone();
        let target = self.open_target(Role::Candidate, &profile)?;
        let place = format!("{}={}", target::up_name(&profile), target.base_url);
        Ok((target, place))
    }

    /// Where a managed server's output goes.
    fn server_log(&mut self, role: Role, profile: &Profile) -> Result<PathBuf, MeasureError> {
        let ProfileKind::Managed(_) = profile.kind else { return Ok(PathBuf::new()) };
        let mut name = format!("server-{}", profile.name);
        for part in profile.variant.as_deref().into_iter().chain(role.of_servers()) {
            let _ = write!(name, "-{part}");
        }
        // A walk through the target is no run, and leaves none behind.
        let folder = if self.walks { self.paths.results.join("check") } else { self.folder()?.path().to_path_buf() };
        Ok(folder.join(format!("{name}.log")))
    }
}

/// A seed from a name.
fn seed_of(name: &str) -> u64 {
    use sha2::{Digest, Sha256};
    Sha256::digest(name).iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

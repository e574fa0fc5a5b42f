//! A run: what was asked for, what stands ready, what was found.

use std::collections::{BTreeMap, BTreeSet};

use crate::baseline::{self, Author, Job, Store, UpdateMode};
use crate::environment::Environment;
use crate::harness::bench::{Bench, Role, Side};
use crate::harness::calibration;
use crate::harness::discover::{self, DiscoverError, Scenario};
use crate::harness::{
    MeasureError, MeasureLock, Package, Paths, RunFlags, RunFolder, Servers, StartServers, Stop, log, project, upkeep,
    wall,
};
use crate::history::History;
use crate::names;
use crate::profile::{Profile, ProfileKind, Waiver};
use crate::redact::Redactor;
use crate::report::{CaseReport, RunInfo};
use crate::scenario::Case;
use crate::target::{Machine, Probe};
use crate::wire::Protocol;

/// Why a run cannot begin: wrong usage, or files that are not what they should be. Every text ends in a hint.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No scenarios.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// The project file is wrong.
    #[error("{0}")]
    Project(String),
    /// A profile that is not there.
    #[error("no profile `{name}` in `tokpace.toml`\nhint: known profiles: {known}")]
    Profile {
        /// The name asked for.
        name: String,
        /// Those that are there.
        known: String,
    },
    /// Anything else, with its hint.
    #[error("{message}\nhint: {hint}")]
    Other {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: String,
    },
}

impl SessionError {
    pub(crate) fn other(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Other { message: message.into(), hint: hint.into() }
    }
}

/// Everything that a run needs, and what it has found so far.
#[derive(Debug)]
pub struct Session {
    pub(crate) paths: Paths,
    pub(crate) flags: RunFlags,
    pub(crate) profile: Profile,
    /// The profile that the chosen one is paired with (`--against`).
    pub(crate) against: Option<Profile>,
    pub(crate) environment: Environment,
    pub(crate) redactor: Redactor,
    pub(crate) stop: Stop,
    pub(crate) machine: Machine,
    pub(crate) store: Store,
    /// Where every run leaves a line a case.
    pub(super) history: History,
    /// Checks that may regress for a while.
    pub(super) waivers: Vec<Waiver>,
    pub(crate) update: UpdateMode,
    pub(crate) ci: bool,
    pub(crate) author: Author,
    /// Every case of the package that is judged in this way: the family of tests, whatever is selected.
    pub(crate) family: Vec<Case>,
    /// Names of the cases that will be run, where that is known.
    selected: Option<BTreeSet<String>>,
    /// Whether each case is measured in a process of its own, as by nextest.
    pub(crate) alone: bool,
    scenarios: Vec<Scenario>,
    pub(crate) info: RunInfo,
    pub(super) folder: Option<RunFolder>,
    pub(crate) bench: Option<Bench>,
    /// Starts the servers that the test target brings along.
    pub(super) start_servers: Option<StartServers>,
    /// Those servers, once they were needed.
    pub(super) servers: Option<Servers>,
    /// Whether the client was held against known times.
    calibrated: bool,
    /// Jobs of `run --record N` so far, by case; `None` if nothing is being recorded.
    pub(crate) recorded: Option<BTreeMap<String, Vec<Job>>>,
    /// Which job of a recording this is, from 0.
    pub(crate) job: u32,
    /// Verdicts of this process, in the order in which they were found.
    pub(super) reports: Vec<CaseReport>,
    /// Length of a progress line that is on the terminal.
    pub(super) progress: usize,
    /// The target is only walked through or held up: nothing is measured.
    pub(super) walks: bool,
    /// Managed servers that did not start, and why: nobody waits for them again.
    pub(super) unstarted: Vec<(String, String)>,
}

impl Session {
    /// Reads the project and its scenarios; starts nothing. `command` is recorded, redacted.
    pub fn open(package: &Package, flags: RunFlags, command: &[String]) -> Result<Self, SessionError> {
        let paths = Paths::of(package, &flags);
        let environment = project::environment(&paths)?;
        let (project, text) = project::project(&paths, &flags)?;
        let find = |name: &str| {
            project.profiles.get(name).cloned().ok_or_else(|| SessionError::Profile {
                known: project.profiles.keys().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", "),
                name: name.to_owned(),
            })
        };
        let profile = find(flags.profile.as_deref().unwrap_or(&project.default_profile))?;
        let against = flags.against.as_deref().filter(|name| !name.is_empty()).map(find).transpose()?;
        let mut redactor = Redactor::new(&environment);
        redactor.add_arguments(command);
        let lookup = |variable: &str| environment.get(variable).map(str::to_owned);
        let update = baseline::update_mode(flags.update.as_deref(), lookup)
            .map_err(|error| SessionError::other(error.to_string(), error.hint()))?;
        let ci = baseline::is_ci(lookup);
        let scenarios = discover::scenarios(&paths)?;
        upkeep::check_waivers(&project.waivers, &text, &scenarios)?;
        let all = scenarios.iter().filter_map(|s| s.cases.as_ref().ok()).flatten();
        let family =
            all.filter(|case| against.is_none() || (case.compare.is_none() && case.soak.is_none())).cloned().collect();
        let machine = Machine::read(&paths.root);
        let started = wall::now();
        let id = environment.get("NEXTEST_RUN_ID").map_or_else(|| wall::run_id(&started), names::file_name);
        Ok(Self {
            store: Store::new(&paths.baselines, paths.baselines_lock()),
            history: paths.history(project.history.as_deref()),
            waivers: project.waivers,
            author: Author::detect(&paths.root, lookup),
            info: RunInfo {
                id,
                updated: started.clone(),
                started,
                profile: profile.name.clone(),
                against: against.as_ref().map(|profile| profile.name.clone()),
                target: profile.kind.name().into(),
                tokpace: env!("CARGO_PKG_VERSION").into(),
                quick: flags.quick,
                interrupted: false,
                measured_seconds: 0.0,
                calibration: None,
                command: command.iter().map(|word| redactor.redact(word).into_owned()).collect(),
                machine: machine.clone(),
            },
            alone: environment.get("NEXTEST").is_some(),
            paths,
            flags,
            profile,
            against,
            environment,
            redactor,
            stop: Stop::default(),
            machine,
            update,
            ci,
            family,
            selected: None,
            scenarios,
            folder: None,
            bench: None,
            start_servers: package.servers,
            servers: None,
            calibrated: false,
            recorded: None,
            job: 0,
            reports: Vec::new(),
            progress: 0,
            walks: false,
            unstarted: Vec::new(),
        })
    }

    /// The scenarios of the package.
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// Begins to listen for Ctrl-C and SIGTERM.
    pub fn listen(&mut self) {
        self.stop = Stop::listen();
    }

    /// The chosen profile's name.
    pub fn profile_name(&self) -> &str {
        &self.profile.name
    }

    /// A text without secrets.
    pub fn redacted(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }

    /// Walks the target step by step. Takes the measuring lock, so that no measurement is disturbed.
    ///
    /// # Errors
    /// If there is nothing to walk: the target cannot be started or its settings cannot be used.
    pub fn probe(&mut self) -> Result<Probe, MeasureError> {
        self.walks = true;
        let number = self.side(Role::Candidate, &self.profile.clone())?;
        let cases = self.scenarios.iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
        // Each protocol once, streamed if some case wants it so.
        let mut protocols: BTreeMap<Protocol, bool> = BTreeMap::new();
        for case in cases {
            *protocols.entry(case.request.protocol).or_default() |= case.request.stream;
        }
        let protocols: Vec<(Protocol, bool)> =
            protocols.into_iter().map(|(protocol, stream)| (protocol, stream && protocol.has_tokens())).collect();
        let Some(bench) = &mut self.bench else { return Err(MeasureError::Interrupted) };
        Ok(bench.side(number).walk(&protocols, self.stop.flag())?)
    }

    /// Whether a signal has ended the run, and with which exit code.
    pub fn stopped(&self) -> Option<u8> {
        self.stop.exit_code()
    }

    /// The verdicts so far.
    pub fn reports(&self) -> &[CaseReport] {
        &self.reports
    }

    /// The verdict on a case, if it was reached already.
    pub(crate) fn report(&self, case: &str) -> Option<&CaseReport> {
        self.reports.iter().find(|report| report.case == case)
    }

    /// Says which cases will be run, so that those that are measured in pairs can be measured together.
    pub fn select(&mut self, names: impl IntoIterator<Item = String>) {
        self.selected = Some(names.into_iter().collect());
    }

    /// Whether this run leaves the case out: against another profile, variants of one are not compared, and no server
    /// is up for as long as a soak test takes.
    pub fn ignores(&self, case: &Case) -> bool {
        self.against.is_some() && (case.compare.is_some() || case.soak.is_some())
    }

    /// The cases that are measured together with this one.
    pub(super) fn selected(&self, with: &Case) -> Vec<Case> {
        let all = self.scenarios.iter().filter_map(|scenario| scenario.cases.as_ref().ok()).flatten();
        let chosen = |case: &&Case| {
            let wanted = self.selected.as_ref().is_some_and(|names| names.contains(&case.name));
            case.name == with.name || (wanted && self.is_paired(case) && !self.ignores(case))
        };
        all.filter(chosen).cloned().collect()
    }

    /// Comparisons of all cases that share the false-alarm rate.
    pub(crate) fn comparisons(&self) -> u64 {
        self.family.iter().map(|case| case.gate.comparisons().count() as u64).sum()
    }

    /// From now on measures to store rather than to judge (`run --record N`).
    pub fn record(&mut self) {
        self.recorded = Some(BTreeMap::new());
    }

    /// Begins another job of a recording: a fresh server, fresh salts.
    pub fn next_job(&mut self) {
        self.bench = None;
        self.servers = None;
        self.job += 1;
    }

    /// The name under which prompts are salted and the embedded server is seeded: another for each job.
    pub(crate) fn salt_run(&self) -> String {
        if self.job == 0 { self.info.id.clone() } else { format!("{}-{}", self.info.id, self.job) }
    }

    /// The run's folder, made when it is first needed, so that listing leaves no trace.
    pub(crate) fn folder(&mut self) -> std::io::Result<RunFolder> {
        if let Some(folder) = &self.folder {
            return Ok(folder.clone());
        }
        let path = match &self.flags.out {
            Some(out) => std::path::absolute(out)?,
            None => self.paths.results.join(&self.info.id),
        };
        let folder = RunFolder::create(&path, &self.paths.latest(), self.redactor.clone())?;
        log::to_file(folder.log()?, self.redactor.clone());
        tracing::info!(run = %self.info.id, profile = %self.profile.name, "run");
        self.folder = Some(folder.clone());
        Ok(folder)
    }

    /// What measures a profile in a role, opened once a run. Its server stands ready.
    pub(super) fn side(&mut self, role: Role, profile: &Profile) -> Result<usize, MeasureError> {
        let number = self.opened(role, profile)?;
        if let Some(bench) = &mut self.bench {
            bench.ready(number, self.stop.flag())?;
        }
        Ok(number)
    }

    /// What measures a profile in a role, opened once a run. Its server may be down since then.
    pub(super) fn opened(&mut self, role: Role, profile: &Profile) -> Result<usize, MeasureError> {
        self.lock()?;
        if let Some(bench) = &mut self.bench {
            if let Some(number) = bench.find(role, profile) {
                return Ok(number);
            }
            bench.make_room(matches!(&profile.kind, ProfileKind::Managed(server) if server.exclusive), None);
        }
        let target = self.open_target(role, profile)?;
        if let Some(halt) = target.halt() {
            self.stop.raises(halt);
        }
        let side = Side::new(role, profile.clone(), target)?;
        let Some(bench) = &mut self.bench else { return Err(MeasureError::Interrupted) };
        Ok(bench.add(side))
    }

    /// Holds the client against known times, once a run and before a server takes its share of the machine. A failure is
    /// no reason not to measure.
    fn calibrate(&mut self) {
        if self.flags.quick || self.walks || std::mem::replace(&mut self.calibrated, true) {
            return;
        }
        match calibration::calibrate(self.stop.flag()) {
            Ok(calibration) => self.info.calibration = calibration,
            Err(error) => tracing::warn!("the client was not calibrated: {error}"),
        }
    }

    /// Takes the lock, once a run: two measurements on one machine would measure each other.
    fn lock(&mut self) -> Result<(), MeasureError> {
        if self.bench.is_some() {
            return Ok(());
        }
        let lock_path = self.paths.measure_lock();
        let shown = self.paths.shown(&lock_path);
        let stop = self.stop.clone();
        let lock = MeasureLock::take(&lock_path, stop.flag(), |holder| {
            self.say(&format!("tokpace: waiting for another run to finish measuring ({holder}, `{shown}`)"));
        })
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::Interrupted => MeasureError::Interrupted,
            _ => MeasureError::Write(error),
        })?;
        if lock.waited.as_secs() > 0 {
            tracing::info!(seconds = lock.waited.as_secs(), "waited for another run");
        }
        self.bench = Some(Bench::new(lock));
        self.calibrate();
        Ok(())
    }
}

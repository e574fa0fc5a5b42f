//! A run: what was asked for, what stands ready, what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;

use crate::baseline::{self, Author, Job, Store, UpdateMode};
use crate::environment::Environment;
use crate::gate::Verdict;
use crate::harness::bench::{Bench, Role, Side};
use crate::harness::calibration;
use crate::harness::discover::{self, DiscoverError, Scenario};
use crate::harness::{
    MeasureError, MeasureLock, Package, Paths, RunFlags, RunFolder, Servers, StartServers, Stop, log, page, upkeep,
    wall,
};
use crate::history::History;
use crate::names;
use crate::profile::{self, Profile, ProfileKind, Waiver};
use crate::redact::Redactor;
use crate::report::{self, CaseReport, CaseTrials, RunInfo, RunReport, RunTrials};
use crate::scenario::Case;
use crate::target::{Machine, Probe};
use crate::wire::Protocol;

/// Version of `run.json` and `trials.json`.
const FORMAT: u32 = 1;

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
    reports: Vec<CaseReport>,
    /// Length of a progress line that is on the terminal.
    progress: usize,
    /// The target is only walked through or held up: nothing is measured.
    pub(super) walks: bool,
    /// Managed servers that did not start, and why: nobody waits for them again.
    pub(super) unstarted: Vec<(String, String)>,
}

impl Session {
    /// Reads the project and its scenarios; starts nothing. `command` is recorded, redacted.
    pub fn open(package: &Package, flags: RunFlags, command: &[String]) -> Result<Self, SessionError> {
        let paths = Paths::of(package, &flags);
        let environment = environment(&paths)?;
        let (project, text) = project(&paths, &flags)?;
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

    /// Keeps a case's report and writes the run's files anew.
    pub(crate) fn keep(&mut self, report: CaseReport) -> std::io::Result<()> {
        self.clear_progress();
        self.info.updated = wall::now();
        self.info.interrupted = self.stop.requested();
        self.info.measured_seconds += report.seconds;
        let folder = self.folder()?;
        folder.save_part("report", &report.case, &report)?;
        self.reports.retain(|known| known.case != report.case);
        self.reports.push(report);
        let run = self.report_of(folder.parts("report")?);
        folder.write_json("run.json", &run)?;
        let cases: Vec<CaseTrials> = folder.parts("trials")?;
        folder.write_json("trials.json", &RunTrials { version: FORMAT, run: self.info.id.clone(), cases })?;
        folder.write("report.md", &report::markdown(&run))?;
        folder.write("summary.tsv", &report::tsv(&run))?;
        // From the parts as they are on the disk: what was redacted there is not found any more once it is escaped.
        folder.write("junit.xml", &report::junit(&run))
    }

    pub(super) fn report_of(&self, cases: Vec<CaseReport>) -> RunReport {
        RunReport {
            version: FORMAT,
            run: self.info.clone(),
            verdict: Verdict::of_all(cases.iter().map(|case| case.verdict)),
            cases,
        }
    }

    /// Writes `report.html` anew from everything that any process of the run has left in its folder. A failure is told
    /// and no more: the verdicts stand without it.
    pub fn write_page(&self) {
        let Some(folder) = &self.folder else { return };
        if let Err(error) = page::write_page(folder) {
            self.say(&format!("warning: `report.html` was not written: {error}"));
        }
    }

    /// The verdict table, and the words of every case that has more to say than that it passed.
    pub fn table(&self) -> String {
        let mut text = report::table(&self.report_of(self.reports.clone()), self.flags.verbose);
        let more = |case: &&CaseReport| case.verdict != Verdict::Pass || !case.notes.is_empty();
        for case in self.reports.iter().filter(more).filter(|case| case.failed.is_none()) {
            text.push('\n');
            text.push_str(&case.text);
            text.push('\n');
        }
        text.push_str(&self.unkept());
        if let Some(folder) = &self.folder {
            let shown = self.paths.shown(folder.path());
            let _ = writeln!(text, "results: {shown}");
            if folder.path().join(page::NAME).is_file() {
                let _ = writeln!(text, "report:  {shown}/{}", page::NAME);
            }
        }
        self.redactor.redact(&text).into_owned()
    }

    /// A line on the standard error stream.
    pub(crate) fn say(&self, line: &str) {
        // Nobody is left to be told when even this stream is closed.
        let _ = writeln!(std::io::stderr(), "{}", self.redactor.redact(line));
    }

    /// Shows what is going on, if a person looks.
    pub(crate) fn show_progress(progress: &mut usize, text: &str) {
        if std::io::stderr().is_terminal() {
            let line: String = text.chars().take(78).collect();
            let _ = write!(std::io::stderr(), "\r{line:<width$}", width = *progress);
            let _ = std::io::stderr().flush();
            *progress = line.chars().count();
        }
    }

    fn clear_progress(&mut self) {
        if self.progress > 0 {
            let _ = write!(std::io::stderr(), "\r{:width$}\r", "", width = self.progress);
            self.progress = 0;
        }
    }

    pub(crate) fn progress_width(&mut self) -> &mut usize {
        &mut self.progress
    }
}

/// The process's variables and those of `.env` at the package root.
pub(crate) fn environment(paths: &Paths) -> Result<Environment, SessionError> {
    let dotenv = paths.root.join(".env");
    let text = match std::fs::read_to_string(&dotenv) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(SessionError::other(format!("failed to read `.env`: {error}"), "check its permissions"));
        }
    };
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Environment::new(variables, &text).map_err(|error| SessionError::other(error.message, error.hint))
}

/// The history of a package's runs, with its folders.
///
/// # Errors
/// If the project file, which may name the history's folder, is wrong.
pub fn history_of(package: &Package, flags: &RunFlags) -> Result<(Paths, History), SessionError> {
    let paths = Paths::of(package, flags);
    let history = paths.history(project(&paths, flags)?.0.history.as_deref());
    Ok((paths, history))
}

/// The project file with its text, or the defaults where there is none.
pub(super) fn project(paths: &Paths, flags: &RunFlags) -> Result<(profile::Project, String), SessionError> {
    let file: PathBuf = paths.root.join("tokpace.toml");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(SessionError::other(
                format!("failed to read `tokpace.toml`: {error}"),
                "check its permissions",
            ));
        }
    };
    match profile::load_with("tokpace.toml", &text, flags.profile.as_deref(), &flags.sets) {
        Ok(project) => Ok((project, text)),
        Err(problems) => Err(SessionError::Project(problems.to_string())),
    }
}

//! A managed server from its settings: started, asked after, started again.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::process::Process;
use super::protocol::Launch;
use super::ready::{self, NotReady, Question};
use super::{Ended, ManagedError, log};
use crate::engine::Transport;
use crate::environment::{EnvError, Environment};
use crate::profile::{Managed, PORT, Profile};
use crate::redact::Redactor;

/// A server that starts within this is started anew before each pair: what differs from start to start then averages
/// out.
const QUICK_START: Duration = Duration::from_secs(5);
/// A start that takes longer is not repeated in pairs unless the profile says so.
const LONG_START: Duration = Duration::from_secs(120);
/// Starts a side of pairs, unless a start is quick or long.
const STARTS: u32 = 4;

/// A server that this run starts. Dropping it stops it.
#[derive(Debug)]
pub struct ManagedServer {
    profile: String,
    settings: Managed,
    environment: Environment,
    redactor: Redactor,
    root: PathBuf,
    log: PathBuf,
    /// Where the log of the latest start begins.
    log_start: u64,
    process: Option<Process>,
    /// Raised while no server stands ready, and when a run that measures it is to end.
    halt: Arc<AtomicBool>,
    port: u16,
    starts: u32,
    /// Why the latest start failed; there is no other.
    failed: Option<String>,
    /// How long the latest start took.
    took: Duration,
}

impl ManagedServer {
    /// A server that has not been started. What `redactor` knows then does not reach its log.
    pub(crate) fn new(
        profile: &Profile,
        settings: &Managed,
        environment: &Environment,
        redactor: &Redactor,
        root: &Path,
        log: &Path,
    ) -> Self {
        Self {
            profile: profile.name.clone(),
            settings: settings.clone(),
            environment: environment.clone(),
            redactor: redactor.clone(),
            root: root.to_path_buf(),
            log: log.to_path_buf(),
            log_start: 0,
            process: None,
            halt: Arc::new(AtomicBool::new(true)),
            port: 0,
            starts: 0,
            failed: None,
            took: Duration::ZERO,
        }
    }

    /// The command and its arguments as they are written.
    fn words(&self) -> impl Iterator<Item = &String> {
        self.settings.command.iter().chain(&self.settings.args)
    }

    /// Starts the server and waits until it is ready. One that runs is stopped first. `stop` ends the wait.
    /// After a start that failed there is no other: it may take minutes to fail again.
    pub(crate) fn start(&mut self, client: &Transport, stop: &AtomicBool) -> Result<(), ManagedError> {
        if let Some(why) = &self.failed {
            return Err(ManagedError::Again(why.clone()));
        }
        let started = self.try_start(client, stop);
        if let Err(why) = &started {
            self.failed = Some(why.to_string());
        }
        started
    }

    fn try_start(&mut self, client: &Transport, stop: &AtomicBool) -> Result<(), ManagedError> {
        if cfg!(not(unix)) {
            return Err(ManagedError::NoUnix);
        }
        self.stop();
        self.port = ready::port(self.settings.port)?;
        let launch = self.launch()?;
        self.announce();
        self.halt.store(false, Ordering::Relaxed);
        let begin = Instant::now();
        let started = Process::start(&launch, self.halt.clone()).map_err(|error| match error {
            // As the profile has it: the path that was made of it says no more.
            ManagedError::NoStart { reason, .. } => {
                ManagedError::NoStart { program: self.settings.command.first().cloned().unwrap_or_default(), reason }
            }
            other => other,
        });
        let process = self.process.insert(started?);
        let question = match self.settings.ready_path.as_str() {
            "" => Question::Listens(self.port),
            path => Question::Answers(format!("http://127.0.0.1:{}{path}", self.port)),
        };
        let limit = self.settings.ready_timeout;
        if let Err(why) = ready::wait(client, &question, limit.duration(), process, stop) {
            let tail = if matches!(why, NotReady::Ended(_)) { self.tail() } else { String::new() };
            self.stop();
            return Err(match why {
                NotReady::Ended(ended) => ManagedError::Early { ended, tail, hint: self.hint(ended) },
                NotReady::Interrupted => ManagedError::Interrupted,
                NotReady::TooLate(last) => {
                    ManagedError::NotReady { limit, last, tail: self.tail(), log: self.shown_log() }
                }
            });
        }
        self.took = begin.elapsed();
        self.starts += 1;
        tracing::info!(profile = %self.profile, port = self.port, seconds = self.took.as_secs_f64(), "server ready");
        // A signal that came while the flag was down.
        if stop.load(Ordering::Relaxed) {
            self.halt.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Stops the server if it runs.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Whether it was started and not stopped; it may have ended by itself.
    pub fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Its process group, while it is up.
    pub fn group(&self) -> Option<u32> {
        self.process.as_ref().map(Process::group)
    }

    /// Whether it has ended by itself, or does so within `patience`, and what it said last.
    pub fn ended(&self, patience: Duration) -> Option<ManagedError> {
        let ended = self.process.as_ref()?.ended(patience)?;
        Some(ManagedError::Ended { ended, tail: self.tail(), hint: self.hint(ended) })
    }

    /// How often it was started.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Whether a start takes so little that it can be repeated before each pair.
    pub fn starts_quickly(&self) -> bool {
        self.took <= QUICK_START
    }

    /// How often it should be started in the first six pairs if that is not quick.
    pub fn starts_wanted(&self) -> u32 {
        self.settings.starts.unwrap_or(if self.took <= LONG_START { STARTS } else { 1 })
    }

    /// Whether no other managed server may be up at the same time.
    pub fn is_exclusive(&self) -> bool {
        self.settings.exclusive
    }

    /// Raised when the server ends. Whoever else wants a round against it to end raises it as well.
    pub fn halt(&self) -> &Arc<AtomicBool> {
        &self.halt
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        self.settings.endpoint.url.replace(PORT, &self.port.to_string())
    }

    /// The command as it is written, without secrets.
    pub fn command(&self) -> String {
        let plain = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
        let shown = |word: &String| if plain(word) { word.clone() } else { format!("{word:?}") };
        let words: Vec<String> = self.words().map(shown).collect();
        self.redactor.redact(&words.join(" ")).into_owned()
    }

    fn launch(&self) -> Result<Launch, ManagedError> {
        let failed = |source: EnvError| ManagedError::Environment { profile: self.profile.clone(), source };
        let port = self.port.to_string();
        let expand = |text: &str| Ok(self.environment.expand(text).map_err(failed)?.replace(PORT, &port));
        let cwd = match &self.settings.cwd {
            Some(cwd) => self.root.join(expand(cwd)?),
            None => self.root.clone(),
        };
        let mut words = self.words().map(|word| expand(word)).collect::<Result<Vec<_>, _>>()?.into_iter();
        let program = PathBuf::from(words.next().unwrap_or_default());
        // A path is meant from where the server runs; a name is looked up.
        let program = if program.components().count() > 1 { cwd.join(program) } else { program };
        let env = &self.settings.env;
        Ok(Launch {
            program,
            args: words.collect(),
            env: env.iter().map(|(name, value)| Ok((name.clone(), expand(value)?))).collect::<Result<_, _>>()?,
            cwd,
            log: self.log.clone(),
            secrets: self.redactor.known(),
            stop_millis: self.settings.stop_timeout.duration().as_millis() as u64,
        })
    }

    /// Writes a line into the log that tells one start from the next.
    fn announce(&mut self) {
        let Ok((mut file, _)) = log::append(&self.log) else { return };
        let _ = writeln!(file, "--- start {} on port {}: {}", self.starts + 1, self.port, self.command());
        self.log_start = file.metadata().map_or(0, |metadata| metadata.len());
    }

    fn tail(&self) -> String {
        log::tail(&self.log, self.log_start)
    }

    fn shown_log(&self) -> String {
        self.log.strip_prefix(&self.root).unwrap_or(&self.log).display().to_string()
    }

    fn hint(&self, ended: Ended) -> String {
        let log = format!("its whole log is `{}`", self.shown_log());
        match ended {
            Ended::Signal(9) => format!("{log}; signal 9 often means that memory ran out: look into `dmesg`"),
            Ended::Signal(4) => format!("{log}; signal 4 often means that it was built for another processor"),
            _ => log,
        }
    }
}

//! The run's end of the pipe to a supervisor.

use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::ManagedError;
use super::protocol::{Ended, Launch, News};

/// With this as its only argument a program of tokpace is a supervisor.
const ARGUMENT: &str = "--tokpace-supervise";

/// How much longer than the server may take to end its supervisor is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// The life of a supervisor, if the command line asks for one. Programs that measure managed servers call this first:
/// they are started again to supervise.
pub fn supervise(line: &[String]) -> Option<ExitCode> {
    if line.len() != 2 || line[1] != ARGUMENT {
        return None;
    }
    #[cfg(unix)]
    let code = super::supervisor::run();
    #[cfg(not(unix))]
    let code = ExitCode::FAILURE;
    Some(code)
}

/// A server under its supervisor. Dropping it ends the server and waits for that.
#[derive(Debug)]
pub(super) struct Process {
    supervisor: Child,
    /// The server lives as long as this is open.
    input: Option<ChildStdin>,
    end: Arc<End>,
    /// The server's process group.
    group: u32,
    /// Reads what the supervisor tells.
    reader: Option<JoinHandle<()>>,
    stop_timeout: Duration,
}

/// How the server ended, once it has.
#[derive(Debug)]
struct End {
    how: Mutex<Option<Ended>>,
    known: Condvar,
    /// Raised with it, for those who cannot wait.
    flag: Arc<AtomicBool>,
}

impl Process {
    /// Starts a server; `flag` is raised when it ends.
    pub(super) fn start(launch: &Launch, flag: Arc<AtomicBool>) -> Result<Self, ManagedError> {
        let mut command = Command::new(this_program().map_err(ManagedError::Supervisor)?);
        command.arg(ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A Ctrl-C at the terminal is for the run, which then ends the server in order.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut supervisor = command.spawn().map_err(ManagedError::Supervisor)?;
        let (input, output) = (supervisor.stdin.take(), supervisor.stdout.take());
        let end = Arc::new(End { how: Mutex::new(None), known: Condvar::new(), flag });
        let stop_timeout = Duration::from_millis(launch.stop_millis);
        let mut process = Self { supervisor, input, end: end.clone(), group: 0, reader: None, stop_timeout };
        process.order(launch).map_err(ManagedError::Supervisor)?;
        let (started, news) = channel();
        let reader = std::thread::Builder::new().name("tokpace-server".into());
        let reader = reader.spawn(move || output.into_iter().for_each(|output| end.follow(output, &started)));
        process.reader = Some(reader.map_err(ManagedError::Supervisor)?);
        match news.recv() {
            Ok(News::Started(group)) => {
                process.group = group;
                Ok(process)
            }
            Ok(News::Failed(reason)) => {
                Err(ManagedError::NoStart { program: launch.program.display().to_string(), reason })
            }
            Ok(News::Ended(_)) | Err(_) => Err(ManagedError::Supervisor(io::Error::other("it said nothing"))),
        }
    }

    fn order(&mut self, launch: &Launch) -> io::Result<()> {
        let Some(input) = &mut self.input else { return Err(io::ErrorKind::BrokenPipe.into()) };
        writeln!(input, "{}", serde_json::to_string(launch)?)?;
        input.flush()
    }

    /// The process group of the server and its children.
    pub(super) fn group(&self) -> u32 {
        self.group
    }

    /// How the server ended, if it does so within `patience`.
    pub(super) fn ended(&self, patience: Duration) -> Option<Ended> {
        let how = self.end.how.lock().unwrap_or_else(PoisonError::into_inner);
        let (how, _) = self
            .end
            .known
            .wait_timeout_while(how, patience, |how| how.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *how
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        let deadline = Instant::now() + self.stop_timeout + PATIENCE;
        loop {
            match self.supervisor.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) => {
                    tracing::warn!(
                        supervisor = self.supervisor.id(),
                        "the server does not end; it is still being asked"
                    );
                    break;
                }
                Ok(Some(_)) | Err(_) => {
                    // The flag is the next start's from here on.
                    let _ = self.reader.take().map(JoinHandle::join);
                    break;
                }
            }
        }
    }
}

impl End {
    /// Reads what the supervisor tells until it is gone.
    fn follow(&self, output: impl io::Read, started: &Sender<News>) {
        let mut ended = Ended::Unknown;
        for line in BufReader::new(output).lines() {
            let Some(news) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
            if let News::Ended(how) = news {
                ended = how;
                self.tell(how);
            } else {
                let _ = started.send(news);
            }
        }
        self.tell(ended);
    }

    fn tell(&self, ended: Ended) {
        self.how.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(ended);
        self.flag.store(true, Ordering::Relaxed);
        self.known.notify_all();
    }
}

/// This program, also if its file was replaced since it started.
fn this_program() -> io::Result<PathBuf> {
    let itself = PathBuf::from("/proc/self/exe");
    if itself.exists() { Ok(itself) } else { std::env::current_exe() }
}

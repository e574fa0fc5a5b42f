//! The process between a run and its server: it holds the server, and ends it when the run has gone, however it went.
//!
//! It is this program started again. Its standard input is a pipe from the run: the first line says what to start, and
//! its end says that the run is over. It signals no process but the group that it has made.

use std::io::{self, BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions};

use super::log;
use super::protocol::{Ended, Launch, News};
use super::scrub;

/// How long the last lines of a server that has ended may take to reach its log.
const DRAIN: Duration = Duration::from_millis(500);

/// How long what was killed may take to be gone.
const REAP: Duration = Duration::from_secs(5);

enum Event {
    /// The run has gone or wants the server to end.
    Over,
    /// The server has ended; it has not been waited for, so that its number is nobody else's yet.
    Ended(Ended),
}

/// The life of a supervisor.
pub(super) fn run() -> ExitCode {
    let mut line = String::new();
    let launch = io::stdin().lock().read_line(&mut line).ok().and_then(|_| serde_json::from_str::<Launch>(&line).ok());
    let Some(launch) = launch else { return ExitCode::FAILURE };
    // What the server's own children leave behind comes to this process, which waits for it.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
    let (events, happened) = channel();
    listen(&events);
    let (server, drained) = match start(&launch) {
        Ok(started) => started,
        Err(error) => {
            tell(&News::Failed(error.to_string()));
            return ExitCode::FAILURE;
        }
    };
    tell(&News::Started(server.id()));
    let group = Pid::from_child(&server);
    watch(group, &events);
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _ = events.send(Event::Over);
    });
    let mut ended = None;
    if let Ok(Event::Ended(how)) = happened.recv() {
        let _ = drained.recv_timeout(DRAIN);
        tell(&News::Ended(how));
        ended = Some(how);
    }
    let told = ended.is_some();
    end(group, &happened, Duration::from_millis(launch.stop_millis), &mut ended);
    reap(group);
    let _ = drained.recv_timeout(DRAIN);
    if !told {
        tell(&News::Ended(ended.unwrap_or(Ended::Unknown)));
    }
    ExitCode::SUCCESS
}

/// Starts the server in a group of its own. The receiver hears when its log is whole.
fn start(launch: &Launch) -> io::Result<(Child, Receiver<()>)> {
    let (file, _) = log::append(&launch.log)?;
    let (output, printed) = io::pipe()?;
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).envs(launch.env.iter().map(|(name, value)| (name, value))).current_dir(&launch.cwd);
    command.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed).process_group(0);
    let server = command.spawn()?;
    let (done, drained) = channel();
    let secrets = launch.secrets.clone();
    std::thread::spawn(move || {
        scrub::copy(output, file, &secrets);
        let _ = done.send(());
    });
    Ok((server, drained))
}

/// A signal to this process ends the server first.
fn listen(events: &Sender<Event>) {
    let events = events.clone();
    std::thread::spawn(move || {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
            let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = kinds.map(signal) else { return };
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {}
                }
                if events.send(Event::Over).is_err() {
                    return;
                }
            }
        });
    });
}

/// Waits for the server's end in a thread, without taking its number from it.
fn watch(server: Pid, events: &Sender<Event>) {
    let events = events.clone();
    std::thread::spawn(move || {
        let how = loop {
            match rustix::process::waitid(WaitId::Pid(server), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
                Err(rustix::io::Errno::INTR) | Ok(None) => {}
                Err(_) => break Ended::Unknown,
                Ok(Some(status)) => {
                    break match (status.exit_status(), status.terminating_signal()) {
                        (Some(status), _) => Ended::Status(status),
                        (_, Some(signal)) => Ended::Signal(signal),
                        (None, None) => Ended::Unknown,
                    };
                }
            }
        };
        let _ = events.send(Event::Ended(how));
    });
}

/// Asks the group to end, and after `limit` does not ask any more.
///
/// The first of the group, alive or not, still has its number, so that the group's cannot be another's.
fn end(group: Pid, events: &Receiver<Event>, limit: Duration, ended: &mut Option<Ended>) {
    let _ = rustix::process::kill_process_group(group, Signal::TERM);
    let deadline = Instant::now() + limit;
    while ended.is_none() || others_live(group) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match events.recv_timeout(left.min(Duration::from_millis(20))) {
            Ok(Event::Ended(how)) => *ended = Some(how),
            Ok(Event::Over) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let _ = rustix::process::kill_process_group(group, Signal::KILL);
    let deadline = Instant::now() + REAP;
    while ended.is_none() {
        match events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Event::Ended(how)) => *ended = Some(how),
            Ok(Event::Over) => {}
            Err(_) => break,
        }
    }
}

/// Waits for every process of the group, so that none stays behind as a zombie.
fn reap(group: Pid) {
    let deadline = Instant::now() + REAP;
    loop {
        match rustix::process::wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) if others_live(group) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(None) | Err(_) => break,
        }
    }
}

/// Whether the group has living members besides its first; where the system does not list them, the first stands for
/// all.
fn others_live(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let group = group.as_raw_nonzero().to_string();
    processes.flatten().any(|process| {
        let name = process.file_name();
        if name.as_encoded_bytes() == group.as_bytes() || !name.as_encoded_bytes()[0].is_ascii_digit() {
            return false;
        }
        let Ok(text) = std::fs::read_to_string(process.path().join("stat")) else { return false };
        // Behind the name, which may hold anything: state, parent, group.
        let mut fields = text.rsplit(") ").next().unwrap_or_default().split(' ');
        let state = fields.next();
        fields.nth(1) == Some(&group) && !matches!(state, Some("Z" | "X"))
    })
}

fn tell(news: &News) {
    let Ok(line) = serde_json::to_string(news) else { return };
    // A run that has gone does not listen.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

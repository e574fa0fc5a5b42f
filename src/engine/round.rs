//! A round: the requests of one trial, released at their times by the calling thread.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::engine::release::Releases;
use crate::engine::worker::{Command, Report, work};
use crate::engine::{ClientError, Clock, Transport, TransportOptions, addresses, limits, stamps};
use crate::plan::{Cancel, Pacing};
use crate::units::Nanos;
use crate::wire::{Protocol, RawRequest};

/// A request that is ready to be written.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Position in the round.
    pub index: u32,
    /// The user that sends it.
    pub user: u32,
    /// Offset from the round's start in an open loop; 0 otherwise.
    pub at: Nanos,
    /// Answer tokens it asks for.
    pub max_tokens: u32,
    /// Prompt tokens as planned, for servers that do not count them.
    pub input_tokens: u32,
    /// Sent as `x-request-id`; unique within a run.
    pub request_id: String,
    /// The request's body.
    pub body: Bytes,
    /// When the connection is closed on purpose.
    pub cancel: Option<Cancel>,
}

/// The requests of one trial and how to pace and time them.
#[derive(Clone, Debug)]
pub struct Round {
    /// Where they go.
    pub url: String,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How they are released.
    pub pacing: Pacing,
    /// No request starts later than this after the start.
    pub duration: Option<Nanos>,
    /// Longest time of a request.
    pub timeout: Duration,
    /// Longest time without a byte.
    pub no_progress: Duration,
    /// The requests, `requests[i].index == i`.
    pub requests: Vec<Outgoing>,
}

/// What a round left behind.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The requests that ended, in the order of their index.
    pub requests: Vec<RawRequest>,
    /// How late each probe woke its worker.
    pub wake_lags: Vec<Nanos>,
    /// Largest share of a core that a worker thread used; `None` where the system does not tell.
    pub cpu_share: Option<f64>,
    /// Whether the round was stopped before its end.
    pub interrupted: bool,
    /// Most requests in flight at once.
    pub peak_in_flight: u32,
}

/// Why an engine cannot run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A worker cannot be started.
    #[error("failed to start a load worker: {0}\nhint: raise the limit on threads or memory")]
    Start(#[from] std::io::Error),
    /// A request that HTTP does not allow.
    #[error("failed to make a request: {0}\nhint: check `url` and `headers` of the profile")]
    Request(String),
    /// More requests at once than the process may have connections.
    #[error(
        "the load needs {needed} open files at once, and this process may have {limit}\nhint: run `ulimit -n {needed}` \
         before (root may have to raise the hard limit), or lower the concurrency"
    )]
    OpenFiles {
        /// Files that are needed.
        needed: u64,
        /// The hard limit, or the present one if it cannot be raised.
        limit: u64,
    },
    /// A worker has died, which is a bug.
    #[error(
        "a load worker ended unexpectedly\nhint: this is a bug of tokpace; run with `RUST_LOG=tokpace=debug` and report it"
    )]
    Lost,
}

/// Workers with their connection pools. They live as long as the engine, so that connections stay warm from
/// trial to trial.
#[derive(Debug)]
pub struct Engine {
    workers: Vec<Worker>,
    reports: Receiver<Report>,
    options: TransportOptions,
}

/// A worker's thread and the channel to it.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Sends from the address that the system chooses.
    transport: Transport,
    /// One for each address that it has sent from because one was not enough, in the order of [`addresses::of`].
    bound: Vec<Transport>,
    commands: Option<UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts `workers` threads that talk to one target.
    pub fn start(workers: usize, options: &TransportOptions) -> Result<Self, EngineError> {
        let (report, reports) = channel();
        let workers =
            (0..workers.max(1)).map(|i| Worker::start(i, options, report.clone())).collect::<Result<_, _>>()?;
        Ok(Self { workers, reports, options: options.clone() })
    }

    /// As many workers as leave a core for the pacing thread and the server: half of the cores, at most 4.
    pub fn default_workers() -> usize {
        std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, 4)
    }

    /// Runs one round. The calling thread is the pacing thread until it returns.
    ///
    /// `stop` ends the round early; what was measured until then is in the recording.
    pub fn run(&mut self, round: Round, stop: &AtomicBool) -> Result<Recording, EngineError> {
        // Of a server in this process, both ends of a connection are files of it.
        let most = limits::make_room(&round, (2 * self.options.in_process).max(1))?;
        let addresses = addresses::of(&self.options, &round.url, most);
        let round = Arc::new(round);
        self.prepare(&round, &addresses)?;
        // A moment ahead, so that the first release is not late because the workers were still being told.
        let clock = Clock::at(Instant::now() + Duration::from_millis(2));
        for worker in &self.workers {
            worker.tell(Command::Begin(clock))?;
        }
        let mut releases = Releases::new(&self.workers, &self.reports, &round, clock);
        releases.run(stop)?;
        let mut recording = releases.end()?;
        recording.requests.sort_by_key(|raw| raw.index);
        Ok(recording)
    }

    /// Has every worker make its requests, and waits for all of them.
    fn prepare(&mut self, round: &Arc<Round>, from: &[IpAddr]) -> Result<(), EngineError> {
        let shares = self.workers.len() as u32;
        for (share, worker) in (0..).zip(&mut self.workers) {
            let transports = worker.transports(from, &self.options)?;
            worker.tell(Command::Prepare { round: round.clone(), transports, share, shares })?;
        }
        let mut answers = 0;
        let mut failed = None;
        while answers < shares {
            if let Report::Ready(ready) = self.reports.recv().map_err(|_| EngineError::Lost)? {
                answers += 1;
                failed = failed.or(ready.err());
            }
        }
        failed.map_or(Ok(()), |reason| Err(EngineError::Request(reason)))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.commands = None;
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // A worker that panicked was reported when its channel broke.
                let _ = thread.join();
            }
        }
    }
}

impl Worker {
    fn start(number: usize, options: &TransportOptions, reports: Sender<Report>) -> Result<Self, EngineError> {
        let transport = Transport::new(options)?;
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().on_thread_park(stamps::sleeping).build()?;
        let (commands, receiver) = unbounded_channel();
        let thread = std::thread::Builder::new().name(format!("tokpace-load-{number}")).spawn(move || {
            runtime.block_on(work(receiver, reports));
        })?;
        Ok(Self { transport, bound: Vec::new(), commands: Some(commands), thread: Some(thread) })
    }

    /// The clients to send with from these addresses, or from the system's choice. Those of earlier rounds keep their
    /// connections.
    fn transports(&mut self, from: &[IpAddr], options: &TransportOptions) -> Result<Arc<[Transport]>, ClientError> {
        for address in from.iter().skip(self.bound.len()) {
            self.bound.push(Transport::sending_from(options, Some(*address))?);
        }
        Ok(if from.is_empty() { [self.transport.clone()].into() } else { self.bound[..from.len()].into() })
    }

    pub(crate) fn tell(&self, command: Command) -> Result<(), EngineError> {
        let commands = self.commands.as_ref().ok_or(EngineError::Lost)?;
        commands.send(command).map_err(|_| EngineError::Lost)
    }
}

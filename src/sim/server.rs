//! Starting and stopping the simulated server: one thread for HTTP, one for the model.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use axum::serve::ListenerExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::engine::Engine;
use super::http::{self, App};
use super::journal::Departures;
use super::model::{Model, Stats};
use crate::pacer::Lateness;
use crate::profile::Embedded;

/// How the server is reached, and its seed.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Where it listens; port 0 takes a free one.
    pub addr: SocketAddr,
    /// Seed of jitter, faults and answers.
    pub seed: u64,
    /// The bearer token that `/v1/…` asks for; none if absent.
    pub api_key: Option<String>,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), seed: 0, api_key: None }
    }
}

/// What the server has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// Completion requests received, refused ones included.
    pub requests: u64,
    /// Completion requests with an `x-request-id` that an earlier one had.
    pub duplicate_ids: u64,
    /// Answers that their client did not wait for.
    pub cancelled: u64,
    /// The model's state and counters.
    pub model: Stats,
}

/// What the two threads and the server's owner share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stop: AtomicBool,
    pub(super) requests: AtomicU64,
    pub(super) cancelled: AtomicU64,
    duplicate_ids: AtomicU64,
    request_ids: Mutex<HashSet<String>>,
    stats: Mutex<Stats>,
    lateness: Mutex<Lateness>,
    journals: AtomicBool,
    departures: Mutex<Vec<Departures>>,
}

impl Shared {
    pub(super) fn set_stats(&self, stats: Stats) {
        *lock(&self.stats) = stats;
    }

    pub(super) fn stats(&self) -> Stats {
        *lock(&self.stats)
    }

    pub(super) fn note_delivery(&self, due: Instant, done: Instant) {
        lock(&self.lateness).record(due, done);
    }

    pub(super) fn keeps_departures(&self) -> bool {
        self.journals.load(Ordering::Relaxed)
    }

    pub(super) fn note_departures(&self, departures: Departures) {
        lock(&self.departures).push(departures);
    }

    pub(super) fn note_request_id(&self, id: &str) {
        if !lock(&self.request_ids).insert(id.to_owned()) {
            self.duplicate_ids.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The values behind these locks are whole after every statement, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    http: Option<JoinHandle<()>>,
    engine: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts the server; it answers when this returns.
    ///
    /// Fails if the address cannot be bound or a thread cannot be started.
    pub fn start(config: Embedded, options: ServerOptions) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(options.addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };

        let epoch = Instant::now();
        let shared = Arc::new(Shared::default());
        let (commands, inbox) = mpsc::channel();
        let engine = Engine::new(Model::new(&config, options.seed), epoch, inbox, Arc::clone(&shared));
        let app = App::new(config, options, epoch, commands, Arc::clone(&shared));
        let (stop, stopped) = oneshot::channel();

        let engine = thread::Builder::new().name("tokpace-sim-model".into()).spawn(move || engine.run())?;
        // From here on dropping `server` stops what has been started.
        let mut server = Self { addr, shared, stop: Some(stop), http: None, engine: Some(engine) };
        let http = move || {
            runtime.block_on(async move {
                let listener = listener.tap_io(|stream: &mut TcpStream| {
                    // Without it a token waits for the last one's acknowledgement.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!("no TCP_NODELAY on a connection: {error}");
                    }
                });
                tokio::select! {
                    _ = stopped => {}
                    _ = axum::serve(listener, http::router(app)) => {}
                }
            });
        };
        server.http = Some(thread::Builder::new().name("tokpace-sim-http".into()).spawn(http)?);
        Ok(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The URL that an `OpenAI` client takes: `http://127.0.0.1:4711/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// How late the tokens so far were handed to the HTTP thread, a value a step.
    pub fn lateness(&self) -> Lateness {
        lock(&self.shared.lateness).clone()
    }

    /// Forgets the lateness so far, so that the next reading is of what follows.
    pub fn clear_lateness(&self) {
        lock(&self.shared.lateness).clear();
    }

    /// Begins or ends a record of when tokens leave, of the requests that come from now on. It grows until it is taken.
    pub fn keep_departures(&self, keep: bool) {
        self.shared.journals.store(keep, Ordering::Relaxed);
    }

    /// Takes the record of the streamed answers that have ended.
    pub fn take_departures(&self) -> Vec<Departures> {
        std::mem::take(&mut *lock(&self.shared.departures))
    }

    /// What it has seen so far.
    pub fn counters(&self) -> Counters {
        Counters {
            requests: self.shared.requests.load(Ordering::Relaxed),
            duplicate_ids: self.shared.duplicate_ids.load(Ordering::Relaxed),
            cancelled: self.shared.cancelled.load(Ordering::Relaxed),
            model: self.shared.stats(),
        }
    }

    /// Stops both threads and closes every connection, within a tenth of a second.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(stop) = self.stop.take() {
            // A thread that is gone does not listen.
            let _ = stop.send(());
        }
        // The HTTP thread first: it holds the engine's inbox open. A panic in either has been printed already.
        if let Some(http) = self.http.take() {
            let _ = http.join();
        }
        if let Some(engine) = self.engine.take() {
            engine.thread().unpark();
            let _ = engine.join();
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod twin;

//! The thread that keeps the model's time on the wall clock.
//!
//! Steps follow one another at absolute times: a step starts where the last one ended in the model, not when this
//! thread woke up, so that its own lateness never adds up. It is recorded instead.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::model::{Emission, Model, SimRequest};
use super::server::Shared;
use crate::pacer;
use crate::units::Nanos;

/// What the HTTP side tells the engine.
pub(super) enum Command {
    /// A request has arrived.
    Submit {
        /// When its body was complete, since the epoch.
        at: Nanos,
        /// What is asked.
        request: SimRequest,
        /// Where its tokens go; closed without the last token if the model refuses the request.
        to: UnboundedSender<Emission>,
    },
    /// A client has gone.
    Cancel(u64),
}

/// A request in the engine, as the HTTP side holds it: cancelled when it is dropped before its last token.
pub(super) struct Ticket {
    id: u64,
    tokens: UnboundedReceiver<Emission>,
    commands: Sender<Command>,
    done: bool,
}

impl Ticket {
    /// Sends a request to the engine.
    pub(super) fn submit(commands: &Sender<Command>, at: Nanos, request: SimRequest) -> Self {
        let (to, tokens) = unbounded_channel();
        let id = request.id;
        // If the engine is gone `to` is dropped with the command, and whoever reads sees the end.
        let done = commands.send(Command::Submit { at, request, to }).is_err();
        Self { id, tokens, commands: commands.clone(), done }
    }

    /// The next token; `None` if the engine is gone.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Emission>> {
        let token = self.tokens.poll_recv(cx);
        if let Poll::Ready(token) = &token {
            self.done |= token.is_none_or(|token| token.last);
        }
        token
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.done {
            // Without an engine there is nothing to cancel.
            let _ = self.commands.send(Command::Cancel(self.id));
        }
    }
}

/// The model with the clock and the channels around it.
pub(super) struct Engine {
    model: Model,
    epoch: Instant,
    commands: Receiver<Command>,
    shared: Arc<Shared>,
    outlets: HashMap<u64, UnboundedSender<Emission>>,
}

/// A stopping server waits at most this long for a step.
const STOP_CHECK: Duration = Duration::from_millis(50);

impl Engine {
    /// An idle engine, whose model's time 0 is `epoch`.
    pub(super) fn new(model: Model, epoch: Instant, commands: Receiver<Command>, shared: Arc<Shared>) -> Self {
        Self { model, epoch, commands, shared, outlets: HashMap::new() }
    }

    /// Works until the server stops or nobody can send commands any more.
    pub(super) fn run(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            match self.commands.try_recv() {
                Ok(command) => {
                    self.take(command);
                    continue;
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            let Some(at) = self.model.next_ready() else {
                let Ok(command) = self.commands.recv() else { return };
                self.take(command);
                continue;
            };
            let left = self.moment(at).saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.step(at);
            } else if left > pacer::SPIN {
                match self.commands.recv_timeout(left.saturating_sub(pacer::SPIN)) {
                    Ok(command) => self.take(command),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                pacer::spin();
            }
        }
    }

    fn moment(&self, at: Nanos) -> Instant {
        self.epoch + Duration::from_nanos(at)
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Submit { at, request, to } => {
                // What the model refuses loses its sender here, and the reader sees the end.
                if self.model.submit(at, &request).is_ok() {
                    self.outlets.insert(request.id, to);
                }
            }
            Command::Cancel(id) => {
                self.outlets.remove(&id);
                if self.model.cancel(id) {
                    self.shared.set_stats(self.model.stats());
                    self.shared.cancelled.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        self.shared.set_stats(self.model.stats());
    }

    fn step(&mut self, at: Nanos) {
        let Some(step) = self.model.step(at) else { return };
        self.shared.set_stats(step.stats);
        let end = self.moment(step.end);
        if !self.wait(end) {
            return;
        }
        // Both before the first token is handed over: whoever has an answer finds it counted, and the thread that is
        // woken may push this one off its core.
        self.shared.note_delivery(end, Instant::now());
        self.shared.set_stats(self.model.stats());
        for emission in step.emissions {
            // A reader that is gone has sent a cancellation, which is read after this step.
            if emission.last {
                if let Some(to) = self.outlets.remove(&emission.id) {
                    let _ = to.send(emission);
                }
            } else if let Some(to) = self.outlets.get(&emission.id) {
                let _ = to.send(emission);
            }
        }
    }

    /// Waits until `end`; false if the server stops before.
    fn wait(&self, end: Instant) -> bool {
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left <= STOP_CHECK {
                break;
            }
            thread::park_timeout(left.saturating_sub(STOP_CHECK));
            if self.shared.stop.load(Ordering::Relaxed) {
                return false;
            }
        }
        pacer::wait_until(end);
        true
    }
}

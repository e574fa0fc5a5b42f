//! A worker: one thread, one `current_thread` runtime, clients of its own, no locks.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::cpu::thread_time;
use crate::engine::exchange::{Line, Prepared, exchange, prepare};
use crate::engine::transport::chain;
use crate::engine::{Clock, Round, Transport};
use crate::plan::Pacing;
use crate::units::Nanos;
use crate::wire::RawRequest;

/// What the pacing thread tells a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new round will begin: prepare its requests. `share` of `shares` says which are this worker's.
    Prepare { round: Arc<Round>, transports: Arc<[Transport]>, share: u32, shares: u32 },
    /// The round begins; stamps are those of this clock.
    Begin(Clock),
    /// User `user` starts, as of this stamp, and sends its requests one after the other.
    User { user: u32, at: Nanos },
    /// Request `index` starts, as of this stamp.
    Request { index: u32, at: Nanos },
    /// Tell how late this reached you.
    Probe(Instant),
    /// The round is over: drop what is still under way and report.
    End,
}

/// What a worker tells back.
#[derive(Debug)]
pub(crate) enum Report {
    /// Everything is prepared, or why it cannot be.
    Ready(Result<(), String>),
    /// A request has ended.
    Done(Box<RawRequest>),
    /// A user has no more requests.
    Idle,
    /// A probe took so long.
    Lag(Nanos),
    /// The round is over; processor time and wall time that it took here.
    Ended { cpu: Option<Nanos>, wall: Nanos },
}

/// A round as one worker sees it.
struct Part {
    round: Arc<Round>,
    clock: Clock,
    /// One for each address to send from.
    transports: Arc<[Transport]>,
    shares: u32,
    /// Prepared requests by index; `None` for those of other workers and those that were sent.
    requests: Vec<Option<Prepared>>,
    /// Indexes of each user's requests, of a closed loop.
    of_users: HashMap<u32, Vec<usize>>,
}

impl Part {
    fn prepare(round: Arc<Round>, transports: Arc<[Transport]>, share: u32, shares: u32) -> reqwest::Result<Self> {
        let closed = matches!(round.pacing, Pacing::Closed { .. });
        let requests = Vec::with_capacity(round.requests.len());
        let mut part = Self { round, clock: Clock::start(), transports, shares, requests, of_users: HashMap::new() };
        for (index, outgoing) in part.round.requests.iter().enumerate() {
            let number = if closed { outgoing.user } else { outgoing.index };
            let own = number % shares == share;
            if own && closed {
                part.of_users.entry(outgoing.user).or_default().push(index);
            }
            let request = if own { Some(prepare(part.transport(number), &part.round, outgoing)?) } else { None };
            part.requests.push(request);
        }
        Ok(part)
    }

    /// What the user of this number, or without users the request, is sent with.
    fn transport(&self, number: u32) -> &Transport {
        &self.transports[(number / self.shares) as usize % self.transports.len()]
    }

    /// The prepared requests of a user, in order.
    fn of_user(&mut self, user: u32) -> Vec<(usize, Prepared)> {
        let indexes = self.of_users.remove(&user).unwrap_or_default();
        indexes.into_iter().filter_map(|index| Some((index, self.requests[index].take()?))).collect()
    }
}

/// Runs until the command channel closes.
pub(crate) async fn work(mut commands: UnboundedReceiver<Command>, reports: Sender<Report>) {
    let mut current: Option<Part> = None;
    let mut tasks = tokio::task::JoinSet::new();
    let mut began = (Instant::now(), None);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Prepare { round, transports, share, shares } => {
                let part = Part::prepare(round, transports, share, shares);
                let ready = part.as_ref().map(|_| ()).map_err(chain);
                current = part.ok();
                let _ = reports.send(Report::Ready(ready));
            }
            Command::Begin(clock) => {
                began = (Instant::now(), thread_time());
                if let Some(part) = &mut current {
                    part.clock = clock;
                }
            }
            Command::User { user, at } => {
                if let Some(part) = &mut current {
                    let requests = part.of_user(user);
                    let transport = part.transport(user).clone();
                    let user = User { transport, round: part.round.clone(), clock: part.clock };
                    tasks.spawn(user.run(requests, at, reports.clone()));
                }
            }
            Command::Request { index, at } => {
                if let Some(part) = &mut current
                    && let Some(request) = part.requests[index as usize].take()
                {
                    let reports = reports.clone();
                    let (transport, round, clock) = (part.transport(index).clone(), part.round.clone(), part.clock);
                    tasks.spawn(async move {
                        let outgoing = &round.requests[index as usize];
                        let line = Line { transport: &transport, round: &round, clock };
                        let raw = exchange(line, outgoing, request, at).await;
                        let _ = reports.send(Report::Done(Box::new(raw)));
                    });
                }
            }
            Command::Probe(at) => {
                let _ = reports.send(Report::Lag(at.elapsed().as_nanos() as Nanos));
            }
            Command::End => {
                tasks.shutdown().await;
                current = None;
                let cpu = thread_time().zip(began.1).map(|(now, then)| now.saturating_sub(then));
                let _ = reports.send(Report::Ended { cpu, wall: began.0.elapsed().as_nanos() as Nanos });
            }
        }
        // Finished tasks are forgotten here, so that a long round does not keep them all.
        while tasks.try_join_next().is_some() {}
    }
}

/// A user of a closed loop.
struct User {
    transport: Transport,
    round: Arc<Round>,
    clock: Clock,
}

impl User {
    /// Sends its requests one after the other, each as soon as the one before has ended.
    async fn run(self, requests: Vec<(usize, Prepared)>, start: Nanos, reports: Sender<Report>) {
        let mut scheduled = start;
        for (index, request) in requests {
            if self.round.duration.is_some_and(|duration| scheduled > duration) {
                break;
            }
            let outgoing = &self.round.requests[index];
            let line = Line { transport: &self.transport, round: &self.round, clock: self.clock };
            let raw = exchange(line, outgoing, request, scheduled).await;
            if reports.send(Report::Done(Box::new(raw))).is_err() {
                return;
            }
            scheduled = self.clock.now();
        }
        let _ = reports.send(Report::Idle);
    }
}

//! A worker: one thread, one `current_thread` runtime, one client, no locks.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::cpu::thread_time;
use crate::engine::exchange::exchange;
use crate::engine::{Clock, Round, Transport};
use crate::units::Nanos;
use crate::wire::RawRequest;

/// What the pacing thread tells a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// A new round begins; stamps are those of this clock.
    Begin(Arc<Round>, Clock),
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
    /// A request has ended.
    Done(Box<RawRequest>),
    /// A user has no more requests.
    Idle,
    /// A probe took so long.
    Lag(Nanos),
    /// The round is over; processor time and wall time that it took here.
    Ended { cpu: Option<Nanos>, wall: Nanos },
}

/// Runs until the command channel closes.
pub(crate) async fn work(transport: Transport, mut commands: UnboundedReceiver<Command>, reports: Sender<Report>) {
    let mut current: Option<(Arc<Round>, Clock)> = None;
    let mut tasks = tokio::task::JoinSet::new();
    let mut began = (Instant::now(), None);
    while let Some(command) = commands.recv().await {
        match command {
            Command::Begin(round, clock) => {
                began = (Instant::now(), thread_time());
                current = Some((round, clock));
            }
            Command::User { user, at } => {
                if let Some((round, clock)) = &current {
                    tasks.spawn(user_loop(transport.clone(), round.clone(), *clock, user, at, reports.clone()));
                }
            }
            Command::Request { index, at } => {
                if let Some((round, clock)) = current.clone() {
                    let (transport, reports) = (transport.clone(), reports.clone());
                    tasks.spawn(async move {
                        let outgoing = &round.requests[index as usize];
                        let raw = exchange(&transport, &round, clock, outgoing, at).await;
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

/// Sends the requests of one user of a closed loop, each as soon as the one before has ended.
async fn user_loop(
    transport: Transport,
    round: Arc<Round>,
    clock: Clock,
    user: u32,
    start: Nanos,
    reports: Sender<Report>,
) {
    let mut scheduled = start;
    for outgoing in round.requests.iter().filter(|outgoing| outgoing.user == user) {
        if round.duration.is_some_and(|duration| scheduled > duration) {
            break;
        }
        let raw = exchange(&transport, &round, clock, outgoing, scheduled).await;
        if reports.send(Report::Done(Box::new(raw))).is_err() {
            return;
        }
        scheduled = clock.now();
    }
    let _ = reports.send(Report::Idle);
}

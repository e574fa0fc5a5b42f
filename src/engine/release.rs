//! The pacing of one round: releases at absolute times, probes in between, reports as they come.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::engine::round::Worker;
use crate::engine::worker::{Command, Report};
use crate::engine::{Clock, EngineError, Recording, Round};
use crate::pacer;
use crate::plan::Pacing;
use crate::units::Nanos;

/// A probe for the workers' wake-up lag is sent this often; it also bounds how late an interrupt is noticed.
const PROBE_EVERY: Duration = Duration::from_millis(10);
/// This long before a release the thread stops listening to reports and only waits.
const LISTEN_UNTIL: Duration = Duration::from_millis(1);

pub(crate) struct Releases<'a> {
    workers: &'a [Worker],
    reports: &'a Receiver<Report>,
    round: &'a Round,
    clock: Clock,
    recording: Recording,
    /// Users (closed loop) or requests (otherwise) that were released and have not ended.
    open: u32,
    next_probe: Instant,
}

impl<'a> Releases<'a> {
    pub(crate) fn new(workers: &'a [Worker], reports: &'a Receiver<Report>, round: &'a Round, clock: Clock) -> Self {
        Self { workers, reports, round, clock, recording: Recording::default(), open: 0, next_probe: clock.instant(0) }
    }

    /// Releases everything and waits for its end, or for `stop`.
    pub(crate) fn run(&mut self, stop: &AtomicBool) -> Result<(), EngineError> {
        match self.round.pacing {
            Pacing::Closed { users, ramp_up } => {
                for user in 0..users {
                    let at = ramp_up * u64::from(user) / u64::from(users.max(1));
                    if !self.wait_until(at, stop)? {
                        return Ok(());
                    }
                    self.release(user, Command::User { user, at })?;
                }
                self.drain(stop)?;
            }
            Pacing::Open { .. } => {
                for request in &self.round.requests {
                    if !self.wait_until(request.at, stop)? {
                        return Ok(());
                    }
                    self.release(request.index, Command::Request { index: request.index, at: request.at })?;
                }
                self.drain(stop)?;
            }
            Pacing::Batch { size } => {
                let mut at = 0;
                for group in self.round.requests.chunks(size.max(1) as usize) {
                    if self.round.duration.is_some_and(|duration| at > duration) || !self.wait_until(at, stop)? {
                        return Ok(());
                    }
                    for request in group {
                        self.release(request.index, Command::Request { index: request.index, at })?;
                    }
                    if !self.drain(stop)? {
                        return Ok(());
                    }
                    at = self.clock.now();
                }
            }
        }
        Ok(())
    }

    /// Ends the round and takes what was recorded.
    pub(crate) fn end(mut self) -> Result<Recording, EngineError> {
        for worker in self.workers {
            worker.tell(Command::End)?;
        }
        let mut ended = 0;
        while ended < self.workers.len() {
            let report = self.reports.recv().map_err(|_| EngineError::Lost)?;
            if let Report::Ended { cpu, wall } = report {
                ended += 1;
                let share = cpu.map(|cpu| cpu as f64 / wall.max(1) as f64);
                self.recording.cpu_share = match (self.recording.cpu_share, share) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    (a, b) => a.or(b),
                };
            } else {
                self.take(report);
            }
        }
        Ok(self.recording)
    }

    fn release(&mut self, number: u32, command: Command) -> Result<(), EngineError> {
        self.open += 1;
        self.recording.peak_in_flight = self.recording.peak_in_flight.max(self.open);
        self.workers[number as usize % self.workers.len()].tell(command)
    }

    /// Waits for a stamp; `false` if it was stopped before.
    fn wait_until(&mut self, at: Nanos, stop: &AtomicBool) -> Result<bool, EngineError> {
        let deadline = self.clock.instant(at);
        let quiet = deadline.checked_sub(LISTEN_UNTIL).unwrap_or(deadline);
        while Instant::now() < quiet {
            if !self.listen(Some(quiet), stop)? {
                return Ok(false);
            }
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take(report);
        }
        self.probe()?;
        pacer::wait_until(deadline);
        Ok(!self.stopped(stop))
    }

    /// Waits until nothing is open; `false` if it was stopped before.
    fn drain(&mut self, stop: &AtomicBool) -> Result<bool, EngineError> {
        while self.open > 0 {
            if !self.listen(None, stop)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes one report or waits for the next probe or for `until`; `false` if it was stopped.
    fn listen(&mut self, until: Option<Instant>, stop: &AtomicBool) -> Result<bool, EngineError> {
        self.probe()?;
        let wake = until.map_or(self.next_probe, |until| until.min(self.next_probe));
        match self.reports.recv_timeout(wake.saturating_duration_since(Instant::now())) {
            Ok(report) => self.take(report),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(EngineError::Lost),
        }
        Ok(!self.stopped(stop))
    }

    fn stopped(&mut self, stop: &AtomicBool) -> bool {
        self.recording.interrupted |= stop.load(Ordering::Relaxed);
        self.recording.interrupted
    }

    fn probe(&mut self) -> Result<(), EngineError> {
        let now = Instant::now();
        if now >= self.next_probe {
            for worker in self.workers {
                worker.tell(Command::Probe(now))?;
            }
            self.next_probe = now + PROBE_EVERY;
        }
        Ok(())
    }

    fn take(&mut self, report: Report) {
        let closed_loop = matches!(self.round.pacing, Pacing::Closed { .. });
        match report {
            Report::Done(raw) => {
                self.recording.requests.push(*raw);
                if !closed_loop {
                    self.open -= 1;
                }
            }
            Report::Idle => self.open -= 1,
            Report::Lag(lag) => self.recording.wake_lags.push(lag),
            Report::Ready(_) | Report::Ended { .. } => {}
        }
    }
}

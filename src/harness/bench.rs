//! What stands ready while a run measures: the lock, the targets, the load workers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::engine::{Engine, EngineError, TransportOptions};
use crate::gate::FEWEST;
use crate::harness::{MeasureError, MeasureLock};
use crate::plan::{PlanError, Words};
use crate::profile::Profile;
use crate::scenario::Case;
use crate::target::{self, ManagedServer, Probe, Target};
use crate::wire::Protocol;

/// Made when the first case is measured, dropped with the run: dropping it stops the servers that the run has
/// started and releases the lock.
#[derive(Debug)]
pub(crate) struct Bench {
    sides: Vec<Side>,
    _lock: MeasureLock,
}

impl Bench {
    pub(crate) fn new(lock: MeasureLock) -> Self {
        Self { sides: Vec::new(), _lock: lock }
    }

    /// The side that measures this profile and variant in this role, if it stands.
    pub(crate) fn find(&self, role: Role, profile: &Profile) -> Option<usize> {
        let stands = |side: &Side| {
            side.role == role && side.profile.name == profile.name && side.profile.variant == profile.variant
        };
        self.sides.iter().position(stands)
    }

    /// Adds a side; its number is what [`Bench::side`] takes.
    pub(crate) fn add(&mut self, side: Side) -> usize {
        self.sides.push(side);
        self.sides.len() - 1
    }

    pub(crate) fn side(&mut self, number: usize) -> &mut Side {
        &mut self.sides[number]
    }

    /// Has the server of a side stand ready: one that has ended, or was stopped to make room, is started anew.
    pub(crate) fn ready(&mut self, number: usize, stop: &AtomicBool) -> Result<(), MeasureError> {
        let exclusive = self.sides[number].is_exclusive();
        self.make_room(exclusive, Some(number));
        let side = &mut self.sides[number];
        match &side.target.managed {
            Some(server) if !server.is_up() || server.ended(Duration::ZERO).is_some() => side.restart(stop),
            _ => Ok(()),
        }
    }

    /// Stops managed servers that may not be up at the same time as the next one.
    pub(crate) fn make_room(&mut self, exclusive: bool, except: Option<usize>) {
        let others = self.sides.iter_mut().enumerate().filter(|(at, _)| Some(*at) != except).map(|(_, side)| side);
        for side in others.filter(|side| exclusive || side.is_exclusive()) {
            side.target.managed.iter_mut().for_each(ManagedServer::stop);
        }
    }
}

/// What a side is in a comparison. The name is part of its salts and of every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The side that is compared with, where both are measured.
    Reference,
    /// The side that is judged.
    Candidate,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Candidate => "candidate",
        }
    }

    /// What the name of a server's log says of its role: nothing where it is the usual one.
    pub(crate) const fn of_servers(self) -> Option<&'static str> {
        match self {
            Self::Reference => Some("reference"),
            Self::Candidate => None,
        }
    }
}

/// A target with the workers that talk to it. Several stand at a time, but only one is under load.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) role: Role,
    pub(crate) profile: Profile,
    pub(crate) target: Target,
    pub(crate) words: Arc<Words>,
    /// A trial was measured since its server started.
    pub(crate) used: bool,
    /// The round of pairs for which its server was started last.
    renewed: u32,
    /// Workers for HTTP/1.1 and for HTTP/2.
    engines: [Option<Engine>; 2],
}

impl Side {
    pub(crate) fn new(role: Role, profile: Profile, target: Target) -> Result<Self, PlanError> {
        let words = Arc::new(Words::of(&target.tokenizer)?);
        Ok(Self { role, profile, target, words, used: false, renewed: 0, engines: [None, None] })
    }

    /// Whether no other managed server may be up with this side's.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.target.managed.as_ref().is_some_and(ManagedServer::is_exclusive)
    }

    /// How often its server was started by this run.
    pub(crate) fn starts(&self) -> u32 {
        self.target.managed.as_ref().map_or(0, ManagedServer::starts)
    }

    /// Starts its server anew so that what differs from start to start averages out over the pairs: before each of them
    /// if that is quick, else before some rounds of pairs of all cases.
    pub(crate) fn refresh(&mut self, round: u32, stop: &AtomicBool) -> Result<(), MeasureError> {
        let Some(server) = self.target.managed.as_ref().filter(|server| self.used && !server.is_exclusive()) else {
            return Ok(());
        };
        let due = self.renewed < round && starts_anew(round, server.starts_wanted());
        if !server.starts_quickly() && !due {
            return Ok(());
        }
        self.renewed = round;
        self.restart(stop)
    }

    fn restart(&mut self, stop: &AtomicBool) -> Result<(), MeasureError> {
        // Their connections are to the server that was.
        self.engines = [None, None];
        self.used = false;
        Ok(self.target.restart(stop)?)
    }

    /// The workers, with their connections of earlier cases.
    pub(crate) fn engine(&mut self, http2: bool) -> Result<&mut Engine, EngineError> {
        let slot = &mut self.engines[usize::from(http2)];
        if let Some(engine) = slot {
            return Ok(engine);
        }
        let options = TransportOptions { http2, ..self.target.transport.clone() };
        Ok(slot.insert(Engine::start(Engine::default_workers(), &options)?))
    }

    /// One short request, so that what is wrong is said before load is sent.
    pub(crate) fn check(&mut self, case: &Case, stop: &AtomicBool) -> Result<(), MeasureError> {
        self.engine(case.request.http2)?;
        let Self { target, engines, .. } = self;
        if let Some(engine) = &mut engines[usize::from(case.request.http2)] {
            let stop = target.halt().map_or(stop, |halt| halt);
            target::smoke(engine, target, case.request.protocol, case.request.stream, stop)?;
        }
        Ok(())
    }

    /// Walks the target step by step, as far as to an answer in each of `protocols`.
    pub(crate) fn walk(&mut self, protocols: &[(Protocol, bool)], stop: &AtomicBool) -> Result<Probe, EngineError> {
        for (protocol, _) in protocols {
            self.engine(protocol.is_grpc())?;
        }
        let Self { target, engines, .. } = self;
        Ok(target::walk(engines, target, protocols, stop))
    }
}

/// Whether a server with so many starts in the first look's rounds has one before `round`, counted from 0. After that
/// there is one for every four rounds, so that no start has most of the pairs.
fn starts_anew(round: u32, starts: u32) -> bool {
    match round {
        0 => false,
        1..FEWEST => round * starts / FEWEST > (round - 1) * starts / FEWEST,
        _ => starts > 1 && (round - FEWEST).is_multiple_of(4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_are_spread_over_the_first_look() {
        let rounds = |starts| (0..20).filter(|round| starts_anew(*round, starts)).collect::<Vec<u32>>();
        assert_eq!(rounds(1), [] as [u32; 0]);
        assert_eq!(rounds(2), [3, 6, 10, 14, 18]);
        // With the first one four before the first look at six pairs.
        assert_eq!(rounds(4), [2, 3, 5, 6, 10, 14, 18]);
        assert_eq!(rounds(6), [1, 2, 3, 4, 5, 6, 10, 14, 18]);
    }
}

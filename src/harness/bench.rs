//! What stands ready while a run measures: the lock, the target, the load workers.

use std::sync::atomic::AtomicBool;

use crate::engine::{Engine, EngineError, TransportOptions};
use crate::harness::MeasureLock;
use crate::harness::measure::MeasureError;
use crate::plan::{PlanError, Words};
use crate::scenario::Case;
use crate::target::{self, Probe, Target};

/// Made when the first case is measured, dropped with the run: dropping it stops the embedded server and
/// releases the lock.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) target: Target,
    pub(crate) words: Words,
    /// Workers for HTTP/1.1 and for HTTP/2.
    engines: [Option<Engine>; 2],
    _lock: MeasureLock,
}

impl Bench {
    pub(crate) fn new(target: Target, lock: MeasureLock) -> Result<Self, PlanError> {
        let words = Words::of(&target.tokenizer)?;
        Ok(Self { target, words, engines: [None, None], _lock: lock })
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
            target::smoke(engine, target, case.request.stream, stop)?;
        }
        Ok(())
    }

    /// Walks the target step by step.
    pub(crate) fn walk(&mut self, stop: &AtomicBool) -> Result<Probe, EngineError> {
        self.engine(false)?;
        let Self { target, engines, .. } = self;
        Ok(engines[0].as_mut().map_or_else(Probe::default, |engine| target::walk(engine, target, stop)))
    }
}

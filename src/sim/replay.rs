//! The load engine and the simulated server in virtual time: what a perfect client would record.
//!
//! Nothing between client and server takes time unless the caller says so: a request arrives when it is sent, and a
//! token is read when its step ends. What a gate should say after an injected slow-down can be computed from this, and
//! an engine be checked against it.

use std::collections::{BTreeMap, BTreeSet};

use super::faults;
use super::model::{Emission, Model, SimRequest};
use crate::plan::{Pacing, Plan, PlannedRequest};
use crate::profile::{Embedded, FaultKind};
use crate::record::{Chunk, Failure, FailureClass, RequestRecord, TokenSource, Usage};
use crate::tokens::Tokenizer;
use crate::units::Nanos;

/// The records of one trial on a fresh server; see [`Replayer::trial`].
pub fn replay(plan: &Plan, config: &Embedded, seed: u64, salt: &str, tokenizer: &Tokenizer) -> Vec<RequestRecord> {
    Replayer::new(config, seed).trial(plan, salt, |text| tokenizer.ids(text))
}

/// A server in virtual time that lives through several trials and keeps its prefix cache.
#[derive(Clone, Debug)]
pub struct Replayer {
    config: Embedded,
    seed: u64,
    /// What a request takes to the server, and a token to the client.
    transit: Nanos,
    model: Model,
    /// The model's time at which everything so far has ended.
    now: Nanos,
    requests: u64,
}

/// Requests of one list that wait for each other: each group starts when the one before it has ended.
struct Lane {
    start: Nanos,
    groups: Vec<Vec<usize>>,
}

/// A list of requests on its way through the model.
struct Trial<'a, F> {
    requests: &'a [PlannedRequest],
    salt: &'a str,
    ids: &'a F,
    lanes: Vec<Lane>,
    /// No group starts later than this after the origin.
    duration: Option<Nanos>,
    /// Model time of the records' zero.
    origin: Nanos,
    /// What the client does next, by model time.
    agenda: BTreeSet<(Nanos, Event)>,
    /// The group that each lane is in and how many of its requests have not ended.
    progress: Vec<(usize, usize)>,
    flights: BTreeMap<u64, Flight>,
    records: Vec<RequestRecord>,
}

/// Something that the client does. Of several at one time the cancellations come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Gives a request up.
    Cancel(u64),
    /// Starts a group of a lane.
    Start { lane: usize, group: usize },
}

/// A request in the model.
struct Flight {
    lane: usize,
    fault: Option<FaultKind>,
    prompt_tokens: u32,
    /// Model time at which the client gives it up.
    cancel_at: Option<Nanos>,
    /// Tokens with which it does.
    cancel_with: Option<u32>,
    record: RequestRecord,
}

impl Replayer {
    /// A fresh server.
    pub fn new(config: &Embedded, seed: u64) -> Self {
        Self { config: config.clone(), seed, transit: 0, model: Model::new(config, seed), now: 0, requests: 0 }
    }

    /// The same server `transit` away: every request arrives so much later, and every token.
    #[must_use]
    pub fn with_transit(self, transit: Nanos) -> Self {
        Self { transit, ..self }
    }

    /// Runs the plan's unmeasured requests (warm-up, then primed prefixes), waits until nothing is left, and runs the
    /// measured ones. The records of those that started, in the plan's order, with the first start at time 0.
    ///
    /// `salt` is the trial's salt, of which each prompt takes as many words as it has salt tokens; `ids` is the server's
    /// tokenizer. A fault that takes a real client's patience (`stall`) is given up at once here.
    pub fn trial(&mut self, plan: &Plan, salt: &str, ids: impl Fn(&str) -> Vec<u32>) -> Vec<RequestRecord> {
        for unmeasured in [&plan.warmup, &plan.prime] {
            let lanes = by_user(unmeasured);
            self.run(unmeasured, lanes, None, salt, &ids);
        }
        self.run(&plan.requests, lanes(plan), plan.duration, salt, &ids)
    }

    /// State and counters of the server after the last trial.
    pub fn stats(&self) -> super::Stats {
        self.model.stats()
    }

    fn run(
        &mut self,
        requests: &[PlannedRequest],
        lanes: Vec<Lane>,
        duration: Option<Nanos>,
        salt: &str,
        ids: &impl Fn(&str) -> Vec<u32>,
    ) -> Vec<RequestRecord> {
        let origin = self.now;
        let start = |lane| Event::Start { lane, group: 0 };
        let agenda =
            lanes.iter().enumerate().map(|(lane, of)| (origin.saturating_add(of.start), start(lane))).collect();
        let progress = vec![(0, 0); lanes.len()];
        let mut trial = Trial {
            requests,
            salt,
            ids,
            lanes,
            duration,
            origin,
            agenda,
            progress,
            flights: BTreeMap::new(),
            records: Vec::with_capacity(requests.len()),
        };
        loop {
            let step_at = self.model.next_ready();
            match trial.agenda.first().copied() {
                // What is sent at the very moment that a step starts is in time for it.
                Some((at, event)) if step_at.is_none_or(|step_at| at <= step_at) => {
                    trial.agenda.pop_first();
                    match event {
                        Event::Start { lane, group } => self.start(&mut trial, at, lane, group),
                        Event::Cancel(id) if trial.cancel(id, at) => {
                            self.now = self.now.max(at);
                            self.model.cancel(id);
                        }
                        // It had ended before.
                        Event::Cancel(_) => {}
                    }
                }
                _ => {
                    let Some(step) = step_at.and_then(|at| self.model.step(at)) else { break };
                    let read = step.end.saturating_add(self.transit);
                    self.now = self.now.max(read);
                    for emission in &step.emissions {
                        trial.token(emission, read);
                    }
                }
            }
        }
        let mut records = trial.records;
        records.sort_by_key(|record| record.index);
        records
    }

    /// Sends a group's requests at model time `at`.
    fn start<F: Fn(&str) -> Vec<u32>>(&mut self, trial: &mut Trial<'_, F>, at: Nanos, lane: usize, group: usize) {
        self.now = self.now.max(at);
        let since = at - trial.origin;
        if trial.duration.is_some_and(|duration| since > duration) || group >= trial.lanes[lane].groups.len() {
            return;
        }
        trial.progress[lane] = (group, 0);
        for position in std::mem::take(&mut trial.lanes[lane].groups[group]) {
            let planned = &trial.requests[position];
            let id = self.requests;
            self.requests += 1;
            let fault = faults::drawn(&self.config, self.seed, id);
            let tokens = prompt_ids(planned, trial.salt, trial.ids);
            let prompt_tokens = tokens.len() as u32;
            let mut record = sent(planned, since, since + 2 * self.transit);
            let status = match fault {
                Some(FaultKind::Error) => Err((500, faults::message(FaultKind::Error).to_owned())),
                Some(FaultKind::RateLimit) => Err((429, faults::message(FaultKind::RateLimit).to_owned())),
                _ => {
                    let max_tokens = faults::computed(fault, planned.max_tokens);
                    self.model
                        .submit(at + self.transit, &SimRequest { id, tokens, max_tokens, cold: faults::cold(fault) })
                        .map_err(|too_long| (400, too_long.to_string()))
                }
            };
            match status {
                Ok(()) => {
                    trial.progress[lane].1 += 1;
                    let cancel_at = planned.cancel.and_then(|cancel| Some(at.saturating_add(cancel.after?)));
                    let cancel_with = planned.cancel.and_then(|cancel| cancel.after_tokens);
                    trial.agenda.extend(cancel_at.map(|at| (at, Event::Cancel(id))));
                    let flight = Flight { lane, fault, prompt_tokens, cancel_at, cancel_with, record };
                    trial.flights.insert(id, flight);
                }
                Err((status, message)) => {
                    record.status = Some(status);
                    record.streamed = false;
                    record.first_event = None;
                    record.token_source = TokenSource::Tokenizer;
                    record.failure = Some(Failure::new(FailureClass::HttpStatus, message));
                    trial.records.push(record);
                }
            }
        }
        if trial.progress[lane].1 == 0 {
            trial.agenda.insert((at, Event::Start { lane, group: group + 1 }));
        }
    }
}

impl<F> Trial<'_, F> {
    /// A token is read at model time `end`.
    fn token(&mut self, emission: &Emission, end: Nanos) {
        let Some(flight) = self.flights.get_mut(&emission.id) else { return };
        // The step ran on although the client had gone.
        if flight.cancel_at.is_some_and(|cancel_at| cancel_at < end) {
            return;
        }
        let at = end - self.origin;
        let seen = match flight.fault {
            Some(FaultKind::Empty | FaultKind::NoStream) => false,
            // Nothing is read behind the event that is not JSON.
            Some(FaultKind::Garbage) => emission.index < faults::half(flight.record.max_tokens),
            _ => true,
        };
        if seen {
            flight.record.chunks.push(Chunk { at, tokens: 1, reasoning: false });
        }
        if !emission.last {
            if flight.cancel_with.is_some_and(|tokens| flight.record.chunks.len() as u32 >= tokens) {
                flight.cancel_with = None;
                self.agenda.insert((end, Event::Cancel(emission.id)));
            }
            return;
        }
        // A client does not wait for the end of a stall if it is to give up before.
        if flight.fault == Some(FaultKind::Stall) && flight.cancel_at.is_some() {
            return;
        }
        if let Some(mut flight) = self.flights.remove(&emission.id) {
            finish(&mut flight, at, emission);
            self.end(flight, end);
        }
    }

    /// The client gives a request up at model time `at`. False if it had ended before.
    fn cancel(&mut self, id: u64, at: Nanos) -> bool {
        let Some(mut flight) = self.flights.remove(&id) else { return false };
        flight.record.closed = at - self.origin;
        flight.record.output_tokens = flight.record.chunks.len() as u32;
        flight.record.token_source = TokenSource::Tokenizer;
        flight.record.cancelled = true;
        self.end(flight, at);
        true
    }

    /// Keeps a request's record, and starts what waited for its end.
    fn end(&mut self, flight: Flight, at: Nanos) {
        let (group, left) = &mut self.progress[flight.lane];
        *left -= 1;
        if *left == 0 {
            self.agenda.insert((at, Event::Start { lane: flight.lane, group: *group + 1 }));
        }
        self.records.push(flight.record);
    }
}

/// The record of a request that is sent at `at`. The server answers at once with its head and an event without text;
/// both are read at `answered`.
fn sent(planned: &PlannedRequest, at: Nanos, answered: Nanos) -> RequestRecord {
    RequestRecord {
        index: planned.index,
        user: planned.user,
        max_tokens: planned.max_tokens,
        request_id: format!("replay-{}", planned.index),
        scheduled: at,
        sent: at,
        headers: Some(answered),
        first_event: Some(answered),
        chunks: Vec::new(),
        closed: answered,
        status: Some(200),
        streamed: true,
        coalesced: 0,
        input_tokens: planned.prompt.input_tokens,
        output_tokens: 0,
        token_source: TokenSource::Usage,
        usage: None,
        finish_reason: None,
        connect: None,
        resent: 0,
        to_cancel: planned.cancel.is_some(),
        cancelled: false,
        failure: None,
    }
}

/// Completes the record of an answer, the last token of which was emitted at `at`, as it is read from the wire.
fn finish(flight: &mut Flight, at: Nanos, last: &Emission) {
    let Flight { fault, prompt_tokens, record, .. } = flight;
    let fault = *fault;
    record.closed = at;
    record.output_tokens = record.chunks.len() as u32;
    let failure = match fault {
        Some(FaultKind::ErrorEvent) => Some(FailureClass::ErrorEvent),
        Some(FaultKind::Truncate) => Some(FailureClass::Truncated),
        Some(FaultKind::Stall) => Some(FailureClass::NoProgress),
        Some(FaultKind::Empty) => Some(FailureClass::Empty),
        Some(FaultKind::Garbage) => Some(FailureClass::Parse),
        _ => None,
    };
    if let (Some(class), Some(fault)) = (failure, fault) {
        record.failure = Some(Failure::new(class, faults::message(fault)));
    }
    if fault == Some(FaultKind::NoStream) {
        record.streamed = false;
        record.headers = Some(at);
        record.first_event = None;
        record.output_tokens = last.index + 1;
        record.chunks.push(Chunk { at, tokens: last.index + 1, reasoning: false });
    }
    // An empty answer fails but has its proper end; other failures keep it from being seen.
    let complete = failure.is_none() || fault == Some(FaultKind::Empty);
    if complete {
        record.finish_reason = Some(faults::finish_reason(fault).to_owned());
    }
    // Without the server's count the plan's stays.
    if complete && fault != Some(FaultKind::NoUsage) {
        record.input_tokens = *prompt_tokens;
        let (input, output) = (record.input_tokens, record.output_tokens);
        record.usage = Some(Usage { input, output, cached: Some(last.cached_tokens), reasoning: None });
    }
    if record.usage.is_none_or(|usage| usage.output == 0) {
        record.token_source = TokenSource::Tokenizer;
    }
}

/// The prompt as the server reads it: the tokens of the system message, then those of the user's.
fn prompt_ids(planned: &PlannedRequest, salt: &str, ids: &impl Fn(&str) -> Vec<u32>) -> Vec<u32> {
    let words: Vec<&str> = salt.split_whitespace().take(planned.prompt.salt_tokens as usize).collect();
    let (system, user) = planned.prompt.with_salt(&words.join(" "));
    let mut tokens = system.map(|text| ids(&text)).unwrap_or_default();
    tokens.extend(ids(&user));
    tokens
}

/// The measured requests in the order that the plan's pacing asks for.
fn lanes(plan: &Plan) -> Vec<Lane> {
    let count = plan.requests.len();
    match plan.pacing {
        Pacing::Closed { users, ramp_up } => {
            let users = users.max(1);
            (0..users)
                .map(|user| Lane {
                    start: (u128::from(ramp_up) * u128::from(user) / u128::from(users)) as Nanos,
                    groups: (user as usize..count).step_by(users as usize).map(|position| vec![position]).collect(),
                })
                .collect()
        }
        Pacing::Open { .. } => {
            let lane = |(position, planned): (usize, &PlannedRequest)| Lane {
                start: planned.at,
                groups: vec![vec![position]],
            };
            plan.requests.iter().enumerate().map(lane).collect()
        }
        Pacing::Batch { size } => {
            let size = size.max(1) as usize;
            let groups = (0..count).step_by(size).map(|first| (first..count.min(first + size)).collect()).collect();
            vec![Lane { start: 0, groups }]
        }
    }
}

/// Unmeasured requests: one after the other a user.
fn by_user(requests: &[PlannedRequest]) -> Vec<Lane> {
    let mut users: BTreeMap<u32, Vec<Vec<usize>>> = BTreeMap::new();
    for (position, planned) in requests.iter().enumerate() {
        users.entry(planned.user).or_default().push(vec![position]);
    }
    users.into_values().map(|groups| Lane { start: 0, groups }).collect()
}

#[cfg(test)]
mod tests;

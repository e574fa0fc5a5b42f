//! A server with continuous batching as a discrete-event model. Pure: time is what the caller says it is.
//!
//! A request is ready a while after it arrives (`ttft.base`; this does not occupy the engine). The engine works in
//! steps, one at a time. A step admits ready requests in order as far as the batch and the blocks allow, computes
//! their prompts and gives each sequence that was running one more token; the prompts' first tokens come at its end.

use std::collections::{BTreeMap, VecDeque};

use super::blocks::{Blocks, Lease, chain};
use super::draw::{Purpose, factor, generator};
use crate::profile::Embedded;
use crate::units::Nanos;

/// What the model needs to know of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimRequest {
    /// Names the request; unique within a model.
    pub id: u64,
    /// The prompt.
    pub tokens: Vec<u32>,
    /// Length of the answer, at least 1.
    pub max_tokens: u32,
    /// Whether the lookup of its prompt misses, whatever the prefix cache holds.
    pub cold: bool,
}

/// A request that the whole cache could not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{prompt} prompt tokens and {answer} answer tokens do not fit into the cache's {capacity}; \
     shorten them or raise `kv_blocks`"
)]
pub struct TooLong {
    /// Prompt tokens.
    pub prompt: u64,
    /// Answer tokens that were asked for.
    pub answer: u32,
    /// Tokens that the cache holds.
    pub capacity: u64,
}

/// One token of one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emission {
    /// The request.
    pub id: u64,
    /// Position of the token in the answer, from 0.
    pub index: u32,
    /// Whether the answer is complete.
    pub last: bool,
    /// Prompt tokens that came from the prefix cache.
    pub cached_tokens: u32,
}

/// One step of the engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it ends and its tokens leave.
    pub end: Nanos,
    /// One token for each sequence of the step.
    pub emissions: Vec<Emission>,
    /// The model's state while the step runs.
    pub stats: Stats,
}

/// The state of the model and what it has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Sequences in the batch.
    pub running: u32,
    /// Requests that have arrived and are not in the batch, those that are not yet ready included.
    pub waiting: u32,
    /// Part of the blocks that is in use, 0 to 1.
    pub kv_usage: f64,
    /// Prompt tokens that were looked up in the prefix cache.
    pub prefix_queries: u64,
    /// Prompt tokens that were found there.
    pub prefix_hits: u64,
    /// Sequences that lost their blocks and were computed again.
    pub preemptions: u64,
    /// Prompt tokens of admitted requests.
    pub prompt_tokens: u64,
    /// Tokens emitted.
    pub generation_tokens: u64,
    /// Answers completed.
    pub finished: u64,
}

/// Costs in nanoseconds with the slow-downs applied.
#[derive(Clone, Copy, Debug)]
struct Costs {
    base: f64,
    per_input_token: f64,
    itl: f64,
    step_growth: f64,
    jitter: f64,
}

#[derive(Clone, Debug)]
struct Sequence {
    id: u64,
    prompt: u32,
    hashes: Vec<u64>,
    cold: bool,
    max_tokens: u32,
    generated: u32,
    /// Prompt tokens found at the first admission; `None` before it.
    cached: Option<u32>,
    lease: Lease,
}

impl Sequence {
    /// Tokens that must be in the cache for the next one to be computed.
    fn context(&self) -> u32 {
        self.prompt + self.generated
    }

    /// The blocks of the prompt that are looked up.
    fn lookup(&self) -> &[u64] {
        if self.cold { &[] } else { &self.hashes }
    }
}

/// The server's engine.
#[derive(Clone, Debug)]
pub struct Model {
    costs: Costs,
    seed: u64,
    max_batch: usize,
    blocks: Blocks,
    /// Requests by when they are ready and then by arrival.
    pending: BTreeMap<(Nanos, u64), Sequence>,
    preempted: VecDeque<Sequence>,
    /// In the order of admission.
    running: Vec<Sequence>,
    /// End of the last step.
    clock: Nanos,
    steps: u64,
    submitted: u64,
    stats: Stats,
}

impl Model {
    /// An idle engine. Settings that make no sense (no batch, blocks without tokens) are raised to 1.
    pub fn new(config: &Embedded, seed: u64) -> Self {
        let slower = |share: f64| (1.0 + share).max(0.0);
        let prefill = slower(config.slowdown.prefill.0);
        Self {
            costs: Costs {
                base: config.ttft.base.0 as f64 * prefill,
                per_input_token: config.ttft.per_input_token.0 as f64 * prefill,
                itl: config.itl.0 as f64 * slower(config.slowdown.decode.0),
                step_growth: config.step_growth.0.max(0.0),
                jitter: config.jitter.0,
            },
            seed,
            max_batch: config.max_batch.max(1) as usize,
            blocks: Blocks::new(config.kv_blocks, config.block_size, config.prefix_caching),
            pending: BTreeMap::new(),
            preempted: VecDeque::new(),
            running: Vec::new(),
            clock: 0,
            steps: 0,
            submitted: 0,
            stats: Stats::default(),
        }
    }

    /// Whether the cache could hold a request at all.
    pub fn check(config: &Embedded, prompt: u64, max_tokens: u32) -> Result<(), TooLong> {
        fits(Blocks::new(config.kv_blocks, config.block_size, false).capacity(), prompt, max_tokens)
    }

    /// A request arrives at `at`.
    ///
    /// Fails if the whole cache could not hold it; the model is unchanged then.
    pub fn submit(&mut self, at: Nanos, request: &SimRequest) -> Result<(), TooLong> {
        fits(self.blocks.capacity(), request.tokens.len() as u64, request.max_tokens)?;
        let jitter = factor(&mut generator(self.seed, Purpose::Base, request.id), self.costs.jitter);
        let ready = at.saturating_add((self.costs.base * jitter).round() as Nanos);
        let sequence = Sequence {
            id: request.id,
            prompt: request.tokens.len() as u32,
            hashes: chain(&request.tokens, self.blocks.size()),
            cold: request.cold,
            max_tokens: request.max_tokens.max(1),
            generated: 0,
            cached: None,
            lease: Lease::default(),
        };
        self.pending.insert((ready, self.submitted), sequence);
        self.submitted += 1;
        Ok(())
    }

    /// When the next step starts if nothing else arrives; `None` if there is nothing to do.
    pub fn next_ready(&self) -> Option<Nanos> {
        if !self.running.is_empty() || !self.preempted.is_empty() {
            return Some(self.clock);
        }
        self.pending.first_key_value().map(|((ready, _), _)| self.clock.max(*ready))
    }

    /// Starts a step at `now`, or at the end of the last step if that is later. `None` if there is nothing to do then.
    pub fn step(&mut self, now: Nanos) -> Option<Step> {
        let start = now.max(self.clock);
        let preempted = self.reserve();
        let decoding = self.running.len();
        let mut prefill = 0_u64;
        // A batch that has just lost a sequence has no room for another.
        while !preempted && self.running.len() < self.max_batch {
            let Some(tokens) = self.admit(start) else { break };
            prefill += u64::from(tokens);
        }
        if self.running.is_empty() {
            return None;
        }
        let duration = self.duration(decoding, prefill);
        let end = start.saturating_add(duration);
        let emissions: Vec<Emission> = self
            .running
            .iter_mut()
            .map(|sequence| {
                let index = sequence.generated;
                sequence.generated += 1;
                Emission {
                    id: sequence.id,
                    index,
                    last: sequence.generated >= sequence.max_tokens,
                    cached_tokens: sequence.cached.unwrap_or_default(),
                }
            })
            .collect();
        let stats = self.stats();
        self.stats.generation_tokens += emissions.len() as u64;
        self.clock = end;
        self.steps += 1;
        self.settle(decoding);
        Some(Step { end, emissions, stats })
    }

    /// Forgets a request: its sequence leaves the batch and its blocks become free. False if it is not known (any more).
    pub fn cancel(&mut self, id: u64) -> bool {
        if let Some(at) = self.running.iter().position(|sequence| sequence.id == id) {
            let sequence = self.running.remove(at);
            self.blocks.release(sequence.lease);
            return true;
        }
        let before = self.pending.len() + self.preempted.len();
        self.pending.retain(|_, sequence| sequence.id != id);
        self.preempted.retain(|sequence| sequence.id != id);
        self.pending.len() + self.preempted.len() < before
    }

    /// State and counters between two steps.
    pub fn stats(&self) -> Stats {
        Stats {
            running: self.running.len() as u32,
            waiting: (self.pending.len() + self.preempted.len()) as u32,
            kv_usage: self.blocks.usage(),
            ..self.stats
        }
    }

    /// Gives each running sequence room for its next token, oldest first, at the expense of the youngest. Whether
    /// any had to go.
    fn reserve(&mut self) -> bool {
        let before = self.running.len();
        let mut at = 0;
        while at < self.running.len() {
            let sequence = &mut self.running[at];
            let context = sequence.context();
            if self.blocks.grow(&mut sequence.lease, context) {
                at += 1;
            } else if let Some(mut youngest) = self.running.pop() {
                self.blocks.release(std::mem::take(&mut youngest.lease));
                self.preempted.push_front(youngest);
                self.stats.preemptions += 1;
            }
        }
        self.running.len() < before
    }

    /// Moves the next request that is ready at `now` into the batch. The tokens that must be computed for it, or
    /// `None` if none is ready or the blocks do not suffice: nobody overtakes.
    fn admit(&mut self, now: Nanos) -> Option<u32> {
        let again = !self.preempted.is_empty();
        let (hashes, context) = if let Some(sequence) = self.preempted.front() {
            (sequence.lookup(), sequence.context())
        } else {
            let ((ready, _), sequence) = self.pending.first_key_value()?;
            if *ready > now {
                return None;
            }
            (sequence.lookup(), sequence.context())
        };
        let (lease, cached) = self.blocks.acquire(hashes, context)?;
        let mut sequence =
            if again { self.preempted.pop_front()? } else { self.pending.pop_first().map(|(_, sequence)| sequence)? };
        sequence.lease = lease;
        if sequence.cached.is_none() {
            sequence.cached = Some(cached);
            self.stats.prompt_tokens += u64::from(sequence.prompt);
            if self.blocks.caching() {
                self.stats.prefix_queries += u64::from(sequence.prompt);
                self.stats.prefix_hits += u64::from(cached);
            }
        }
        self.running.push(sequence);
        Some(context - cached)
    }

    /// The length of a step with so many decoding sequences and prompt tokens.
    fn duration(&self, decoding: usize, prefill: u64) -> Nanos {
        let decode = match decoding {
            0 => 0.0,
            batch => self.costs.itl * (1.0 + self.costs.step_growth * (batch - 1) as f64),
        };
        let jitter = factor(&mut generator(self.seed, Purpose::Step, self.steps), self.costs.jitter);
        ((decode + self.costs.per_input_token * prefill as f64) * jitter).round() as Nanos
    }

    /// What happens at the end of a step: prompts computed in it can be reused, complete answers give their blocks back.
    fn settle(&mut self, decoding: usize) {
        for sequence in &mut self.running[decoding..] {
            self.blocks.publish(&mut sequence.lease, &sequence.hashes);
        }
        let blocks = &mut self.blocks;
        let before = self.running.len();
        self.running.retain_mut(|sequence| {
            let goes_on = sequence.generated < sequence.max_tokens;
            if !goes_on {
                blocks.release(std::mem::take(&mut sequence.lease));
            }
            goes_on
        });
        self.stats.finished += (before - self.running.len()) as u64;
    }
}

fn fits(capacity: u64, prompt: u64, max_tokens: u32) -> Result<(), TooLong> {
    // The last token of an answer is emitted but never stored.
    let needed = prompt.saturating_add(u64::from(max_tokens.max(1) - 1));
    if needed <= capacity.min(u64::from(u32::MAX - 1)) {
        Ok(())
    } else {
        Err(TooLong { prompt, answer: max_tokens, capacity })
    }
}

#[cfg(test)]
mod tests;

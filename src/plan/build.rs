//! A case becomes a plan.

use crate::plan::dataset::Item;
use crate::plan::draw::{Draw, Purpose};
use crate::plan::hash::hash;
use crate::plan::prompts::Prompts;
use crate::plan::trace::{TraceRequest, implied_reuse, replayed};
use crate::plan::words::{TooFewWords, Words};
use crate::plan::{Cancel, Pacing, Plan, PlannedRequest, arrival};
use crate::scenario::{Cancellation, Case, Load, LoadKind};
use crate::tokens::Tokenizer;
use crate::units::Nanos;

/// What a plan needs besides the case: everything that had to be read from somewhere.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// Counts tokens.
    pub tokenizer: &'a Tokenizer,
    /// Words for synthetic prompts and salts.
    pub words: &'a Words,
    /// The dataset's items, if the workload names one that has texts.
    pub dataset: Option<&'a [Item]>,
    /// The trace, if the case has one ([`Case::trace`]).
    pub trace: Option<&'a [TraceRequest]>,
    /// The system prompt's text, if the workload has one.
    pub system_prompt: Option<&'a str>,
}

/// A case that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The tokenizer does not know English words.
    #[error(transparent)]
    Words(#[from] TooFewWords),
    /// Prompts that are too short for their shared prefix.
    #[error(
        "request {index} has {tokens} input tokens, which leaves no suffix after a prefix of {prefix}\n\
         hint: make `prefix_tokens` smaller than every `input_tokens`"
    )]
    NoSuffix {
        /// The request.
        index: u32,
        /// Its length.
        tokens: u32,
        /// The prefix's length.
        prefix: u32,
    },
    /// The part of a trace that is to be replayed holds no request.
    #[error(
        "`{path}` has no request in the part that is to be replayed\n\
         hint: lower `load.offset`, or raise `load.duration`"
    )]
    NothingToReplay {
        /// The trace.
        path: String,
    },
    /// A trace with fewer requests than the scenario asks for.
    #[error(
        "`{path}` has {requests} requests to replay, and `load.requests` is {wanted}\n\
         hint: lower `load.requests`, or leave it out to replay all of them"
    )]
    TraceTooShort {
        /// The trace.
        path: String,
        /// Its requests, those before the offset left out.
        requests: usize,
        /// Those that are asked for.
        wanted: usize,
    },
}

/// A trial that is limited by its duration alone plans for no more requests than this.
const MOST_BY_DURATION: u64 = 20_000;
/// … and for one request a user in this time: no server answers faster for long.
const SHORTEST_REQUEST: Nanos = 20_000_000;

/// A trace that lets a cache find less than this of its prompt tokens shares nothing worth the name.
const SHARED: f64 = 0.01;
/// Blocks of a usual prefix cache, in tokens.
const CACHE_BLOCK: u32 = 16;

/// The plan of `case`.
pub fn build(case: &Case, sources: &Sources<'_>) -> Result<Plan, PlanError> {
    let (trace, times) = match (&case.load.kind, sources.trace) {
        (LoadKind::Trace { .. }, trace) => {
            let (part, times) = replayed(&case.load, trace.unwrap_or_default())?;
            (Some(part), times)
        }
        (_, trace) => (trace, times(&case.load, case.workload.seed)),
    };
    let sources = &Sources { trace, ..sources.clone() };
    let mut prompts = Prompts::new(&case.workload, sources, Purpose::Body);
    let users = match case.load.kind {
        LoadKind::Closed { concurrency, .. } => concurrency,
        _ => 1,
    };
    let mut requests = Vec::with_capacity(times.len());
    for (index, at) in (0..).zip(&times) {
        let (prompt, max_tokens) = prompts.next(index)?;
        requests.push(PlannedRequest { index, user: index % users, at: *at, prompt, max_tokens, cancel: None });
    }
    if let Some(cancellation) = &case.request.cancel {
        cancel(&mut requests, cancellation, case.workload.seed);
    }
    let mut plan = Plan {
        pacing: pacing(&case.load),
        common_tokens: common_tokens(&requests, sources),
        warmup: Vec::new(),
        prime: prompts.prime(),
        requests,
        duration: case.load.duration.map(|d| d.0),
        shares_prefix: case.workload.prefix.is_some() || trace.is_some_and(|trace| shares(trace, times.len())),
        hash: String::new(),
    };
    let mut warmup = Prompts::new(&case.workload, sources, Purpose::Warmup);
    for index in 0..case.load.warmup {
        let (prompt, max_tokens) = warmup.next(index)?;
        plan.warmup.push(PlannedRequest { index, user: index % users, at: 0, prompt, max_tokens, cancel: None });
    }
    if !case.request.protocol.has_tokens() {
        let lists = [&mut plan.warmup, &mut plan.prime, &mut plan.requests];
        lists.into_iter().flatten().for_each(|request| request.max_tokens = 0);
    }
    plan.hash = hash(&plan);
    Ok(plan)
}

/// What all `requests` begin with: the salt, then the system message if it is one and the same.
fn common_tokens(requests: &[PlannedRequest], sources: &Sources<'_>) -> u32 {
    let salt = requests.iter().map(|request| request.prompt.salt_tokens).max().unwrap_or(0);
    let system = requests.first().and_then(|first| first.prompt.system.as_deref());
    let same = requests.iter().all(|request| request.prompt.system.as_deref() == system);
    salt + system.filter(|_| same).map_or(0, |text| sources.tokenizer.count(text))
}

/// Gives up the share of the requests that was asked for, whichever the seed says.
fn cancel(requests: &mut [PlannedRequest], cancellation: &Cancellation, seed: u64) {
    let mut draw = Draw::new(seed, Purpose::Cancel);
    let mut drawn: Vec<(f64, usize)> = (0..requests.len()).map(|index| (draw.uniform(), index)).collect();
    drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
    let cancel = Cancel { after: cancellation.after.map(|time| time.0), after_tokens: cancellation.after_tokens };
    for (_, index) in &drawn[..cancellation.of(requests.len())] {
        requests[*index].cancel = Some(cancel);
    }
}

/// Whether so many requests, which take the prompts of `trace` in turn, share enough of them.
fn shares(trace: &[TraceRequest], requests: usize) -> bool {
    implied_reuse(trace.iter().cycle().take(requests), 0, CACHE_BLOCK).ratio() >= SHARED
}

fn pacing(load: &Load) -> Pacing {
    match load.kind {
        LoadKind::Closed { concurrency, ramp_up } => Pacing::Closed { users: concurrency, ramp_up: ramp_up.0 },
        LoadKind::Open { max_in_flight, .. } | LoadKind::Trace { max_in_flight, .. } => Pacing::Open { max_in_flight },
        LoadKind::Batch { size } => Pacing::Batch { size },
    }
}

/// The scheduled offset of each request of a load that has no trace: as many as it asks for.
fn times(load: &Load, seed: u64) -> Vec<Nanos> {
    let wanted = load.requests.map(|n| n as usize);
    if let LoadKind::Open { rate, arrival, .. } = load.kind {
        let longest = load.duration.map(|d| d.0);
        let stop = |n: usize, at: Nanos| {
            wanted.is_some_and(|w| n >= w)
                || longest.is_some_and(|l| at >= l)
                || (wanted.is_none() && longest.is_none())
        };
        return arrival::times(rate, arrival, &mut Draw::new(seed, Purpose::Arrival), stop);
    }
    let by_duration = load.duration.map_or(0, |duration| {
        let slots = match load.kind {
            LoadKind::Closed { concurrency, .. } => concurrency,
            LoadKind::Batch { size } => size,
            _ => 1,
        };
        (u64::from(slots) * duration.0.div_ceil(SHORTEST_REQUEST)).min(MOST_BY_DURATION) as usize
    });
    vec![0; wanted.unwrap_or(by_duration)]
}

#[cfg(test)]
mod tests;

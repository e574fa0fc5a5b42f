//! Traces of real requests: when each came, how long it was, and which prefixes were shared. The text is read elsewhere.

use std::collections::HashMap;

use serde::Deserialize;

use crate::plan::{DatasetError, PlanError};
use crate::scenario::{Load, LoadKind};
use crate::units::Nanos;

/// Tokens of a block of a trace's prompts: each has a hash id, but for the last one of a prompt, which may be shorter.
pub const TRACE_BLOCK_TOKENS: u32 = 512;

/// Longest prompt or answer: more than any model takes.
const MOST_TOKENS: u32 = 10_000_000;
/// A longer time of a trace is a unit that was mistaken: a century.
const LONGEST_MILLIS: f64 = 3.2e12;

/// A request of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRequest {
    /// When it came after the first one, in the trace's own time.
    pub at: Nanos,
    /// Tokens of its prompt.
    pub input_tokens: u32,
    /// Tokens of its answer.
    pub output_tokens: u32,
    /// The prompt's blocks by their ids; prompts with equal leading ids share that prefix. Empty for a prompt of which
    /// nothing is known but its length, so that it shares nothing.
    pub blocks: Vec<u64>,
}

#[derive(Deserialize)]
struct Line {
    timestamp: Option<f64>,
    #[serde(alias = "input_tokens")]
    input_length: Option<u32>,
    #[serde(alias = "output_tokens")]
    output_length: Option<u32>,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

const HINT: &str = "each line is an object with `timestamp` (milliseconds), `input_length` and `output_length` (or \
                    `input_tokens` and `output_tokens`), and optionally `hash_ids`";

/// Reads a trace of JSON Lines; `file` is named in errors. Empty lines are passed over.
///
/// # Errors
/// A line that is no such request, times that go backwards, and a file without any request.
pub fn parse_trace(file: &str, text: &str) -> Result<Vec<TraceRequest>, DatasetError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut requests = Vec::new();
    let mut first = None;
    let mut latest = f64::NEG_INFINITY;
    for (number, text) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let fail = |message: String, hint| DatasetError::Entry {
            file: file.to_owned(),
            place: format!("line {number}"),
            message,
            hint,
        };
        let line: Line = serde_json::from_str(text).map_err(|e| fail(format!("not such an object: {e}"), HINT))?;
        let absent = |key: &str| fail(format!("no `{key}`"), HINT);
        let timestamp = line.timestamp.ok_or_else(|| absent("timestamp"))?;
        let input_tokens = line.input_length.ok_or_else(|| absent("input_length"))?;
        let output_tokens = line.output_length.ok_or_else(|| absent("output_length"))?;
        for (key, tokens) in [("input_length", input_tokens), ("output_length", output_tokens)] {
            if !(1..=MOST_TOKENS).contains(&tokens) {
                let message = format!("`{key}` is {tokens}, which is not between 1 and {MOST_TOKENS}");
                return Err(fail(message, "take the line out, or write what was sent"));
            }
        }
        let (ids, needed) = (line.hash_ids.len(), input_tokens.div_ceil(TRACE_BLOCK_TOKENS) as usize);
        if ids != 0 && ids != needed {
            let message = format!(
                "{ids} `hash_ids` for {input_tokens} tokens, which are {needed} blocks of {TRACE_BLOCK_TOKENS}"
            );
            return Err(fail(message, "write an id for each block of 512 tokens begun, or leave `hash_ids` out"));
        }
        if timestamp < latest {
            let message = format!("`timestamp` is {timestamp}, before that of the line above, which is {latest}");
            return Err(fail(message, "sort the lines by `timestamp`"));
        }
        latest = timestamp;
        // Differences of milliseconds are exact where those of nanoseconds since 1970 are not.
        let since = timestamp - *first.get_or_insert(timestamp);
        if !(0.0..=LONGEST_MILLIS).contains(&since) {
            let message = format!("`timestamp` is {timestamp}, more than a century after the first");
            return Err(fail(message, "write times in milliseconds"));
        }
        let at = (since * 1e6).round() as Nanos;
        requests.push(TraceRequest { at, input_tokens, output_tokens, blocks: line.hash_ids });
    }
    if requests.is_empty() { Err(DatasetError::NoRequests { file: file.to_owned() }) } else { Ok(requests) }
}

/// The part of a trace that `load` replays, with the time of each request after the trial's start.
///
/// Nothing within it is left out, and gaps are changed by `speed` alone. Of a load that has times of its own it is the
/// whole trace, with no times.
///
/// # Errors
/// A part without any request, or with fewer than `load.requests`.
pub fn replayed<'t>(load: &Load, trace: &'t [TraceRequest]) -> Result<(&'t [TraceRequest], Vec<Nanos>), PlanError> {
    let LoadKind::Trace { path, speed, offset, .. } = &load.kind else { return Ok((trace, Vec::new())) };
    let part = &trace[trace.partition_point(|request| request.at < offset.0)..];
    let time = |request: &TraceRequest| ((request.at - offset.0) as f64 / speed).round() as Nanos;
    let in_time = match load.duration {
        Some(duration) => &part[..part.partition_point(|request| time(request) < duration.0)],
        None => part,
    };
    let wanted = load.requests.map_or(in_time.len(), |requests| requests as usize);
    if in_time.is_empty() {
        return Err(PlanError::NothingToReplay { path: path.clone() });
    }
    // A trial that ends by its duration may have fewer.
    if wanted > in_time.len() && in_time.len() == part.len() {
        return Err(PlanError::TraceTooShort { path: path.clone(), requests: part.len(), wanted });
    }
    let part = &in_time[..wanted.min(in_time.len())];
    Ok((part, part.iter().map(time).collect()))
}

/// Prompt tokens, and those of them that come from a prefix cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reuse {
    /// Prompt tokens.
    pub input_tokens: u64,
    /// Those that the cache holds already.
    pub cached_tokens: u64,
}

impl Reuse {
    /// Cached over prompt tokens; 0 without prompts.
    pub fn ratio(self) -> f64 {
        self.cached_tokens as f64 / self.input_tokens.max(1) as f64
    }
}

/// What the hash ids of `requests`, sent one after the other, let a prefix cache find that never forgets.
///
/// The cache works in blocks of `block_tokens` tokens (of the server; at least 1), and the last token of a prompt is
/// always computed, since it gives the first one of the answer. `lead` is the number of tokens in front of each prompt,
/// those of a system prompt. The trial's salt is a part of the first block and changes nothing.
///
/// A server that is sent two such prompts at once computes both, so this is the most that it can find.
pub fn implied_reuse<'t>(requests: impl IntoIterator<Item = &'t TraceRequest>, lead: u32, block_tokens: u32) -> Reuse {
    let block = u64::from(block_tokens.max(1));
    let mut seen = Prefixes::default();
    let mut reuse = Reuse::default();
    for request in requests {
        let tokens = u64::from(lead) + u64::from(request.input_tokens);
        let before = if reuse.input_tokens == 0 { 0 } else { u64::from(lead) };
        let shared = before + u64::from(seen.add(request));
        reuse.input_tokens += tokens;
        reuse.cached_tokens += shared.min(tokens - 1) / block * block;
    }
    reuse
}

/// The prefixes of all prompts so far, as a tree of blocks.
#[derive(Default)]
struct Prefixes {
    /// By the block before and the id: the block's number, from 1, and the most tokens that a prompt had of it.
    blocks: HashMap<(usize, u64), (usize, u32)>,
}

impl Prefixes {
    /// Adds a prompt. The tokens that it has in common with the beginning of one before it.
    fn add(&mut self, request: &TraceRequest) -> u32 {
        let (mut at, mut left) = (0, request.input_tokens);
        let (mut common, mut alike) = (0, true);
        for id in &request.blocks {
            let tokens = left.min(TRACE_BLOCK_TOKENS);
            left -= tokens;
            let new = (self.blocks.len() + 1, 0);
            let (number, known) = self.blocks.entry((at, *id)).or_insert(new);
            if alike {
                common += tokens.min(*known);
                alike = tokens <= *known;
            }
            *known = tokens.max(*known);
            at = *number;
        }
        common
    }
}

#[cfg(test)]
mod tests;

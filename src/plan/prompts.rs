//! The texts of a plan: synthetic, from a dataset, or made for the blocks of a trace.

use std::collections::HashMap;
use std::sync::Arc;

use crate::plan::draw::{Draw, Purpose};
use crate::plan::salt::SALT_TOKENS;
use crate::plan::trace::{TRACE_BLOCK_TOKENS, TraceRequest};
use crate::plan::{Item, PlanError, PlannedRequest, Prompt, Sources, length};
use crate::scenario::Workload;

/// Makes the prompts of one list of requests, in order.
pub(super) struct Prompts<'a> {
    workload: &'a Workload,
    sources: &'a Sources<'a>,
    seed: u64,
    system: Option<Arc<str>>,
    system_tokens: u32,
    prefixes: Vec<Arc<str>>,
    /// Texts of a trace's blocks by id, tokens, and tokens that the salt takes.
    blocks: HashMap<(u64, u32, u32), Arc<str>>,
    input: Draw,
    output: Draw,
    body: Draw,
}

impl<'a> Prompts<'a> {
    pub(super) fn new(workload: &'a Workload, sources: &'a Sources<'a>, purpose: Purpose) -> Self {
        // Warm-up prompts share nothing with measured ones, prefixes included.
        let warmup = purpose == Purpose::Warmup;
        let seed = if warmup { workload.seed ^ 0x5eed_0001 } else { workload.seed };
        let mut draw = Draw::new(seed, Purpose::Prefix);
        let salt = if workload.salt { SALT_TOKENS } else { 0 };
        let prefixes = workload.prefix.as_ref().map_or_else(Vec::new, |prefix| {
            let tokens = prefix.prefix_tokens.saturating_sub(salt.min(prefix.prefix_tokens / 2));
            (0..prefix.groups).map(|_| sources.words.passage(tokens, &mut draw).into()).collect()
        });
        Self {
            workload,
            sources,
            seed,
            system: sources.system_prompt.map(Into::into),
            system_tokens: sources.system_prompt.map_or(0, |text| sources.tokenizer.count(text)),
            prefixes,
            blocks: HashMap::new(),
            input: Draw::new(seed, Purpose::InputLength),
            output: Draw::new(seed, Purpose::OutputLength),
            body: Draw::new(seed, purpose),
        }
    }

    /// The next prompt with the answer tokens to ask for.
    pub(super) fn next(&mut self, index: u32) -> Result<(Prompt, u32), PlanError> {
        if let Some(trace) = self.sources.trace.filter(|trace| !trace.is_empty()) {
            let request = &trace[index as usize % trace.len()];
            return Ok((self.of_trace(request, index), request.output_tokens));
        }
        let output = length::sample(&self.workload.output_tokens, index, &mut self.output);
        if let Some(items) = self.sources.dataset {
            let item = &items[index as usize % items.len()];
            return Ok((self.of_item(item), item.output_tokens.unwrap_or(output).max(1)));
        }
        let tokens = length::sample(&self.workload.input_tokens, index, &mut self.input);
        let salt_tokens = self.salt_tokens(tokens);
        let prefix_tokens = self.workload.prefix.as_ref().map_or(0, |prefix| prefix.prefix_tokens);
        if prefix_tokens > 0 && tokens <= prefix_tokens {
            return Err(PlanError::NoSuffix { index, tokens, prefix: prefix_tokens });
        }
        // The salt counts towards the prefix where there is one, else towards the prompt.
        let own = if prefix_tokens > 0 { tokens - prefix_tokens } else { tokens - salt_tokens };
        let group = index as usize % self.prefixes.len().max(1);
        let prompt = Prompt {
            system: self.system.clone(),
            prefix: self.prefixes.get(group).cloned().into_iter().collect(),
            body: self.sources.words.passage(own, &mut self.body).into(),
            input_tokens: tokens + self.system_tokens,
            salt_tokens,
        };
        Ok((prompt, output))
    }

    fn of_item(&self, item: &Item) -> Prompt {
        let system = item.system.as_deref().map(Into::into).or_else(|| self.system.clone());
        let system_tokens = match &item.system {
            Some(text) => self.sources.tokenizer.count(text),
            None => self.system_tokens,
        };
        // A real prompt is sent whole: the salt comes on top of it.
        let salt_tokens = if self.workload.salt { SALT_TOKENS } else { 0 };
        Prompt {
            system,
            prefix: Vec::new(),
            body: item.prompt.as_str().into(),
            input_tokens: self.sources.tokenizer.count(&item.prompt) + system_tokens + salt_tokens,
            salt_tokens,
        }
    }

    /// A prompt of exactly the trace's length. Each block's text is a function of the seed and the block's id; the salt
    /// takes the place of the first block's first tokens, so that what is shared stays shared.
    fn of_trace(&mut self, request: &TraceRequest, index: u32) -> Prompt {
        let salt_tokens = self.salt_tokens(request.input_tokens);
        let mut prompt = Prompt {
            system: self.system.clone(),
            prefix: Vec::with_capacity(request.blocks.len()),
            body: "".into(),
            input_tokens: request.input_tokens + self.system_tokens,
            salt_tokens,
        };
        if request.blocks.is_empty() {
            // Of nobody else, whatever the trace's ids are.
            let mut draw = Draw::numbered(self.seed, Purpose::Body, index.into());
            prompt.body = self.sources.words.block(request.input_tokens, salt_tokens, &mut draw).into();
        }
        let mut left = request.input_tokens;
        let mut skip = salt_tokens;
        for id in &request.blocks {
            let tokens = left.min(TRACE_BLOCK_TOKENS);
            let text = self.blocks.entry((*id, tokens, skip)).or_insert_with(|| {
                let mut draw = Draw::numbered(self.seed, Purpose::Block, *id);
                self.sources.words.block(tokens, skip, &mut draw).into()
            });
            prompt.prefix.push(text.clone());
            left -= tokens;
            skip = 0;
        }
        prompt
    }

    fn salt_tokens(&self, tokens: u32) -> u32 {
        let room = self.workload.prefix.as_ref().map_or(tokens, |prefix| prefix.prefix_tokens);
        if self.workload.salt { SALT_TOKENS.min(room / 2) } else { 0 }
    }

    /// One request for each shared prefix: it fills the cache and asks for a single token.
    pub(super) fn prime(&mut self) -> Vec<PlannedRequest> {
        let Some(prefix) = self.workload.prefix.as_ref().filter(|prefix| prefix.prime) else { return Vec::new() };
        let salt_tokens = self.salt_tokens(prefix.prefix_tokens);
        let mut draw = Draw::new(self.workload.seed ^ 0x5eed_0002, Purpose::Body);
        (0..)
            .zip(&self.prefixes)
            .map(|(index, text)| PlannedRequest {
                index,
                user: 0,
                at: 0,
                prompt: Prompt {
                    system: self.system.clone(),
                    prefix: vec![text.clone()],
                    body: self.sources.words.passage(1, &mut draw).into(),
                    input_tokens: prefix.prefix_tokens + 1 + self.system_tokens,
                    salt_tokens,
                },
                max_tokens: 1,
                cancel: None,
            })
            .collect()
    }
}

//! A case becomes a plan.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::plan::dataset::Item;
use crate::plan::draw::{Draw, Purpose};
use crate::plan::salt::SALT_TOKENS;
use crate::plan::words::{TooFewWords, Words};
use crate::plan::{Pacing, Plan, PlannedRequest, Prompt, arrival, length};
use crate::scenario::{Case, Load, LoadKind, Workload};
use crate::tokens::Tokenizer;
use crate::units::Nanos;

/// What a plan needs besides the case: everything that had to be read from somewhere.
#[derive(Clone, Debug)]
pub struct Sources<'a> {
    /// Counts tokens.
    pub tokenizer: &'a Tokenizer,
    /// Words for synthetic prompts and salts.
    pub words: &'a Words,
    /// The dataset's items, if the workload names one.
    pub dataset: Option<&'a [Item]>,
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
}

/// A trial that is limited by its duration alone plans for no more requests than this.
const MOST_BY_DURATION: u64 = 20_000;
/// … and for one request a user in this time: no server answers faster for long.
const SHORTEST_REQUEST: Nanos = 20_000_000;

/// The plan of `case`.
pub fn build(case: &Case, sources: &Sources<'_>) -> Result<Plan, PlanError> {
    let times = times(&case.load, case.workload.seed);
    let mut prompts = Prompts::new(&case.workload, sources, Purpose::Body);
    let users = match case.load.kind {
        LoadKind::Closed { concurrency, .. } => concurrency,
        _ => 1,
    };
    let mut requests = Vec::with_capacity(times.len());
    for (index, at) in (0..).zip(&times) {
        let (prompt, max_tokens) = prompts.next(index)?;
        requests.push(PlannedRequest { index, user: index % users, at: *at, prompt, max_tokens });
    }
    let mut plan = Plan {
        pacing: pacing(&case.load),
        warmup: Vec::new(),
        prime: prompts.prime(),
        requests,
        duration: case.load.duration.map(|d| d.0),
        hash: String::new(),
    };
    let mut warmup = Prompts::new(&case.workload, sources, Purpose::Warmup);
    for index in 0..case.load.warmup {
        let (prompt, max_tokens) = warmup.next(index)?;
        plan.warmup.push(PlannedRequest { index, user: index % users, at: 0, prompt, max_tokens });
    }
    plan.hash = hash(&plan);
    Ok(plan)
}

fn pacing(load: &Load) -> Pacing {
    match load.kind {
        LoadKind::Closed { concurrency, ramp_up } => Pacing::Closed { users: concurrency, ramp_up: ramp_up.0 },
        LoadKind::Open { max_in_flight, .. } => Pacing::Open { max_in_flight },
        LoadKind::Batch { size } => Pacing::Batch { size },
        LoadKind::Trace { .. } => Pacing::Open { max_in_flight: None },
    }
}

/// The scheduled offset of each request: as many as the load asks for.
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

struct Prompts<'a> {
    workload: &'a Workload,
    sources: &'a Sources<'a>,
    system: Option<Arc<str>>,
    system_tokens: u32,
    prefixes: Vec<Arc<str>>,
    input: Draw,
    output: Draw,
    body: Draw,
}

impl<'a> Prompts<'a> {
    fn new(workload: &'a Workload, sources: &'a Sources<'a>, purpose: Purpose) -> Self {
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
            system: sources.system_prompt.map(Into::into),
            system_tokens: sources.system_prompt.map_or(0, |text| sources.tokenizer.count(text)),
            prefixes,
            input: Draw::new(seed, Purpose::InputLength),
            output: Draw::new(seed, Purpose::OutputLength),
            body: Draw::new(seed, purpose),
        }
    }

    /// The next prompt with the answer tokens to ask for.
    fn next(&mut self, index: u32) -> Result<(Prompt, u32), PlanError> {
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
        let prompt = Prompt {
            system: self.system.clone(),
            prefix: (!self.prefixes.is_empty()).then(|| self.prefixes[index as usize % self.prefixes.len()].clone()),
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
            prefix: None,
            body: item.prompt.as_str().into(),
            input_tokens: self.sources.tokenizer.count(&item.prompt) + system_tokens + salt_tokens,
            salt_tokens,
        }
    }

    fn salt_tokens(&self, tokens: u32) -> u32 {
        let room = self.workload.prefix.as_ref().map_or(tokens, |prefix| prefix.prefix_tokens);
        if self.workload.salt { SALT_TOKENS.min(room / 2) } else { 0 }
    }

    /// One request for each shared prefix: it fills the cache and asks for a single token.
    fn prime(&mut self) -> Vec<PlannedRequest> {
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
                    prefix: Some(text.clone()),
                    body: self.sources.words.passage(1, &mut draw).into(),
                    input_tokens: prefix.prefix_tokens + 1 + self.system_tokens,
                    salt_tokens,
                },
                max_tokens: 1,
            })
            .collect()
    }
}

/// `sha256:` and 32 hexadecimal digits over everything that is sent and when.
fn hash(plan: &Plan) -> String {
    let mut sha = Sha256::new();
    // Lengths go before texts, so that no two different plans feed the same bytes.
    let text = |sha: &mut Sha256, text: Option<&str>| {
        let text = text.unwrap_or("\0");
        sha.update((text.len() as u64).to_le_bytes());
        sha.update(text);
    };
    let pacing = match plan.pacing {
        Pacing::Closed { users, ramp_up } => format!("closed {users} {ramp_up}"),
        Pacing::Open { max_in_flight } => format!("open {max_in_flight:?}"),
        Pacing::Batch { size } => format!("batch {size}"),
    };
    text(&mut sha, Some(&pacing));
    text(&mut sha, Some(&format!("{:?}", plan.duration)));
    for list in [&plan.warmup, &plan.prime, &plan.requests] {
        sha.update((list.len() as u64).to_le_bytes());
        for request in list {
            sha.update(request.at.to_le_bytes());
            sha.update(request.user.to_le_bytes());
            sha.update(request.max_tokens.to_le_bytes());
            sha.update(request.prompt.salt_tokens.to_le_bytes());
            text(&mut sha, request.prompt.system.as_deref());
            text(&mut sha, request.prompt.prefix.as_deref());
            text(&mut sha, Some(&request.prompt.body));
        }
    }
    let digest = sha.finalize();
    let mut name = String::from("sha256:");
    for byte in digest.iter().take(16) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Salt;
    use crate::scenario::{
        Arrival, Gate, Length, OnInconclusive, OnMissing, Prefix, Protocol, RequestOptions, Slo, Trials,
    };
    use crate::units::Time;

    fn case(kind: LoadKind, requests: Option<u32>, duration: Option<Time>) -> Case {
        Case {
            name: "c".into(),
            scenario: "c".into(),
            file: "c.toml".into(),
            description: String::new(),
            workload: Workload {
                input_tokens: Length::Uniform(20, 40),
                output_tokens: Length::Fixed(8),
                system_prompt: None,
                dataset: None,
                conversation: None,
                prefix: None,
                seed: 42,
                salt: true,
            },
            load: Load { kind, requests, duration, warmup: 2 },
            request: RequestOptions {
                protocol: Protocol::OpenaiChat,
                stream: true,
                http2: false,
                timeout: Time::from_secs(60),
                no_progress: Time::from_secs(20),
                extra: std::collections::BTreeMap::new(),
            },
            trials: Trials { min: 6, max: None, quick: 2 },
            gate: Gate {
                checks: vec![],
                on_inconclusive: OnInconclusive::Warn,
                on_missing_baseline: OnMissing::Record,
                blind_above: 0.25,
            },
            slo: Slo::default(),
            compare: None,
        }
    }

    fn plan_of(case: &Case, dataset: Option<&[Item]>, system_prompt: Option<&str>) -> Result<Plan, PlanError> {
        let tokenizer = Tokenizer::bundled();
        let words = Words::of(&tokenizer).unwrap();
        build(case, &Sources { tokenizer: &tokenizer, words: &words, dataset, system_prompt })
    }

    fn closed(n: u32) -> Case {
        case(LoadKind::Closed { concurrency: 3, ramp_up: Time::from_millis(30) }, Some(n), None)
    }

    /// Tokens of what is really sent, salt included.
    fn sent_tokens(request: &PlannedRequest) -> u32 {
        let tokenizer = Tokenizer::bundled();
        let words = Words::of(&tokenizer).unwrap();
        let salt = Salt::new(&words, "run", "case", 3, "candidate").cut(request.prompt.salt_tokens);
        let (system, user) = request.prompt.with_salt(&salt);
        system.map_or(0, |text| tokenizer.count(&text)) + tokenizer.count(&user)
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let case = closed(10);
        let plan = plan_of(&case, None, None).unwrap();
        assert_eq!(plan, plan_of(&case, None, None).unwrap());
        let mut other = case.clone();
        other.workload.seed = 43;
        assert_ne!(plan.hash, plan_of(&other, None, None).unwrap().hash);
        // Pinned: a changed hash makes every stored baseline inconclusive.
        assert_eq!(plan.hash, "sha256:1450d74405899350d83da66ad116a787");
    }

    #[test]
    fn prompts_have_exactly_the_planned_tokens() {
        let mut with_prefix = closed(9);
        with_prefix.workload.input_tokens = Length::Fixed(60);
        with_prefix.workload.prefix = Some(Prefix { groups: 2, prefix_tokens: 40, prime: true });
        for (case, system) in [(closed(9), None), (closed(9), Some("You are brief.")), (with_prefix, None)] {
            let plan = plan_of(&case, None, system).unwrap();
            for request in plan.requests.iter().chain(&plan.warmup).chain(&plan.prime) {
                assert_eq!(sent_tokens(request), request.prompt.input_tokens, "{request:?}");
            }
        }
    }

    #[test]
    fn users_take_turns_and_nothing_is_sent_twice() {
        let plan = plan_of(&closed(9), None, None).unwrap();
        assert_eq!(plan.requests.iter().map(|r| r.user).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        let bodies: std::collections::HashSet<_> =
            plan.requests.iter().chain(&plan.warmup).map(|r| r.prompt.body.clone()).collect();
        assert_eq!(bodies.len(), 11);
    }

    #[test]
    fn groups_share_their_prefix_and_are_primed() {
        let mut case = closed(4);
        case.workload.input_tokens = Length::Fixed(60);
        case.workload.prefix = Some(Prefix { groups: 2, prefix_tokens: 40, prime: true });
        let plan = plan_of(&case, None, None).unwrap();
        let prefix = |i: usize| plan.requests[i].prompt.prefix.clone().unwrap();
        assert_eq!(prefix(0), prefix(2));
        assert_ne!(prefix(0), prefix(1));
        assert_eq!(plan.prime.len(), 2);
        assert_eq!(plan.prime[1].prompt.prefix, Some(prefix(1)));
        assert_ne!(plan.warmup[0].prompt.prefix, Some(prefix(0)));
        case.workload.input_tokens = Length::List(vec![60, 40]);
        let error = plan_of(&case, None, None).unwrap_err().to_string();
        assert!(error.contains("request 1 has 40 input tokens"), "{error}");
    }

    #[test]
    fn open_load_stops_by_requests_and_by_duration() {
        let open = |requests, duration| {
            let kind = LoadKind::Open { rate: 10.0, arrival: Arrival::Constant, max_in_flight: None };
            plan_of(&case(kind, requests, duration), None, None).unwrap().requests.len()
        };
        assert_eq!(open(Some(7), None), 7);
        assert_eq!(open(None, Some(Time::from_secs(2))), 20);
        assert_eq!(open(Some(7), Some(Time::from_secs(2))), 7);
        assert_eq!(open(Some(70), Some(Time::from_secs(2))), 20);
    }

    #[test]
    fn a_dataset_is_sent_whole_and_in_turn() {
        let item = |text: &str| Item { system: None, prompt: text.into(), output_tokens: None };
        let mut items = vec![item("the first question"), item("the second")];
        items[1].output_tokens = Some(3);
        let plan = plan_of(&closed(3), Some(&items), None).unwrap();
        let bodies: Vec<&str> = plan.requests.iter().map(|r| &*r.prompt.body).collect();
        assert_eq!(bodies, ["the first question", "the second", "the first question"]);
        assert_eq!(plan.requests.iter().map(|r| r.max_tokens).collect::<Vec<_>>(), [8, 3, 8]);
        for request in &plan.requests {
            assert_eq!(sent_tokens(request), request.prompt.input_tokens);
        }
    }

    #[test]
    fn salts_differ_by_run_trial_and_side_but_not_within_a_trial() {
        let words = Words::of(&Tokenizer::bundled()).unwrap();
        let salt = |run, trial, side| Salt::new(&words, run, "c", trial, side).cut(SALT_TOKENS);
        assert_eq!(salt("r", 1, "a"), salt("r", 1, "a"));
        assert_ne!(salt("r", 1, "a"), salt("r", 2, "a"));
        assert_ne!(salt("r", 1, "a"), salt("r", 1, "b"));
        assert_ne!(salt("r", 1, "a"), salt("s", 1, "a"));
        assert_ne!(salt("r", 1, "a"), Salt::new(&words, "r", "d", 1, "a").cut(SALT_TOKENS));
    }
}

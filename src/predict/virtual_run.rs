//! A case's trials in virtual time, in the order in which the harness sends them.

use crate::gate::{Order, Pair, TrialValues};
use crate::measure::{
    Client, Expected, Invalid, Trial, TrialSummary, Window, check_trust, gives_up, kept, row, template_tokens,
};
use crate::plan::{self, Pacing, Plan, PlanError, PlannedRequest, SALT_TOKENS, Salt, Sources, Words};
use crate::profile::Embedded;
use crate::record::RequestRecord;
use crate::scenario::Case;
use crate::sim::Replayer;
use crate::tokens::Tokenizer;
use crate::units::Nanos;

/// What lies between an embedded server and the client in its process, each way: the loopback device and a runtime on
/// either side, in a debug build. Without it a prediction would be a client's that nothing can be.
const TRANSIT: Nanos = 300_000;

/// All trials of a case on one simulated server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualJob {
    /// The valid trials, in order.
    pub trials: Vec<TrialValues>,
    /// The trials that were no measurement, by number from 1.
    pub invalid: Vec<(u32, Vec<Invalid>)>,
    /// More trials were invalid than may be repeated.
    pub given_up: bool,
    /// How long the warm-up took.
    pub warmup: Nanos,
    /// How long each trial took, invalid ones and the priming of prefixes included.
    pub lengths: Vec<Nanos>,
}

/// The plan of a case that needs no file, made with the bundled tokenizer, which is the embedded server's.
///
/// # Errors
/// Prompts that are too short for their shared prefix.
pub fn planned(case: &Case) -> Result<Plan, PlanError> {
    let tokenizer = Tokenizer::bundled();
    let words = Words::of(&tokenizer)?;
    plan::build(
        case,
        &Sources { tokenizer: &tokenizer, words: &words, dataset: None, trace: None, system_prompt: None },
    )
}

/// The values of `n` trials; fewer if too many are no measurement. See [`job`].
pub fn trials(case: &Case, plan: &Plan, config: &Embedded, seed: u64, n: u32) -> Vec<TrialValues> {
    job(case, plan, config, seed, n, None).trials
}

/// Runs `n` trials of `case` on a fresh server that lives through all of them, as the harness does: warm-up once,
/// shared prefixes primed before each trial, another salt for each trial, trials that are no measurement repeated.
///
/// `plan` is the case's, made with the bundled tokenizer, which is the embedded server's. `seed` names the server's
/// draws and the salts. `expected_output` is the baseline's median answer length in tokens, if there is one.
pub fn job(case: &Case, plan: &Plan, config: &Embedded, seed: u64, n: u32, expected_output: Option<f64>) -> VirtualJob {
    run_job(case, plan, Run::new(case, config, seed), n, expected_output)
}

/// The same, seen by a client over the loopback device.
pub(super) fn job_over_loopback(
    case: &Case,
    plan: &Plan,
    config: &Embedded,
    seed: u64,
    n: u32,
    expected_output: Option<f64>,
) -> VirtualJob {
    run_job(case, plan, Run::new(case, config, seed).over_loopback(), n, expected_output)
}

fn run_job(case: &Case, plan: &Plan, mut run: Run<'_>, n: u32, expected_output: Option<f64>) -> VirtualJob {
    let warmup = run.send(&plan.warmup, Pacing::Closed { users: users(plan.pacing), ramp_up: 0 }, None, 0);
    let expected = expected_output.map(|output_tokens| Expected { output_tokens, of: "the baseline" });
    let mut job = VirtualJob { warmup: length(&warmup), ..VirtualJob::default() };
    for number in 1.. {
        if job.trials.len() as u32 >= n {
            break;
        }
        let primed = run.send(&plan.prime, Pacing::Closed { users: 1, ramp_up: 0 }, None, number);
        let records = run.send(&plan.requests, plan.pacing, plan.duration, number);
        job.lengths.push(length(&primed) + length(&records));
        let trial = trial(case, plan, records);
        let summary = TrialSummary::of(&trial, &case.slo);
        let invalid = check_trust(&trial, &summary, expected);
        if invalid.is_empty() {
            job.trials.push(row(&summary, &kept(case, summary.n)));
            continue;
        }
        job.invalid.push((number, invalid));
        if gives_up(&job.invalid, job.trials.len() as u32, n) {
            job.given_up = true;
            break;
        }
    }
    job
}

/// Pairs of trials as the harness measures them, on two fresh servers that live through all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VirtualPairs {
    /// The pairs, in order.
    pub pairs: Vec<Pair>,
    /// Why the first pair that was no measurement was none; pairs after it are not run.
    pub invalid: Option<Invalid>,
}

/// Runs `n` pairs of `case` on a reference and a candidate. `plan` and `seed` are as for [`job`]; the two servers have
/// draws of their own.
pub fn pairs(case: &Case, plan: &Plan, sides: [&Embedded; 2], seed: u64, n: u32) -> VirtualPairs {
    run_pairs(case, plan, sides_of(case, sides, seed), n)
}

/// The same, seen by a client over the loopback device.
pub(super) fn pairs_over_loopback(case: &Case, plan: &Plan, sides: [&Embedded; 2], seed: u64, n: u32) -> VirtualPairs {
    run_pairs(case, plan, sides_of(case, sides, seed).map(Run::over_loopback), n)
}

fn sides_of<'a>(case: &'a Case, [reference, candidate]: [&Embedded; 2], seed: u64) -> [Run<'a>; 2] {
    [Run::new(case, reference, 2 * seed), Run::new(case, candidate, 2 * seed + 1)]
}

fn run_pairs(case: &Case, plan: &Plan, mut runs: [Run<'_>; 2], n: u32) -> VirtualPairs {
    for run in &mut runs {
        run.send(&plan.warmup, Pacing::Closed { users: users(plan.pacing), ramp_up: 0 }, None, 0);
    }
    let mut found = VirtualPairs::default();
    for number in 1..=n {
        let order = if (case.workload.seed + u64::from(number) - 1).is_multiple_of(2) { Order::Ab } else { Order::Ba };
        let mut expected = None;
        let rows = runs.each_mut().map(|run| {
            run.send(&plan.prime, Pacing::Closed { users: 1, ramp_up: 0 }, None, number);
            let trial = trial(case, plan, run.send(&plan.requests, plan.pacing, plan.duration, number));
            let summary = TrialSummary::of(&trial, &case.slo);
            if let Some(invalid) = check_trust(&trial, &summary, expected).into_iter().next() {
                found.invalid.get_or_insert(invalid);
            }
            let row = row(&summary, &kept(case, summary.n));
            let length = row.values.get("output_tokens.p50").copied().flatten();
            expected = length.map(|output_tokens| Expected { output_tokens, of: "the reference" });
            row
        });
        if found.invalid.is_some() {
            break;
        }
        let [a, b] = rows;
        found.pairs.push(Pair { order, a, b });
    }
    found
}

struct Run<'a> {
    case: &'a Case,
    name: String,
    server: Replayer,
    tokenizer: Tokenizer,
    words: Words,
}

impl<'a> Run<'a> {
    fn new(case: &'a Case, config: &Embedded, seed: u64) -> Self {
        let tokenizer = Tokenizer::bundled();
        let words = Words::of(&tokenizer).expect("the bundled tokenizer is made of the corpus's words");
        Self { case, name: format!("virtual-{seed}"), server: Replayer::new(config, seed), tokenizer, words }
    }

    fn over_loopback(self) -> Self {
        Self { server: self.server.with_transit(TRANSIT), ..self }
    }

    /// Sends one list and waits for its end. The server's clock goes on from where it was.
    fn send(
        &mut self,
        requests: &[PlannedRequest],
        pacing: Pacing,
        duration: Option<Nanos>,
        number: u32,
    ) -> Vec<RequestRecord> {
        let salt = Salt::new(&self.words, &self.name, &self.case.name, number, "candidate").cut(SALT_TOKENS);
        let list = Plan {
            pacing,
            warmup: Vec::new(),
            prime: Vec::new(),
            requests: requests.to_vec(),
            duration,
            shares_prefix: false,
            common_tokens: 0,
            hash: String::new(),
        };
        self.server.trial(&list, &salt, |text| self.tokenizer.ids(text))
    }
}

fn users(pacing: Pacing) -> u32 {
    match pacing {
        Pacing::Closed { users, .. } => users,
        Pacing::Open { .. } | Pacing::Batch { .. } => 1,
    }
}

fn length(records: &[RequestRecord]) -> Nanos {
    let whole = Window::whole(records);
    whole.to - whole.from
}

/// The records as a perfect client hands them over: it is never late, and leaves nothing unsent.
fn trial(case: &Case, plan: &Plan, mut records: Vec<RequestRecord>) -> Trial {
    if !case.request.stream {
        records.iter_mut().for_each(in_one_piece);
    }
    if let (true, false, Pacing::Batch { size }) = (case.request.prompt_list, case.request.stream, plan.pacing) {
        records.chunk_by_mut(|a, b| a.index / size.max(1) == b.index / size.max(1)).for_each(together);
    }
    if !case.request.protocol.has_tokens() {
        records.iter_mut().for_each(without_tokens);
    }
    let client = Client {
        peak_in_flight: peak(&records),
        max_in_flight: match plan.pacing {
            Pacing::Open { max_in_flight } => max_in_flight,
            Pacing::Closed { .. } | Pacing::Batch { .. } => None,
        },
        ..Client::default()
    };
    Trial {
        pacing: plan.pacing,
        stream: case.request.stream,
        shares_prefix: plan.shares_prefix || !case.workload.salt,
        common_tokens: plan.common_tokens + template_tokens(plan, &records),
        client,
        records,
    }
}

/// An answer that was not asked for as a stream: everything is read at its end.
fn in_one_piece(record: &mut RequestRecord) {
    if record.cancelled {
        // Nothing of it was there yet.
        record.chunks.clear();
    }
    let tokens = record.chunks.iter().map(|chunk| chunk.tokens).sum();
    let Some(mut last) = record.chunks.last().copied() else { return };
    last.tokens = tokens;
    record.streamed = false;
    record.headers = Some(last.at);
    record.first_event = None;
    record.chunks = vec![last];
}

/// A list that is answered in one piece is there when its last prompt is.
fn together(list: &mut [RequestRecord]) {
    let end = list.iter().map(|record| record.closed).max().unwrap_or_default();
    for record in list {
        record.closed = end;
        record.chunks.iter_mut().for_each(|chunk| chunk.at = end);
    }
}

/// An answer that has its moment but no tokens, such as an embedding.
fn without_tokens(record: &mut RequestRecord) {
    record.chunks.iter_mut().for_each(|chunk| chunk.tokens = 0);
    record.output_tokens = 0;
    record.finish_reason = None;
    if let Some(usage) = &mut record.usage {
        usage.output = 0;
    }
}

/// Most requests in flight at once.
fn peak(records: &[RequestRecord]) -> u32 {
    let mut events: Vec<(Nanos, i64)> =
        records.iter().flat_map(|record| [(record.sent, 1), (record.closed, -1)]).collect();
    // Where one ends as another begins, the end goes first.
    events.sort_unstable();
    let mut now = 0;
    events.iter().fold(0, |most, (_, step)| {
        now += step;
        most.max(now)
    }) as u32
}

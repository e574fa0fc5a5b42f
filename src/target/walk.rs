//! Is the target fit to be measured? Walks it step by step, for `cargo tokpace check`.

use std::fmt;
use std::sync::atomic::AtomicBool;

use crate::engine::{Engine, Transport};
use crate::record::RequestRecord;
use crate::target::probe::{self, ProbeError};
use crate::target::{Counters, Target};
use crate::tokens::corpus;
use crate::wire::Protocol;

/// Words of the two prompts whose token counts are compared, so that what a chat template adds to both cancels out.
const PROMPTS: [usize; 2] = [16, 272];

/// Share by which the server's count of the words between them may differ from the tokenizer's.
const COUNTS_ALIKE: f64 = 0.02;

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was found.
    Passed(String),
    /// Why the step does not apply.
    Skipped(String),
    /// The target can be measured, but something should be changed.
    Remarked(ProbeError),
    /// The target cannot be measured as it is.
    Failed(ProbeError),
}

/// One step of `cargo tokpace check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStep {
    /// What was checked: `reach`, `auth`, `model`, `stream`, …
    pub name: &'static str,
    /// How it ended.
    pub outcome: Outcome,
}

/// All steps, in order; none follows a failed one that it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The steps.
    pub steps: Vec<ProbeStep>,
}

impl Probe {
    /// Whether no step failed.
    pub fn passed(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step.outcome, Outcome::Failed(_)))
    }

    fn add(&mut self, name: &'static str, outcome: Outcome) {
        self.steps.push(ProbeStep { name, outcome });
    }

    fn fail(&mut self, error: ProbeError) {
        self.add(error.step, Outcome::Failed(error));
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let (mark, text, hint) = match &step.outcome {
                Outcome::Passed(found) => ("ok", found, None),
                Outcome::Skipped(why) => ("--", why, None),
                Outcome::Remarked(error) => ("note", &error.message, Some(&error.hint)),
                Outcome::Failed(error) => ("FAIL", &error.message, Some(&error.hint)),
            };
            writeln!(f, "  {mark:<5} {:<8} {text}", step.name)?;
            if let Some(hint) = hint {
                writeln!(f, "        hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// Walks a target step by step: whether it is there and speaks each of `protocols`, streamed where that is said.
///
/// `engines` are those for HTTP/1.1 and for HTTP/2, as far as `protocols` need them.
pub fn walk(
    engines: &mut [Option<Engine>; 2],
    target: &Target,
    protocols: &[(Protocol, bool)],
    stop: &AtomicBool,
) -> Probe {
    let mut probe = Probe::default();
    let client = match Transport::new(&target.transport) {
        Ok(client) => client,
        Err(error) => {
            probe.fail(ProbeError::new("client", error.to_string(), "check the profile"));
            return probe;
        }
    };
    let keyed = probe::keyed(&target.transport);
    // A server that speaks nothing but gRPC has no such list, and whether it is there shows with the first call.
    let grpc_alone = !protocols.is_empty() && protocols.iter().all(|(protocol, _)| protocol.is_grpc());
    let listed = if grpc_alone { Ok(None) } else { probe::models(&client, &target.base_url, keyed) };
    let (first, others) = match protocols.split_first() {
        Some((first, others)) => (*first, others),
        None => ((Protocol::default(), true), protocols),
    };
    // One answer settles several steps: some servers list their models to anybody and ask for the key later.
    let answer = match &listed {
        Ok(_) => smoke(engines, target, first, stop),
        Err(error) => Err(error.clone()),
    };
    if let Err(error) = &answer
        && error.step == "reach"
    {
        probe.fail(error.clone());
        return probe;
    }
    probe.add("reach", Outcome::Passed(target.base_url.clone()));
    match &answer {
        Err(error) if error.step == "auth" => {
            probe.fail(error.clone());
            return probe;
        }
        // Whatever else is wrong, the key is not.
        _ if keyed => probe.add("auth", Outcome::Passed("the server takes the key".into())),
        _ => probe.add("auth", Outcome::Skipped("no key is set, and the server asks for none".into())),
    }
    let known = listed.ok().flatten().unwrap_or_default();
    let outcome = model(target, &known, &answer);
    let unfit = matches!(&answer, Err(error) if error.step == "model");
    probe.add("model", outcome);
    if unfit {
        return probe;
    }
    spoken(&mut probe, engines, target, first, answer, stop);
    for &asked in others {
        let answer = smoke(engines, target, asked, stop);
        spoken(&mut probe, engines, target, asked, answer, stop);
    }
    probe.add("counters", counters(target));
    probe
}

/// The workers that speak a protocol.
fn engine_of(engines: &mut [Option<Engine>; 2], protocol: Protocol) -> Result<&mut Engine, ProbeError> {
    engines[usize::from(protocol.is_grpc())]
        .as_mut()
        .ok_or_else(|| ProbeError::new("client", format!("no worker speaks `{protocol}`"), "run it again"))
}

fn smoke(
    engines: &mut [Option<Engine>; 2],
    target: &Target,
    (protocol, stream): (Protocol, bool),
    stop: &AtomicBool,
) -> Result<RequestRecord, ProbeError> {
    probe::smoke(engine_of(engines, protocol)?, target, protocol, stream, stop)
}

/// Whether the server has the model.
fn model(target: &Target, known: &[String], answer: &Result<RequestRecord, ProbeError>) -> Outcome {
    if known.is_empty() {
        return match answer {
            Err(error) if error.step == "model" => Outcome::Failed(error.clone()),
            _ => Outcome::Skipped(format!("the server lists none; it is asked for `{}`", target.model)),
        };
    }
    if known.contains(&target.model) {
        return Outcome::Passed(format!("`{}` is listed", target.model));
    }
    // Some servers have one model and answer with it whatever they are asked for.
    let objection = if answer.is_ok() { "; it did not object, so one of these would be measured" } else { "" };
    Outcome::Failed(ProbeError::new(
        "model",
        format!("model `{}` is not among the server's: {}{objection}", target.model, known.join(", ")),
        "set `model` of the profile to one of them",
    ))
}

/// The steps about the answers in one protocol.
fn spoken(
    probe: &mut Probe,
    engines: &mut [Option<Engine>; 2],
    target: &Target,
    (protocol, stream): (Protocol, bool),
    answer: Result<RequestRecord, ProbeError>,
    stop: &AtomicBool,
) {
    // What everybody speaks needs no name.
    let name = if protocol == Protocol::default() { String::new() } else { format!(" (`{protocol}`)") };
    let record = match answer {
        Ok(record) => record,
        Err(error) => return probe.fail(error),
    };
    if !protocol.has_tokens() {
        probe.add("answer", Outcome::Passed(format!("one embedding{name}")));
    } else if stream {
        let found = format!("{} tokens in {} events{name}", record.output_tokens, record.chunks.len());
        probe.add("stream", Outcome::Passed(found));
    } else {
        probe.add("stream", Outcome::Skipped(format!("no scenario asks for one{name}")));
    }
    let Some(usage) = &record.usage else {
        let message = format!("the server sends no `usage`{name}, so tokens are counted with the tokenizer");
        let hint = "let it send `usage` (the request has `stream_options.include_usage`), \
                    and set `tokenizer` of the profile to the model's `tokenizer.json`";
        probe.fail(ProbeError::new("usage", message, hint));
        return probe.add("tokens", Outcome::Skipped(format!("there are no counts of the server{name}")));
    };
    let found = format!("{} prompt and {} answer tokens{name}", usage.input, usage.output);
    probe.add("usage", Outcome::Passed(found));
    // What this protocol's server counts can be compared once.
    if protocol.has_tokens() {
        let outcome = tokens(engines, target, (protocol, stream), &name, stop).unwrap_or_else(Outcome::Failed);
        probe.add("tokens", outcome);
    }
}

/// Whether the server counts tokens as the tokenizer does that prompts are made with.
fn tokens(
    engines: &mut [Option<Engine>; 2],
    target: &Target,
    (protocol, stream): (Protocol, bool),
    name: &str,
    stop: &AtomicBool,
) -> Result<Outcome, ProbeError> {
    let mut counts = [(0, 0); 2];
    for (count, words) in counts.iter_mut().zip(PROMPTS) {
        let text = corpus::words()[..words].join(" ");
        let record = probe::ask(engine_of(engines, protocol)?, target, protocol, stream, &text, stop)?;
        let Some(usage) = record.usage else {
            return Ok(Outcome::Skipped(format!("the server does not always send `usage`{name}")));
        };
        *count = (target.tokenizer.count(&text), usage.input);
    }
    let [short, long] = counts;
    let (own, server) = (long.0.saturating_sub(short.0), long.1.saturating_sub(short.1));
    if (f64::from(server) - f64::from(own)).abs() <= (f64::from(own) * COUNTS_ALIKE).max(2.0) {
        return Ok(Outcome::Passed(format!("a prompt of {own} tokens has {server} by the server's count{name}")));
    }
    let (whose, hint) = if target.tokenizer.is_bundled() {
        (
            "the bundled tokenizer",
            "set `tokenizer` of the profile to the model's `tokenizer.json`: prompts get the planned length",
        )
    } else {
        (
            "`tokenizer` of the profile",
            "set `tokenizer` of the profile to the `tokenizer.json` that the server has loaded",
        )
    };
    let message = format!("the server counts {server} tokens where {whose} counts {own}{name}");
    Ok(Outcome::Remarked(ProbeError::new("tokens", message, hint)))
}

/// What the server counts of itself.
fn counters(target: &Target) -> Outcome {
    let Counters { load, prefix } = target.counters();
    let mut found: Vec<String> = load.iter().map(ToString::to_string).collect();
    if prefix.is_some() {
        found.push("tells hits of its prefix cache".into());
    }
    if found.is_empty() {
        let path = target.preset.server().metrics_path;
        return Outcome::Skipped(format!("none at `{path}`; some servers need a flag for them, such as `--metrics`"));
    }
    Outcome::Passed(found.join(", "))
}

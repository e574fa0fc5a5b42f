//! Is the target fit to be measured? Each step's failure says what to do.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::engine::{Engine, Outgoing, Round, Transport};
use crate::plan::Pacing;
use crate::record::{Failure, FailureClass, RequestRecord, cut};
use crate::target::Target;
use crate::wire::{Ask, Protocol, status_message};

/// A step that failed: what was found and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nhint: {hint}")]
pub struct ProbeError {
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ProbeError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// One step of `cargo tokpace check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeStep {
    /// What was checked: `reach`, `model`, `stream`, …
    pub name: &'static str,
    /// What was found, or why it failed.
    pub outcome: Result<String, ProbeError>,
}

/// All steps, in order; none follows a failed one that it depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// The steps.
    pub steps: Vec<ProbeStep>,
}

impl Probe {
    /// Whether every step went well.
    pub fn passed(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_ok())
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            match &step.outcome {
                Ok(found) => writeln!(f, "  ok    {:<8} {found}", step.name)?,
                Err(error) => {
                    writeln!(f, "  FAIL  {:<8} {}", step.name, error.message)?;
                    writeln!(f, "        hint: {}", error.hint)?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
}

/// Answer of a plain GET: status and body.
fn get(client: &Transport, url: &str) -> Result<(u16, String), ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
        ProbeError::new(format!("failed to start a runtime: {e}"), "raise the limit on threads or files")
    })?;
    runtime.block_on(async {
        let request = client.client.get(url).timeout(Duration::from_secs(15)).send();
        let unreachable = |error: &reqwest::Error| {
            let (class, text) = crate::engine::classify(error);
            unreachable(url, class, &text)
        };
        let response = request.await.map_err(|e| unreachable(&e))?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(|e| unreachable(&e))?;
        Ok((status, body))
    })
}

fn unreachable(url: &str, class: FailureClass, text: &str) -> ProbeError {
    let hint = match class {
        FailureClass::Tls => "set `ca_cert` to the authority that signed the server's certificate, or use `http://`",
        _ => "check that the server runs and that `url` of the profile has its host and port",
    };
    // Without a query or credentials, which may be secret.
    let place =
        reqwest::Url::parse(url).ok().and_then(|u| Some(format!("{}:{}", u.host_str()?, u.port_or_known_default()?)));
    ProbeError::new(format!("`{}` does not answer: {text}", place.unwrap_or_default()), hint)
}

fn refused(status: u16, what: &str, body: &str) -> ProbeError {
    let text = status_message(status, body.as_bytes());
    let said = cut(&text, 200);
    match status {
        401 | 403 => ProbeError::new(
            format!("the server refused the key with status {status}: {said}"),
            "set `api_key_env` of the profile to the variable that holds a valid key",
        ),
        _ => ProbeError::new(format!("{what} answered with status {status}: {said}"), "check `url` of the profile"),
    }
}

/// Models that the server lists; `None` if it has no such list.
fn models(client: &Transport, base_url: &str) -> Result<Option<Vec<String>>, ProbeError> {
    match get(client, &format!("{base_url}/models"))? {
        (200, body) => {
            Ok(serde_json::from_str::<Models>(&body).ok().map(|m| m.data.into_iter().map(|m| m.id).collect()))
        }
        (404 | 405 | 501, _) => Ok(None),
        (status, body) => Err(refused(status, "`/models`", &body)),
    }
}

/// The server's only model, for profiles that name none.
pub(crate) fn only_model(client: &Transport, base_url: &str) -> Result<String, ProbeError> {
    const NAME_IT: &str = "; a server that speaks gRPC alone lists no models: name one with `model` in the profile";
    let known = models(client, base_url).map_err(|error| match error {
        ProbeError { message, hint } if message.contains("does not answer") => ProbeError::new(message, hint + NAME_IT),
        other => other,
    })?;
    let known = known.unwrap_or_default();
    match known.as_slice() {
        [model] => Ok(model.clone()),
        [] => Err(ProbeError::new("the server lists no models", "name one with `model` in the profile")),
        several => Err(ProbeError::new(
            format!("the server has several models: {}", several.join(", ")),
            "choose one with `model` in the profile",
        )),
    }
}

/// The server's version, if it tells at `path` under the key `key`.
pub(crate) fn version(client: &Transport, base_url: &str, [path, key]: [&str; 2]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_str(&text(client, base_url, path)?).ok()?;
    Some(body.get(key)?.as_str()?.to_owned())
}

/// The text at a path of the server, if it has it.
pub(crate) fn text(client: &Transport, base_url: &str, path: &str) -> Option<String> {
    let root = base_url.rsplit_once('/')?.0;
    let (status, body) = get(client, &format!("{root}{path}")).ok()?;
    (status == 200).then_some(body)
}

/// Posts nothing to a path of the server; whether it took that.
pub(crate) fn post(client: &Transport, base_url: &str, path: &str) -> bool {
    let Some((root, _)) = base_url.rsplit_once('/') else { return false };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return false };
    let request = client.client.post(format!("{root}{path}")).timeout(Duration::from_secs(15));
    runtime.block_on(request.send()).is_ok_and(|answer| answer.status().is_success())
}

/// Sends one short request through `engine` and says whether its answer can be measured. `stop` gives it up.
pub fn smoke(
    engine: &mut Engine,
    target: &Target,
    protocol: Protocol,
    stream: bool,
    stop: &AtomicBool,
) -> Result<RequestRecord, ProbeError> {
    if let Some(misfit) = protocol.misfit(&target.extra) {
        return Err(ProbeError::new(
            format!("`{protocol}` cannot send the profile's `extra`: {misfit}"),
            "move what other protocols need into `request.extra` of their scenarios",
        ));
    }
    let max_tokens = if protocol.has_tokens() { 4 } else { 0 };
    let text = "Count from one to four.";
    let ask = Ask { model: &target.model, system: None, user: text, max_tokens, stream, extra: &target.extra };
    let body = protocol.body(&ask);
    let input_tokens = target.tokenizer.count(text);
    let round = Round {
        url: protocol.url(&target.base_url, stream),
        protocol,
        pacing: Pacing::Batch { size: 1 },
        duration: None,
        timeout: Duration::from_secs(60),
        no_progress: Duration::from_secs(60),
        requests: vec![Outgoing {
            index: 0,
            user: 0,
            at: 0,
            max_tokens,
            input_tokens,
            request_id: format!("smoke-{}", std::process::id()),
            body: Bytes::from(body),
            cancel: None,
        }],
    };
    let url = round.url.clone();
    let recording = engine
        .run(round, stop)
        .map_err(|e| ProbeError::new(format!("failed to send a request: {e}"), "run with `RUST_LOG=tokpace=debug`"))?;
    let Some(raw) = recording.requests.first() else {
        return Err(ProbeError::new("interrupted before the target had answered a short request", "run it again"));
    };
    let record = protocol.interpret(raw, &target.tokenizer);
    let Some(failure) = &record.failure else {
        if stream && !record.streamed {
            return Err(ProbeError::new(
                "the server answered a stream request with one JSON body",
                "the server or a proxy ignores `stream: true`: switch streaming on, or set `request.stream = false`",
            ));
        }
        return Ok(record);
    };
    if protocol.is_grpc()
        && let Some(error) = refused_call(protocol, &url, failure, record.status)
    {
        return Err(error);
    }
    Err(match (failure.class, record.status) {
        (FailureClass::Connect | FailureClass::Tls, _) => unreachable(&url, failure.class, &failure.message),
        (FailureClass::HttpStatus, Some(404)) if !failure.message.contains(&target.model) => ProbeError::new(
            format!("the server has no `{}`: {}", protocol.path(stream), failure.message),
            "check `url` of the profile: it is the server's address, with or without `/v1`",
        ),
        (FailureClass::HttpStatus, Some(404)) => ProbeError::new(
            format!("the server does not know the model `{}`: {}", target.model, failure.message),
            "set `model` of the profile to one that the server lists at `/v1/models`",
        ),
        (FailureClass::HttpStatus, Some(status)) => {
            let what = match protocol {
                Protocol::OpenaiChat => "a chat request".to_owned(),
                _ => format!("a request of `{protocol}`"),
            };
            refused(status, &what, &failure.message)
        }
        (class, _) => ProbeError::new(
            format!("a smoke request failed with `{}`: {}", class.name(), failure.message),
            if protocol.is_grpc() {
                "send one request by hand, for example with `grpcurl` and `docs/ppl.proto`, and look at the answer"
            } else {
                "send one request by hand, for example with `curl -N`, and look at the answer"
            },
        ),
    })
}

/// What gRPC has in place of a status of HTTP, and what it does not get along with.
fn refused_call(protocol: Protocol, url: &str, failure: &Failure, status: Option<u16>) -> Option<ProbeError> {
    let of_call = failure.class == FailureClass::HttpStatus && status == Some(200);
    match failure.class {
        FailureClass::Connect => Some(ProbeError::new(
            unreachable(url, failure.class, &failure.message).message,
            "check that the server runs, and that `url` of the profile has the port on which it speaks gRPC (23333, \
             unless PPL.LLM's server is told otherwise)",
        )),
        _ if !of_call => None,
        _ => Some(ProbeError::new(
            format!("the server refused a call of `{protocol}`: {}", failure.message),
            if ["UNAUTHENTICATED", "PERMISSION_DENIED"].iter().any(|name| failure.message.contains(name)) {
                "set `api_key_env` of the profile to the variable that holds a valid key"
            } else {
                "check `url` of the profile, and what the server's log says"
            },
        )),
    }
}

/// Walks a target step by step, for `cargo tokpace check`: whether it is there, and whether it speaks `protocols`.
///
/// `engines` are those for HTTP/1.1 and for HTTP/2, as far as `protocols` need them.
pub fn walk(engines: &mut [Option<Engine>; 2], target: &Target, protocols: &[Protocol], stop: &AtomicBool) -> Probe {
    let mut probe = Probe::default();
    let mut step = |name, outcome: Result<String, ProbeError>| {
        let passed = outcome.is_ok();
        probe.steps.push(ProbeStep { name, outcome });
        passed
    };
    let client = match Transport::new(&target.transport) {
        Ok(client) => client,
        Err(error) => {
            step("client", Err(ProbeError::new(error.to_string(), "check the profile")));
            return probe;
        }
    };
    // A server that speaks nothing but gRPC has no such list, and whether it is there shows with the first call.
    let listed = if protocols.iter().all(|protocol| protocol.is_grpc()) {
        Ok(None)
    } else {
        let listed = models(&client, &target.base_url);
        if !step("reach", listed.as_ref().map(|_| target.base_url.clone()).map_err(Clone::clone)) {
            return probe;
        }
        listed
    };
    let model = match listed {
        Ok(Some(known)) if !known.is_empty() && !known.contains(&target.model) => Err(ProbeError::new(
            format!("model `{}` is not among the server's: {}", target.model, known.join(", ")),
            "set `model` of the profile to one of them",
        )),
        Ok(Some(_)) => Ok(format!("`{}` is listed", target.model)),
        _ => Ok(format!("`{}` (the server lists no models)", target.model)),
    };
    if !step("model", model) {
        return probe;
    }
    for &protocol in protocols {
        // What everybody speaks needs no name.
        let spoken = if protocol == Protocol::default() { String::new() } else { format!(" (`{protocol}`)") };
        let answer = if protocol.has_tokens() { "stream" } else { "answer" };
        let Some(engine) = &mut engines[usize::from(protocol.is_grpc())] else { continue };
        let record = match smoke(engine, target, protocol, protocol.has_tokens(), stop) {
            Ok(record) => record,
            Err(error) => {
                step(answer, Err(error));
                continue;
            }
        };
        step(
            answer,
            Ok(if protocol.has_tokens() {
                format!("{} tokens in {} events{spoken}", record.output_tokens, record.chunks.len())
            } else {
                format!("one embedding{spoken}")
            }),
        );
        step("usage", usage(&record, &spoken));
    }
    if let Some(load) = target.load() {
        step("counters", Ok(load.to_string()));
    }
    probe
}

/// What the server says of its tokens.
fn usage(record: &RequestRecord, spoken: &str) -> Result<String, ProbeError> {
    match &record.usage {
        Some(usage) => Ok(format!("{} prompt and {} answer tokens{spoken}", usage.input, usage.output)),
        None => Err(ProbeError::new(
            format!("the server sends no `usage` in the stream{spoken}"),
            "switch on `stream_options.include_usage`; without it tokens are counted with the tokenizer",
        )),
    }
}

//! Single requests to a target: what it lists and tells of itself, and whether it answers. Each failure says what to do.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::engine::{Engine, Outgoing, Round, Transport, TransportOptions};
use crate::plan::Pacing;
use crate::record::{Failure, FailureClass, RequestRecord, cut};
use crate::target::Target;
use crate::wire::{Ask, Protocol, status_message};

/// What is wrong with a target: what was found and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nhint: {hint}")]
pub struct ProbeError {
    /// The step of a walk that it belongs to: `reach`, `auth`, `model`, …
    pub step: &'static str,
    /// What was found.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ProbeError {
    pub(super) fn new(step: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { step, message: message.into(), hint: hint.into() }
    }
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    #[serde(default)]
    owned_by: Option<String>,
}

/// Answer of a plain GET: status and body.
fn get(client: &Transport, url: &str) -> Result<(u16, String), ProbeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| {
        ProbeError::new("client", format!("failed to start a runtime: {e}"), "raise the limit on threads or files")
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
    ProbeError::new("reach", format!("`{}` does not answer: {text}", place.unwrap_or_default()), hint)
}

/// A status that is no success. `step` is where it belongs unless it is about the key; `keyed` says whether one was sent.
fn refused(step: &'static str, keyed: bool, status: u16, what: &str, body: &str) -> ProbeError {
    let text = status_message(status, body.as_bytes());
    let said = cut(&text, 200);
    let hint = match status {
        401 | 403 => {
            let (found, hint) = if keyed {
                ("refused the key", "set `api_key_env` of the profile to the variable that holds a valid key")
            } else {
                ("asks for a key", "set `api_key_env` of the profile to the name of the variable that holds it")
            };
            return ProbeError::new("auth", format!("the server {found} with status {status}: {said}"), hint);
        }
        400 | 413 | 422 => {
            "`extra` of the profile and `request.extra` of the scenario are part of each request: change there what the server refuses"
        }
        429 => "raise the rate limit of the key in `api_key_env`, or wait until it is over",
        500.. => "look into the server's log, and check that `url` of the profile is the server's",
        _ => "check `url` of the profile",
    };
    ProbeError::new(step, format!("{what} answered with status {status}: {said}"), hint)
}

/// Whether a key is sent.
pub(super) fn keyed(options: &TransportOptions) -> bool {
    options.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
}

/// Models that the server lists; `None` if it has no such list.
pub(super) fn models(client: &Transport, base_url: &str, keyed: bool) -> Result<Option<Vec<String>>, ProbeError> {
    match get(client, &format!("{base_url}/models"))? {
        (200, body) => {
            Ok(serde_json::from_str::<Models>(&body).ok().map(|m| m.data.into_iter().map(|m| m.id).collect()))
        }
        (404 | 405 | 501, _) => Ok(None),
        (status, body) => Err(refused("reach", keyed, status, "`/models`", &body)),
    }
}

/// Whose server it is, as its list of models says.
pub(crate) fn owner(client: &Transport, base_url: &str) -> Option<String> {
    let (status, body) = get(client, &format!("{base_url}/models")).ok()?;
    let listed = (status == 200).then(|| serde_json::from_str::<Models>(&body).ok())??;
    listed.data.into_iter().find_map(|model| model.owned_by)
}

/// The server's only model, for profiles that name none.
pub(crate) fn only_model(client: &Transport, base_url: &str, keyed: bool) -> Result<String, ProbeError> {
    const NAME_IT: &str = "; a server that speaks gRPC alone lists no models: name one with `model` in the profile";
    let known = models(client, base_url, keyed).map_err(|error| match error.step {
        "reach" => ProbeError { hint: error.hint + NAME_IT, ..error },
        _ => error,
    })?;
    let known = known.unwrap_or_default();
    match known.as_slice() {
        [model] => Ok(model.clone()),
        [] => Err(ProbeError::new("model", "the server lists no models", "name one with `model` in the profile")),
        several => Err(ProbeError::new(
            "model",
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
    // Made inside: its timeout needs the runtime.
    runtime.block_on(async { request.send().await }).is_ok_and(|answer| answer.status().is_success())
}

/// Sends one short request through `engine` and says whether its answer can be measured. `stop` gives it up.
pub fn smoke(
    engine: &mut Engine,
    target: &Target,
    protocol: Protocol,
    stream: bool,
    stop: &AtomicBool,
) -> Result<RequestRecord, ProbeError> {
    ask(engine, target, protocol, stream, "Count from one to four.", stop)
}

/// Sends one request with the prompt `text`.
pub(super) fn ask(
    engine: &mut Engine,
    target: &Target,
    protocol: Protocol,
    stream: bool,
    text: &str,
    stop: &AtomicBool,
) -> Result<RequestRecord, ProbeError> {
    if let Some(misfit) = protocol.misfit(&target.extra) {
        return Err(ProbeError::new(
            "stream",
            format!("`{protocol}` cannot send the profile's `extra`: {misfit}"),
            "move what other protocols need into `request.extra` of their scenarios",
        ));
    }
    let max_tokens = if protocol.has_tokens() { 4 } else { 0 };
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
    let recording = engine.run(round, stop).map_err(|e| {
        ProbeError::new("client", format!("failed to send a request: {e}"), "run with `RUST_LOG=tokpace=debug`")
    })?;
    let answer = if protocol.has_tokens() { "stream" } else { "answer" };
    let Some(raw) = recording.requests.first() else {
        let message = "interrupted before the target had answered a short request";
        return Err(ProbeError::new(answer, message, "run it again"));
    };
    let record = protocol.interpret(raw, &target.tokenizer);
    let Some(failure) = &record.failure else {
        if stream && !record.streamed {
            return Err(ProbeError::new(
                answer,
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
            "reach",
            format!("the server has no `{}`: {}", protocol.path(stream), failure.message),
            "check `url` of the profile: it is the server's address, with or without `/v1`",
        ),
        (FailureClass::HttpStatus, Some(404)) => ProbeError::new(
            "model",
            format!("the server does not know the model `{}`: {}", target.model, failure.message),
            "set `model` of the profile to one that the server lists at `/v1/models`",
        ),
        (FailureClass::HttpStatus, Some(status)) => {
            let what = match protocol {
                Protocol::OpenaiChat => "a chat request".to_owned(),
                _ => format!("a request of `{protocol}`"),
            };
            refused(answer, keyed(&target.transport), status, &what, &failure.message)
        }
        (class, _) => {
            let hint = match class {
                FailureClass::Parse => {
                    "check that `url` of the profile leads to an inference server, and `request.protocol` of the scenario"
                }
                FailureClass::Empty => "ask for an answer with text: another `model`, or `min_tokens` in `extra`",
                _ if protocol.is_grpc() => {
                    "send one request by hand, for example with `grpcurl` and `docs/ppl.proto`, and look at the answer"
                }
                _ => "send one request by hand, for example with `curl -N`, and look at the answer",
            };
            ProbeError::new(
                answer,
                format!("a smoke request failed with `{}`: {}", class.name(), failure.message),
                hint,
            )
        }
    })
}

/// What gRPC has in place of a status of HTTP, and what it does not get along with.
fn refused_call(protocol: Protocol, url: &str, failure: &Failure, status: Option<u16>) -> Option<ProbeError> {
    let of_call = failure.class == FailureClass::HttpStatus && status == Some(200);
    match failure.class {
        FailureClass::Connect => Some(ProbeError::new(
            "reach",
            unreachable(url, failure.class, &failure.message).message,
            "check that the server runs, and that `url` of the profile has the port on which it speaks gRPC (23333, \
             unless PPL.LLM's server is told otherwise)",
        )),
        _ if !of_call => None,
        _ => {
            let keyless = ["UNAUTHENTICATED", "PERMISSION_DENIED"].iter().any(|name| failure.message.contains(name));
            let (step, hint) = if keyless {
                ("auth", "set `api_key_env` of the profile to the variable that holds a valid key")
            } else {
                ("stream", "check `url` of the profile, and what the server's log says")
            };
            let message = format!("the server refused a call of `{protocol}`: {}", failure.message);
            Some(ProbeError::new(step, message, hint))
        }
    }
}

//! The HTTP interface: every protocol on one port, and the paths around them that vLLM has.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::json;

use super::dialect::{Answer, Choice, Dialect, Own, Words, json_response};
use super::engine::{Command, Ticket};
use super::faults;
use super::journal::Journal;
use super::metrics;
use super::model::{Model, SimRequest};
#[cfg(feature = "grpc")]
use super::ppl;
use super::server::{ServerOptions, Shared};
use super::stream::Events;
use super::{chat, completions, embeddings, lightllm, tgi};
use crate::profile::{Embedded, FaultKind};
use crate::tokens::{Tokenizer, corpus};
use crate::units::Nanos;

/// Largest request body.
const BODY_LIMIT: usize = 64 << 20;

/// What the handlers share.
pub(super) struct App {
    config: Embedded,
    seed: u64,
    authorization: Option<String>,
    epoch: Instant,
    commands: Sender<Command>,
    shared: Arc<Shared>,
    tokenizer: Tokenizer,
    next_id: AtomicU64,
}

impl App {
    pub(super) fn new(
        config: Embedded,
        options: ServerOptions,
        epoch: Instant,
        commands: Sender<Command>,
        shared: Arc<Shared>,
    ) -> Self {
        // Both are made on first use, which must not be the first request's.
        let tokenizer = Tokenizer::bundled();
        tokenizer.count(corpus::words().first().copied().unwrap_or_default());
        Self {
            config,
            seed: options.seed,
            authorization: options.api_key.map(|key| format!("Bearer {key}")),
            epoch,
            commands,
            shared,
            tokenizer,
            next_id: AtomicU64::new(0),
        }
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        match &self.authorization {
            Some(wanted) if given != Some(wanted.as_bytes()) => Err(Refusal {
                status: StatusCode::UNAUTHORIZED,
                code: Some("invalid_api_key"),
                message: "the API key is missing or wrong".into(),
            }),
            _ => Ok(()),
        }
    }
}

/// An answer that is an error object.
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Option<&'static str>,
    pub(super) message: String,
}

impl Refusal {
    /// The request cannot be understood or served.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: None, message: message.into() }
    }
}

impl Refusal {
    fn into_response(self, dialect: &Dialect) -> Response {
        let mut response = (dialect.refusal)(&self);
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        self.into_response(&chat::DIALECT)
    }
}

/// Every route of the server.
pub(super) fn router(app: App) -> Router {
    let router = Router::new();
    #[cfg(feature = "grpc")]
    let router = router.route(ppl::PATH, speak(&ppl::DIALECT, None));
    router
        .route("/v1/chat/completions", speak(&chat::DIALECT, None))
        .route("/v1/completions", speak(&completions::DIALECT, None))
        .route("/v1/embeddings", speak(&embeddings::DIALECT, None))
        .route("/generate", generate(false))
        .route("/generate_stream", generate(true))
        .route("/v1/models", get(models))
        .route("/health", get(async || StatusCode::OK))
        .route("/version", get(async || json_response(StatusCode::OK, &json!({ "version": VERSION }))))
        .route("/metrics", get(metrics_text))
        .fallback(async |uri: Uri| Refusal {
            status: StatusCode::NOT_FOUND,
            code: None,
            message: format!("there is no `{}`", uri.path()),
        })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Arc::new(app))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

async fn models(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Refusal> {
    app.authorize(&headers)?;
    let capacity = u64::from(app.config.kv_blocks) * u64::from(app.config.block_size);
    let model = json!({
        "id": app.config.model, "object": "model", "created": 0, "owned_by": "tokpace", "max_model_len": capacity,
    });
    Ok(json_response(StatusCode::OK, &json!({ "object": "list", "data": [model] })))
}

async fn metrics_text(State(app): State<Arc<App>>) -> Response {
    let text = metrics::render(&app.shared.stats(), &app.config.model);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// A body as the server has read it, or why it could not.
type Read = Result<Bytes, BytesRejection>;

fn speak(dialect: &'static Dialect, stream: Option<bool>) -> MethodRouter<Arc<App>> {
    post(async move |State(app): State<Arc<App>>, headers: HeaderMap, body: Read| {
        respond(&app, dialect, stream, &headers, body).await
    })
}

/// The path that TGI and lightllm share.
fn generate(stream: bool) -> MethodRouter<Arc<App>> {
    post(async move |State(app): State<Arc<App>>, headers: HeaderMap, body: Read| {
        let of_lightllm = body.as_ref().is_ok_and(|body| lightllm::speaks(body));
        let dialect = if of_lightllm { &lightllm::DIALECT } else { &tgi::DIALECT };
        respond(&app, dialect, Some(stream), &headers, body).await
    })
}

async fn respond(
    app: &Arc<App>,
    dialect: &'static Dialect,
    stream: Option<bool>,
    headers: &HeaderMap,
    body: Read,
) -> Response {
    // The body is complete: what follows is the server's own work and belongs to the base time.
    let received = Instant::now();
    app.shared.requests.fetch_add(1, Ordering::Relaxed);
    let request_id = headers.get("x-request-id").cloned();
    if let Some(id) = request_id.as_ref().and_then(|id| id.to_str().ok()) {
        app.shared.note_request_id(id);
    }
    let answered = complete(app, dialect, stream, received, headers, body).await;
    let mut response = answered.unwrap_or_else(|refusal| refusal.into_response(dialect));
    if let Some(id) = request_id {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn complete(
    app: &App,
    dialect: &'static Dialect,
    stream: Option<bool>,
    received: Instant,
    headers: &HeaderMap,
    body: Read,
) -> Result<Response, Refusal> {
    app.authorize(headers)?;
    let body = body.map_err(|error| Refusal { status: error.status(), code: None, message: error.body_text() })?;
    let asked = (dialect.parse)(&body, stream)?;
    if let Some(model) = asked.model.as_ref().filter(|model| **model != app.config.model) {
        return Err(Refusal {
            status: StatusCode::NOT_FOUND,
            code: Some("model_not_found"),
            message: format!("there is no model `{model}`; this server has `{}`", app.config.model),
        });
    }
    let ids = |texts: &Vec<String>| texts.iter().flat_map(|text| app.tokenizer.ids(text)).collect();
    let mut own = asked.own;
    own.resize(asked.prompts.len(), Own { max_tokens: asked.max_tokens, ..Own::default() });
    let prompt = |(texts, own): (_, &Own)| own.tokens.clone().unwrap_or_else(|| ids(texts));
    let prompts: Vec<Vec<u32>> = asked.prompts.iter().zip(&own).map(prompt).collect();
    for (tokens, own) in prompts.iter().zip(&own) {
        Model::check(&app.config, tokens.len() as u64, own.max_tokens)
            .map_err(|too_long| Refusal::bad_request(too_long.to_string()))?;
    }

    let first = app.next_id.fetch_add(prompts.len() as u64, Ordering::Relaxed);
    // Several prompts have one connection, so what one of them meets befalls all.
    let fault = (first..first + prompts.len() as u64).find_map(|id| faults::drawn(&app.config, app.seed, id));
    if let Some(fault @ (FaultKind::Error | FaultKind::RateLimit)) = fault {
        let status =
            if fault == FaultKind::Error { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::TOO_MANY_REQUESTS };
        return Err(Refusal { status, code: None, message: faults::message(fault).into() });
    }
    let lengths: Vec<u32> = own.iter().map(|own| faults::computed(fault, own.max_tokens)).collect();
    let choices = (first..).zip(&prompts).zip(own).map(|((id, tokens), own)| Choice {
        words: Words::new(app.seed, id),
        prompt_tokens: tokens.len() as u32,
        cached_tokens: 0,
        tokens: 0,
        text: String::new(),
        own,
    });
    let answer = Answer {
        id: format!("{}-sim-{first}", dialect.id),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default(),
        model: app.config.model.clone(),
        include_usage: asked.include_usage,
        fault,
        head: String::new(),
        choices: choices.collect(),
    };
    let at = received.saturating_duration_since(app.epoch).as_nanos() as Nanos;
    let submit = |((id, tokens), max_tokens)| {
        Ticket::submit(&app.commands, at, SimRequest { id, tokens, max_tokens, cold: faults::cold(fault) })
    };
    let tickets = (first..).zip(prompts).zip(lengths).map(submit).collect();
    if !asked.stream || fault == Some(FaultKind::NoStream) {
        return whole(dialect, answer, tickets).await;
    }
    let journal = app.shared.keeps_departures().then(|| {
        let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        Journal::new(request_id, received, Arc::clone(&app.shared))
    });
    Ok((dialect.stream)(Events::new(dialect, answer, tickets, journal)))
}

/// The answer as one JSON body, when its last token has come. Faults of streams have their counterparts here: an
/// error status, half a body, no answer, a body that is not JSON.
async fn whole(dialect: &Dialect, mut answer: Answer, tickets: Vec<Ticket>) -> Result<Response, Refusal> {
    for (choice, mut ticket) in tickets.into_iter().enumerate() {
        let last = loop {
            match poll_fn(|cx| ticket.poll(cx)).await {
                Some(token) if token.last => break token,
                Some(_) => {}
                None => {
                    return Err(Refusal {
                        status: StatusCode::SERVICE_UNAVAILABLE,
                        code: None,
                        message: "the server is stopping".into(),
                    });
                }
            }
        };
        let choice = &mut answer.choices[choice];
        choice.cached_tokens = last.cached_tokens;
        choice.tokens = if answer.fault == Some(FaultKind::Empty) { 0 } else { last.index + 1 };
    }
    let mut body = (dialect.body)(&mut answer).to_string().into_bytes();
    match answer.fault {
        Some(fault @ FaultKind::ErrorEvent) => {
            return Err(Refusal {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: None,
                message: faults::message(fault).into(),
            });
        }
        Some(FaultKind::Stall) => std::future::pending().await,
        Some(FaultKind::Truncate) => body.truncate(body.len() / 2),
        Some(FaultKind::Garbage) => body.insert(0, b'{'),
        _ => {}
    }
    Ok((StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response())
}

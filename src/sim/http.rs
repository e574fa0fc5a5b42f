//! The HTTP interface, after `OpenAI`'s and vLLM's.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::chat::Chat;
use super::engine::{Command, Ticket};
use super::faults;
use super::journal::Journal;
use super::metrics;
use super::model::{Model, SimRequest};
use super::server::{ServerOptions, Shared};
use super::stream::{Answer, Events, Words};
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
    status: StatusCode,
    code: Option<&'static str>,
    message: String,
}

impl Refusal {
    /// The request cannot be understood or served.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: None, message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let kind = match self.status {
            StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
            status if status.is_server_error() => "internal_server_error",
            _ => "invalid_request_error",
        };
        let error = json!({ "message": self.message, "type": kind, "param": null, "code": self.code });
        let mut response = json_response(self.status, &json!({ "error": error }));
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Every route of the server.
pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
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

async fn chat(State(app): State<Arc<App>>, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Response {
    // The body is complete: what follows is the server's own work and belongs to the base time.
    let received = Instant::now();
    app.shared.requests.fetch_add(1, Ordering::Relaxed);
    let request_id = headers.get("x-request-id").cloned();
    if let Some(id) = request_id.as_ref().and_then(|id| id.to_str().ok()) {
        app.shared.note_request_id(id);
    }
    let mut response = complete(&app, received, &headers, body).await.unwrap_or_else(IntoResponse::into_response);
    if let Some(id) = request_id {
        response.headers_mut().insert("x-request-id", id);
    }
    response
}

async fn complete(
    app: &App,
    received: Instant,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    app.authorize(headers)?;
    let body = body.map_err(|error| Refusal { status: error.status(), code: None, message: error.body_text() })?;
    let chat = Chat::parse(&body)?;
    if chat.model.as_ref().is_some_and(|model| *model != app.config.model) {
        return Err(Refusal {
            status: StatusCode::NOT_FOUND,
            code: Some("model_not_found"),
            message: format!(
                "there is no model `{}`; this server has `{}`",
                chat.model.unwrap_or_default(),
                app.config.model
            ),
        });
    }
    let tokens: Vec<u32> = chat.texts.iter().flat_map(|text| app.tokenizer.ids(text)).collect();
    Model::check(&app.config, tokens.len() as u64, chat.max_tokens)
        .map_err(|too_long| Refusal::bad_request(too_long.to_string()))?;

    let id = app.next_id.fetch_add(1, Ordering::Relaxed);
    let fault = faults::drawn(&app.config, app.seed, id);
    if let Some(fault @ (FaultKind::Error | FaultKind::RateLimit)) = fault {
        let status =
            if fault == FaultKind::Error { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::TOO_MANY_REQUESTS };
        return Err(Refusal { status, code: None, message: faults::message(fault).into() });
    }
    let answer = Answer {
        id: format!("chatcmpl-sim-{id}"),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or_default(),
        model: app.config.model.clone(),
        prompt_tokens: tokens.len() as u32,
        max_tokens: chat.max_tokens,
        include_usage: chat.include_usage,
        fault,
        words: Words::new(app.seed, id),
    };
    let max_tokens = faults::computed(fault, chat.max_tokens);
    let request = SimRequest { id, tokens, max_tokens, cold: faults::cold(fault) };
    let at = received.saturating_duration_since(app.epoch).as_nanos() as Nanos;
    let ticket = Ticket::submit(&app.commands, at, request);
    if !chat.stream || fault == Some(FaultKind::NoStream) {
        return whole(answer, ticket).await;
    }
    let journal = app.shared.keeps_departures().then(|| {
        let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        Journal::new(request_id, received, Arc::clone(&app.shared))
    });
    let head = [(CONTENT_TYPE, "text/event-stream; charset=utf-8"), (CACHE_CONTROL, "no-cache")];
    Ok((head, Body::new(Events::new(answer, ticket, journal))).into_response())
}

/// The answer as one JSON body, when its last token has come. Faults of streams have their counterparts here: an
/// error status, half a body, no answer, a body that is not JSON.
async fn whole(mut answer: Answer, mut ticket: Ticket) -> Result<Response, Refusal> {
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
    let mut body = answer.body(&last).into_bytes();
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

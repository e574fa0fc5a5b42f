//! A gateway in front of an LLM server: passes requests on, and answers back as they come.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::serve::ListenerExt as _;

/// Longest request body.
const LONGEST: usize = 16 << 20;

/// Headers that belong to one connection, not to what is passed on.
const OF_THE_CONNECTION: [header::HeaderName; 5] =
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];

/// What a gateway is made with.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The server behind it, such as `http://127.0.0.1:8000`.
    pub upstream: String,
    /// Waits so long before each request is passed on: stands for work that a change may add.
    pub delay: Duration,
}

impl Gateway {
    /// Serves on `listener` until the future is dropped.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // Without it a token may wait for the acknowledgement of the one before.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let routes = Router::new().fallback(forward).with_state((self, reqwest::Client::new()));
        axum::serve(listener, routes).await
    }
}

async fn forward(
    State((gateway, client)): State<(Gateway, reqwest::Client)>,
    request: Request,
) -> Result<Response, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LONGEST).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
    if !gateway.delay.is_zero() {
        tokio::time::sleep(gateway.delay).await;
    }
    let url = format!("{}{}", gateway.upstream, parts.uri);
    let request = client.request(parts.method, url).headers(passed_on(parts.headers)).body(body);
    let answer = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = passed_on(answer.headers().clone());
    Ok(response.map(|_| Body::from_stream(answer.bytes_stream())))
}

fn passed_on(mut headers: HeaderMap) -> HeaderMap {
    for name in OF_THE_CONNECTION {
        headers.remove(name);
    }
    headers
}

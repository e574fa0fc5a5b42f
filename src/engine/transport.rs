//! The HTTP client, with everything switched off that would do more than it was told.

use std::error::Error as _;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::record::FailureClass;

/// What a client needs to know of a target.
#[derive(Clone, Default)]
pub struct TransportOptions {
    /// HTTP/2 with prior knowledge in place of HTTP/1.1.
    pub http2: bool,
    /// Sent with every request; secrets among them.
    pub headers: Vec<(String, String)>,
    /// PEM certificates to trust besides the system's.
    pub ca_cert: Option<Vec<u8>>,
    /// Proxy for all requests; the environment's proxies are never used.
    pub proxy: Option<String>,
    /// Servers in this process that a request passes. This process has both ends of the connection to each open.
    pub in_process: u64,
    /// Longest time for opening a connection.
    pub connect_timeout: Option<Duration>,
}

impl std::fmt::Debug for TransportOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("TransportOptions")
            .field("http2", &self.http2)
            .field("headers", &names)
            .field("ca_cert", &self.ca_cert.is_some())
            .field("proxy", &self.proxy.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a client cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}\nhint: {hint}")]
pub struct ClientError {
    message: String,
    hint: &'static str,
}

/// A client of one worker: its own connection pool, used by one thread only.
#[derive(Clone, Debug)]
pub struct Transport {
    pub(crate) client: reqwest::Client,
}

impl Transport {
    /// Makes a client.
    ///
    /// # Errors
    /// A header, certificate or proxy that is none.
    pub fn new(options: &TransportOptions) -> Result<Self, ClientError> {
        Self::sending_from(options, None)
    }

    /// Makes a client whose connections leave from `address`, or from the one that the system chooses.
    pub(crate) fn sending_from(options: &TransportOptions, address: Option<IpAddr>) -> Result<Self, ClientError> {
        install_tls_provider();
        if options.http2 && cfg!(not(feature = "http2")) {
            return Err(ClientError {
                message: "`http2 = true` needs HTTP/2, which this build of tokpace does not have".into(),
                hint: "enable the cargo feature `http2`",
            });
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("tokpace/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tcp_nodelay(true)
            .local_address(address)
            .connect_timeout(options.connect_timeout.unwrap_or(Duration::from_secs(10)))
            .connector_layer(super::connect::ConnectTimer)
            .default_headers(headers(&options.headers)?);
        builder = protocol(builder, options.http2);
        if let Some(url) = &options.proxy {
            builder = builder.proxy(reqwest::Proxy::all(url).map_err(|e| ClientError {
                message: format!("`proxy` is not a proxy URL: {e}"),
                hint: "write it as `http://host:port`",
            })?);
        }
        builder = trust(builder, options.ca_cert.as_deref())?;
        builder.build().map(|client| Self { client }).map_err(|e| ClientError {
            message: format!("failed to make an HTTP client: {}", chain(&e)),
            hint: "check `ca_cert` and the system's certificate store",
        })
    }
}

fn headers(pairs: &[(String, String)]) -> Result<HeaderMap, ClientError> {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let invalid = || ClientError {
            // The value may be a secret; the name is not.
            message: format!("header `{name}` has a name or value that HTTP does not allow"),
            hint: "check `headers` and `api_key_env` of the profile for line breaks",
        };
        let header = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        map.insert(header, value);
    }
    Ok(map)
}

#[cfg(feature = "http2")]
fn protocol(builder: reqwest::ClientBuilder, http2: bool) -> reqwest::ClientBuilder {
    if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() }
}

/// Without the feature HTTP/2 was refused before.
#[cfg(not(feature = "http2"))]
fn protocol(builder: reqwest::ClientBuilder, _http2: bool) -> reqwest::ClientBuilder {
    builder.http1_only()
}

#[cfg(feature = "tls")]
fn install_tls_provider() {
    // Fails only if a provider is installed already, by us or by the program around us.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(not(feature = "tls"))]
fn install_tls_provider() {}

#[cfg(feature = "tls")]
fn trust(builder: reqwest::ClientBuilder, pem: Option<&[u8]>) -> Result<reqwest::ClientBuilder, ClientError> {
    let Some(pem) = pem else { return Ok(builder) };
    let invalid = |what: String| ClientError {
        message: format!("`ca_cert` is not a PEM certificate: {what}"),
        hint: "the file starts with `-----BEGIN CERTIFICATE-----`",
    };
    let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|e| invalid(e.to_string()))?;
    if certificates.is_empty() {
        return Err(invalid("no certificate inside".into()));
    }
    Ok(certificates.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate))
}

#[cfg(not(feature = "tls"))]
fn trust(builder: reqwest::ClientBuilder, pem: Option<&[u8]>) -> Result<reqwest::ClientBuilder, ClientError> {
    match pem {
        None => Ok(builder),
        Some(_) => Err(ClientError {
            message: "`ca_cert` needs TLS, which this build of tokpace does not have".into(),
            hint: "enable the cargo feature `tls`",
        }),
    }
}

/// Whether a request found its connection closed by the server, before any byte of an answer.
pub(crate) fn met_closed_connection(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    if error.is_connect() || error.is_timeout() || error.is_body() || error.is_decode() {
        return false;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        let closed = match error.downcast_ref::<std::io::Error>() {
            Some(error) => matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected),
            // The HTTP library tells it by its words alone.
            None => error.to_string().starts_with("connection closed before message completed"),
        };
        if closed {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Class and text of a request that failed before or while its answer was read.
pub(crate) fn classify(error: &reqwest::Error) -> (FailureClass, String) {
    let text = chain(error);
    let lower = text.to_ascii_lowercase();
    let tls = ["certificate", "tls", "ssl", "handshake"].iter().any(|word| lower.contains(word));
    let class = match (error.is_connect(), error.is_timeout(), tls) {
        (true, _, true) => FailureClass::Tls,
        (true, ..) | (_, true, _) => FailureClass::Connect,
        _ if error.is_body() || error.is_decode() => FailureClass::Truncated,
        // Sent on a connection that the server had closed, or closed before the answer's head.
        _ => FailureClass::Connect,
    };
    (class, text)
}

/// An error with its causes, without the URL (it may hold credentials).
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let mut text = String::from(if error.is_connect() {
        "failed to connect"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else {
        "the request failed"
    });
    let mut source = error.source();
    let mut last = String::new();
    while let Some(cause) = source {
        last = cause.to_string();
        source = cause.source();
    }
    if !last.is_empty() {
        text.push_str(": ");
        text.push_str(&last);
    }
    text
}

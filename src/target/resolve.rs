//! A profile becomes something that requests can be sent to.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::{ClientError, Transport, TransportOptions};
use crate::environment::{EnvError, Environment};
use crate::profile::{Endpoint, Profile, ProfileKind};
use crate::redact::Redactor;
use crate::sim::{Server, ServerOptions};
use crate::target::PrefixCounters;
use crate::target::probe::{self, ProbeError};
use crate::tokens::{Tokenizer, TokenizerError};

/// A reachable target. Dropping it stops the embedded server.
#[derive(Debug)]
pub struct Target {
    /// Base URL that ends in `/v1`.
    pub base_url: String,
    /// Model to ask for.
    pub model: String,
    /// How to talk to it; holds secrets, so it is never printed.
    pub transport: TransportOptions,
    /// Merged into each request's body.
    pub extra: BTreeMap<String, serde_json::Value>,
    /// Counts tokens where the server does not, and makes synthetic prompts.
    pub tokenizer: Tokenizer,
    /// The server's version, if it tells.
    pub version: Option<String>,
    /// The embedded server.
    pub embedded: Option<Server>,
}

/// Why a profile's target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The embedded server does not start.
    #[error(
        "failed to start the embedded server: {0}\nhint: check that 127.0.0.1 is reachable and threads can be started"
    )]
    Embedded(#[source] std::io::Error),
    /// A `${NAME}` that is not set.
    #[error("profile `{profile}`: {source}\nhint: {hint}", hint = .source.hint)]
    Environment {
        /// The profile.
        profile: String,
        /// What is not set.
        source: EnvError,
    },
    /// The key's variable is not set.
    #[error(
        "profile `{profile}` takes its key from `{variable}`, which is not set\nhint: export `{variable}` or put it into `.env`"
    )]
    NoKey {
        /// The profile.
        profile: String,
        /// The variable.
        variable: String,
    },
    /// A file that the profile names.
    #[error("profile `{profile}`: failed to read `{path}`: {source}\nhint: paths are relative to the package root")]
    File {
        /// The profile.
        profile: String,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A tokenizer file that is none.
    #[error("profile `{profile}`: {source}")]
    Tokenizer {
        /// The profile.
        profile: String,
        /// Why.
        source: TokenizerError,
    },
    /// A URL that is none.
    #[error(
        "profile `{profile}`: `{url}` is not an HTTP URL\nhint: write it as `http://host:port` or `https://host/v1`"
    )]
    Url {
        /// The profile.
        profile: String,
        /// The text, unexpanded.
        url: String,
    },
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server does not answer as it should.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

impl Target {
    /// What the server's counters say of its prefix cache, if it has such counters. Between rounds only: it sends a
    /// request of its own.
    pub fn prefix_counters(&self) -> Option<PrefixCounters> {
        let client = Transport::new(&self.transport).ok()?;
        PrefixCounters::read(&probe::metrics(&client, &self.base_url)?)
    }

    /// Starts or finds the target of `profile`. `seed` is the embedded server's; `root` is what paths are
    /// relative to.
    pub fn open(
        profile: &Profile,
        environment: &Environment,
        redactor: &mut Redactor,
        root: &Path,
        seed: u64,
    ) -> Result<Self, TargetError> {
        match &profile.kind {
            ProfileKind::Embedded(config) => {
                let options = ServerOptions { seed, ..ServerOptions::default() };
                let server = Server::start(config.clone(), options).map_err(TargetError::Embedded)?;
                Ok(Self {
                    base_url: format!("http://{}/v1", server.addr()),
                    model: config.model.clone(),
                    transport: TransportOptions { same_process: true, ..TransportOptions::default() },
                    extra: BTreeMap::new(),
                    tokenizer: Tokenizer::bundled(),
                    version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                    embedded: Some(server),
                })
            }
            ProfileKind::Endpoint(endpoint) => open_endpoint(profile, endpoint, environment, redactor, root),
        }
    }
}

fn open_endpoint(
    profile: &Profile,
    endpoint: &Endpoint,
    environment: &Environment,
    redactor: &mut Redactor,
    root: &Path,
) -> Result<Target, TargetError> {
    let name = || profile.name.clone();
    let mut expand = |text: &str| {
        redactor.add_expanded(environment, text);
        environment.expand(text).map_err(|source| TargetError::Environment { profile: name(), source })
    };
    let read = |path: &str| {
        std::fs::read(root.join(path)).map_err(|source| TargetError::File {
            profile: name(),
            path: path.to_owned(),
            source,
        })
    };
    let url = expand(&endpoint.url)?;
    let base_url = base_url(&url).ok_or_else(|| TargetError::Url { profile: name(), url: endpoint.url.clone() })?;
    let mut headers = Vec::new();
    for (header, value) in &endpoint.headers {
        headers.push((header.clone(), expand(value)?));
    }
    let proxy = endpoint.proxy.as_deref().map(&mut expand).transpose()?;
    let model = endpoint.model.as_deref().map(&mut expand).transpose()?;
    let ca_cert = endpoint.ca_cert.as_deref().map(&mut expand).transpose()?;
    let tokenizer_path = endpoint.tokenizer.as_deref().map(&mut expand).transpose()?;
    for (_, value) in &headers {
        redactor.add(value);
    }
    if let Some(variable) = &endpoint.api_key_env {
        let key = environment
            .get(variable)
            .map(str::to_owned)
            .ok_or_else(|| TargetError::NoKey { profile: name(), variable: variable.clone() })?;
        redactor.add(&key);
        headers.push(("authorization".into(), format!("Bearer {key}")));
    }
    let transport =
        TransportOptions { headers, proxy, ca_cert: ca_cert.as_deref().map(read).transpose()?, ..Default::default() };
    let tokenizer = match tokenizer_path {
        None => Tokenizer::bundled(),
        Some(path) => Tokenizer::from_json(&path, &read(&path)?)
            .map_err(|source| TargetError::Tokenizer { profile: name(), source })?,
    };
    let client = Transport::new(&transport)?;
    let model = match model {
        Some(model) => model,
        None => probe::only_model(&client, &base_url)?,
    };
    let version = probe::version(&client, &base_url);
    Ok(Target { base_url, model, transport, extra: endpoint.extra.clone(), tokenizer, version, embedded: None })
}

/// The URL without a slash at its end and with a version segment: `http://host:1/` is `http://host:1/v1`.
fn base_url(url: &str) -> Option<String> {
    let parsed = reqwest::Url::parse(url).ok().filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host())?;
    let url = parsed.as_str().trim_end_matches('/');
    let last = parsed.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let versioned = last.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    Some(if versioned { url.to_owned() } else { format!("{url}/v1") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_end_in_a_version() {
        for (url, base) in [
            ("http://127.0.0.1:8000", Some("http://127.0.0.1:8000/v1")),
            ("http://127.0.0.1:8000/", Some("http://127.0.0.1:8000/v1")),
            ("https://llm.example/v1/", Some("https://llm.example/v1")),
            ("https://llm.example/openai", Some("https://llm.example/openai/v1")),
            ("llm.example", None),
            ("ftp://llm.example", None),
        ] {
            assert_eq!(base_url(url).as_deref(), base, "{url}");
        }
    }
}

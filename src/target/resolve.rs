//! A profile becomes something that requests can be sent to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::engine::{ClientError, Transport, TransportOptions};
use crate::environment::{EnvError, Environment};
use crate::profile::{Endpoint, Managed, PORT, Preset, Profile, ProfileKind};
use crate::redact::Redactor;
use crate::sim::{Server, ServerOptions};
use crate::target::managed::{ManagedError, ManagedServer};
use crate::target::probe::{self, ProbeError};
use crate::target::{PrefixCounters, ServerLoad};
use crate::tokens::{Tokenizer, TokenizerError};

/// A reachable target. Dropping it stops the server that it has started.
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
    /// Which server it is, if that is known: `vllm`.
    pub server: Option<String>,
    /// The server's version, if it tells.
    pub version: Option<String>,
    /// Which server it is, where that is known.
    pub preset: Preset,
    /// The embedded server.
    pub embedded: Option<Server>,
    /// The managed server.
    pub managed: Option<ManagedServer>,
}

/// What a server says of itself at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counters {
    /// What works, what waits.
    pub load: Option<ServerLoad>,
    /// Its prefix cache since it started.
    pub prefix: Option<PrefixCounters>,
}

/// What a target is opened with.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Variables for `${NAME}`.
    pub environment: &'a Environment,
    /// Knows the target's secrets.
    pub redactor: &'a Redactor,
    /// What paths are relative to.
    pub root: &'a Path,
    /// Seed of the embedded server.
    pub seed: u64,
    /// Log of a managed server.
    pub log: &'a Path,
    /// Ends the wait for a managed server.
    pub stop: &'a AtomicBool,
    /// Servers of this process that a request may pass, beside the embedded one.
    pub in_process: u64,
}

/// Why a profile's target cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The embedded server does not start.
    #[error(
        "failed to start the embedded server: {0}\nhint: check that 127.0.0.1 is reachable and threads can be started"
    )]
    Embedded(#[source] std::io::Error),
    /// The servers that the test target brings along do not start.
    #[error("failed to start the servers of the test target: {0}\nhint: see what `tokpace::main!(servers = …)` names")]
    Brought(#[source] Box<dyn std::error::Error + Send + Sync>),
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
    /// The managed server cannot be started.
    #[error(transparent)]
    Managed(#[from] ManagedError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server does not answer as it should.
    #[error(transparent)]
    Probe(#[from] ProbeError),
}

impl Target {
    /// Starts or finds the target of `profile`.
    pub fn open(profile: &Profile, opening: &Opening<'_>) -> Result<Self, TargetError> {
        match &profile.kind {
            ProfileKind::Embedded(config) => {
                let options = ServerOptions { seed: opening.seed, ..ServerOptions::default() };
                let server = Server::start(config.clone(), options).map_err(TargetError::Embedded)?;
                Ok(Self {
                    base_url: format!("http://{}/v1", server.addr()),
                    model: config.model.clone(),
                    transport: TransportOptions { in_process: 1, ..TransportOptions::default() },
                    extra: BTreeMap::new(),
                    tokenizer: Tokenizer::bundled(),
                    server: None,
                    version: Some(env!("CARGO_PKG_VERSION").to_owned()),
                    preset: Preset::Generic,
                    embedded: Some(server),
                    managed: None,
                })
            }
            ProfileKind::Endpoint(endpoint) => Client::of(profile, endpoint, opening)?.find(Preset::Generic, None),
            ProfileKind::Managed(settings) => open_managed(profile, settings, opening),
        }
    }

    /// Starts a managed server, anew if it is up. Connections to it are lost. `stop` ends the wait for it.
    pub fn restart(&mut self, stop: &AtomicBool) -> Result<(), TargetError> {
        let Some(server) = &mut self.managed else { return Ok(()) };
        server.start(&Transport::new(&self.transport)?, stop)?;
        self.base_url = format!("{}/v1", server.url());
        Ok(())
    }

    /// Raised when a managed server ends, so that a round against it does.
    pub fn halt(&self) -> Option<&Arc<AtomicBool>> {
        self.managed.as_ref().map(ManagedServer::halt)
    }

    /// Why there is nothing to measure any more: a managed server has ended, or does so within `patience`.
    pub fn ended(&self, patience: Duration) -> Option<TargetError> {
        self.managed.as_ref()?.ended(patience).map(TargetError::Managed)
    }

    /// What the server's counters and gauges say, as far as it has them. Between rounds only.
    pub fn counters(&self) -> Counters {
        let Some(text) = self.metrics() else { return Counters::default() };
        let servers = self.servers();
        Counters { load: ServerLoad::read(&text, &servers), prefix: PrefixCounters::read(&text, &servers) }
    }

    /// Empties the prefix cache of a managed server that takes such a request, so that no case finds what another has
    /// left; whether it did.
    pub fn empty_cache(&self) -> bool {
        let Some(path) = self.preset.server().cache_reset else { return false };
        Transport::new(&self.transport).is_ok_and(|client| probe::post(&client, &self.base_url, path))
    }

    fn metrics(&self) -> Option<String> {
        let path = self.preset.server().metrics_path;
        if path.is_empty() {
            return None;
        }
        probe::text(&Transport::new(&self.transport).ok()?, &self.base_url, path)
    }

    /// Whose names its counters may have.
    pub(super) fn servers(&self) -> Vec<&'static crate::profile::Server> {
        match self.preset {
            Preset::Generic => Preset::ALL.map(Preset::server).to_vec(),
            known => vec![known.server()],
        }
    }
}

/// Variable that names a managed server which is up already: `PROFILE=URL`.
pub const UP: &str = "TOKPACE_UP";

/// What the variable calls the server of a profile: its name, and its variant's behind a colon.
pub fn up_name(profile: &Profile) -> String {
    match &profile.variant {
        Some(variant) => format!("{}:{variant}", profile.name),
        None => profile.name.clone(),
    }
}

fn open_managed(profile: &Profile, settings: &Managed, opening: &Opening<'_>) -> Result<Target, TargetError> {
    let Opening { environment, redactor, root, log, stop, .. } = *opening;
    if let Some(url) = environment.get(UP).and_then(|up| up.strip_prefix(&format!("{}=", up_name(profile)))) {
        let endpoint = Endpoint { url: url.to_owned(), ..settings.endpoint.clone() };
        return Client::of(profile, &endpoint, opening)?.find(settings.preset, None);
    }
    let mut server = ManagedServer::new(profile, settings, environment, redactor, root, log);
    // What is wrong with the settings is said before a server is started that may take minutes.
    let client = Client::of(profile, &settings.endpoint, opening)?;
    server.start(&Transport::new(&client.transport)?, stop)?;
    let base_url = format!("{}/v1", server.url());
    Client { base_url, ..client }.find(settings.preset, Some(server))
}

/// How a server is talked to, before it was asked anything.
struct Client {
    base_url: String,
    model: Option<String>,
    transport: TransportOptions,
    extra: BTreeMap<String, serde_json::Value>,
    tokenizer: Tokenizer,
}

impl Client {
    fn of(profile: &Profile, endpoint: &Endpoint, opening: &Opening<'_>) -> Result<Self, TargetError> {
        let Opening { environment, root, .. } = *opening;
        let name = || profile.name.clone();
        let expand = |text: &str| {
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
        let base_url = match &profile.kind {
            // It has a port when it is started.
            ProfileKind::Managed(_) if url.contains(PORT) => url,
            _ => base_url(&url).ok_or_else(|| TargetError::Url { profile: name(), url: endpoint.url.clone() })?,
        };
        let mut headers = Vec::new();
        for (header, value) in &endpoint.headers {
            headers.push((header.clone(), expand(value)?));
        }
        let proxy = endpoint.proxy.as_deref().map(&expand).transpose()?;
        let model = endpoint.model.as_deref().map(&expand).transpose()?;
        let ca_cert = endpoint.ca_cert.as_deref().map(&expand).transpose()?;
        let tokenizer_path = endpoint.tokenizer.as_deref().map(&expand).transpose()?;
        if let Some(variable) = &endpoint.api_key_env {
            let key = environment
                .get(variable)
                .map(str::to_owned)
                .ok_or_else(|| TargetError::NoKey { profile: name(), variable: variable.clone() })?;
            headers.push(("authorization".into(), format!("Bearer {key}")));
        }
        let ca_cert = ca_cert.as_deref().map(read).transpose()?;
        let transport =
            TransportOptions { headers, ca_cert, proxy, in_process: opening.in_process, ..Default::default() };
        let tokenizer = match tokenizer_path {
            None => Tokenizer::bundled(),
            Some(path) => Tokenizer::from_json(&path, &read(&path)?)
                .map_err(|source| TargetError::Tokenizer { profile: name(), source })?,
        };
        Ok(Self { base_url, model, transport, extra: endpoint.extra.clone(), tokenizer })
    }

    /// Asks the server for what the profile does not say.
    fn find(self, preset: Preset, managed: Option<ManagedServer>) -> Result<Target, TargetError> {
        let client = Transport::new(&self.transport)?;
        let model = match self.model {
            Some(model) => model,
            None => probe::only_model(&client, &self.base_url, probe::keyed(&self.transport))?,
        };
        // A preset names the server; any other one may name itself in its list of models.
        let kind = match preset {
            Preset::Generic => {
                probe::owner(&client, &self.base_url).and_then(|owner| Preset::of_owner(&owner)).unwrap_or(preset)
            }
            known => known,
        };
        let place = kind.server().version;
        Ok(Target {
            server: (kind != Preset::Generic).then(|| kind.name().to_owned()),
            version: place.and_then(|place| probe::version(&client, &self.base_url, place)),
            base_url: self.base_url,
            model,
            transport: self.transport,
            extra: self.extra,
            tokenizer: self.tokenizer,
            preset,
            embedded: None,
            managed,
        })
    }
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

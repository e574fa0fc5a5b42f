//! Servers that the test target brings along, each on a thread and a runtime of its own for as long as the run.

use std::any::Any;
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use crate::environment::{Environment, is_variable_name};
use crate::profile::Embedded;
use crate::sim::{self, ServerOptions};

/// Starts servers for a run: what `servers = …` of [`main!`](crate::main) names.
///
/// It is called once, before the first profile is opened that can reach them, and never while tests are listed.
pub type StartServers = fn(&mut Servers) -> Result<(), Box<dyn Error + Send + Sync>>;

/// Servers in the test's own process, by the variables that profiles know them by.
///
/// A server that is added as `GATEWAY_URL` is what `url = "${GATEWAY_URL}"` of a profile means. If the environment (or
/// `.env`) has the variable and it is not empty, the server is up elsewhere and none is started.
///
/// Dropping stops all of them, the newest first.
#[derive(Debug)]
pub struct Servers {
    environment: Environment,
    seed: u64,
    urls: BTreeMap<String, String>,
    /// Kept to be dropped.
    running: Vec<Box<dyn Any + Send>>,
}

/// A thread that serves until it is told to stop.
#[derive(Debug)]
struct Served {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Servers {
    /// None yet. `environment` says which are up elsewhere; `seed` is that of simulated ones.
    pub(super) fn new(environment: Environment, seed: u64) -> Self {
        Self { environment, seed, urls: BTreeMap::new(), running: Vec::new() }
    }

    /// Serves on a free port of 127.0.0.1 until the run ends, and returns the URL, such as `http://127.0.0.1:4711`.
    ///
    /// `server` gets a listener in non-blocking mode and is polled on a single-threaded runtime of its own, with which
    /// it ends; a server that needs more threads starts them itself. When it ends by itself, requests to it fail, and
    /// the run's `log.txt` has its error.
    ///
    /// ```no_run
    /// # fn start(servers: &mut tokpace::harness::Servers) -> std::io::Result<()> {
    /// servers.serve("GATEWAY_URL", async |listener| {
    ///     let listener = tokio::net::TcpListener::from_std(listener)?;
    ///     axum::serve(listener, axum::Router::new()).await
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `variable` cannot be the name of a variable, or no port, runtime or thread can be had.
    pub fn serve<S, F, E>(&mut self, variable: &str, server: S) -> io::Result<String>
    where
        S: FnOnce(TcpListener) -> F + Send + 'static,
        F: Future<Output = Result<(), E>>,
        E: Display,
    {
        if let Some(url) = self.elsewhere(variable)? {
            return Ok(url);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let url = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let name = variable.to_owned();
        let serve = move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    ended = server(listener) => match ended {
                        Ok(()) => tracing::error!("the server of `{name}` ended"),
                        Err(error) => tracing::error!("the server of `{name}` ended: {error}"),
                    },
                }
            });
        };
        let thread = thread::Builder::new().name(format!("tokpace-{variable}")).spawn(serve)?;
        self.running.push(Box::new(Served { stop: Some(stop), thread: Some(thread) }));
        Ok(self.known(variable, url))
    }

    /// Starts a simulated LLM server, such as an upstream for a gateway, and returns its URL without `/v1`.
    ///
    /// # Errors
    /// If `variable` cannot be the name of a variable, or no port or thread can be had.
    pub fn simulate(&mut self, variable: &str, settings: Embedded) -> io::Result<String> {
        if let Some(url) = self.elsewhere(variable)? {
            return Ok(url);
        }
        let server = sim::Server::start(settings, ServerOptions { seed: self.seed, ..ServerOptions::default() })?;
        let url = format!("http://{}", server.addr());
        self.running.push(Box::new(server));
        Ok(self.known(variable, url))
    }

    fn elsewhere(&self, variable: &str) -> io::Result<Option<String>> {
        if !is_variable_name(variable) {
            let message = format!("`{variable}` is not the name of an environment variable");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let set = self.environment.get(variable).filter(|url| !url.is_empty());
        Ok(set.or(self.urls.get(variable).map(String::as_str)).map(str::to_owned))
    }

    fn known(&mut self, variable: &str, url: String) -> String {
        self.urls.insert(variable.to_owned(), url.clone());
        url
    }

    /// `environment` with the variables of the servers that were started.
    pub(super) fn environment(&self, environment: &Environment) -> Environment {
        environment.clone().with(self.urls.clone())
    }

    /// How many servers were started.
    pub(super) fn count(&self) -> u64 {
        self.running.len() as u64
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        // What is in front of another one does not outlive it.
        while let Some(server) = self.running.pop() {
            drop(server);
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A thread that is gone does not listen.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn servers(variables: &[(&str, &str)]) -> Servers {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Servers::new(Environment::new(variables, "").unwrap(), 1)
    }

    fn connect(url: &str) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap())?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(stream)
    }

    /// Says a word to everyone who connects.
    async fn greet(listener: TcpListener) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.writable().await?;
            stream.try_write(b"good day")?;
        }
    }

    #[test]
    fn a_server_is_up_until_the_run_ends() {
        let mut servers = servers(&[]);
        let url = servers.serve("GATEWAY_URL", greet).unwrap();
        let mut said = String::new();
        connect(&url).unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "good day");
        let environment = Environment::new([("OTHER".to_owned(), "x".to_owned())], "").unwrap();
        assert_eq!(servers.environment(&environment).expand("${GATEWAY_URL}/${OTHER}").unwrap(), format!("{url}/x"));
        drop(servers);
        assert!(connect(&url).is_err(), "it listens although the run has ended");
    }

    #[test]
    fn a_simulated_server_answers() {
        let mut servers = servers(&[]);
        let url = servers.simulate("UPSTREAM_URL", Embedded::default()).unwrap();
        let mut stream = connect(&url).unwrap();
        stream.write_all(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("tokpace-sim"), "{answer}");
        assert_eq!(servers.simulate("UPSTREAM_URL", Embedded::default()).unwrap(), url);
        assert_eq!(servers.count(), 1);
    }

    #[test]
    fn what_is_up_elsewhere_is_not_started() {
        let mut servers = servers(&[("GATEWAY_URL", "http://elsewhere")]);
        assert_eq!(servers.serve("GATEWAY_URL", greet).unwrap(), "http://elsewhere");
        assert_eq!(servers.simulate("GATEWAY_URL", Embedded::default()).unwrap(), "http://elsewhere");
        assert_eq!(servers.count(), 0);
    }

    #[test]
    fn an_empty_variable_is_none() {
        let variables = [("GATEWAY_URL", "")];
        let mut servers = servers(&variables);
        let url = servers.simulate("GATEWAY_URL", Embedded::default()).unwrap();
        let environment = Environment::new(variables.map(|(name, url)| (name.into(), url.into())), "").unwrap();
        assert_eq!(servers.environment(&environment).get("GATEWAY_URL"), Some(url.as_str()));
    }

    #[test]
    fn a_variable_has_the_name_of_one() {
        let error = servers(&[]).serve("gateway-url", greet).unwrap_err();
        assert_eq!(error.to_string(), "`gateway-url` is not the name of an environment variable");
    }
}

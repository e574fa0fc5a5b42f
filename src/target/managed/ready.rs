//! Waiting until a server is ready.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::process::Process;
use super::{Ended, ManagedError};
use crate::engine::{Transport, classify};

/// How often the server is asked.
const EVERY: Duration = Duration::from_millis(100);

/// How long one answer may take: a server that loads a model may accept a connection long before it answers.
const ANSWER: Duration = Duration::from_secs(10);

/// Why the wait was in vain.
pub(super) enum NotReady {
    Ended(Ended),
    Interrupted,
    /// What the last question was answered with.
    TooLate(String),
}

/// What shows that a server is ready.
pub(super) enum Question {
    /// This URL answers with a status of 200 to 299.
    Answers(String),
    /// This port takes a connection.
    Listens(u16),
}

impl Question {
    /// Asks once; the error says why it is not ready.
    async fn ask(&self, client: &Transport) -> Result<(), String> {
        match self {
            Self::Answers(url) => match client.client.get(url).timeout(ANSWER).send().await {
                Ok(answer) if answer.status().is_success() => Ok(()),
                Ok(answer) => Err(format!("it answered with status {}", answer.status().as_u16())),
                Err(error) => Err(classify(&error).1),
            },
            Self::Listens(port) => {
                let connecting = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, *port));
                connecting.await.map(drop).map_err(|error| format!("failed to connect: {error}"))
            }
        }
    }
}

/// Waits until the answer to `question` is yes.
pub(super) fn wait(
    client: &Transport,
    question: &Question,
    limit: Duration,
    process: &Process,
    stop: &AtomicBool,
) -> Result<(), NotReady> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| NotReady::TooLate(format!("failed to start a runtime: {error}")))?;
    let deadline = Instant::now() + limit;
    let mut last = String::from("it was not asked");
    loop {
        let answer = async {
            let request = question.ask(client);
            // The wait for an answer must not hide that the server has ended.
            let watch = async {
                while process.ended(Duration::ZERO).is_none()
                    && !stop.load(Ordering::Relaxed)
                    && Instant::now() < deadline
                {
                    tokio::time::sleep(EVERY / 2).await;
                }
            };
            tokio::select! {
                answer = request => Some(answer),
                () = watch => None,
            }
        };
        match runtime.block_on(answer) {
            Some(Ok(())) => return Ok(()),
            Some(Err(reason)) => last = reason,
            None => {}
        }
        if let Some(ended) = process.ended(EVERY) {
            return Err(NotReady::Ended(ended));
        }
        if stop.load(Ordering::Relaxed) {
            return Err(NotReady::Interrupted);
        }
        if Instant::now() >= deadline {
            return Err(NotReady::TooLate(last));
        }
    }
}

/// The port that the profile names, or a free one. Nobody may listen there.
pub(super) fn port(wanted: Option<u16>) -> Result<u16, ManagedError> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Some(port) = wanted else {
        let listener = TcpListener::bind(at(0)).map_err(ManagedError::NoPort)?;
        return Ok(listener.local_addr().map_err(ManagedError::NoPort)?.port());
    };
    // Who listens on all addresses does not keep others from one of them everywhere, but answers on it.
    let answers = TcpStream::connect_timeout(&at(port), Duration::from_secs(1)).is_ok();
    let taken = TcpListener::bind(at(port)).is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse);
    if answers || taken { Err(ManagedError::Taken(port)) } else { Ok(port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = listener.local_addr().unwrap().port();
        assert!(matches!(port(Some(taken)), Err(ManagedError::Taken(found)) if found == taken));
        assert_ne!(port(None).unwrap(), taken);
        drop(listener);
        assert_eq!(port(Some(taken)).unwrap(), taken);
    }
}

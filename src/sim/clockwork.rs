//! A server whose every token has a deadline of its own, to hold a client's stopwatch against.
//!
//! The simulated server emits the tokens of a step together, as real ones do; whoever reads them one after the other
//! reads all but one of them late. Here each answer runs on its own clock, one thread keeps all deadlines and writes the
//! tokens itself, and it notes when.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::journal::Departures;
use crate::pacer;

/// When the tokens of an answer are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beat {
    /// From the end of the request to the first token.
    pub first: Duration,
    /// From each token to the next.
    pub next: Duration,
    /// Tokens of an answer; at least 1.
    pub tokens: u32,
}

/// A running server of `OpenAI` chat streams that all look alike. Dropping it stops it.
#[derive(Debug)]
pub struct Clockwork {
    addr: SocketAddr,
    departures: Arc<Mutex<Vec<Departures>>>,
    stop: Option<oneshot::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// A request that has been read, and the connection that waits for its answer.
struct Answer {
    departures: Departures,
    stream: std::net::TcpStream,
    /// Tokens left to write.
    left: u32,
}

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Longest request that is read.
const LONGEST: usize = 64 << 10;

impl Clockwork {
    /// Starts the server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// If no port or thread is to be had.
    pub fn start(beat: Beat) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let (stop, stopped) = oneshot::channel();
        let (answers, inbox) = mpsc::channel();
        let departures = Arc::new(Mutex::new(Vec::new()));
        let mut server = Self { addr, departures: Arc::clone(&departures), stop: Some(stop), threads: Vec::new() };
        let write = move || Writer { beat, inbox, departures, open: HashMap::new(), due: BinaryHeap::new() }.run();
        let read = move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = accept(listener, answers) => {}
                }
            });
        };
        // The reading thread last: the writing one ends when nobody can send it anything any more.
        server.threads.push(thread::Builder::new().name("tokpace-clock-write".into()).spawn(write)?);
        server.threads.push(thread::Builder::new().name("tokpace-clock-read".into()).spawn(read)?);
        Ok(server)
    }

    /// The URL that an `OpenAI` client takes: `http://127.0.0.1:4711/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Takes the record of the answers that have ended.
    pub fn take_departures(&self) -> Vec<Departures> {
        std::mem::take(&mut *self.departures.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A thread that is gone does not listen.
            let _ = stop.send(());
        }
        // With the reading thread goes what keeps the writing one waiting.
        for thread in self.threads.drain(..).rev() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, answers: Sender<Answer>) {
    while let Ok((stream, _)) = listener.accept().await {
        let answers = answers.clone();
        tokio::spawn(async move {
            if let Err(error) = serve(stream, &answers).await {
                tracing::debug!("a connection to the clockwork server ended: {error}");
            }
        });
    }
}

/// Reads the requests of a connection and hands each to the writing thread, with a handle of the connection.
async fn serve(stream: TcpStream, answers: &Sender<Answer>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let mut writer = stream.try_clone()?;
    let reader = TcpStream::from_std(stream)?;
    let mut buffer = Vec::new();
    while let Some(request_id) = request(&reader, &mut buffer).await? {
        let received = Instant::now();
        // A socket takes so few bytes at once.
        writer.write_all(HEAD)?;
        let departures = Departures { request_id, received, tokens: Vec::new() };
        if answers.send(Answer { departures, stream: writer.try_clone()?, left: 0 }).is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads one request to its end: its `x-request-id`, or `None` at the end of the connection.
async fn request(reader: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some((request_id, length)) = complete(buffer) {
            buffer.drain(..length);
            return Ok(Some(request_id));
        }
        if buffer.len() > LONGEST {
            return Err(io::Error::other("a request of more than 64 KiB"));
        }
        reader.readable().await?;
        let mut part = [0; 4096];
        match reader.try_read(&mut part) {
            Ok(0) => return Ok(None),
            Ok(length) => buffer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// The `x-request-id` and the length of the request that `bytes` begin with, if all of it is there.
fn complete(bytes: &[u8]) -> Option<(String, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let lines = String::from_utf8_lossy(&bytes[..head]);
    let header = |wanted: &str| {
        lines.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let body: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let length = (head + 4).checked_add(body)?;
    (bytes.len() >= length).then(|| (header("x-request-id").unwrap_or_default(), length))
}

/// The thread that keeps the deadlines.
struct Writer {
    beat: Beat,
    inbox: Receiver<Answer>,
    departures: Arc<Mutex<Vec<Departures>>>,
    open: HashMap<u64, Answer>,
    due: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Writer {
    /// Works until nobody can send answers any more.
    fn run(mut self) {
        let mut answers = 0;
        loop {
            let next = self.due.peek().map(|Reverse((due, _))| *due);
            let left = next.map(|due| due.saturating_duration_since(Instant::now()));
            let answer = match left {
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(left) if left > pacer::SPIN => self.inbox.recv_timeout(left.saturating_sub(pacer::SPIN)),
                Some(Duration::ZERO) => {
                    self.token();
                    continue;
                }
                // Being late does no harm here, since it is recorded. Keeping a core from the client would.
                Some(_) => {
                    thread::yield_now();
                    continue;
                }
            };
            match answer {
                Ok(answer) => {
                    let first = answer.departures.received + self.beat.first;
                    self.due.push(Reverse((first, answers)));
                    self.open.insert(answers, Answer { left: self.beat.tokens.max(1), ..answer });
                    answers += 1;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Writes the token that is due.
    fn token(&mut self) {
        let Some(Reverse((due, number))) = self.due.pop() else { return };
        let Some(answer) = self.open.get_mut(&number) else { return };
        answer.left -= 1;
        let last = answer.left == 0;
        let text = chunks(last.then_some(self.beat.tokens));
        answer.departures.tokens.push(Instant::now());
        // A socket takes so few bytes at once, or its client has gone.
        let written = answer.stream.write_all(text.as_bytes());
        if last || written.is_err() {
            if let Some(answer) = self.open.remove(&number) {
                self.departures.lock().unwrap_or_else(PoisonError::into_inner).push(answer.departures);
            }
        } else {
            self.due.push(Reverse((due + self.beat.next, number)));
        }
    }
}

/// A token as it goes over the wire; with the last one also the end of an answer of so many.
fn chunks(end: Option<u32>) -> String {
    let event = |data: &str| {
        let event = format!("data: {data}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    };
    let choice = |choice: &str, usage: &str| {
        event(&format!(r#"{{"id":"0","object":"chat.completion.chunk","choices":[{choice}]{usage}}}"#))
    };
    let token = choice(r#"{"index":0,"delta":{"content":" tick"}}"#, "");
    let Some(tokens) = end else { return token };
    let reason = choice(r#"{"index":0,"delta":{},"finish_reason":"length"}"#, "");
    let usage = choice("", &format!(r#","usage":{{"prompt_tokens":1,"completion_tokens":{tokens}}}"#));
    format!("{token}{reason}{usage}{}0\r\n\r\n", event("[DONE]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_complete_with_its_body() {
        let text = b"POST / HTTP/1.1\r\nX-Request-Id: a-1\r\ncontent-length: 3\r\n\r\nabcPOST";
        assert_eq!(complete(text), Some(("a-1".to_owned(), text.len() - 4)));
        assert_eq!(complete(&text[..text.len() - 5]), None);
        assert_eq!(complete(b"GET / HTTP/1.1\r\n\r\n"), Some((String::new(), 18)));
        // A length that no memory has.
        let long = format!("POST / HTTP/1.1\r\ncontent-length: {}\r\n\r\n", u64::MAX);
        assert_eq!(complete(long.as_bytes()), None);
    }

    #[test]
    fn tokens_are_never_early() {
        let beat = Beat { first: Duration::from_millis(3), next: Duration::from_millis(2), tokens: 4 };
        let server = Clockwork::start(beat).unwrap();
        let mut stream = std::net::TcpStream::connect(server.addr).unwrap();
        stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nx-request-id: one\r\n\r\n").unwrap();
        let give_up = Instant::now() + Duration::from_secs(10);
        let mut all = Vec::new();
        while all.is_empty() && Instant::now() < give_up {
            all = server.take_departures();
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((all.len(), all[0].request_id.as_str(), all[0].tokens.len()), (1, "one", 4));
        for (k, token) in (0..).zip(&all[0].tokens) {
            assert!(*token - all[0].received >= beat.first + beat.next * k);
        }
    }
}

//! A server that does nothing but send tokens, so that it is never what a client waits for.
//!
//! Each answer is a chunked stream, a chunk an event an answer token, in the form of a chat completion. With
//! `?gap_us=N` tokens leave at absolute times, each on its own, by a thread that spins the last stretch; without a gap
//! as many leave in one write as the socket takes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read};
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokpace::pacer;

use crate::Outcome;

/// Tokens in one write of an answer without a gap.
const BLOCK: u32 = 64;

/// A token's event as one chunk of the transfer; all have the same length.
static TOKEN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    event("{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}", "null")
});
static TOKENS: LazyLock<Vec<u8>> = LazyLock::new(|| TOKEN.repeat(BLOCK as usize));

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

fn event(choice: &str, usage: &str) -> Vec<u8> {
    chunk(&format!(
        "data: {{\"id\":\"chatcmpl-bench-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\
         \"model\":\"bench\",\"choices\":[{choice}],\"usage\":{usage}}}\n\n"
    ))
}

fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

fn first() -> Vec<u8> {
    let role =
        "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}";
    [HEAD, &event(role, "null")].concat()
}

fn last(tokens: u32) -> Vec<u8> {
    let end = event("{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}", "null");
    let usage = event("", &format!("{{\"prompt_tokens\":8,\"completion_tokens\":{tokens}}}"));
    [end, usage, chunk("data: [DONE]\n\n"), chunk("")].concat()
}

/// Prints the port and serves until standard input ends.
pub(crate) fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _inside = runtime.enter();
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        socket.listen(16_384)?
    };
    println!("{}", listener.local_addr()?.port());
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        #[expect(clippy::exit, reason = "whoever started the server is gone or done, and there is nothing to tidy up")]
        std::process::exit(0);
    });
    let (to_pacer, paced) = channel();
    std::thread::spawn(move || Pacer::default().run(&paced));
    runtime.block_on(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let to_pacer = to_pacer.clone();
            // A client that breaks off ends its connection and nothing else.
            tokio::spawn(async move { answer_all(Arc::new(stream), to_pacer).await });
        }
    })
}

/// Answers the requests of a connection.
async fn answer_all(stream: Arc<TcpStream>, to_pacer: Sender<Paced>) -> std::io::Result<()> {
    let mut received = Vec::new();
    while let Some(request) = next_request(&stream, &mut received).await? {
        if request.tokens == 0 {
            write(&stream, b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await?;
            continue;
        }
        write(&stream, &first()).await?;
        if request.gap.is_zero() {
            let mut left = request.tokens;
            while left > 0 {
                let now = left.min(BLOCK);
                write(&stream, &TOKENS[..TOKEN.len() * now as usize]).await?;
                left -= now;
            }
            write(&stream, &last(request.tokens)).await?;
        } else {
            let (done, ended) = oneshot::channel();
            let paced = Paced { stream: stream.clone(), tokens: request.tokens, sent: 0, gap: request.gap, done };
            if to_pacer.send(paced).is_err() || ended.await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

struct Request {
    /// Of the answer; 0 if something else than a completion is asked for.
    tokens: u32,
    gap: Duration,
}

/// Takes the next request from what a connection has received; `None` at its end.
async fn next_request(stream: &TcpStream, received: &mut Vec<u8>) -> std::io::Result<Option<Request>> {
    loop {
        if let Some((request, length)) = parse(received) {
            received.drain(..length);
            return Ok(Some(request));
        }
        stream.readable().await?;
        match stream.try_read_buf(received) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// A whole request at the beginning of `received`, and its length.
fn parse(received: &[u8]) -> Option<(Request, usize)> {
    let text = std::str::from_utf8(received).ok()?;
    let head = text.find("\r\n\r\n")? + 4;
    let length = after(&text[..head], "content-length: ").unwrap_or(0) as usize;
    let body = text.get(head..head + length)?;
    let gap = after(&text[..head], "gap_us=").unwrap_or(0);
    let tokens = after(body, "\"max_tokens\":").unwrap_or(0) as u32;
    Some((Request { tokens, gap: Duration::from_micros(gap) }, head + length))
}

/// The number that follows `mark`.
fn after(text: &str, mark: &str) -> Option<u64> {
    let rest = &text[text.find(mark)? + mark.len()..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

/// An answer whose tokens leave at absolute times.
struct Paced {
    stream: Arc<TcpStream>,
    tokens: u32,
    sent: u32,
    gap: Duration,
    done: oneshot::Sender<()>,
}

/// When the next token of an answer leaves, and the answer's place.
type Due = Reverse<(Instant, usize)>;

#[derive(Default)]
struct Pacer {
    due: BinaryHeap<Due>,
    answers: Vec<Option<Paced>>,
    free: Vec<usize>,
    begun: u64,
}

impl Pacer {
    fn run(mut self, new: &Receiver<Paced>) {
        loop {
            let wait =
                self.due.peek().map_or(Duration::from_secs(1), |due| due.0.0.saturating_duration_since(Instant::now()));
            if wait > pacer::SPIN {
                match new.recv_timeout(wait.saturating_sub(pacer::SPIN)) {
                    Ok(answer) => self.begin(answer),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else if let Ok(answer) = new.try_recv() {
                self.begin(answer);
            } else if wait.is_zero() {
                self.send();
            } else {
                pacer::spin();
            }
        }
    }

    fn begin(&mut self, answer: Paced) {
        // The golden ratio spreads the streams over the gap, however many they are: no two leave together by design.
        self.begun += 1;
        let phase = (self.begun as f64 * 0.618_033_988_749_895).fract();
        let at = Instant::now() + answer.gap.mul_f64(phase);
        let place = self.free.pop().unwrap_or(self.answers.len());
        if place == self.answers.len() {
            self.answers.push(None);
        }
        self.answers[place] = Some(answer);
        self.due.push(Reverse((at, place)));
    }

    /// Sends the token that is due.
    fn send(&mut self) {
        let Some(Reverse((at, place))) = self.due.pop() else { return };
        let Some(answer) = &mut self.answers[place] else { return };
        answer.sent += 1;
        let ends = answer.sent == answer.tokens;
        // A socket buffer that is full of tokens has no reader: the answer breaks off.
        let sent = match answer.stream.try_write(&TOKEN) {
            Ok(written) => written == TOKEN.len(),
            Err(_) => false,
        };
        if sent && !ends {
            self.due.push(Reverse((at + answer.gap, place)));
            return;
        }
        let answer = self.answers[place].take();
        self.free.push(place);
        if let Some(answer) = answer.filter(|_| sent)
            && answer.stream.try_write(&last(answer.tokens)).is_ok()
        {
            // The connection may be gone already.
            let _ = answer.done.send(());
        }
    }
}

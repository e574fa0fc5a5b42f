//! A server that says exactly what it is told, byte for byte and pause for pause, and a client that asks it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokpace::engine::{Engine, Outgoing, Round, TransportOptions};
use tokpace::plan::Pacing;
use tokpace::record::RequestRecord;
use tokpace::tokens::Tokenizer;
use tokpace::wire::{Protocol, openai_chat};

use super::{measuring, serve};

/// Answer tokens that a request asks for.
pub(crate) const TOKENS: u32 = 8;

/// What the server does next.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Hands these bytes to the network at once.
    Say(Vec<u8>),
    /// Waits so many milliseconds.
    Wait(u64),
    /// Says these bytes again and again, with so many milliseconds between, until the client has gone.
    Repeat(Vec<u8>, u64),
    /// Closes the connection.
    Close,
}

/// `text` in one piece.
pub(crate) fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

/// `text` byte by byte, a millisecond each.
pub(crate) fn trickle(text: impl AsRef<[u8]>) -> Vec<Step> {
    text.as_ref().iter().flat_map(|byte| [say([*byte]), Step::Wait(1)]).collect()
}

/// A server that plays `steps` for every request, and how many requests it has had.
pub(crate) fn scripted(steps: Vec<Step>) -> (SocketAddr, Arc<AtomicUsize>) {
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    let address = serve(move |_, stream| {
        count.fetch_add(1, Ordering::Relaxed);
        stream.set_nodelay(true).unwrap();
        for step in &steps {
            // A client that has gone hears nothing.
            let gone = match step {
                Step::Say(bytes) => stream.write_all(bytes).is_err(),
                Step::Wait(millis) => {
                    std::thread::sleep(Duration::from_millis(*millis));
                    false
                }
                Step::Repeat(bytes, millis) => {
                    while stream.write_all(bytes).is_ok() {
                        std::thread::sleep(Duration::from_millis(*millis));
                    }
                    true
                }
                Step::Close => stream.shutdown(Shutdown::Both).is_err(),
            };
            if gone {
                break;
            }
        }
    });
    (address, requests)
}

/// `count` requests of one user to `address`, each given up after `timeout` or `no_progress`.
pub(crate) fn round(address: SocketAddr, count: u32, timeout: Duration, no_progress: Duration) -> Round {
    let body = openai_chat::body("tokpace-sim", None, "and the garden", TOKENS, true, &BTreeMap::new());
    let requests = (0..count).map(|index| Outgoing {
        index,
        user: 0,
        at: 0,
        max_tokens: TOKENS,
        input_tokens: 3,
        request_id: format!("fault-{index}"),
        body: body.clone().into(),
        cancel: None,
    });
    Round {
        url: format!("http://{address}/v1{}", openai_chat::PATH),
        protocol: Protocol::OpenaiChat,
        pacing: Pacing::Closed { users: 1, ramp_up: 0 },
        duration: None,
        timeout,
        no_progress,
        requests: requests.collect(),
    }
}

/// Sends a round by an engine of its own.
pub(crate) fn run(round: Round) -> Vec<RequestRecord> {
    let _alone = measuring();
    let mut engine = Engine::start(1, &TransportOptions::default()).unwrap();
    let recording = engine.run(round, &AtomicBool::new(false)).unwrap();
    assert!(!recording.interrupted);
    recording.requests.iter().map(|raw| openai_chat::interpret(raw, &Tokenizer::bundled())).collect()
}

/// One request that may take long.
pub(crate) fn ask(address: SocketAddr) -> RequestRecord {
    run(round(address, 1, Duration::from_secs(20), Duration::from_secs(10))).remove(0)
}

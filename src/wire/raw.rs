//! The hand-over from the engine: the bytes of an answer with their stamps, not yet interpreted.

use crate::record::Failure;
use crate::units::Nanos;

/// One request as the engine saw it. Times are nanoseconds since the trial's epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct RawRequest {
    /// Position in the plan.
    pub index: u32,
    /// The user that sent it.
    pub user: u32,
    /// Answer tokens that were asked for.
    pub max_tokens: u32,
    /// Prompt tokens by the plan's tokenizer, for servers that do not say.
    pub planned_input_tokens: u32,
    /// Sent as `x-request-id`.
    pub request_id: String,
    /// When the plan wanted it to start.
    pub scheduled: Nanos,
    /// When the client began to write it.
    pub sent: Nanos,
    /// When the response's head was read.
    pub headers: Option<Nanos>,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// Whether the answer's content type is `text/event-stream`.
    pub event_stream: bool,
    /// The network reads of the body, in order; together they cover `bytes`.
    pub reads: Vec<Read>,
    /// The body. Behind that of a gRPC answer comes the status of the call, in the form of gRPC-Web: a frame marked 0x80.
    pub bytes: Vec<u8>,
    /// When the body ended or was given up.
    pub closed: Nanos,
    /// Time to open the connection; `None` when a pooled one was used.
    pub connect: Option<Nanos>,
    /// How often it was sent again because the server had closed the pooled connection.
    pub resent: u32,
    /// The client was to close the connection on purpose.
    pub to_cancel: bool,
    /// It did so before the answer had ended.
    pub cancelled: bool,
    /// What went wrong below the protocol: `connect`, `tls`, `timeout`, `no_progress`, `truncated` for a body that broke
    /// off, or `parse` for one that is compressed or takes too much memory.
    pub failure: Option<Failure>,
}

/// One network read of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// When it returned.
    pub at: Nanos,
    /// Length of the body up to and with it, in bytes.
    pub end: u32,
}

impl RawRequest {
    /// Each read's bytes with its stamp. Ends that do not fit the body are brought into it.
    pub(super) fn parts(&self) -> impl Iterator<Item = (Nanos, &[u8])> {
        let mut from = 0;
        self.reads.iter().map(move |read| {
            let to = (read.end as usize).clamp(from, self.bytes.len());
            let part = &self.bytes[from..to];
            from = to;
            (read.at, part)
        })
    }
}

//! What goes over the wire: request bodies, and the bytes of an answer read into a record.

mod body;
mod counts;
mod decode;
#[cfg(test)]
mod framing;
pub mod openai_chat;
mod raw;
mod sse;
mod token_chunk;

pub use decode::Progress;
pub(crate) use decode::status_message;
pub use raw::{RawRequest, Read};
pub use sse::{SseError, SseEvent, SseParser};

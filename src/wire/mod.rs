//! What goes over the wire: request bodies, and the bytes of an answer read into a record.

mod body;
mod counts;
mod decode;
#[cfg(test)]
mod framing;
#[cfg(feature = "grpc")]
pub(crate) mod grpc;
mod lightllm;
pub mod openai_chat;
mod openai_completions;
mod openai_embeddings;
#[cfg(feature = "grpc")]
mod ppl;
#[cfg(feature = "grpc")]
pub(crate) mod ppl_messages;
mod prompt_list;
mod protocol;
mod raw;
mod sse;
mod template;
mod tgi;
mod token_chunk;

pub use decode::Progress;
pub(crate) use decode::status_message;
pub use prompt_list::Listed;
pub use protocol::{Ask, Protocol};
pub use raw::{RawRequest, Read};
pub use sse::{SseError, SseEvent, SseParser};

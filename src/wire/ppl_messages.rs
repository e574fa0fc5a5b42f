//! The messages of PPL.LLM's service, package `ppl.llm.proto`. `docs/ppl.proto` has them for other clients and servers.

use prost::{Enumeration, Message};

/// Where requests go.
pub(crate) const PATH: &str = "/ppl.llm.proto.LLMService/Generation";

/// Tokens by their numbers.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tokens {
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) ids: Vec<u32>,
}

/// When an answer ends.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct StoppingCriteriaParameters {
    #[prost(uint32, tag = "1")]
    pub(crate) max_new_tokens: u32,
    #[prost(message, optional, tag = "2")]
    pub(crate) stop_tokens: Option<Tokens>,
    #[prost(bool, tag = "3")]
    pub(crate) ignore_eos_token: bool,
}

/// A prompt, as a text or as tokens.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Request {
    /// The client's own number for it.
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(float, tag = "2")]
    pub(crate) temperature: f32,
    #[prost(string, tag = "3")]
    pub(crate) prompt: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) tokens: Option<Tokens>,
    #[prost(message, optional, tag = "5")]
    pub(crate) stopping_parameters: Option<StoppingCriteriaParameters>,
}

/// What a call asks.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchedRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) req: Vec<Request>,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Enumeration)]
#[repr(i32)]
pub(crate) enum Status {
    Processing = 0,
    Finished = 1,
    Failed = 2,
}

/// A piece of an answer.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Response {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
    /// That of the request.
    #[prost(uint64, tag = "2")]
    pub(crate) id: u64,
    #[prost(string, tag = "3")]
    pub(crate) generated: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) tokens: Option<Tokens>,
}

/// Pieces of answers to requests of one call.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BatchedResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) rsp: Vec<Response>,
}

//! What is spoken with a server: where a request goes, what it holds, and how its answer is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::Progress;
use super::prompt_list::{self, Listed};
use super::raw::RawRequest;
#[cfg(feature = "grpc")]
use super::{grpc, ppl, ppl_messages};
use super::{lightllm, openai_chat, openai_completions, openai_embeddings, tgi};
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// Protocols of inference servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(all(feature = "schema", not(feature = "grpc")), schemars(transform = super::protocol::with_ppl))]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// `POST /v1/chat/completions`.
    #[default]
    OpenaiChat,
    /// `POST /v1/completions`.
    OpenaiCompletions,
    /// `POST /v1/embeddings`.
    OpenaiEmbeddings,
    /// lightllm's `POST /generate_stream`.
    Lightllm,
    /// TGI's `POST /generate_stream`.
    Tgi,
    /// PPL.LLM's gRPC service. With feature `grpc`.
    #[cfg(feature = "grpc")]
    Ppl,
}

/// Schemas are the same whatever this build can do: editors do not know which it is.
#[cfg(all(feature = "schema", not(feature = "grpc")))]
fn with_ppl(schema: &mut schemars::Schema) {
    let ppl = serde_json::json!({
        "const": "ppl",
        "description": "PPL.LLM's gRPC service. With feature `grpc`.",
        "type": "string",
    });
    if let Some(Value::Array(protocols)) = schema.get_mut("oneOf") {
        protocols.push(ppl);
    }
}

/// What is asked, whatever is spoken.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The model, for protocols that name it.
    pub model: &'a str,
    /// System message.
    pub system: Option<&'a str>,
    /// The prompt.
    pub user: &'a str,
    /// Answer tokens.
    pub max_tokens: u32,
    /// Whether the answer is to come as a stream.
    pub stream: bool,
    /// The user's own fields. They come last: objects are merged field by field, other values replace what is there.
    pub extra: &'a BTreeMap<String, Value>,
}

impl<'a> Ask<'a> {
    /// System message and prompt as one text, for protocols without messages.
    pub(super) fn text(&self) -> Cow<'a, str> {
        match self.system {
            Some(system) => format!("{system} {}", self.user).into(),
            None => self.user.into(),
        }
    }
}

impl Protocol {
    /// The name used in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai-chat",
            Self::OpenaiCompletions => "openai-completions",
            Self::OpenaiEmbeddings => "openai-embeddings",
            Self::Lightllm => "lightllm",
            Self::Tgi => "tgi",
            #[cfg(feature = "grpc")]
            Self::Ppl => "ppl",
        }
    }

    /// Whether it is spoken over gRPC: with HTTP/2 only, always in streams, and with a status behind each answer.
    pub const fn is_grpc(self) -> bool {
        match self {
            #[cfg(feature = "grpc")]
            Self::Ppl => true,
            _ => false,
        }
    }

    /// What the content type of a request is.
    pub const fn content_type(self) -> &'static str {
        match self {
            #[cfg(feature = "grpc")]
            Self::Ppl => grpc::CONTENT_TYPE,
            _ => "application/json",
        }
    }

    /// Whether answers have tokens, which can be streamed and timed. Embeddings have none.
    pub const fn has_tokens(self) -> bool {
        !matches!(self, Self::OpenaiEmbeddings)
    }

    /// Where requests go: behind the version of a base URL, or behind the server's own address if there is none in this
    /// protocol.
    pub const fn path(self, stream: bool) -> &'static str {
        match self {
            Self::OpenaiChat => openai_chat::PATH,
            Self::OpenaiCompletions => openai_completions::PATH,
            Self::OpenaiEmbeddings => openai_embeddings::PATH,
            Self::Lightllm | Self::Tgi if stream => "/generate_stream",
            Self::Lightllm | Self::Tgi => "/generate",
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl_messages::PATH,
        }
    }

    /// The URL of requests to the server at `base_url`, which ends in a version (`http://127.0.0.1:8000/v1`).
    pub fn url(self, base_url: &str, stream: bool) -> String {
        let before = match self {
            Self::OpenaiChat | Self::OpenaiCompletions | Self::OpenaiEmbeddings => base_url,
            _ => base_url.rsplit_once('/').map_or(base_url, |(root, _)| root),
        };
        format!("{before}{}", self.path(stream))
    }

    /// A request's body.
    pub fn body(self, ask: &Ask<'_>) -> Vec<u8> {
        match self {
            Self::OpenaiChat => {
                openai_chat::body(ask.model, ask.system, ask.user, ask.max_tokens, ask.stream, ask.extra)
            }
            Self::OpenaiCompletions => openai_completions::body(ask),
            Self::OpenaiEmbeddings => openai_embeddings::body(ask),
            Self::Lightllm => lightllm::body(ask),
            Self::Tgi => tgi::body(ask),
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl::body(std::slice::from_ref(ask)),
        }
    }

    /// Why a request cannot hold the user's own fields, if it cannot.
    pub fn misfit(self, extra: &BTreeMap<String, Value>) -> Option<String> {
        match self {
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl::misfit(extra),
            // JSON has room for everything.
            _ => {
                let _ = extra;
                None
            }
        }
    }

    /// What of an answer's head or trailers belongs to the answer, as its last bytes; `value` gives those of a name.
    pub(crate) fn status_bytes<'h>(self, value: impl Fn(&str) -> Option<&'h [u8]>) -> Option<Vec<u8>> {
        match self {
            #[cfg(feature = "grpc")]
            Self::Ppl => grpc::trailers(value),
            // The body of every other answer has all of it.
            _ => {
                let _ = value;
                None
            }
        }
    }

    /// Reads an answer, streamed or not, into a record.
    ///
    /// Whether it was streamed is taken from the answer itself: a JSON body in place of a stream is readable, as one
    /// chunk at [`RawRequest::closed`], and marked by [`RequestRecord::streamed`]. What is wrong with the answer becomes
    /// [`RequestRecord::failure`]; the chunks read before it are kept.
    pub fn interpret(self, raw: &RawRequest, tokenizer: &Tokenizer) -> RequestRecord {
        match self {
            Self::OpenaiChat => openai_chat::interpret(raw, tokenizer),
            Self::OpenaiCompletions => openai_completions::interpret(raw, tokenizer),
            Self::OpenaiEmbeddings => openai_embeddings::interpret(raw, tokenizer),
            Self::Lightllm => lightllm::interpret(raw, tokenizer),
            Self::Tgi => tgi::interpret(raw, tokenizer),
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl::interpret(raw, tokenizer),
        }
    }

    /// Whether a request can hold several prompts that are answered each by itself.
    pub const fn has_lists(self) -> bool {
        self.is_grpc() || matches!(self, Self::OpenaiCompletions)
    }

    /// Whether the prompts of a list may be asked for answers of different lengths.
    pub const fn lists_have_lengths(self) -> bool {
        self.is_grpc()
    }

    /// The body of one request with several prompts, where the protocol has such; `asks` differ in their texts, and in
    /// their lengths only if [`Self::lists_have_lengths`].
    pub fn list_body(self, asks: &[Ask<'_>]) -> Vec<u8> {
        match self {
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl::body(asks),
            _ => openai_completions::list_body(asks),
        }
    }

    /// Reads the answer to a list of prompts into a record for each.
    ///
    /// Counts that the server gives for the whole list are shared out as the plan's tokens are. What befalls the request
    /// befalls every prompt.
    pub fn interpret_list(self, raw: &RawRequest, prompts: &[Listed], tokenizer: &Tokenizer) -> Vec<RequestRecord> {
        match self {
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl::interpret_list(raw, prompts, tokenizer),
            _ => prompt_list::split(raw, prompts).iter().map(|raw| self.interpret(raw, tokenizer)).collect(),
        }
    }

    /// Counts the tokens of a streamed answer while it comes.
    pub fn progress(self) -> Progress {
        match self {
            Self::OpenaiChat | Self::OpenaiEmbeddings => openai_chat::progress(),
            Self::OpenaiCompletions => openai_completions::progress(),
            Self::Lightllm => lightllm::progress(),
            Self::Tgi => tgi::progress(),
            #[cfg(feature = "grpc")]
            Self::Ppl => ppl::progress(),
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_files() {
        for protocol in [
            Protocol::OpenaiChat,
            Protocol::OpenaiCompletions,
            Protocol::OpenaiEmbeddings,
            Protocol::Lightllm,
            Protocol::Tgi,
            #[cfg(feature = "grpc")]
            Protocol::Ppl,
        ] {
            assert_eq!(serde_json::to_value(protocol).unwrap(), protocol.name());
        }
    }

    #[test]
    fn only_some_protocols_have_a_version_in_their_path() {
        let base = "http://h:1/api/v1";
        assert_eq!(Protocol::OpenaiChat.url(base, true), "http://h:1/api/v1/chat/completions");
        assert_eq!(Protocol::OpenaiCompletions.url(base, false), "http://h:1/api/v1/completions");
        assert_eq!(Protocol::OpenaiEmbeddings.url(base, false), "http://h:1/api/v1/embeddings");
        assert_eq!(Protocol::Lightllm.url(base, true), "http://h:1/api/generate_stream");
        assert_eq!(Protocol::Tgi.url(base, false), "http://h:1/api/generate");
        #[cfg(feature = "grpc")]
        assert_eq!(Protocol::Ppl.url("http://h:1/v1", true), "http://h:1/ppl.llm.proto.LLMService/Generation");
    }

    #[test]
    fn a_system_message_goes_before_a_prompt() {
        let extra = BTreeMap::new();
        let ask = Ask { model: "m", system: Some("one"), user: "two", max_tokens: 1, stream: true, extra: &extra };
        assert_eq!(ask.text(), "one two");
        assert_eq!(Ask { system: None, ..ask }.text(), "two");
    }
}

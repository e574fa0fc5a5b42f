//! What is spoken with a server: where a request goes, what it holds, and how its answer is read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::Progress;
use super::prompt_list::{self, Listed};
use super::raw::RawRequest;
use super::{lightllm, openai_chat, openai_completions, openai_embeddings, tgi};
use crate::record::RequestRecord;
use crate::tokens::Tokenizer;

/// Protocols of inference servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
        }
    }

    /// The URL of requests to the server at `base_url`, which ends in a version (`http://127.0.0.1:8000/v1`).
    pub fn url(self, base_url: &str, stream: bool) -> String {
        let before = match self {
            Self::OpenaiChat | Self::OpenaiCompletions | Self::OpenaiEmbeddings => base_url,
            Self::Lightllm | Self::Tgi => base_url.rsplit_once('/').map_or(base_url, |(root, _)| root),
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
        }
    }

    /// Whether a request can hold several prompts that are answered each by itself.
    pub const fn has_lists(self) -> bool {
        matches!(self, Self::OpenaiCompletions)
    }

    /// The body of one request with several prompts, where the protocol has such; `asks` differ in their texts only.
    pub fn list_body(self, asks: &[Ask<'_>]) -> Vec<u8> {
        openai_completions::list_body(asks)
    }

    /// Reads the answer to a list of prompts into a record for each.
    ///
    /// Counts that the server gives for the whole list are shared out as the plan's tokens are. What befalls the request
    /// befalls every prompt.
    pub fn interpret_list(self, raw: &RawRequest, prompts: &[Listed], tokenizer: &Tokenizer) -> Vec<RequestRecord> {
        prompt_list::split(raw, prompts).iter().map(|raw| self.interpret(raw, tokenizer)).collect()
    }

    /// Counts the tokens of a streamed answer while it comes.
    pub fn progress(self) -> Progress {
        match self {
            Self::OpenaiChat | Self::OpenaiEmbeddings => openai_chat::progress(),
            Self::OpenaiCompletions => openai_completions::progress(),
            Self::Lightllm => lightllm::progress(),
            Self::Tgi => tgi::progress(),
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
    }

    #[test]
    fn a_system_message_goes_before_a_prompt() {
        let extra = BTreeMap::new();
        let ask = Ask { model: "m", system: Some("one"), user: "two", max_tokens: 1, stream: true, extra: &extra };
        assert_eq!(ask.text(), "one two");
        assert_eq!(Ask { system: None, ..ask }.text(), "two");
    }
}

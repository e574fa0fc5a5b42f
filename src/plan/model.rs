//! What is to be sent, before any clock runs.

use std::sync::Arc;

use crate::units::Nanos;

/// The requests of one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How requests are released.
    pub pacing: Pacing,
    /// Unmeasured requests that are sent first, one after the other a user.
    pub warmup: Vec<PlannedRequest>,
    /// One unmeasured request for each shared prefix that is primed.
    pub prime: Vec<PlannedRequest>,
    /// The measured requests, in order.
    pub requests: Vec<PlannedRequest>,
    /// No request starts later than this after the trial's start.
    pub duration: Option<Nanos>,
    /// Whether measured prompts share so much of their beginnings on purpose that a prefix cache shows it.
    pub shares_prefix: bool,
    /// Tokens that every measured prompt begins with although no prefix is shared: the salt, and one system message.
    pub common_tokens: u32,
    /// `sha256:…` over what is to be sent, taken before salting.
    pub hash: String,
}

/// How requests are released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// User u of `users` starts at `ramp_up · u / users` and sends requests u, u + users, …
    Closed {
        /// Number of users.
        users: u32,
        /// Time over which they start.
        ramp_up: Nanos,
    },
    /// Each request at its own time `at`.
    Open {
        /// More requests in flight than this make the trial invalid.
        max_in_flight: Option<u32>,
    },
    /// Requests `k·size..(k+1)·size` at once, when the group before them has ended.
    Batch {
        /// Requests a group.
        size: u32,
    },
}

/// One request of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRequest {
    /// Position in its list.
    pub index: u32,
    /// The user that sends it: `index % users` in a closed loop, 0 otherwise.
    pub user: u32,
    /// Offset from the trial's start in an open loop; 0 otherwise.
    pub at: Nanos,
    /// What is asked.
    pub prompt: Prompt,
    /// Answer tokens asked for.
    pub max_tokens: u32,
    /// When the client gives it up on purpose.
    pub cancel: Option<Cancel>,
}

/// When the client gives up a request on purpose: at whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// So long after it was sent.
    pub after: Option<Nanos>,
    /// With so many tokens of its answer.
    pub after_tokens: Option<u32>,
}

/// A prompt in the parts that caching distinguishes. The text sent is
/// `salt + system + prefix… + body`; see [`Prompt::with_salt`].
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// System message.
    pub system: Option<Arc<str>>,
    /// What the prompt shares with others, in order: the prefix of its group, or the blocks of a trace.
    pub prefix: Vec<Arc<str>>,
    /// The part that is the request's own; empty if there is none.
    pub body: Arc<str>,
    /// Tokens of all parts and of the salt that will be put in front.
    pub input_tokens: u32,
    /// Tokens of salt that `input_tokens` leaves room for; 0 if the prompt is too short or salting is off.
    pub salt_tokens: u32,
}

impl Prompt {
    /// The system and user messages with `salt` in front of whatever comes first.
    ///
    /// `salt` is the text of the trial's salt, cut to `salt_tokens` by the caller; empty for none.
    pub fn with_salt(&self, salt: &str) -> (Option<String>, String) {
        let join = |parts: Vec<&str>| parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let user = || self.prefix.iter().chain([&self.body]).map(|part| &**part);
        match &self.system {
            Some(system) => (Some(join(vec![salt, system])), join(user().collect())),
            None => (None, join([salt].into_iter().chain(user()).collect())),
        }
    }
}

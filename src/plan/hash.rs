//! The name of a plan: equal for plans that send the same at the same times.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::plan::{Cancel, Pacing, Plan, PlannedRequest};

/// `sha256:` and 32 hexadecimal digits over everything that is sent and when.
///
/// Lengths go before texts, so that no two different plans feed the same bytes.
pub(super) fn hash(plan: &Plan) -> String {
    let mut sha = Sha256::new();
    let mut parts = Parts::default();
    let pacing = match plan.pacing {
        Pacing::Closed { users, ramp_up } => format!("closed {users} {ramp_up}"),
        Pacing::Open { max_in_flight } => format!("open {max_in_flight:?}"),
        Pacing::Batch { size } => format!("batch {size}"),
    };
    text(&mut sha, Some(&pacing));
    text(&mut sha, Some(&format!("{:?}", plan.duration)));
    for list in [&plan.warmup, &plan.prime, &plan.requests] {
        sha.update((list.len() as u64).to_le_bytes());
        for planned in list {
            request(&mut sha, planned, &mut parts);
        }
    }
    // Last and only if there are any, so that plans without them keep their names.
    for request in &plan.requests {
        if let Some(Cancel { after, after_tokens }) = request.cancel {
            text(&mut sha, Some(&format!("cancel {} {after:?} {after_tokens:?}", request.index)));
        }
    }
    let digest = sha.finalize();
    let mut name = String::from("sha256:");
    for byte in digest.iter().take(16) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}

fn text(sha: &mut Sha256, text: Option<&str>) {
    let text = text.unwrap_or("\0");
    sha.update((text.len() as u64).to_le_bytes());
    sha.update(text);
}

fn request(sha: &mut Sha256, request: &PlannedRequest, parts: &mut Parts) {
    sha.update(request.at.to_le_bytes());
    sha.update(request.user.to_le_bytes());
    sha.update(request.max_tokens.to_le_bytes());
    sha.update(request.prompt.salt_tokens.to_le_bytes());
    text(sha, request.prompt.system.as_deref());
    match &*request.prompt.prefix {
        [] => text(sha, None),
        [one] => text(sha, Some(one)),
        many => {
            // No text is as long as this says.
            sha.update((u64::MAX - many.len() as u64).to_le_bytes());
            for part in many {
                sha.update(parts.digest(part));
            }
        }
    }
    text(sha, Some(&request.prompt.body));
}

/// Digests of texts that many prompts have in common; each is read once.
#[derive(Default)]
struct Parts {
    /// By address and length, which no two texts of a plan share while it is there.
    digests: HashMap<(usize, usize), [u8; 32]>,
}

impl Parts {
    fn digest(&mut self, part: &Arc<str>) -> [u8; 32] {
        let key = (part.as_ptr().addr(), part.len());
        *self.digests.entry(key).or_insert_with(|| Sha256::digest(part.as_bytes()).into())
    }
}

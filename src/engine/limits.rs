//! Whether the process may open as many files as a round has requests in flight: each takes a connection, and a
//! connection is a file.

use crate::engine::{EngineError, Round};
use crate::plan::Pacing;

/// Files that are open for something else: the run's own, the runtime's, the standard streams.
const OTHERS: u64 = 64;

/// Makes room for the connections of a round, of which each takes `files` files of this process, and returns how many
/// there may be at once.
///
/// The limit on open files is raised as far as the system allows without asking. An open loop without a limit has as
/// many requests in flight as the server leaves unanswered, which nobody knows before; it is given what can be had.
pub(crate) fn make_room(round: &Round, files: u64) -> Result<u64, EngineError> {
    let (most, certain) = most_in_flight(round);
    let wanted = most * files + OTHERS;
    match allowed(wanted).filter(|limit| *limit < wanted) {
        Some(limit) if certain => Err(EngineError::OpenFiles { needed: wanted, limit }),
        Some(limit) => Ok(limit / files),
        None => Ok(most),
    }
}

/// Requests that can be in flight at once, and whether a plan with so many is sure to reach them.
fn most_in_flight(round: &Round) -> (u64, bool) {
    let requests = round.requests.len() as u64;
    match round.pacing {
        Pacing::Closed { users, .. } => (requests.min(u64::from(users)), true),
        Pacing::Batch { size } => (requests.min(u64::from(size)), true),
        Pacing::Open { max_in_flight } => (max_in_flight.map_or(requests, |most| requests.min(u64::from(most))), false),
    }
}

/// The limit on open files, after it was raised to `wanted` if it may be; `None` if there is none.
#[cfg(unix)]
fn allowed(wanted: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.filter(|current| *current < wanted)?;
    let raised = maximum.map_or(wanted, |maximum| maximum.min(wanted));
    // Some systems have a further limit of their own and refuse; then the present one stands.
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum }) {
        Ok(()) => Some(raised),
        Err(_) => Some(current),
    }
}

#[cfg(not(unix))]
fn allowed(_wanted: u64) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::Outgoing;
    use crate::wire::Protocol;

    fn round(pacing: Pacing, requests: u32) -> Round {
        let request = |index| Outgoing {
            index,
            user: 0,
            at: 0,
            max_tokens: 1,
            input_tokens: 1,
            request_id: String::new(),
            body: bytes::Bytes::new(),
            cancel: None,
        };
        Round {
            url: String::new(),
            protocol: Protocol::default(),
            pacing,
            duration: None,
            timeout: Duration::ZERO,
            no_progress: Duration::ZERO,
            requests: (0..requests).map(request).collect(),
        }
    }

    #[test]
    fn only_requests_that_are_sure_to_overlap_must_fit() {
        for (pacing, most) in [
            (Pacing::Closed { users: 7, ramp_up: 0 }, (7, true)),
            (Pacing::Closed { users: 70, ramp_up: 0 }, (20, true)),
            (Pacing::Batch { size: 4 }, (4, true)),
            (Pacing::Open { max_in_flight: Some(5) }, (5, false)),
            (Pacing::Open { max_in_flight: None }, (20, false)),
        ] {
            assert_eq!(most_in_flight(&round(pacing, 20)), most, "{pacing:?}");
        }
        assert_eq!(make_room(&round(Pacing::Closed { users: 2, ramp_up: 0 }, 8), 2).unwrap(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_limit_that_cannot_be_raised_is_named() {
        use rustix::process::{Resource, getrlimit};

        let Some(maximum) = getrlimit(Resource::Nofile).maximum else { return };
        // More files a connection than all the files there may be.
        let error = make_room(&round(Pacing::Batch { size: 2 }, 2), maximum).unwrap_err().to_string();
        let needed = 2 * maximum + OTHERS;
        assert!(error.contains(&format!("needs {needed} open files")), "{error}");
        assert!(error.contains(&format!("`ulimit -n {needed}`")), "{error}");
        // Nobody knows how many of an open loop will overlap.
        assert_eq!(make_room(&round(Pacing::Open { max_in_flight: None }, 2), maximum).unwrap(), 1);
    }
}

//! When a request is given up: it takes too long, makes no progress, or was chosen for it.

use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::engine::Round;
use crate::engine::body::Taken;
use crate::record::{Failure, FailureClass};

/// Why nothing more of an answer is waited for.
#[derive(Debug)]
pub(crate) enum GivenUp {
    /// The scenario says so (`request.cancel`).
    OnPurpose,
    /// It failed.
    Failed(Failure),
}

/// One timer a request, moved only when it fires: per-token work is a single store.
pub(crate) struct Watchdog {
    started: Instant,
    progressed: Instant,
    timeout: Duration,
    no_progress: Duration,
    cancel_after: Option<Duration>,
    sent: Taken,
    timer: Pin<Box<Sleep>>,
}

impl Watchdog {
    /// Watches a request that begins now. `cancel_after` counts from its writing, of which `sent` tells, even if a
    /// connection is opened for it: what the server had to do by then must not depend on that.
    pub(crate) fn new(round: &Round, cancel_after: Option<Duration>, sent: Taken) -> Self {
        let Round { timeout, no_progress, .. } = *round;
        let started = Instant::now();
        let first = timeout.min(no_progress).min(cancel_after.unwrap_or(timeout));
        let timer = Box::pin(sleep_until(started + first));
        Self { started, progressed: started, timeout, no_progress, cancel_after, sent, timer }
    }

    /// Bytes have come.
    pub(crate) fn progressed(&mut self, at: Instant) {
        self.progressed = at;
    }

    /// Waits until the request is to be given up.
    pub(crate) async fn wait(&mut self) -> GivenUp {
        loop {
            self.timer.as_mut().await;
            // A request that is never written must end, too.
            let sent = self.sent.at().map_or(self.started, Instant::from_std);
            let (timeout_at, stalled_at) = (self.started + self.timeout, self.progressed + self.no_progress);
            let fails_at = timeout_at.min(stalled_at);
            let due = self.cancel_after.map_or(fails_at, |after| fails_at.min(sent + after));
            if Instant::now() < due {
                self.timer.as_mut().reset(due);
                continue;
            }
            if due < fails_at {
                return GivenUp::OnPurpose;
            }
            let (class, message) = if timeout_at <= stalled_at {
                (FailureClass::Timeout, format!("no end after {:?} (`request.timeout`)", self.timeout))
            } else {
                (FailureClass::NoProgress, format!("no byte for {:?} (`request.no_progress`)", self.no_progress))
            };
            return GivenUp::Failed(Failure::new(class, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::Body as _;

    use super::*;
    use crate::engine::body::Body;
    use crate::plan::Pacing;
    use crate::wire::Protocol;

    const MS: Duration = Duration::from_millis(1);

    fn round(timeout: Duration, no_progress: Duration) -> Round {
        Round {
            url: String::new(),
            protocol: Protocol::OpenaiChat,
            pacing: Pacing::Open { max_in_flight: None },
            duration: None,
            timeout,
            no_progress,
            requests: Vec::new(),
        }
    }

    fn class(given_up: GivenUp) -> Option<FailureClass> {
        match given_up {
            GivenUp::OnPurpose => None,
            GivenUp::Failed(failure) => Some(failure.class),
        }
    }

    #[tokio::test]
    async fn a_request_is_given_up_so_long_after_it_was_written() {
        let taken = Taken::default();
        let mut watchdog = Watchdog::new(&round(MS * 60_000, MS * 60_000), Some(MS * 20), taken.clone());
        let started = Instant::now();
        tokio::time::sleep(MS * 15).await;
        let written = Instant::now();
        let mut body = Body::new(Bytes::from_static(b"{}"), taken);
        std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
        assert_eq!(class(watchdog.wait().await), None);
        assert!(written.elapsed() >= MS * 20, "{:?}", written.elapsed());
        // One that nobody takes ends, too.
        let mut watchdog = Watchdog::new(&round(MS * 60_000, MS * 60_000), Some(MS * 20), Taken::default());
        assert_eq!(class(watchdog.wait().await), None);
        assert!(started.elapsed() < MS * 50_000);
    }

    #[tokio::test]
    async fn what_is_due_first_counts() {
        for (timeout, no_progress, after, expected) in [
            (20, 40, 30, Some(FailureClass::Timeout)),
            (40, 20, 30, Some(FailureClass::NoProgress)),
            (40, 30, 20, None),
        ] {
            let mut watchdog =
                Watchdog::new(&round(MS * timeout, MS * no_progress), Some(MS * after), Taken::default());
            // All are due by now, however busy the machine is.
            tokio::time::sleep(MS * 50).await;
            assert_eq!(class(watchdog.wait().await), expected, "{timeout} {no_progress} {after}");
        }
    }

    #[tokio::test]
    async fn bytes_put_a_stall_off() {
        let mut watchdog = Watchdog::new(&round(MS * 60_000, MS * 20), None, Taken::default());
        tokio::time::sleep(MS * 15).await;
        let came = Instant::now();
        watchdog.progressed(came);
        assert_eq!(class(watchdog.wait().await), Some(FailureClass::NoProgress));
        assert!(came.elapsed() >= MS * 20, "{:?}", came.elapsed());
    }
}

//! One stamp a network read.
//!
//! The HTTP client hands a body over in frames. With chunked transfer a frame is a chunk, and one network read may have
//! brought many of them; their stamps would differ by the time that handing over takes, and look like tokens a few
//! microseconds apart. A worker that has slept since the last frame has waited for the network, so its next frame is a
//! new read. One that has not slept had the bytes already.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::engine::Clock;
use crate::units::Nanos;

/// A worker that is never idle does not sleep between two reads either. Frames further apart than this are two reads
/// whatever the worker did: handing a frame over takes some microseconds, and no server makes tokens so fast.
const LONGEST_HAND_OVER: Duration = Duration::from_micros(500);

thread_local! {
    static SLEEPS: Cell<u64> = const { Cell::new(0) };
}

/// Counts that the runtime of this thread has nothing to do and waits for the network, a timer or another thread.
pub(crate) fn sleeping() {
    SLEEPS.set(SLEEPS.get().wrapping_add(1));
}

/// Stamps of the frames of one answer.
#[derive(Debug)]
pub(crate) struct Stamps {
    clock: Clock,
    /// What the frames of the present read share.
    at: Nanos,
    seen: Instant,
    sleeps: u64,
}

impl Stamps {
    /// Begins with a read that has returned just now.
    pub(crate) fn begin(clock: Clock) -> Self {
        let now = Instant::now();
        Self { clock, at: clock.stamp(now), seen: now, sleeps: SLEEPS.get() }
    }

    /// The stamp of the present read.
    pub(crate) fn at(&self) -> Nanos {
        self.at
    }

    /// The stamp of a frame that was handed over at `now`.
    pub(crate) fn frame(&mut self, now: Instant) -> Nanos {
        let sleeps = SLEEPS.get();
        if sleeps != self.sleeps || now.saturating_duration_since(self.seen) > LONGEST_HAND_OVER {
            self.at = self.clock.stamp(now);
        }
        (self.seen, self.sleeps) = (now, sleeps);
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_share_the_stamp_of_their_read() {
        let start = Instant::now();
        let mut stamps = Stamps::begin(Clock::at(start));
        let at = |micros| start + Duration::from_micros(micros);
        sleeping();
        let first = stamps.frame(at(1000));
        assert_eq!(first, 1_000_000);
        // Handed over one after the other, however many there are.
        for micros in [1040, 1300, 1700, 2100] {
            assert_eq!(stamps.frame(at(micros)), first);
        }
        // The worker has waited: a new read, however soon.
        sleeping();
        assert_eq!(stamps.frame(at(2150)), 2_150_000);
        // It was busy with something else for long: nobody knows, so the clock decides.
        assert_eq!(stamps.frame(at(2651)), 2_651_000);
        assert_eq!(stamps.at(), 2_651_000);
    }
}

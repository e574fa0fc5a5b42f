//! One epoch for all stamps of a round.

use std::time::{Duration, Instant};

use crate::units::Nanos;

/// Nanoseconds since an epoch, on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: Instant,
}

impl Clock {
    /// A clock whose zero is now.
    pub fn start() -> Self {
        Self { epoch: Instant::now() }
    }

    /// A clock whose zero is `epoch`; stamps taken before it are 0.
    pub const fn at(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// The present stamp.
    pub fn now(self) -> Nanos {
        self.stamp(Instant::now())
    }

    /// The stamp of an instant.
    pub fn stamp(self, instant: Instant) -> Nanos {
        instant.saturating_duration_since(self.epoch).as_nanos() as Nanos
    }

    /// The instant of a stamp.
    pub fn instant(self, stamp: Nanos) -> Instant {
        self.epoch + Duration::from_nanos(stamp)
    }
}

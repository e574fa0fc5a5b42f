//! Waiting for an exact moment: the kernel's sleep is late by a scheduler tick, so the last stretch is spun.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::units::Nanos;

/// The stretch before a deadline that is spun rather than slept.
pub const SPIN: Duration = Duration::from_micros(200);

/// Returns at `deadline`, or at once if it has passed.
pub fn wait_until(deadline: Instant) {
    let left = deadline.saturating_duration_since(Instant::now());
    if left > SPIN {
        thread::sleep(left.saturating_sub(SPIN));
    }
    while Instant::now() < deadline {
        spin();
    }
}

/// One turn of a spinning wait.
pub fn spin() {
    static SINGLE_CORE: OnceLock<bool> = OnceLock::new();
    // On a single core nothing else can run while this thread spins, not even what it waits for.
    if *SINGLE_CORE.get_or_init(|| thread::available_parallelism().is_ok_and(|cores| cores.get() == 1)) {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// How late deadlines were met.
#[derive(Clone, Debug)]
pub struct Lateness {
    nanos: Histogram<u64>,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { nanos: Histogram::new_with_max(MAX, 3).expect("the bounds are constants that the histogram accepts") }
    }
}

/// Longer delays (a minute) are recorded as this.
const MAX: Nanos = 60_000_000_000;

impl Lateness {
    /// Notes that what was due at `deadline` happened at `done`; early is not late.
    pub fn record(&mut self, deadline: Instant, done: Instant) {
        let late = done.saturating_duration_since(deadline).as_nanos().min(u128::from(MAX)) as Nanos;
        self.nanos.saturating_record(late);
    }

    /// Deadlines so far.
    pub fn count(&self) -> u64 {
        self.nanos.len()
    }

    /// Median, to 0.1 %; 0 before the first deadline.
    pub fn p50(&self) -> Nanos {
        self.nanos.value_at_quantile(0.5)
    }

    /// 95th percentile, to 0.1 %.
    pub fn p95(&self) -> Nanos {
        self.nanos.value_at_quantile(0.95)
    }

    /// 99th percentile, to 0.1 %.
    pub fn p99(&self) -> Nanos {
        self.nanos.value_at_quantile(0.99)
    }

    /// The longest delay, to 0.1 %.
    pub fn max(&self) -> Nanos {
        self.nanos.max()
    }

    /// Adds what another thread recorded.
    pub fn merge(&mut self, other: &Self) {
        self.nanos += &other.nanos;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.nanos.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_returns_early() {
        for wait in [0, 50, 150, 1_000] {
            let deadline = Instant::now() + Duration::from_micros(wait);
            wait_until(deadline);
            assert!(Instant::now() >= deadline);
        }
    }

    #[test]
    fn a_passed_deadline_does_not_wait() {
        let start = Instant::now();
        for _ in 0..1_000 {
            wait_until(start);
        }
        // Far below what a single sleep each would take.
        assert!(start.elapsed() < Duration::from_millis(100));
    }

    #[test]
    fn lateness_has_quantiles() {
        let mut lateness = Lateness::default();
        assert_eq!((lateness.count(), lateness.p50(), lateness.max()), (0, 0, 0));
        let deadline = Instant::now();
        for late in 1..=100 {
            lateness.record(deadline, deadline + Duration::from_nanos(late));
        }
        lateness.record(deadline + Duration::from_secs(1), deadline);
        let mut other = Lateness::default();
        other.record(deadline, deadline + Duration::from_secs(3_600));
        lateness.merge(&other);
        assert_eq!((lateness.count(), lateness.p50(), lateness.p95(), lateness.p99()), (102, 50, 96, 100));
        assert!(lateness.max().abs_diff(MAX) <= MAX / 1_000);
        lateness.clear();
        assert_eq!(lateness.count(), 0);
    }
}

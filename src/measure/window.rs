//! The part of a trial in which rates are counted: neither ramp-up nor drain.

use std::collections::BTreeMap;

use crate::plan::Pacing;
use crate::record::RequestRecord;
use crate::units::Nanos;

/// A span of a trial, in nanoseconds since its epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// First moment.
    pub from: Nanos,
    /// Last moment.
    pub to: Nanos,
}

impl Window {
    /// From the first `scheduled` to the last `closed`.
    pub fn whole(records: &[RequestRecord]) -> Self {
        let from = records.iter().map(|r| r.scheduled).min().unwrap_or(0);
        let to = records.iter().map(|r| r.closed).max().unwrap_or(0);
        Self { from, to: to.max(from) }
    }

    /// The steady part: closed loop from fully ramped until the first slot goes idle for good; open loop from
    /// the first to the last scheduled arrival; batch the whole trial.
    pub fn steady(records: &[RequestRecord], pacing: Pacing) -> Self {
        let whole = Self::whole(records);
        match pacing {
            Pacing::Batch { .. } => whole,
            Pacing::Open { .. } => {
                Self { from: whole.from, to: records.iter().map(|r| r.scheduled).max().unwrap_or(whole.from) }
            }
            Pacing::Closed { users, .. } => {
                let mut spans: BTreeMap<u32, Self> = BTreeMap::new();
                for record in records.iter().filter(|r| r.user < users) {
                    let own = Self { from: record.scheduled, to: record.closed };
                    let span = spans.entry(record.user).or_insert(own);
                    *span = Self { from: span.from.min(own.from), to: span.to.max(own.to) };
                }
                let from = spans.values().map(|span| span.from).max().unwrap_or(whole.from);
                let to = spans.values().map(|span| span.to).min().unwrap_or(whole.to);
                Self { from, to: to.max(from) }
            }
        }
    }

    /// Its length in seconds.
    pub fn seconds(self) -> f64 {
        (self.to - self.from) as f64 / 1e9
    }

    /// Whether a moment lies in it.
    pub fn holds(self, at: Nanos) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// The part of `from..to` that lies in it.
    pub fn overlap(self, from: Nanos, to: Nanos) -> Nanos {
        to.min(self.to).saturating_sub(from.max(self.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::request::tests::record;

    #[test]
    fn ramp_up_and_drain_are_outside() {
        let mut records = vec![
            record(0, 0, &[(100, 1)]),
            record(50, 50, &[(150, 1)]),
            record(100, 100, &[(200, 1)]),
            record(150, 150, &[(400, 1)]),
        ];
        for (i, record) in records.iter_mut().enumerate() {
            record.user = i as u32 % 2;
        }
        let closed = Window::steady(&records, Pacing::Closed { users: 2, ramp_up: 100 });
        assert_eq!(closed, Window { from: 50, to: 200 });
        assert_eq!(Window::steady(&records, Pacing::Open { max_in_flight: None }), Window { from: 0, to: 150 });
        assert_eq!(Window::steady(&records, Pacing::Batch { size: 2 }), Window { from: 0, to: 400 });
        assert_eq!(closed.overlap(0, 60), 10);
        assert_eq!(closed.overlap(300, 400), 0);
    }

    #[test]
    fn no_records_make_an_empty_window() {
        assert_eq!(Window::steady(&[], Pacing::Closed { users: 2, ramp_up: 0 }), Window::default());
    }
}

//! Which requests go wrong, and how far they come.

use super::draw::{Purpose, generator, uniform};
use crate::profile::{Embedded, FaultKind};

/// What the request with this number meets.
pub(super) fn drawn(config: &Embedded, seed: u64, id: u64) -> Option<FaultKind> {
    let fault = config.fault?;
    (uniform(&mut generator(seed, Purpose::Fault, id)) < fault.rate.0).then_some(fault.kind)
}

/// Tokens that the engine computes of an answer of `asked` tokens.
pub(super) fn computed(fault: Option<FaultKind>, asked: u32) -> u32 {
    match fault {
        Some(FaultKind::ErrorEvent | FaultKind::Truncate | FaultKind::Stall | FaultKind::Short) => half(asked),
        // An empty answer comes when the first token would have come.
        Some(FaultKind::Empty) => 1,
        _ => asked.max(1),
    }
}

/// Whether a lookup in the prefix cache misses whatever is there.
pub(super) fn cold(fault: Option<FaultKind>) -> bool {
    fault == Some(FaultKind::ColdCache)
}

/// Half of the tokens, but at least one.
pub(super) fn half(asked: u32) -> u32 {
    (asked / 2).max(1)
}

/// Why an answer ends.
pub(super) fn finish_reason(fault: Option<FaultKind>) -> &'static str {
    if fault == Some(FaultKind::Short) { "stop" } else { "length" }
}

/// The server's message for faults that have one.
pub(super) fn message(fault: FaultKind) -> &'static str {
    match fault {
        FaultKind::Error => "injected internal error",
        FaultKind::RateLimit => "injected rate limit, retry after 1 s",
        FaultKind::ErrorEvent => "injected error inside the stream",
        FaultKind::Truncate => "injected end of the stream before any finish marker",
        FaultKind::Stall => "injected stall of the stream",
        FaultKind::Empty => "injected answer without text",
        FaultKind::Garbage => "injected event that is not JSON",
        FaultKind::NoStream | FaultKind::NoUsage | FaultKind::Short | FaultKind::ColdCache => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Fault;
    use crate::units::Share;

    #[test]
    fn the_rate_holds_and_the_draw_repeats() {
        let with =
            |rate| Embedded { fault: Some(Fault { kind: FaultKind::Error, rate: Share(rate) }), ..Embedded::default() };
        let count = |rate| (0..10_000).filter(|id| drawn(&with(rate), 1, *id).is_some()).count();
        assert_eq!((count(0.0), count(1.0)), (0, 10_000));
        assert!(count(0.05).abs_diff(500) < 70, "{}", count(0.05));
        assert_eq!(drawn(&Embedded::default(), 1, 0), None);
        for id in 0..100 {
            assert_eq!(drawn(&with(0.5), 3, id), drawn(&with(0.5), 3, id));
        }
    }

    #[test]
    fn half_of_one_token_is_one() {
        assert_eq!(computed(Some(FaultKind::Short), 1), 1);
        assert_eq!(computed(Some(FaultKind::Stall), 9), 4);
        assert_eq!(computed(Some(FaultKind::Empty), 9), 1);
        assert_eq!(computed(Some(FaultKind::NoUsage), 9), 9);
        assert_eq!(computed(Some(FaultKind::ColdCache), 9), 9);
        assert_eq!(computed(None, 0), 1);
    }
}

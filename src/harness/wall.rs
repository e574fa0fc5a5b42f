//! The wall clock, for what people read; durations come from elsewhere.

use std::time::{Duration, SystemTime};

/// The moment as `2026-11-22T21:00:00.000Z`.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// The name of a run that started at `moment`, as [`now`] writes it: `20261122T210000Z` and the process.
pub(super) fn run_id(moment: &str) -> String {
    let seconds = moment.split('.').next().unwrap_or(moment);
    let compact: String = seconds.chars().filter(|c| !matches!(c, '-' | ':' | 'Z')).collect();
    format!("{compact}Z-{}", std::process::id())
}

/// A moment in nanoseconds since 1970, as [`now`] writes it.
pub(super) fn at(nanos: u64) -> String {
    humantime::format_rfc3339_millis(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)).to_string()
}

/// Nanoseconds since 1970 of a moment as [`now`] writes it.
pub(super) fn nanos(moment: &str) -> Option<u64> {
    let since = humantime::parse_rfc3339(moment).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    u64::try_from(since.as_nanos()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_second() {
        let id = run_id("2026-11-22T21:00:05.123Z");
        assert_eq!(id, format!("20261122T210005Z-{}", std::process::id()));
        let (now, next) = (now(), now());
        assert_eq!(nanos("1970-01-01T00:00:01.500Z"), Some(1_500_000_000));
        assert_eq!((nanos("yesterday"), at(1_500_000_000).as_str()), (None, "1970-01-01T00:00:01.500Z"));
        assert!(now.len() == 24 && now.ends_with('Z') && now <= next, "{now} {next}");
    }
}

//! Processor time of a thread, to notice when the client was the bottleneck.

use crate::units::Nanos;

/// Processor time that the calling thread has used; `None` where the system does not tell (it is read from
/// `/proc`, which needs no unsafe call).
pub(crate) fn thread_time() -> Option<Nanos> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

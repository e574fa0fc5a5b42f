//! Ctrl-C and SIGTERM end a run in order: what was measured is kept, servers are stopped.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Whether, and by which signal, the run is to end.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicU8>,
    /// Flags that end something of their own as well.
    others: Arc<Mutex<Vec<Weak<AtomicBool>>>>,
}

impl Stop {
    /// Listens for signals in a thread of its own. A second signal ends the process at once.
    pub fn listen() -> Self {
        let stop = Self::default();
        let seen = stop.clone();
        let listener = std::thread::Builder::new().name("tokpace-signals".into()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(seen.watch());
        });
        if let Err(error) = listener {
            tracing::warn!(%error, "cannot listen for signals; an interrupt will end the run at once");
        }
        stop
    }

    async fn watch(self) {
        #[cfg(unix)]
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            return;
        };
        loop {
            #[cfg(unix)]
            let number = tokio::select! {
                _ = tokio::signal::ctrl_c() => 2,
                _ = terminate.recv() => 15,
            };
            #[cfg(not(unix))]
            let number = {
                let _ = tokio::signal::ctrl_c().await;
                2
            };
            self.signal.store(number, Ordering::Relaxed);
            let again = self.flag.swap(true, Ordering::Relaxed);
            for other in self.others.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
                other.store(true, Ordering::Relaxed);
            }
            if again {
                // The user insists; an orderly end was already under way.
                std::process::exit(i32::from(128 + number));
            }
        }
    }

    /// The flag that long work looks at.
    pub fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Raises `other` too when the run is to end.
    pub fn raises(&self, other: &Arc<AtomicBool>) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(other));
        if self.requested() {
            other.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the run is to end.
    pub fn requested(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// Waits for `length`, or until the run is to end.
    pub fn sleep(&self, length: Duration) {
        let until = Instant::now() + length;
        while !self.requested() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// The exit code after a signal: 130 for Ctrl-C, 143 for SIGTERM.
    pub fn exit_code(&self) -> Option<u8> {
        self.requested().then(|| 128 + self.signal.load(Ordering::Relaxed))
    }
}

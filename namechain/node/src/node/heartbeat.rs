//! Whether a thread still gets round to its work.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::clock::Since;

/// Told by a thread each time that it takes up something new, and read by whoever watches it.
pub(super) struct Heartbeat {
    started: Since,
    beat_ms: AtomicU64,
}

impl Default for Heartbeat {
    /// It beats now for the first time.
    fn default() -> Self {
        Heartbeat { started: Since::now(), beat_ms: AtomicU64::new(0) }
    }
}

impl Heartbeat {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The thread takes up something new.
    pub fn beat(&self) {
        self.beat_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// How long ago it last did.
    pub fn silent_for(&self) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(self.beat_ms.load(Ordering::Relaxed)))
    }
}

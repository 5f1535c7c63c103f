//! The one place of the node that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time in seconds since 1970-01-01T00:00Z; 0 if the clock is set before that.
#[expect(clippy::disallowed_methods, reason = "the node's clock: everyone else is told the time")]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Measures how long something has lasted.
pub(super) struct Since(Instant);

impl Since {
    /// Begins now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the node's clock: everyone else is told the time"
    )]
    pub fn now() -> Self {
        Since(Instant::now())
    }

    /// How long ago it began.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

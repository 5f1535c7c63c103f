//! The network's clocks: everything else in this room is told the time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Counts from when it was made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Instant);

impl Clock {
    /// Begins now.
    #[expect(
        clippy::disallowed_methods,
        reason = "the network's clock: everyone else is told the time"
    )]
    pub fn start() -> Self {
        Clock(Instant::now())
    }

    /// How long ago it began. Never goes back.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time in seconds of Unix time; 0 if the clock is set before 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the network's clock: everyone else is told the time"
)]
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

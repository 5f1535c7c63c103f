//! The only file that reads the clock and sleeps.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this file owns the command line's clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The time in seconds since 1970-01-01T00:00Z; 0 if the clock is set before that.
#[expect(clippy::disallowed_methods, reason = "this file owns the command line's clock")]
pub fn unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Sleeps between two requests to the node.
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

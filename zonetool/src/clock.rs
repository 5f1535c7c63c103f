//! The only place that reads the clock and sleeps.

use std::time::{Duration, Instant};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this file owns the command line's clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Waits between two looks at the node.
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}

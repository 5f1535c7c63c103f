//! Waiting for something to become true: polled, with a deadline, never a sleep that hopes.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up on it. Far more than it takes: a test asserts
/// no time.
pub const DEADLINE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// Calls `ready` until it gives something, and returns that.
///
/// # Panics
/// When [`DEADLINE`] has passed, with `what` was waited for.
pub fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let start = now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(start.elapsed() < DEADLINE, "gave up waiting: {what}");
        thread::sleep(PAUSE);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests' deadlines are kept here and nowhere else"
)]
fn now() -> Instant {
    Instant::now()
}

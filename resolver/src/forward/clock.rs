//! The one clock of legacy DNS. All else takes the time as an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Time since it was made; never goes back.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// By how many milliseconds it was put forward.
    ahead: AtomicU64,
}

impl Clock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn start() -> Self {
        Self { start: Instant::now(), ahead: AtomicU64::new(0) }
    }

    /// One that has run for this long, for tests.
    #[cfg(test)]
    pub fn running_for(time: Duration) -> Self {
        let clock = Self::start();
        clock.put_forward(time);
        clock
    }

    /// Puts it forward, for whoever plays through what takes days.
    pub fn put_forward(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        // Nobody else is told of anything by it.
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    /// Now, for those who count by the machine's clock themselves.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn instant(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.ahead()).unwrap_or(now)
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed() + self.ahead()
    }
}

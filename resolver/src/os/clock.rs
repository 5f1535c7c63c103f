//! The clocks: Unix time, and the time since the start. Everything else takes the time as an
//! argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Unix time in seconds.
#[expect(clippy::disallowed_methods, reason = "the shell of the resolver owns this clock")]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The time since it was made, which never goes back; and Unix time.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// Unix time at the start, if it is not the machine's.
    unix: Option<u64>,
    /// By how many milliseconds it was advanced.
    ahead: AtomicU64,
}

impl Clock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn start() -> Self {
        Self { start: Instant::now(), unix: None, ahead: AtomicU64::new(0) }
    }

    /// Starts at zero, with this Unix time in seconds.
    pub fn at(unix: u64) -> Self {
        Self { unix: Some(unix), ..Self::start() }
    }

    /// One that has run for this long, for tests.
    #[cfg(test)]
    pub fn running_for(time: Duration) -> Self {
        let clock = Self::start();
        clock.put_forward(time);
        clock
    }

    /// Advances it, for tests that simulate days.
    pub fn put_forward(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        // Nothing else is published by this store.
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }

    /// The current instant, for libraries that take one.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn instant(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.ahead()).unwrap_or(now)
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed() + self.ahead()
    }

    /// Unix time in seconds, by which signatures are validated.
    pub fn unix(&self) -> u64 {
        match self.unix {
            Some(start) => start + self.now().as_secs(),
            None => unix_now() + self.ahead().as_secs(),
        }
    }
}

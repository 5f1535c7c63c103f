//! The clocks: the time of day, and the time since the start. All else takes the time as an
//! argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, in seconds of Unix time. What goes by it takes it as an argument.
#[expect(clippy::disallowed_methods, reason = "the shell of the resolver owns this clock")]
pub fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Time since it was made, which never goes back; and the time of day.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// What the time of day was at the start, if it is not the machine's.
    unix: Option<u64>,
    /// By how many milliseconds it was put forward.
    ahead: AtomicU64,
}

impl Clock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn start() -> Self {
        Self { start: Instant::now(), unix: None, ahead: AtomicU64::new(0) }
    }

    /// Starts at zero, so many seconds after 1970.
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

    /// Puts it forward, for whoever plays through what takes days.
    pub fn put_forward(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        // Nobody else is told of anything by it.
        self.ahead.fetch_add(millis, Ordering::Relaxed);
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }

    /// Now, for those who count by the machine's clock themselves.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn instant(&self) -> Instant {
        let now = Instant::now();
        now.checked_add(self.ahead()).unwrap_or(now)
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed() + self.ahead()
    }

    /// The time of day, in seconds since 1970, by which signatures are judged.
    pub fn unix(&self) -> u64 {
        match self.unix {
            Some(start) => start + self.now().as_secs(),
            None => unix_now() + self.ahead().as_secs(),
        }
    }
}

//! The one clock of legacy DNS. All else takes the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since it was made, which never goes back; and the time of day.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    /// What the time of day was at the start, if it is not the machine's.
    unix: Option<u64>,
}

impl Clock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn start() -> Self {
        Self { start: Instant::now(), unix: None }
    }

    /// Starts at zero, so many seconds after 1970.
    pub fn at(unix: u64) -> Self {
        Self { unix: Some(unix), ..Self::start() }
    }

    /// One that has run for this long, for tests.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn running_for(time: Duration) -> Self {
        Self { start: Instant::now().checked_sub(time).unwrap_or_else(Instant::now), unix: None }
    }

    /// Now, for those who count by the machine's clock themselves.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// The time of day, in seconds since 1970, by which signatures are judged.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn unix(&self) -> u64 {
        match self.unix {
            Some(start) => start + self.now().as_secs(),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        }
    }
}

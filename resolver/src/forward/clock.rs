//! The one clock of legacy DNS. All else takes the time as an argument.

use std::time::{Duration, Instant};

/// Time since it was made; never goes back.
#[derive(Debug)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at zero.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// One that has run for this long, for tests.
    #[cfg(test)]
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn running_for(time: Duration) -> Self {
        Self(Instant::now().checked_sub(time).unwrap_or_else(Instant::now))
    }

    /// Now, for those who count by the machine's clock themselves.
    #[expect(clippy::disallowed_methods, reason = "the shell of legacy DNS owns its clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }

    /// The time since the start.
    pub fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

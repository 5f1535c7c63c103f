//! How often something happens.

/// Counts events and tells their rate over the last seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    since: u64,
    count: u64,
    last: f64,
}

impl Rate {
    /// Over how many milliseconds a rate is taken.
    const SPAN_MS: u64 = 5_000;

    /// Counts `count` more at `now`, in milliseconds.
    pub fn add(&mut self, count: u64, now: u64) {
        self.turn(now);
        self.count += count;
    }

    fn turn(&mut self, now: u64) {
        let spent = now.saturating_sub(self.since);
        if spent >= Self::SPAN_MS {
            self.last = self.count as f64 * 1_000.0 / spent as f64;
            (self.since, self.count) = (now, 0);
        }
    }

    /// How many came in a second, lately.
    pub fn per_second(&self, now: u64) -> f64 {
        let spent = now.saturating_sub(self.since);
        if spent >= Self::SPAN_MS || self.last == 0.0 && spent > 0 {
            self.count as f64 * 1_000.0 / spent as f64
        } else {
            self.last
        }
    }
}

//! A token bucket: so much at once, then so much a second. The only one of the workspace.

use core::time::Duration;

/// A bucket of tokens. Time is an argument: how long ago any fixed start was.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    /// In thousandths, so that a millisecond counts.
    millitokens: u64,
    capacity: u64,
    per_second: u64,
    refilled_at: Duration,
}

impl TokenBucket {
    /// A full bucket of `capacity` tokens, which gains `per_second` tokens a second.
    pub fn new(capacity: u32, per_second: u32, now: Duration) -> Self {
        let capacity = u64::from(capacity) * 1000;
        let per_second = per_second.into();
        TokenBucket { millitokens: capacity, capacity, per_second, refilled_at: now }
    }

    fn refilled(&self, now: Duration) -> (u64, Duration) {
        let passed = now.saturating_sub(self.refilled_at).as_millis();
        let millis = u64::try_from(passed).unwrap_or(u64::MAX);
        let gained = millis.saturating_mul(self.per_second);
        let tokens = self.capacity.min(self.millitokens.saturating_add(gained));
        (tokens, self.refilled_at.saturating_add(Duration::from_millis(millis)))
    }

    /// Whether it holds as much as it can.
    pub fn is_full(&self, now: Duration) -> bool {
        self.refilled(now).0 >= self.capacity
    }

    /// Takes `cost` tokens; false, and nothing is taken, if there are fewer.
    pub fn take(&mut self, cost: u32, now: Duration) -> bool {
        (self.millitokens, self.refilled_at) = self.refilled(now);
        let cost = u64::from(cost) * 1000;
        let enough = self.millitokens >= cost;
        if enough {
            self.millitokens -= cost;
        }
        enough
    }

    /// Gives tokens back that were taken for what turned out to be of use.
    pub fn give_back(&mut self, cost: u32) {
        self.millitokens = self.capacity.min(self.millitokens + u64::from(cost) * 1000);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_trickle() {
        let start = Duration::from_secs(5);
        let mut bucket = TokenBucket::new(10, 4, start);
        assert!((0..10).all(|_| bucket.take(1, start)) && !bucket.take(1, start));
        assert!(!bucket.take(1, start + Duration::from_millis(249)));
        assert!(bucket.take(1, start + Duration::from_millis(250)), "no millisecond is lost");
        let later = start + Duration::from_secs(3600);
        assert!(bucket.take(10, later) && !bucket.take(1, later), "no fuller than full");
        assert!(!bucket.is_full(later) && bucket.is_full(later + Duration::from_millis(2_500)));
        assert!(!bucket.take(1, start), "a clock that goes back gives nothing");
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let mut bucket = TokenBucket::new(2, 1, Duration::ZERO);
        assert!(bucket.take(2, Duration::ZERO) && !bucket.take(1, Duration::ZERO));
        bucket.give_back(1);
        assert!(bucket.take(1, Duration::ZERO) && !bucket.take(1, Duration::ZERO));
        bucket.give_back(9);
        assert!(!bucket.take(3, Duration::ZERO));
    }
}

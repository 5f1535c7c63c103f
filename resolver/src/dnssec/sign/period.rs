//! The validity period of signatures.
//!
//! ```text
//!        inception          start                 start + STEP                                   expiration
//!  ----------|----------------|=======================|------------------------------------------------|----->
//!              EARLY            given out in here                          at least 2 days 18 hours
//! ```
//!
//! The times move in steps, so that signatures of one step can be cached. An answer is served only
//! in the step in which it was signed, so signatures near their expiration are never sent.

/// For how long new signatures have the same times.
const STEP_SECS: u64 = 6 * 3_600;
/// How long before its step a signature becomes valid: the validator's clock may be behind.
const EARLY_SECS: u64 = 6 * 3_600;
/// How long after the start of its step a signature expires.
const LIFETIME_SECS: u64 = 3 * 86_400;

/// A step of the clock. All signatures made in it have the same times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(u32);

impl Period {
    /// The step of a time in seconds since 1970.
    pub fn at(now: u64) -> Self {
        // One more than the number of the step: 0 means "not signed". The number fits until the
        // year 2.9 million.
        Period(u32::try_from(now / STEP_SECS + 1).unwrap_or(u32::MAX))
    }

    /// Its number, at least 1; each step has its own.
    pub fn number(self) -> u32 {
        self.0
    }

    /// When signatures become valid, in seconds since 1970 modulo 2^32 (RFC 4034 §3.1.5).
    pub fn inception(self) -> u32 {
        self.start().saturating_sub(EARLY_SECS) as u32
    }

    /// When signatures expire, in seconds since 1970 modulo 2^32.
    pub fn expiration(self) -> u32 {
        (self.start() + LIFETIME_SECS) as u32
    }

    fn start(self) -> u64 {
        u64::from(self.0.saturating_sub(1)) * STEP_SECS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_out_holds_for_days() {
        let day = 20_000 * 86_400;
        for now in [day, day + 1, day + STEP_SECS - 1, day + STEP_SECS, 1_800_000_000] {
            let period = Period::at(now);
            assert!(u64::from(period.inception()) + EARLY_SECS <= now, "{now}");
            assert!(u64::from(period.expiration()) >= now + LIFETIME_SECS - STEP_SECS, "{now}");
        }
        assert_eq!(Period::at(day), Period::at(day + STEP_SECS - 1));
        assert_ne!(Period::at(day), Period::at(day + STEP_SECS));
    }

    #[test]
    fn no_period_is_the_number_of_none() {
        assert_eq!(Period::at(0).number(), 1);
        assert_eq!(
            (Period::at(0).inception(), Period::at(0).expiration()),
            (0, LIFETIME_SECS as u32)
        );
    }

    /// The times wrap around at 2^32, in 2106.
    #[test]
    fn beyond_2106() {
        let late = Period::at((1 << 32) + 3 * STEP_SECS);
        assert!(late.inception() < 3 * STEP_SECS as u32 && late.expiration() > late.inception());
    }
}

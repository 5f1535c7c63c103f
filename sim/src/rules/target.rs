//! The target that follows the header's own time.

use namechain_core::types::Target;

/// The constants of a schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Seconds between blocks.
    pub interval: u64,
    /// Seconds of lateness that double the target.
    pub half_life: u64,
    /// The target of a header that comes when it is due.
    pub start: Target,
    /// The easiest target.
    pub easiest: Target,
    /// Seconds of lateness that are never carried over: at this lateness the easiest target is
    /// reached.
    pub reach: u64,
    /// Whether lateness beyond `reach` is forgotten. Without, the schedule is absolute.
    pub forgets: bool,
}

impl Schedule {
    /// A schedule whose headers that come when they are due need `2^start_bits` hashes, and the
    /// easiest `2^easiest_bits`.
    pub fn new(interval: u64, half_life: u64, start_bits: u8, easiest_bits: u8) -> Self {
        Schedule {
            interval,
            half_life,
            start: Target::of_work_bits(start_bits),
            easiest: Target::of_work_bits(easiest_bits),
            reach: u64::from(start_bits - easiest_bits) * half_life,
            forgets: true,
        }
    }

    /// When the header after one with this `due` and `time` is due.
    pub fn next_due(&self, due: u64, time: u64) -> u64 {
        let base = if self.forgets { due.max(time.saturating_sub(self.reach)) } else { due };
        base.saturating_add(self.interval)
    }

    /// The target of a header of this time.
    pub fn target(&self, due: u64, time: u64) -> Target {
        let lateness = i128::from(time) - i128::from(due);
        let exponent = (lateness * 65_536).div_euclid(i128::from(self.half_life));
        let exponent = exponent.clamp(-200 << 16, 200 << 16) as i64;
        let (shift, fraction) = (exponent >> 16, (exponent & 0xffff) as u64);
        let cubic = 195_766_423_245_049 * u128::from(fraction)
            + 971_821_376 * u128::from(fraction).pow(2)
            + 5_127 * u128::from(fraction).pow(3)
            + (1 << 47);
        let factor = 65_536 + (cubic >> 48) as u64;
        let (mantissa, scale) = self.start.parts();
        let target =
            Target::rounded_down(u64::from(mantissa) * factor, i64::from(scale) + shift - 16);
        if target.value() > self.easiest.value() { self.easiest } else { target }
    }

    /// The work of such a header, in expected hashes.
    pub fn work(&self, due: u64, time: u64) -> f64 {
        self.target(due, time).work() as f64
    }

    /// The same by floating point and without whole seconds, for sampling waiting times.
    pub fn smooth_work(&self, lateness: f64) -> f64 {
        let reach = self.reach as f64;
        self.start.work() as f64 * (-lateness.min(reach) / self.half_life as f64).exp2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_forgotten() {
        let schedule = Schedule::new(120, 2_700, 20, 18);
        assert_eq!(schedule.reach, 5_400);
        assert_eq!(schedule.next_due(1_000, 1_500), 1_120);
        assert_eq!(schedule.next_due(1_000, 100_000), 100_000 - 5_400 + 120);
        let due = schedule.next_due(1_000, 100_000);
        let before = schedule.work(due, 100_000);
        assert!(before > schedule.easiest.work() as f64 * 1.03, "120 s from the easiest: {before}");
    }

    #[test]
    fn smooth_and_whole_agree() {
        let schedule = Schedule::new(120, 2_700, 20, 18);
        for time in (0u64..60_000).step_by(77) {
            let (whole, smooth) =
                (schedule.work(30_000, time), schedule.smooth_work(time as f64 - 30_000.0));
            assert!((whole / smooth - 1.0).abs() < 1e-3, "{time}: {whole} {smooth}");
        }
    }
}

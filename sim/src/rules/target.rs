//! The target that follows the header's own time: the core's rule, and the absolute schedule that
//! it was compared with.

use namechain_core::{
    consensus::difficulty,
    params::Params,
    types::{Network, Target},
};

/// A network's schedule, or one with other constants.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// The parameters that the core takes.
    pub params: Params,
    /// Whether lateness is forgotten, as the rule says. Without, the schedule is absolute.
    pub forgets: bool,
}

impl Schedule {
    /// Main's schedule with another half-life, in seconds.
    pub fn new(half_life: u64) -> Self {
        let params = Params { target_half_life: half_life, ..Network::Main.params().clone() };
        Schedule { params, forgets: true }
    }

    /// Seconds between blocks.
    pub fn interval(&self) -> u64 {
        self.params.block_interval
    }

    /// Seconds of earliness that double the work.
    pub fn half_life(&self) -> u64 {
        self.params.target_half_life
    }

    /// Expected hashes of a header that is not early.
    pub fn easiest_work(&self) -> f64 {
        self.params.easiest_target.work() as f64
    }

    /// When the header after one with this `due` and `time` is due.
    pub fn next_due(&self, due: u64, time: u64) -> u64 {
        let base = if self.forgets { due.max(time) } else { due };
        base.saturating_add(self.interval())
    }

    /// The target of a header of this time.
    pub fn target(&self, due: u64, time: u64) -> Target {
        difficulty::target(&self.params, i128::from(time) - i128::from(due))
    }

    /// The work of such a header, in expected hashes.
    pub fn work(&self, due: u64, time: u64) -> f64 {
        self.target(due, time).work() as f64
    }

    /// The same by floating point and without whole seconds, for sampling waiting times.
    pub fn smooth_work(&self, lateness: f64) -> f64 {
        self.easiest_work() * (-lateness.min(0.0) / self.half_life() as f64).exp2()
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::{consensus::header::genesis, types::Header};

    use super::*;

    #[test]
    fn due_is_that_of_the_core() {
        let schedule = Schedule::new(2_700);
        for (due, time) in [(1_000, 900), (1_000, 1_000), (1_000, 100_000), (u64::MAX, 5)] {
            let parent = Header { due, time, ..genesis(Network::Main).header };
            assert_eq!(
                schedule.next_due(due, time),
                difficulty::next_due(&schedule.params, &parent)
            );
        }
    }

    #[test]
    fn smooth_and_whole_agree() {
        let schedule = Schedule::new(2_700);
        for time in (0u64..60_000).step_by(77) {
            let (whole, smooth) =
                (schedule.work(30_000, time), schedule.smooth_work(time as f64 - 30_000.0));
            assert!((whole / smooth - 1.0).abs() < 1e-3, "{time}: {whole} {smooth}");
        }
    }
}

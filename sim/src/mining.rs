//! When the next block comes, and what it says: waiting times are sampled from the hazard that the
//! schedule gives at each moment, the header's work is that of whole seconds.

use crate::{rng::Rng, rules::target::Schedule};

/// Seconds that one core takes for a header's hash (1 MiB of Argon2id), see docs/performance.md.
pub const HEADER_HASH_SECONDS: f64 = 0.28e-3;
/// Seconds that one core takes for a stamp's hash (256 KiB of Argon2id).
pub const STAMP_HASH_SECONDS: f64 = 76e-6;
/// Header hashes that one core does in a second.
pub const CORE: f64 = 1.0 / HEADER_HASH_SECONDS;

/// What a block's successor depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tip {
    /// When a successor is due.
    pub due: u64,
    /// What the block says.
    pub time: u64,
}

/// How a miner dates headers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dating {
    /// By the clock.
    Clock,
    /// So many seconds ahead of it.
    Ahead(u64),
    /// As its parent: the earliest that is allowed.
    AsParent,
}

impl Tip {
    /// A tip at which `rate` hashes a second find a block every interval, at wall time `now`.
    pub fn settled(schedule: &Schedule, rate: f64, now: u64) -> Self {
        let per_interval = rate * schedule.interval() as f64;
        let ahead = (per_interval / schedule.easiest_work()).log2() * schedule.half_life() as f64;
        let due = now as f64 + ahead.max(0.0);
        Tip { due: due as u64 + schedule.interval(), time: now }
    }

    /// What a header of this wall time is dated by.
    pub fn date(&self, dating: Dating, now: f64) -> u64 {
        match dating {
            Dating::Clock => self.time.max(now as u64),
            Dating::Ahead(seconds) => self.time.max(now as u64 + seconds),
            Dating::AsParent => self.time,
        }
    }

    /// The tip after a block of this time.
    pub fn after(&self, schedule: &Schedule, time: u64) -> Tip {
        Tip { due: schedule.next_due(self.due, time), time }
    }

    /// The wall time at which `rate` hashes a second, spent from `now` on, find a block.
    pub fn found(
        &self,
        schedule: &Schedule,
        rate: f64,
        dating: Dating,
        now: f64,
        rng: &mut Rng,
    ) -> f64 {
        let mut left = rng.exponential();
        if rate <= 0.0 {
            return f64::INFINITY;
        }
        let (due, parent) = (self.due as f64, self.time as f64);
        let ahead = match dating {
            Dating::AsParent => return now + left * schedule.smooth_work(parent - due) / rate,
            Dating::Clock => 0.0,
            Dating::Ahead(seconds) => seconds as f64,
        };
        let mut at = now;
        // While the date is the parent's, the target stands still.
        if at + ahead < parent {
            let flat = parent - ahead - at;
            let hazard = rate / schedule.smooth_work(parent - due);
            if left < flat * hazard {
                return at + left / hazard;
            }
            left -= flat * hazard;
            at += flat;
        }
        // Then it eases with every second.
        let scale = schedule.half_life() as f64 / std::f64::consts::LN_2;
        let from = at + ahead - due;
        if from < 0.0 {
            let hazard = rate / schedule.smooth_work(from);
            let span = scale * (1.0 + left / (hazard * scale)).ln();
            if from + span < 0.0 {
                return at + span;
            }
            left -= hazard * scale * ((-from / scale).exp() - 1.0);
            at -= from;
        }
        at + left * schedule.easiest_work() / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The closed form against a miner who tries second by second with the whole-number target.
    #[test]
    fn waiting_times_are_those_of_a_miner() {
        let schedule = Schedule::new(2_700);
        let tip = Tip { due: 16_000, time: 10_000 };
        for dating in [Dating::Clock, Dating::Ahead(300), Dating::AsParent] {
            let (mut rng, rate, n) = (Rng::new(7), 700.0, 4_000);
            let closed: f64 =
                (0..n).map(|_| tip.found(&schedule, rate, dating, 9_900.0, &mut rng)).sum();
            let stepped: f64 = (0..n)
                .map(|_| {
                    let mut now = 9_900;
                    while !rng.chance(rate / schedule.work(tip.due, tip.date(dating, now as f64))) {
                        now += 1;
                    }
                    now as f64
                })
                .sum();
            let (closed, stepped) =
                (closed / f64::from(n) - 9_900.0, stepped / f64::from(n) - 9_900.0);
            assert!((closed / stepped - 1.0).abs() < 0.05, "{dating:?}: {closed} {stepped}");
        }
    }

    #[test]
    fn a_settled_tip_gives_one_block_an_interval() {
        let schedule = Schedule::new(2_700);
        let (mut rng, mut tip, mut now) =
            (Rng::new(1), Tip::settled(&schedule, 1e5, 1_000_000), 1e6);
        for _ in 0..5_000 {
            now = tip.found(&schedule, 1e5, Dating::Clock, now, &mut rng);
            tip = tip.after(&schedule, tip.date(Dating::Clock, now));
        }
        assert!(((now - 1e6) / 5_000.0 / 120.0 - 1.0).abs() < 0.02, "{}", (now - 1e6) / 5_000.0);
    }
}

//! The schedule of targets: ASERT (aserti3-2d, of the Bitcoin Cash upgrade of 2020-11-15), from the
//! parent alone.
//!
//! A chain that is ahead of `genesis time + height * interval` gets harder, one that is behind gets
//! easier, by a factor of two for each half-life. Nothing else of the past matters, so nothing of
//! it can be gamed.

use crate::{
    params::Params,
    types::{Header, Target},
};

/// The target of the header that follows `parent`.
pub fn next_target(params: &Params, parent: &Header) -> Target {
    let elapsed = i128::from(parent.time) - i128::from(params.genesis_time);
    let due = i128::from(params.block_interval) * i128::from(parent.height);
    // The exponent of two by which the target moves, in 1/65536. Floor division: the shift below is
    // a floor too.
    let exponent = ((elapsed - due) * 65_536).div_euclid(i128::from(params.target_half_life));
    // 2^±200 is far beyond either end of what a target can be.
    let exponent = exponent.clamp(-200 << 16, 200 << 16) as i64;
    let (shift, fraction) = (exponent >> 16, (exponent & 0xffff) as u64);
    // 65536 * 2^(fraction / 65536), by a cubic that is exact at both ends and right within 0.013 %.
    let cubic = 195_766_423_245_049 * u128::from(fraction)
        + 971_821_376 * u128::from(fraction).pow(2)
        + 5_127 * u128::from(fraction).pow(3)
        + (1 << 47);
    let factor = 65_536 + (cubic >> 48) as u64;
    let (mantissa, exponent) = params.genesis_target.parts();
    let target =
        Target::rounded_down(u64::from(mantissa) * factor, i64::from(exponent) + shift - 16);
    if target.value() > params.easiest_target.value() { params.easiest_target } else { target }
}

/// The median of the times of the last headers (up to eleven): the next one must be after it. Of an
/// even number, the later of the middle two.
pub fn median_time(mut times: Vec<u64>) -> u64 {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        consensus::header::genesis,
        types::{Hash, Network},
    };

    fn parent(height: u32, late_by: i64) -> Header {
        let params = Network::Main.params();
        let due = params.genesis_time + u64::from(height) * params.block_interval;
        Header {
            height,
            previous: Hash::ZERO,
            time: due.saturating_add_signed(late_by),
            ..genesis(Network::Main).header
        }
    }

    #[test]
    fn on_schedule_the_target_stays() {
        let params = Network::Main.params();
        for height in [0, 1, 1_000, 10_000_000] {
            assert_eq!(next_target(params, &parent(height, 0)), params.genesis_target);
        }
    }

    #[test]
    fn a_half_life_doubles_or_halves() {
        let params = Network::Main.params();
        let half_life = params.target_half_life as i64;
        let start = params.genesis_target.value();
        assert_eq!(next_target(params, &parent(1_000, half_life)).value(), start * 2);
        assert_eq!(next_target(params, &parent(1_000, -half_life)).value(), start / 2);
        let half = next_target(params, &parent(1_000, half_life / 2)).value() as f64 / start as f64;
        assert!((half - std::f64::consts::SQRT_2).abs() < 2e-4, "{half}");
    }

    #[test]
    fn both_ends_hold() {
        let params = Network::Main.params();
        assert_eq!(next_target(params, &parent(10, i64::MAX)), params.easiest_target);
        assert_eq!(
            next_target(params, &parent(u32::MAX, -i64::from(u32::MAX) * 120)),
            Target::HARDEST
        );
    }

    #[test]
    fn without_an_interval_the_target_stays_at_the_easiest() {
        let params = Network::Dev.params();
        let header = Header { height: 1_000_000, ..genesis(Network::Dev).header };
        assert_eq!(next_target(params, &header), params.easiest_target);
    }

    #[test]
    fn the_median_of_few_and_of_many() {
        assert_eq!(median_time(vec![5]), 5);
        assert_eq!(median_time(vec![9, 1]), 9);
        assert_eq!(median_time(vec![3, 1, 2]), 2);
    }
}

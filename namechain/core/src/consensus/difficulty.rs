//! How much work a header needs: a function of its own time and the time at which it is due.
//!
//! The earlier a block comes, the more work it needs: twice for each half-life. A block that is due
//! needs the least. Lateness is forgotten at once, so a silence makes no run of cheap blocks; what
//! the chain is ahead is remembered in `due`, so the interval holds in the mean. The exponential is
//! that of ASERT (aserti3-2d, of the Bitcoin Cash upgrade of 2020-11-15).

use crate::{
    params::Params,
    types::{Header, Target},
};

/// Headers that are early by more half-lives than that need no more work: 2^-200 is far below what
/// a target can be.
pub(super) const MAX_HALVINGS: i128 = 200;

/// When the header after `parent` is due, in seconds of Unix time.
pub fn next_due(params: &Params, parent: &Header) -> u64 {
    parent.due.max(parent.time).saturating_add(params.block_interval)
}

/// What the work function's value of `header` may be at most.
pub fn header_target(params: &Params, header: &Header) -> Target {
    target(params, i128::from(header.time) - i128::from(header.due))
}

/// The work that `header` claims, in expected hashes.
pub fn header_work(params: &Params, header: &Header) -> u128 {
    header_target(params, header).work()
}

/// The target of a header that is `late` seconds late; early if it is negative.
pub fn target(params: &Params, late: i128) -> Target {
    if params.fixed || late >= 0 {
        return params.easiest_target;
    }
    // The exponent of two by which the target moves, in 1/65536, by floor division.
    let half_life = i128::from(params.target_half_life);
    let exponent = (late * 65_536).div_euclid(half_life).max(-MAX_HALVINGS << 16) as i64;
    let (shift, fraction) = (exponent >> 16, (exponent & 0xffff) as u64);
    // 65536 * 2^(fraction / 65536), by a cubic that is exact at both ends and right within 0.013 %.
    let cubic = 195_766_423_245_049 * u128::from(fraction)
        + 971_821_376 * u128::from(fraction).pow(2)
        + 5_127 * u128::from(fraction).pow(3)
        + (1 << 47);
    let factor = 65_536 + (cubic >> 48) as u64;
    let (mantissa, exponent) = params.easiest_target.parts();
    Target::rounded_down(u64::from(mantissa) * factor, i64::from(exponent) + shift - 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{consensus::header::genesis, types::Network};

    #[test]
    fn a_block_that_is_due_or_late_needs_the_least() {
        let params = Network::Main.params();
        for late in [0, 1, 2_700, i128::from(u64::MAX)] {
            assert_eq!(target(params, late), params.easiest_target);
        }
    }

    #[test]
    fn a_half_life_early_needs_twice_the_work() {
        let params = Network::Main.params();
        let easiest = params.easiest_target.value();
        assert_eq!(target(params, -2_700).value(), easiest / 2);
        assert_eq!(target(params, -5_400).value(), easiest / 4);
        let half = easiest as f64 / target(params, -1_350).value() as f64;
        assert!((half - std::f64::consts::SQRT_2).abs() < 2e-4, "{half}");
        assert_eq!(target(params, -i128::from(u64::MAX)), Target::HARDEST);
    }

    #[test]
    fn the_target_never_gets_easier_the_earlier_a_block_comes() {
        let params = Network::Main.params();
        let mut last = Target::HARDEST.value();
        for late in -300_000i128..=1 {
            let value = target(params, late).value();
            assert!(value >= last, "{late}");
            last = value;
        }
    }

    #[test]
    fn lateness_is_forgotten_and_earliness_is_not() {
        let params = Network::Main.params();
        let genesis = genesis(Network::Main).header;
        let header = |time, due| Header { time, due, ..genesis.clone() };
        assert_eq!(next_due(params, &header(1_000, 1_000)), 1_120);
        assert_eq!(next_due(params, &header(900, 1_000)), 1_120, "early by 100 s");
        assert_eq!(next_due(params, &header(9_000, 1_000)), 9_120, "late by 8,000 s");
        assert_eq!(next_due(params, &header(u64::MAX, 1_000)), u64::MAX);
    }

    #[test]
    fn a_fixed_target_stays() {
        let params = Network::Dev.params();
        assert_eq!(target(params, -1_000_000), params.easiest_target);
    }
}

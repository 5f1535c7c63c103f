//! What operations cost, in expected hashes of the stamp's work.
//!
//! Two multipliers follow demand: that of names goes by the Commits of a block, that of bytes by
//! the bytes of the operations that record something. Renewals and rescues have a fixed price.

use crate::{
    params::{PRICE_MAX, PRICE_UNIT, Params},
    types::Name,
};

/// The steps that a silence lowers a multiplier by, at most: more than it takes from the top to the
/// bottom.
const MAX_SILENT_STEPS: u64 = 160;

/// The price of registering `name`, which its Commit carries: by length, 256 times the base for
/// three letters, 64 for four, 8 for five.
pub fn registration(params: &Params, name: &Name, multiplier: u32) -> u64 {
    scaled(unscaled_registration(params, name), multiplier)
}

fn unscaled_registration(params: &Params, name: &Name) -> u64 {
    let factor = match name.as_str().len() {
        ..=3 => 256,
        4 => 64,
        5 => 8,
        _ => 1,
    };
    params.base_price.saturating_mul(factor)
}

/// The least that any Commit costs: whose name it is can't be seen yet.
pub fn commitment(params: &Params, multiplier: u32) -> u64 {
    scaled(params.base_price, multiplier)
}

/// The price of recording `bytes` of records, by Register, Update or Publish: a thirty-second of
/// the base for each 512 bytes begun, and one for the operation.
pub fn records(params: &Params, bytes: usize, multiplier: u32) -> u64 {
    let parts = 1 + bytes.div_ceil(512) as u64;
    scaled(params.base_price.saturating_mul(parts) / 32, multiplier)
}

/// The price of a renewal: a sixteenth of the name's registration at the lowest price, however
/// many others want names.
pub fn renewal(params: &Params, name: &Name) -> u64 {
    (unscaled_registration(params, name) / 16).max(1)
}

/// The price of Transfer and Accept: that of an Update without records.
pub fn transfer(params: &Params, multiplier: u32) -> u64 {
    records(params, 0, multiplier)
}

/// The price of Cancel, Recover and Revoke, which somebody may need in a hurry: a sixty-fourth of
/// the base, once a day for each key of a name.
pub fn rescue(params: &Params) -> u64 {
    (params.base_price / 64).max(1)
}

/// A base price under a multiplier of 1/1024: rounded up, at least 1, at most `u64::MAX`.
fn scaled(base: u64, multiplier: u32) -> u64 {
    let price = (u128::from(base) * u128::from(multiplier)).div_ceil(u128::from(PRICE_UNIT));
    u64::try_from(price).unwrap_or(u64::MAX).max(1)
}

/// The multiplier after a block that comes `elapsed` seconds after its parent and has `count` of
/// what the multiplier goes by, when the parent's was `parent` and `target` is the count at which
/// it stays.
///
/// It rises by an eighth for each `target` over the target. It falls by at most an eighth for each
/// block interval that has passed, as if each had brought an empty block: neither a burst of
/// empty blocks nor a silence makes a difference. It is 1,024 (a price of one) to 2^31.
pub fn next_multiplier(params: &Params, parent: u32, count: u64, target: u64, elapsed: u64) -> u32 {
    if params.fixed {
        return parent;
    }
    let clamp =
        |multiplier: u128| multiplier.clamp(u128::from(PRICE_UNIT), u128::from(PRICE_MAX)) as u32;
    let (before, interval) = (u128::from(parent), params.block_interval.max(1));
    let (count, aim) = (u128::from(count), u128::from(target));
    let mut next = if count >= aim {
        clamp(before + before * (count - aim) / (8 * aim))
    } else {
        let passed = u128::from(elapsed.min(interval));
        clamp(before - before * (aim - count) * passed / (8 * aim * u128::from(interval)))
    };
    for _ in 1..(elapsed / interval).min(MAX_SILENT_STEPS) {
        next = clamp(u128::from(next - next / 8));
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{params::TARGET_COMMITS, types::Network};

    #[test]
    fn short_names_cost_more() {
        let params = Network::Main.params();
        let price = |name: &str| {
            registration(params, &Name::parse(name).unwrap(), PRICE_UNIT) / params.base_price
        };
        assert_eq!([price("abc"), price("abcd"), price("abcde"), price("abcdef")], [256, 64, 8, 1]);
        assert_eq!(
            registration(params, &Name::parse("abc").unwrap(), u32::MAX),
            562_949_953_290_240
        );
    }

    #[test]
    fn records_cost_by_size() {
        let params = Network::Main.params();
        let part = params.base_price / 32;
        for (bytes, parts) in [(0, 1), (1, 2), (512, 2), (513, 3), (4_096, 9)] {
            assert_eq!(records(params, bytes, PRICE_UNIT), part * parts);
        }
    }

    #[test]
    fn a_rush_moves_neither_renewals_nor_rescues() {
        let params = Network::Main.params();
        let name = Name::parse("abcdef").unwrap();
        assert_eq!(renewal(params, &name), params.base_price / 16);
        assert_eq!(rescue(params), params.base_price / 64);
    }

    fn after(parent: u32, commits: u64, elapsed: u64) -> u32 {
        next_multiplier(Network::Main.params(), parent, commits, TARGET_COMMITS, elapsed)
    }

    #[test]
    fn the_multiplier_moves_an_eighth_at_most_a_block() {
        assert_eq!(after(8_192, 20, 120), 8_192);
        assert_eq!(after(8_192, 40, 120), 9_216);
        assert_eq!(after(8_192, 0, 120), 7_168);
        assert_eq!(after(8_192, 10, 120), 7_680);
        assert_eq!(after(1_024, 0, 120), 1_024, "never below one");
        assert_eq!(after(1_024, 21, 120), 1_030);
        assert_eq!(after(PRICE_MAX, 40, 120), PRICE_MAX);
    }

    #[test]
    fn it_falls_with_time_and_not_with_blocks() {
        assert_eq!(after(8_192, 0, 0), 8_192, "a burst of empty blocks lowers nothing");
        assert_eq!(after(8_192, 0, 60), 7_680, "half an interval, half a step");
        assert_eq!(after(8_192, 0, 240), 7_168 - 896, "two intervals, two steps");
        assert_eq!(after(8_192, 40, 0), 9_216, "it rises at once");
        assert_eq!(after(PRICE_MAX, 0, u64::MAX), PRICE_UNIT, "a long silence takes all away");
        assert_eq!(after(8_192, 20, 239), 8_192, "the block itself is the first interval");
        assert_eq!(after(8_192, 20, 240), 7_168);
    }

    #[test]
    fn on_a_fixed_network_it_stays() {
        let params = Network::Dev.params();
        assert_eq!(next_multiplier(params, PRICE_UNIT, 40, TARGET_COMMITS, 0), PRICE_UNIT);
    }
}

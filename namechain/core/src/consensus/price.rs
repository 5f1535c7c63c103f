//! What operations cost, in expected hashes of the stamp's work.

use crate::{
    params::{PRICE_MAX, PRICE_UNIT, Params, TARGET_COMMITS},
    types::Name,
};

/// The price of registering `name`, which its commitment carries: by length, 256 times the base for
/// three letters, 64 for four, 8 for five.
pub fn registration(params: &Params, name: &Name, multiplier: u32) -> u64 {
    let factor = match name.as_str().len() {
        ..=3 => 256,
        4 => 64,
        5 => 8,
        _ => 1,
    };
    scaled(params.base_price.saturating_mul(factor), multiplier)
}

/// The least that any commitment costs: whose name it is can't be seen yet.
pub fn commitment(params: &Params, multiplier: u32) -> u64 {
    scaled(params.base_price, multiplier)
}

/// The price of recording `bytes` of records, by Register or Update: a sixteenth of the base for
/// each 512 bytes begun, and one sixteenth for the operation.
pub fn records(params: &Params, bytes: usize, multiplier: u32) -> u64 {
    let parts = 1 + bytes.div_ceil(512) as u64;
    scaled(params.base_price.saturating_mul(parts) / 16, multiplier)
}

/// The price of a renewal: a sixteenth of the name's registration.
pub fn renewal(params: &Params, name: &Name, multiplier: u32) -> u64 {
    (registration(params, name, multiplier) / 16).max(1)
}

/// The price of Transfer and Accept: a sixteenth of the base.
pub fn transfer(params: &Params, multiplier: u32) -> u64 {
    records(params, 0, multiplier)
}

/// The price of Cancel, Recover and Revoke, which somebody may need in a hurry: a sixty-fourth of
/// the base.
pub fn rescue(params: &Params, multiplier: u32) -> u64 {
    scaled(params.base_price / 64, multiplier)
}

/// A base price under a multiplier of 1/1024: rounded up, at least 1, at most `u64::MAX`.
fn scaled(base: u64, multiplier: u32) -> u64 {
    let price = (u128::from(base) * u128::from(multiplier)).div_ceil(u128::from(PRICE_UNIT));
    u64::try_from(price).unwrap_or(u64::MAX).max(1)
}

/// The multiplier after a block with `commits` commitments, when the parent's was `parent`: it
/// moves by an eighth at most, in proportion to how far the number is from 20, between 1024 (a
/// price of one) and 2^31.
pub fn next_multiplier(parent: u32, commits: usize) -> u32 {
    let aim = i64::from(TARGET_COMMITS);
    let over = (commits as i64).min(2 * aim) - aim;
    let moved = i64::from(parent) + i64::from(parent) * over / (aim * 8);
    moved.clamp(i64::from(PRICE_UNIT), i64::from(PRICE_MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Network;

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
        let sixteenth = params.base_price / 16;
        for (bytes, parts) in [(0, 1), (1, 2), (512, 2), (513, 3), (4_096, 9)] {
            assert_eq!(records(params, bytes, PRICE_UNIT), sixteenth * parts);
        }
    }

    #[test]
    fn the_multiplier_moves_an_eighth_at_most() {
        assert_eq!(next_multiplier(8_192, 20), 8_192);
        assert_eq!(next_multiplier(8_192, 40), 9_216);
        assert_eq!(next_multiplier(8_192, 4_000), 9_216);
        assert_eq!(next_multiplier(8_192, 0), 7_168);
        assert_eq!(next_multiplier(1_024, 0), 1_024, "never below one");
        assert_eq!(next_multiplier(1_024, 21), 1_030);
        assert_eq!(next_multiplier(PRICE_MAX, 99), PRICE_MAX);
    }
}

//! The two multipliers of prices, names and bytes: the core's rule, and those that it was compared
//! with.

use namechain_core::{
    consensus::price,
    params::{MAX_COMMITS, MAX_SHARED_BYTES, TARGET_BYTES, TARGET_COMMITS},
    types::Network,
};

pub use namechain_core::params::PRICE_UNIT as UNIT;

/// Stamp hashes of an ordinary registration at the lowest price, on main.
pub const BASE: f64 = 524_288.0;
/// Seconds between blocks on main.
pub const INTERVAL: u64 = 120;
/// Bytes of a block that all but rescues and renewals have together.
pub const SHARE_BYTES: u64 = MAX_SHARED_BYTES as u64;
/// Bytes of a block.
pub const BLOCK_BYTES: u64 = 262_144;
/// Bytes of a Commit.
pub const COMMIT_BYTES: u64 = 81;

/// How a multiplier moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Controller {
    /// The count at which it stays.
    pub aim: u64,
    /// What is counted at most, whatever is in the block.
    pub count_cap: u64,
    /// What a block can hold.
    pub block_cap: u64,
    /// Whether the price falls for each interval that has passed, or once a block at most.
    pub falls_with_time: bool,
}

impl Controller {
    /// Names: what is counted is capped at twice the aim, the block is not.
    pub const NAMES_UNCAPPED: Controller = Controller {
        aim: TARGET_COMMITS,
        count_cap: 40,
        block_cap: SHARE_BYTES / COMMIT_BYTES,
        falls_with_time: false,
    };
    /// Names: a block has at most twice the aim.
    pub const NAMES: Controller = Controller {
        aim: TARGET_COMMITS,
        count_cap: MAX_COMMITS as u64,
        block_cap: MAX_COMMITS as u64,
        falls_with_time: true,
    };
    /// Bytes: what is counted is capped at twice the aim, the block at 3.5 times.
    pub const BYTES_CAPPED: Controller = Controller {
        aim: TARGET_BYTES,
        count_cap: 131_072,
        block_cap: SHARE_BYTES,
        falls_with_time: false,
    };
    /// Bytes: all that is in the block counts.
    pub const BYTES: Controller = Controller {
        aim: TARGET_BYTES,
        count_cap: SHARE_BYTES,
        block_cap: SHARE_BYTES,
        falls_with_time: true,
    };

    /// The multiplier after a block with `count`, `dt` seconds after the one before.
    pub fn next(&self, multiplier: u32, count: u64, dt: u64) -> u32 {
        // A rule that lowers once a block is the core's for a gap of one interval at most.
        let dt = if self.falls_with_time { dt } else { dt.min(INTERVAL) };
        let count = count.min(self.count_cap);
        price::next_multiplier(Network::Main.params(), multiplier, count, self.aim, dt)
    }
}

/// A multiplier as a factor.
pub fn factor(multiplier: u32) -> f64 {
    f64::from(multiplier) / f64::from(UNIT)
}

/// Stamp hashes of records of so many bytes: Register, Update, Publish.
pub fn records(bytes: u64, multiplier: u32) -> f64 {
    price::records(Network::Main.params(), bytes as usize, multiplier) as f64
}

#[cfg(test)]
mod tests {
    use namechain_core::params::PRICE_MAX;

    use super::*;

    #[test]
    fn constants_are_those_of_main() {
        let params = Network::Main.params();
        assert_eq!(params.base_price as f64, BASE);
        assert_eq!(params.block_interval, INTERVAL);
    }

    #[test]
    fn a_multiplier_moves_as_the_page_says() {
        let names = Controller::NAMES;
        assert_eq!(names.next(8_192, 20, 120), 8_192);
        assert_eq!(names.next(8_192, 40, 0), 9_216);
        assert_eq!(names.next(8_192, 0, 120), 7_168);
        assert_eq!(names.next(8_192, 0, 60), 7_680);
        assert_eq!(names.next(8_192, 0, 0), 8_192);
        assert_eq!(names.next(1_024, 0, 120), 1_024);
        assert_eq!(names.next(PRICE_MAX, 40, 120), PRICE_MAX);
        assert_eq!(Controller::BYTES.next(1_024, SHARE_BYTES, 120), 1_344);
        assert_eq!(Controller::BYTES_CAPPED.next(1_024, SHARE_BYTES, 120), 1_152);
    }

    #[test]
    fn silence_lowers_the_price_once_an_interval() {
        let mut stepped = 1 << 20;
        for _ in 0..30 {
            stepped = Controller::NAMES.next(stepped, 0, 120);
        }
        assert_eq!(Controller::NAMES.next(1 << 20, 0, 3_600), stepped);
        assert_eq!(Controller::NAMES_UNCAPPED.next(1 << 20, 0, 3_600), (1 << 20) / 8 * 7);
        assert_eq!(Controller::NAMES.next(PRICE_MAX, 0, u64::MAX), UNIT);
    }
}

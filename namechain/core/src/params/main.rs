//! The network whose names are meant to last.

use super::{Delay, FIRST_BRANCH, Params};
use crate::types::{Hash, Network, Target};

pub(super) const PARAMS: Params = Params {
    network: Network::Main,
    launched: false,
    genesis_time: 1_795_046_400,
    entropy: Hash::ZERO,
    branches: &[FIRST_BRANCH],
    minimum_work: 0,
    checkpoints: &[],
    seeds: &[],
    easiest_target: Target::of_work_bits(18),
    fixed: false,
    block_interval: 120,
    target_half_life: 2_700,
    header_work_kib: 1_024,
    stamp_work_kib: 256,
    base_price: 1 << 19,
    commit_delay: Delay { blocks: 10, seconds: 600 },
    settle_delay: Delay { blocks: 30, seconds: 3_600 },
    transfer_delay: Delay { blocks: 10, seconds: 86_400 },
    lease: 31_536_000,
    grace: 2_592_000,
    serve_depth: 6,
};

//! A private network on one machine: mined at once when there is something to record, with trivial
//! work, and times that are short but never zero.

use super::{Delay, FIRST_BRANCH, Params};
use crate::types::{Hash, Network, Target};

pub(super) const PARAMS: Params = Params {
    network: Network::Dev,
    launched: true,
    genesis_time: 1_795_046_400,
    entropy: Hash::ZERO,
    branches: &[FIRST_BRANCH],
    minimum_work: 0,
    checkpoints: &[],
    seeds: &[],
    easiest_target: Target::of_work_bits(1),
    fixed: true,
    block_interval: 1,
    target_half_life: 2_700,
    header_work_kib: 1_024,
    stamp_work_kib: 256,
    base_price: 64,
    commit_delay: Delay { blocks: 1, seconds: 1 },
    settle_delay: Delay { blocks: 1, seconds: 1 },
    transfer_delay: Delay { blocks: 1, seconds: 2 },
    lease: 31_536_000,
    grace: 2_592_000,
    serve_depth: 0,
};

//! The public network for trying things out: as main, with less work.

use super::Params;
use crate::types::{Network, Target};

pub(super) const PARAMS: Params = Params {
    network: Network::Test,
    genesis_time: 1_795_046_400,
    genesis_target: Target::of_work_bits(12),
    easiest_target: Target::of_work_bits(8),
    block_interval: 120,
    target_half_life: 21_600,
    header_work_kib: 1_024,
    stamp_work_kib: 256,
    base_price: 1 << 13,
    commit_min_age: 10,
    commit_max_age: 720,
    lease: 262_800,
    grace: 21_600,
    transfer_delay: 720,
    serve_depth: 6,
};

//! A private network on one machine: mined at once when there is something to record, with trivial
//! work.

use super::Params;
use crate::types::{Network, Target};

pub(super) const PARAMS: Params = Params {
    network: Network::Dev,
    genesis_time: 1_795_046_400,
    genesis_target: Target::of_work_bits(1),
    easiest_target: Target::of_work_bits(1),
    block_interval: 0,
    target_half_life: 21_600,
    header_work_kib: 1_024,
    stamp_work_kib: 256,
    base_price: 64,
    commit_min_age: 1,
    commit_max_age: 720,
    lease: 262_800,
    grace: 21_600,
    transfer_delay: 2,
    serve_depth: 0,
};

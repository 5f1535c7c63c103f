//! The state that the chain thread publishes.

use std::sync::Arc;

use namechain_core::{
    chain::{Chain, Hold, Snapshot},
    mempool::Mempool,
    sync::{PeerStatus, SyncStatus},
    types::Hash,
};

/// The state of the node as of its last change.
pub(super) struct NodeState {
    pub tip: Arc<Snapshot>,
    pub served: Arc<Snapshot>,
    pub work: u128,
    pub mempool_operations: usize,
    pub mempool_bytes: usize,
    pub hold: Option<Hold>,
    pub parked_tip: Option<Hash>,
    pub failed: Option<String>,
    pub sync_status: SyncStatus,
    pub second_best: Option<(Hash, u32, u128)>,
    pub peers: Vec<PeerStatus>,
}

impl NodeState {
    pub fn of(chain: &Chain, mempool: &Mempool, sync_status: SyncStatus) -> Self {
        let shown = sync_status.second_best.filter(|(id, ..)| *id != chain.tip_id());
        let second_best = [chain.second_best(), shown]
            .into_iter()
            .flatten()
            .max_by_key(|(id, _, work)| (*work, *id));
        let height = chain.tip_header().height;
        let served = height.saturating_sub(chain.network().params().serve_depth);
        let snapshot = |height| {
            Arc::new(chain.snapshot_at(height).expect("the last 720 blocks have snapshots"))
        };
        NodeState {
            tip: snapshot(height),
            served: snapshot(served),
            work: chain.work(),
            mempool_operations: mempool.len(),
            mempool_bytes: mempool.bytes(),
            hold: chain.hold().cloned(),
            parked_tip: chain.parked_tip(),
            failed: None,
            sync_status,
            second_best,
            peers: Vec::new(),
        }
    }
}

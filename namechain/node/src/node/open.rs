//! Opening what a node keeps: the store, the chain in it, and what waited to be recorded.

use std::{path::Path, sync::Arc};

use tracing::{info, warn};

use super::{clock, parallel_verifier::ParallelVerifier};
use crate::store::{Options, Store};
use namechain_core::{
    chain::{BlockLocation, Chain, ChainError, Change, Storage, StorageError, TipChange},
    codec::Decode,
    consensus::{block::check_operation_alone, header::signing_context, work::PowHasher},
    mempool::Mempool,
    types::{Block, Header, Network, Operation},
};

/// Blocks between two lines about how far a rebuilding index is.
const REBUILD_LOG_EVERY: u64 = 10_000;
/// Blocks between two durable commits while the index is rebuilt.
const REBUILD_SYNC_EVERY: u64 = 100;

/// Opens the store, takes up the blocks that its index does not have (all of them if the index is
/// new or was damaged), and what waited to be recorded.
pub(super) fn open(
    network: Network,
    dir: &Path,
    options: Options,
) -> Result<(Arc<Store>, Chain, Mempool), StorageError> {
    let (store, chain) = match open_chain(network, dir, options) {
        Err(StorageError::Damaged(what)) if !options.reindex => {
            warn!("the index does not hold together ({what}): it is made anew from the block log");
            open_chain(network, dir, Options { reindex: true, ..options })?
        }
        opened => opened?,
    };
    let mempool = restore_pending(&chain, &*store)?;
    info!(
        height = chain.tip_header().height,
        waiting = mempool.len(),
        "the {network} chain is open, tip {}",
        chain.tip_id()
    );
    if let Some(next) = network.params().branch_after(clock::now()) {
        info!(from = next.from, "branch {} of the protocol comes into force", next.number);
    }
    Ok((store, chain, mempool))
}

/// Opens the store and the chain in it, and takes up the blocks that its index does not have.
pub(super) fn open_chain(
    network: Network,
    dir: &Path,
    options: Options,
) -> Result<(Arc<Store>, Chain), StorageError> {
    let opened = Store::open_with(dir, network, options)?;
    let store = Arc::new(opened.store);
    let mut chain = Chain::open(network, store.clone())?;
    chain.set_verifier(Box::new(ParallelVerifier::new(network)));
    let mut count = 0u64;
    let replayed =
        store.replay(&mut |at: BlockLocation, bytes: &[u8]| -> Result<(), StorageError> {
            count += 1;
            if count.is_multiple_of(REBUILD_LOG_EVERY) {
                info!(
                    "making the index anew: {count} blocks read, height {}",
                    chain.tip_header().height
                );
            }
            take_again(&mut chain, at, bytes, count.is_multiple_of(REBUILD_SYNC_EVERY))
        })?;
    if replayed.blocks > 0 {
        store.commit(Vec::new(), true)?;
        let height = chain.tip_header().height;
        info!(
            damaged = replayed.damaged,
            "{} blocks taken from the block log, height {height}", replayed.blocks
        );
    }
    Ok((store, chain))
}

/// Feeds a block of the log to the chain. One that was refused when it first came is refused again.
fn take_again(
    chain: &mut Chain,
    at: BlockLocation,
    bytes: &[u8],
    durable: bool,
) -> Result<(), StorageError> {
    let Ok(block) = Block::parse(bytes) else {
        warn!("a record of the block log is not a block: it is passed over");
        return Ok(());
    };
    // The clock was satisfied when the block was first taken.
    match chain.accept_logged(&block, Some(at), u64::MAX, durable) {
        Ok(_) => Ok(()),
        Err(ChainError::Storage(error)) => Err(error),
        Err(error) => {
            warn!("a block of the block log is passed over: {error}");
            Ok(())
        }
    }
}

/// Puts the operations that waited when the node ended back into the mempool.
fn restore_pending(chain: &Chain, storage: &dyn Storage) -> Result<Mempool, StorageError> {
    let network = chain.network();
    let mut mempool = Mempool::new(network);
    let mut worker = PowHasher::new(network);
    let waited = storage.pending()?;
    let mut operations: Vec<Operation> =
        waited.iter().filter_map(|bytes| Operation::from_bytes(bytes).ok()).collect();
    let now = clock::now();
    let (params, branch) = (network.params(), chain.branch_at(now));
    let context = signing_context(params, branch);
    operations.retain(|operation| {
        check_operation_alone(params, &context, operation, &mut worker).is_ok()
    });
    let header = Header { version: branch, ..chain.tip_header().clone() };
    let as_undone = Block { header, operations };
    mempool.follow(chain, &TipChange { undone: vec![as_undone], connected: Vec::new() }, now)?;
    let kept = mempool.ids();
    let forget = waited
        .iter()
        .filter_map(|bytes| Operation::from_bytes(bytes).ok())
        .map(|operation| operation.id(network))
        .filter(|id| !kept.contains(id))
        .map(|id| Change::Pending(id, None))
        .collect();
    storage.commit(forget, true)?;
    Ok(mempool)
}

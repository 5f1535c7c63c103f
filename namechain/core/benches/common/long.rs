//! Long chains that are real in every respect, mined in minutes: blocks of a name each, or empty
//! ones.

use std::sync::Arc;

use namechain_core::{
    chain::{Accepted, Chain, Storage, read_block},
    consensus::{
        block::check_operation_alone,
        header::{check_header_alone, signing_context},
        price,
        work::PowHasher,
    },
    miner::search_nonce,
    params::PRICE_UNIT,
    types::{Action, Hash, Operation, SignedOperation, Stamp, commitment},
};

use super::state::{NETWORK, name, owner, records, stamp_all};

/// Blocks whose operations are stamped at once: all of them on the block before, which must not be
/// older than 720.
const AT_ONCE: u32 = 500;
/// Blocks between two durable commits.
const SYNC_EVERY: u32 = 1_000;

/// Mines `blocks` blocks onto a new store. With `names`, each block has a commitment and opens the
/// one of the block before: a name a block.
pub fn grow(storage: Arc<dyn Storage>, blocks: u32, names: bool) {
    let mut chain = Chain::open(NETWORK, storage).expect("a chain");
    // As if a block had come every second since the network's beginning, which lies behind us.
    let start = NETWORK.params().genesis_time;
    let (mut height, mut last_commit) = (0, Hash::ZERO);
    while height < blocks {
        let count = AT_ONCE.min(blocks - height);
        let operations = if names {
            let until = start + u64::from(height) + VALID_S;
            operations(chain.tip_id(), height, count, until, &mut last_commit)
        } else {
            Vec::new()
        };
        for index in 0..count {
            height += 1;
            // Commits and registrations alternate: block `height` has the commit of its name, and
            // the registration of the last.
            let mine_these =
                operations.iter().skip(2 * index as usize).take(if names { 2 } else { 0 });
            let mut block =
                chain.assemble_block(mine_these, start + u64::from(height)).expect("a block");
            assert_eq!(
                block.operations.len(),
                if !names {
                    0
                } else if height == 1 {
                    1
                } else {
                    2
                }
            );
            block.header = search_nonce(&mut PowHasher::new(NETWORK), block.header, |_| true)
                .expect("its work");
            let durable = height.is_multiple_of(SYNC_EVERY) || height == blocks;
            let accepted = chain.accept(&block, u64::MAX, durable).expect("a sound block");
            assert!(matches!(accepted, Accepted::Tip(_)));
        }
    }
}

/// For each of the blocks above `below` the registration of the name committed to in the block
/// before, and a commitment. `last_commit` is the id of the one before all, then of the last.
fn operations(
    anchor: Hash,
    below: u32,
    count: u32,
    valid_until: u64,
    last_commit: &mut Hash,
) -> Vec<Operation> {
    let params = NETWORK.params();
    let context = signing_context(params, params.branches[0].number);
    let (mut commits, mut registers) = (Vec::new(), Vec::new());
    let stamp = |work| Stamp { anchor, work, nonce: 0 };
    for height in below + 1..=below + count {
        let commit = |number| {
            let (name, key) = (name(number), owner(number));
            let commitment = commitment(NETWORK, &name, &key.public(), &key.salt(NETWORK, &name));
            let work = price::registration(params, &name, PRICE_UNIT);
            Operation::Commit { commitment, stamp: stamp(work) }
        };
        commits.push(commit(NAMES_FROM + height));
    }
    stamp_all(&mut commits);
    for (height, commit) in (below + 1..).zip(&commits) {
        let before = std::mem::replace(last_commit, commit.id(NETWORK));
        let register = |number| {
            let (name, key, records) = (name(number), owner(number), records(number));
            let work = price::records(params, records.byte_len(), PRICE_UNIT);
            let action =
                Action::Register { recovery: None, salt: key.salt(NETWORK, &name), records };
            Operation::Named(SignedOperation::sign(
                &context,
                name,
                before,
                valid_until,
                action,
                &key,
                stamp(work),
            ))
        };
        // The registration before the first name is no registration: it is left out of the block.
        registers.push(register(NAMES_FROM + height - 1));
    }
    stamp_all(&mut registers);
    registers.into_iter().zip(commits).flat_map(<[Operation; 2]>::from).collect()
}

/// How long what is signed holds, in seconds: longer than the blocks take that are stamped at once.
const VALID_S: u64 = 2 * AT_ONCE as u64;
/// Names of six digits: all cost the same.
const NAMES_FROM: u32 = 100_000;

/// Checks every header's work and every operation's stamp and signature on this thread: what no
/// node can leave out.
pub fn check_all(storage: &dyn Storage) {
    let mut worker = PowHasher::new(NETWORK);
    let mut height = 1;
    while let Some(id) = storage.active(height).expect("the store") {
        let stored = storage.header(&id).expect("the store").expect("a header");
        let block = read_block(NETWORK, storage, stored.at).expect("a block");
        let params = NETWORK.params();
        check_header_alone(params, &block.header, &mut worker).expect("its work");
        let context = signing_context(params, block.header.version);
        for operation in &block.operations {
            check_operation_alone(params, &context, operation, &mut worker)
                .expect("a sound operation");
        }
        height += 1;
    }
}

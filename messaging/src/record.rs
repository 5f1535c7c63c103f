//! Records of the past: whether one identity key follows from another.
//!
//! The chain proves which record stands. That an earlier one led to it is told by the records
//! between: each names the hash of the one before it, and where the identity key changes, the old
//! key announced the new one and signed for it.

use namechain_core::types::{
    Hash, MessagingRecord, Name, Network, PublicKey, SignedMessagingRecord, next_key_hash,
};

/// The most records between two that are looked at.
pub const MAX_STEPS: usize = 64;

/// A record that is known: what the next one is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRecord {
    /// The record's hash.
    pub hash: Hash,
    /// Its identity key.
    pub identity: PublicKey,
    /// The hash of the identity key that it announces.
    pub next: Hash,
}

impl KnownRecord {
    /// Of a record.
    pub fn of(network: Network, record: &MessagingRecord) -> Self {
        KnownRecord { hash: record.hash(network), identity: record.identity, next: record.next }
    }
}

/// Whether `steps`, the records of `name` under `title` after `from` in their order, lead to the
/// record with the hash `to`, and every change of the identity key on the way is linked. At most
/// [`MAX_STEPS`] steps, of two signatures each, are checked.
pub fn leads_to(
    network: Network,
    name: &Name,
    title: &Hash,
    from: &KnownRecord,
    steps: &[SignedMessagingRecord],
    to: &Hash,
) -> bool {
    if steps.len() > MAX_STEPS {
        return false;
    }
    let end =
        steps.iter().try_fold(*from, |before, step| follows(network, name, title, &before, step));
    end.is_some_and(|end| end.hash == *to)
}

/// The record of `step`, if it follows `before`.
fn follows(
    network: Network,
    name: &Name,
    title: &Hash,
    before: &KnownRecord,
    step: &SignedMessagingRecord,
) -> Option<KnownRecord> {
    let record = &step.record;
    let signed =
        record.identity.verify(&record.possession_message(network, name, title), &step.possession);
    if !signed || record.previous != before.hash {
        return None;
    }
    let linked = step.link.is_some_and(|link| {
        link.identity == before.identity
            && before.next == next_key_hash(network, &record.identity)
            && link.identity.verify(&record.link_message(network, name, title), &link.signature)
    });
    (record.identity == before.identity || linked).then(|| KnownRecord::of(network, record))
}

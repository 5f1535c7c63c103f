//! The rules of messaging records: who has signed one, and what it must follow.

use super::RuleViolation;
use crate::types::{
    BlockTime, Hash, MessagingEntry, Name, NameEntry, Network, SignedMessagingRecord, next_key_hash,
};

/// What a messaging record of `name` under `title` must be by itself: its identity key has signed
/// it, and so has the key of its link.
pub fn check_signatures(
    network: Network,
    name: &Name,
    title: &Hash,
    signed: &SignedMessagingRecord,
) -> Result<(), RuleViolation> {
    let record = &signed.record;
    if !record.identity.verify(&record.possession_message(network, name, title), &signed.possession)
    {
        return Err(RuleViolation::Possession);
    }
    if let Some(link) = &signed.link
        && !link.identity.verify(&record.link_message(network, name, title), &link.signature)
    {
        return Err(RuleViolation::LinkSignature);
    }
    Ok(())
}

/// What stands under a name with this entry after `signed` is recorded in the block `at`. A record
/// must follow the one that stands. A new identity key may come without a link, and is told apart
/// by that for as long as it stands: an owner who has lost the identity key must be able to go on,
/// and nobody must be deceived.
pub fn published(
    network: Network,
    at: BlockTime,
    entry: &NameEntry,
    signed: &SignedMessagingRecord,
) -> Result<MessagingEntry, RuleViolation> {
    let record = &signed.record;
    let (last, expected) = (entry.messaging_sequence, entry.messaging_sequence.saturating_add(1));
    if last == u32::MAX || record.sequence != expected {
        return Err(RuleViolation::MessagingSequence { expected, found: record.sequence });
    }
    let before = entry.messaging.as_deref();
    if record.previous != before.map(|before| before.record.hash(network)).unwrap_or_default() {
        return Err(RuleViolation::MessagingPrevious(entry.name.clone()));
    }
    if let Some(link) = &signed.link {
        let Some(before) = before.filter(|before| before.record.identity == link.identity) else {
            return Err(RuleViolation::LinkIdentity(entry.name.clone()));
        };
        if before.record.next != next_key_hash(network, &record.identity) {
            return Err(RuleViolation::LinkAnnounced(entry.name.clone()));
        }
    }
    let linked = match before {
        Some(before) if before.record.identity == record.identity => before.linked,
        _ => signed.link.is_some(),
    };
    Ok(MessagingEntry { record: record.clone(), linked, height: at.height, time: at.time })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{
        CommitPosition, Locators, MessagingPolicy, MessagingRecord, PublicKey, RecordSet, Rescued,
        SecretKey, Signature,
    };

    const NETWORK: Network = Network::Dev;
    const TITLE: Hash = Hash([7; 32]);
    const AT: BlockTime = BlockTime { height: 7, time: 70 };

    fn key(number: u8) -> SecretKey {
        SecretKey::from_seed(&[number; 32])
    }

    fn alice() -> NameEntry {
        NameEntry {
            name: Name::parse("alice").unwrap(),
            owner: PublicKey([0; 32]),
            recovery: None,
            title: TITLE,
            sequence: 0,
            registered: BlockTime::default(),
            commit: CommitPosition::default(),
            updated: BlockTime::default(),
            expires: 0,
            revoked: false,
            rescued: Rescued::default(),
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
        }
    }

    /// The record of identity `identity`, announcing `next`, that follows what stands in `entry`.
    fn record(entry: &NameEntry, identity: u8, next: u8) -> MessagingRecord {
        MessagingRecord {
            sequence: entry.messaging_sequence + 1,
            previous: entry
                .messaging
                .as_ref()
                .map(|entry| entry.record.hash(NETWORK))
                .unwrap_or_default(),
            identity: key(identity).public(),
            next: next_key_hash(NETWORK, &key(next).public()),
            x25519: [0; 32],
            bundle: Hash::ZERO,
            locators: Locators::default(),
            policy: MessagingPolicy::default(),
        }
    }

    fn sign(entry: &NameEntry, identity: u8, next: u8, link: Option<u8>) -> SignedMessagingRecord {
        let record = record(entry, identity, next);
        let link = link.map(key);
        SignedMessagingRecord::sign(
            NETWORK,
            &entry.name,
            &TITLE,
            record,
            &key(identity),
            link.as_ref(),
        )
    }

    /// What the entry is after a record, and whether its key is linked.
    fn after(
        entry: &NameEntry,
        signed: &SignedMessagingRecord,
    ) -> Result<(NameEntry, bool), &'static str> {
        let published = check_signatures(NETWORK, &entry.name, &TITLE, signed)
            .and_then(|()| published(NETWORK, AT, entry, signed))
            .map_err(|violation| violation.id())?;
        let (messaging_sequence, linked) = (published.record.sequence, published.linked);
        Ok((
            NameEntry { messaging: Some(Box::new(published)), messaging_sequence, ..entry.clone() },
            linked,
        ))
    }

    #[test]
    fn keys_follow_each_other_with_and_without_a_link() {
        let (first, linked) = after(&alice(), &sign(&alice(), 1, 2, None)).unwrap();
        assert!(!linked, "nothing stood before the first one");
        let (same, linked) = after(&first, &sign(&first, 1, 2, None)).unwrap();
        assert!(!linked, "the same key is as linked as it was");
        let (second, linked) = after(&same, &sign(&same, 2, 3, Some(1))).unwrap();
        assert!(linked);
        let (same, linked) = after(&second, &sign(&second, 2, 4, None)).unwrap();
        assert!(linked, "it was linked when it came");
        let (_, linked) = after(&same, &sign(&same, 4, 5, None)).unwrap();
        assert!(!linked, "announced, but the key before has not signed");
        assert_eq!(
            after(&same, &sign(&same, 3, 5, Some(2))),
            Err("link-announced"),
            "not announced any more"
        );
        assert_eq!(
            after(&same, &sign(&same, 4, 5, Some(1))),
            Err("link-identity"),
            "not the one that stands"
        );
        assert_eq!(
            after(&alice(), &sign(&alice(), 2, 3, Some(1))),
            Err("link-identity"),
            "none stands"
        );
    }

    /// A key that announces itself gains nothing by a link to itself.
    #[test]
    fn nobody_can_link_to_themselves() {
        let (first, _) = after(&alice(), &sign(&alice(), 1, 1, None)).unwrap();
        let (_, linked) = after(&first, &sign(&first, 1, 1, Some(1))).unwrap();
        assert!(!linked);
    }

    #[test]
    fn none_announced_means_that_none_can_be_linked() {
        let record = MessagingRecord { next: Hash::ZERO, ..record(&alice(), 1, 2) };
        let signed =
            SignedMessagingRecord::sign(NETWORK, &alice().name, &TITLE, record, &key(1), None);
        let (first, _) = after(&alice(), &signed).unwrap();
        assert_eq!(after(&first, &sign(&first, 2, 3, Some(1))), Err("link-announced"));
        assert!(after(&first, &sign(&first, 2, 3, None)).is_ok());
    }

    #[test]
    fn a_record_is_for_one_name_one_network_and_one_place() {
        let good = sign(&alice(), 1, 2, None);
        let (name, other) = (alice().name, Name::parse("bobby").unwrap());
        assert_eq!(check_signatures(NETWORK, &name, &TITLE, &good), Ok(()));
        assert_eq!(
            check_signatures(NETWORK, &name, &Hash([8; 32]), &good),
            Err(RuleViolation::Possession),
            "under another title"
        );
        assert_eq!(
            check_signatures(NETWORK, &other, &TITLE, &good),
            Err(RuleViolation::Possession)
        );
        assert_eq!(
            check_signatures(Network::Test, &name, &TITLE, &good),
            Err(RuleViolation::Possession)
        );
        let (first, _) = after(&alice(), &good).unwrap();
        assert_eq!(after(&first, &good), Err("messaging-sequence"), "it is said once");
        let stale = MessagingRecord { previous: Hash::ZERO, ..record(&first, 1, 2) };
        let stale = SignedMessagingRecord::sign(NETWORK, &name, &TITLE, stale, &key(1), None);
        assert_eq!(after(&first, &stale), Err("messaging-previous"));
        let linked = sign(&first, 2, 3, Some(1));
        let mut swapped = linked.clone();
        // The same key's signature for the other purpose.
        swapped.link.as_mut().unwrap().signature =
            key(1).sign(&linked.record.possession_message(NETWORK, &name, &TITLE));
        assert_eq!(
            check_signatures(NETWORK, &name, &TITLE, &swapped),
            Err(RuleViolation::LinkSignature)
        );
    }

    /// Of small order, not reduced, not canonical: refused as everywhere.
    #[test]
    fn signatures_are_judged_strictly() {
        let good = sign(&alice(), 1, 2, None);
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let mut small = good.clone();
        (small.record.identity, small.possession) = (PublicKey(identity), Signature(signature));
        let mut unreduced = good.clone();
        // S plus the order of the group: the same modulo it.
        let order = hex::decode("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
            .unwrap();
        let mut carry = 0u16;
        for (byte, add) in unreduced.possession.0[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry as u8;
            carry >>= 8;
        }
        for bad in [small, unreduced] {
            assert_eq!(
                check_signatures(NETWORK, &alice().name, &TITLE, &bad),
                Err(RuleViolation::Possession)
            );
        }
    }

    #[test]
    fn after_the_last_sequence_number_there_is_no_next_one() {
        let entry = NameEntry { messaging_sequence: u32::MAX - 1, ..alice() };
        let (last, _) = after(&entry, &sign(&entry, 1, 2, None)).unwrap();
        let record = MessagingRecord { sequence: u32::MAX, ..record(&entry, 1, 2) };
        let again =
            SignedMessagingRecord::sign(NETWORK, &entry.name, &TITLE, record, &key(1), None);
        assert_eq!(after(&last, &again), Err("messaging-sequence"));
    }
}

//! Properties of the wire forms: every value has one encoding, and no bytes make the decoder fail
//! otherwise than with an error.

use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    codec::{Decode, Encode},
    consensus::{HistoryNode, header::genesis},
    tree::Proof,
};

fn hashes() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

fn keys() -> impl Strategy<Value = PublicKey> {
    any::<[u8; 32]>().prop_map(PublicKey)
}

fn names() -> impl Strategy<Value = Name> {
    "[a-z0-9][a-z0-9]{1,61}[a-z0-9]".prop_map(|text| Name::parse(&text).unwrap())
}

fn stamps() -> impl Strategy<Value = Stamp> {
    (hashes(), 1u64.., any::<u64>()).prop_map(|(anchor, work, nonce)| Stamp { anchor, work, nonce })
}

fn record_sets() -> impl Strategy<Value = RecordSet> {
    let owner = vec(vec(b'a'..=b'z', 1..8), 0..4).prop_map(|labels| {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(label.len() as u8);
            wire.extend(label);
        }
        wire.push(0);
        wire
    });
    let record = (owner, prop_oneof![1u16..6, 7u16..41, 256u16..], vec(any::<u8>(), 0..40))
        .prop_map(|(owner, rtype, rdata)| Record { owner, rtype, ttl: 60, rdata });
    vec(record, 0..12).prop_map(|records| RecordSet::new(records).unwrap())
}

fn messaging_records() -> impl Strategy<Value = MessagingRecord> {
    let hashes = (hashes(), hashes(), hashes());
    let locators = vec("[!-~]{1,128}", 0..=MAX_LOCATORS);
    (any::<u32>(), hashes, keys(), any::<[u8; 32]>(), locators, any::<bool>()).prop_map(
        |(sequence, (previous, next, bundle), identity, x25519, locators, x25519_alone)| {
            MessagingRecord {
                sequence,
                previous,
                identity,
                next,
                x25519,
                bundle,
                locators: Locators::new(locators).unwrap(),
                policy: MessagingPolicy { x25519_alone },
            }
        },
    )
}

fn signed_messaging_records() -> impl Strategy<Value = SignedMessagingRecord> {
    let signatures = || any::<[u8; 64]>().prop_map(Signature);
    let link = (keys(), signatures())
        .prop_map(|(identity, signature)| MessagingLink { identity, signature });
    (messaging_records(), signatures(), option::of(link))
        .prop_map(|(record, possession, link)| SignedMessagingRecord { record, possession, link })
}

fn messaging_entries() -> impl Strategy<Value = MessagingEntry> {
    (messaging_records(), any::<bool>(), any::<u32>(), any::<u64>())
        .prop_map(|(record, linked, height, time)| MessagingEntry { record, linked, height, time })
}

fn operations() -> impl Strategy<Value = Operation> {
    let action = prop_oneof![
        (option::of(keys()), any::<[u8; 32]>(), record_sets())
            .prop_map(|(recovery, salt, records)| Action::Register { recovery, salt, records }),
        (any::<u32>(), record_sets())
            .prop_map(|(sequence, records)| Action::Update { sequence, records }),
        any::<u64>().prop_map(|expires| Action::Renew { expires }),
        (any::<u32>(), keys()).prop_map(|(sequence, to)| Action::Transfer { sequence, to }),
        (hashes(), option::of(keys()))
            .prop_map(|(transfer, recovery)| Action::Accept { transfer, recovery }),
        hashes().prop_map(|transfer| Action::Cancel { transfer }),
        (keys(), option::of(keys()))
            .prop_map(|(owner, recovery)| Action::Recover { owner, recovery }),
        Just(Action::Revoke),
        (any::<u32>(), option::of(signed_messaging_records())).prop_map(|(sequence, record)| {
            Action::Publish { sequence, record: record.map(Box::new) }
        }),
    ];
    let named = ((names(), hashes(), any::<u64>()), keys(), action, any::<[u8; 64]>(), stamps());
    prop_oneof![
        (hashes(), stamps())
            .prop_map(|(commitment, stamp)| Operation::Commit { commitment, stamp }),
        named.prop_map(|((name, reference, valid_until), signer, action, signature, stamp)| {
            let signature = Signature(signature);
            Operation::Named(SignedOperation {
                name,
                reference,
                valid_until,
                signer,
                action,
                signature,
                stamp,
            })
        }),
    ]
}

fn headers() -> impl Strategy<Value = Header> {
    (any::<[u32; 4]>(), any::<[[u8; 32]; 4]>(), any::<[u64; 3]>()).prop_map(
        |(small, roots, large)| Header {
            version: small[0],
            height: small[1],
            previous: Hash(roots[0]),
            ops_root: Hash(roots[1]),
            state_root: Hash(roots[2]),
            history_root: Hash(roots[3]),
            time: large[0],
            due: large[1],
            name_price: small[2],
            byte_price: small[3],
            nonce: large[2],
        },
    )
}

fn block_times() -> impl Strategy<Value = BlockTime> {
    any::<(u32, u64)>().prop_map(|(height, time)| BlockTime { height, time })
}

fn commit_positions() -> impl Strategy<Value = CommitPosition> {
    any::<(u32, u32)>().prop_map(|(height, index)| CommitPosition { height, index })
}

fn name_entries() -> impl Strategy<Value = NameEntry> {
    let transfer = (keys(), hashes(), block_times())
        .prop_map(|(to, subject, offered)| PendingTransfer { to, subject, offered });
    let keys = (keys(), option::of(keys()), hashes());
    let times = (block_times(), commit_positions(), block_times(), any::<[u64; 3]>());
    let rest = (option::of(transfer), record_sets(), option::of(messaging_entries()));
    (names(), keys, times, any::<[u32; 2]>(), any::<bool>(), rest).prop_map(
        |(name, keys, times, [sequence, messaging_sequence], revoked, rest)| {
            let (owner, recovery, title) = keys;
            let (registered, commit, updated, [expires, by_owner, by_recovery]) = times;
            let (transfer, records, messaging) = rest;
            NameEntry {
                name,
                owner,
                recovery,
                title,
                sequence,
                registered,
                commit,
                updated,
                expires,
                revoked,
                rescued: Rescued { owner: by_owner, recovery: by_recovery },
                transfer,
                records,
                messaging: messaging.map(Box::new),
                messaging_sequence,
            }
        },
    )
}

fn entries() -> impl Strategy<Value = Entry> {
    let hashes = (hashes(), hashes());
    let commitment = (hashes, commit_positions(), any::<[u64; 2]>(), any::<u32>(), any::<bool>());
    prop_oneof![
        name_entries().prop_map(Entry::Name),
        commitment.prop_map(|((commit_id, commitment), position, [time, work], price, spent)| {
            Entry::Commitment(CommitmentEntry {
                commit_id,
                commitment,
                position,
                time,
                work,
                price,
                spent,
            })
        }),
    ]
}

/// The value survives its encoding; with a byte more or less, or one changed, it is refused or
/// another value whose one encoding these bytes are.
fn one_encoding<T: Encode + Decode + PartialEq + std::fmt::Debug>(
    value: &T,
    (at, with): (u16, u8),
) -> Result<(), TestCaseError> {
    let bytes = value.to_bytes();
    prop_assert_eq!(&T::from_bytes(&bytes).unwrap(), value);
    prop_assert!(T::from_bytes(&bytes[..bytes.len() - 1]).is_err());
    let mut longer = bytes.clone();
    longer.push(with);
    prop_assert!(T::from_bytes(&longer).is_err());
    let mut changed = bytes;
    let at = usize::from(at) % changed.len();
    changed[at] ^= with;
    if let Ok(other) = T::from_bytes(&changed) {
        prop_assert_eq!(other.to_bytes(), changed);
    }
    Ok(())
}

fn decodes_or_refuses<T: Encode + Decode>(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(value) = T::from_bytes(bytes) {
        prop_assert_eq!(value.to_bytes(), bytes);
    }
    Ok(())
}

proptest! {
    #[test]
    fn operations_have_one_encoding(operation in operations(), change: (u16, u8)) {
        one_encoding(&operation, change)?;
    }

    #[test]
    fn blocks_have_one_encoding(header in headers(), operations in vec(operations(), 0..4), change: (u16, u8)) {
        one_encoding(&header, change)?;
        one_encoding(&Block { header, operations }, change)?;
    }

    #[test]
    fn entries_have_one_encoding(entry in entries(), change: (u16, u8)) {
        one_encoding(&entry, change)?;
    }

    #[test]
    fn records_have_one_encoding(records in record_sets(), change: (u16, u8)) {
        one_encoding(&records, change)?;
    }

    #[test]
    fn any_bytes_decode_to_what_encodes_to_them_or_are_refused(bytes in vec(any::<u8>(), 0..400)) {
        decodes_or_refuses::<Operation>(&bytes)?;
        decodes_or_refuses::<Block>(&bytes)?;
        decodes_or_refuses::<Entry>(&bytes)?;
        decodes_or_refuses::<RecordSet>(&bytes)?;
        decodes_or_refuses::<SignedMessagingRecord>(&bytes)?;
        decodes_or_refuses::<Proof>(&bytes)?;
        decodes_or_refuses::<HistoryNode>(&bytes)?;
    }
}

#[test]
fn the_ops_root_has_the_shape_of_rfc_6962() {
    let operation = |n: u8| Operation::Commit {
        commitment: Hash([n; 32]),
        stamp: Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 },
    };
    let all: Vec<Operation> = (0..5).map(operation).collect();
    let leaf = |n: usize| hash(Network::Dev, Domain::OpsLeaf, &[&all[n].to_bytes()]);
    let node = |left: Hash, right: Hash| hash(Network::Dev, Domain::OpsNode, &[&left.0, &right.0]);
    let four = node(node(leaf(0), leaf(1)), node(leaf(2), leaf(3)));
    assert_eq!(ops_root(Network::Dev, &all), node(four, leaf(4)));
    assert_eq!(ops_root(Network::Dev, &all[..3]), node(node(leaf(0), leaf(1)), leaf(2)));
    assert_eq!(ops_root(Network::Dev, &all[..1]), leaf(0));
}

/// A constant changed by accident changes these.
#[test]
fn the_genesis_blocks_are_pinned() {
    let ids: Vec<String> = Network::ALL
        .iter()
        .map(|network| genesis(*network).header.id(*network).to_string())
        .collect();
    assert_eq!(
        ids,
        [
            "4407c8333aeb50162936e08ef399fd4bc3bdb181ddf9f39131067a0a3f929d88",
            "9d7c222d83c519ee06b05e8a942a904c75605157f74bc45e26f0dd13bfb7f1af",
            "2956a789fd48049774fffebd415fef09e3f7fc0614e65b9100bc4e799ea11973",
        ]
    );
}

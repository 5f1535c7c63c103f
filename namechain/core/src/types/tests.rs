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
    (messaging_records(), any::<bool>(), any::<u32>())
        .prop_map(|(record, linked, height)| MessagingEntry { record, linked, height })
}

fn operations() -> impl Strategy<Value = Operation> {
    let action = prop_oneof![
        (option::of(keys()), any::<[u8; 32]>(), record_sets())
            .prop_map(|(recovery, salt, records)| Action::Register { recovery, salt, records }),
        record_sets().prop_map(|records| Action::Update { records }),
        Just(Action::Renew),
        keys().prop_map(|to| Action::Transfer { to }),
        option::of(keys()).prop_map(|recovery| Action::Accept { recovery }),
        Just(Action::Cancel),
        (keys(), option::of(keys()))
            .prop_map(|(owner, recovery)| Action::Recover { owner, recovery }),
        Just(Action::Revoke),
        option::of(signed_messaging_records())
            .prop_map(|record| Action::Publish { record: record.map(Box::new) }),
    ];
    let named = (names(), any::<u32>(), keys(), action, any::<[u8; 64]>(), stamps());
    prop_oneof![
        (hashes(), stamps())
            .prop_map(|(commitment, stamp)| Operation::Commit { commitment, stamp }),
        named.prop_map(|(name, sequence, signer, action, signature, stamp)| {
            Operation::Named(SignedOperation {
                name,
                sequence,
                signer,
                action,
                signature: Signature(signature),
                stamp,
            })
        }),
    ]
}

fn targets() -> impl Strategy<Value = Target> {
    (0x80_0000u32..0x100_0000, 0u32..=104)
        .prop_map(|(m, shift)| Target::from_compact(shift << 24 | m).unwrap())
}

fn headers() -> impl Strategy<Value = Header> {
    (any::<[u32; 3]>(), any::<[[u8; 32]; 4]>(), any::<[u64; 2]>(), targets()).prop_map(
        |(small, roots, large, target)| Header {
            version: small[0],
            height: small[1],
            previous: Hash(roots[0]),
            ops_root: Hash(roots[1]),
            state_root: Hash(roots[2]),
            history_root: Hash(roots[3]),
            time: large[0],
            target,
            price: small[2],
            nonce: large[1],
        },
    )
}

fn entries() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (
            names(),
            keys(),
            option::of(keys()),
            any::<[u32; 6]>(),
            any::<bool>(),
            option::of(keys()),
            record_sets(),
            option::of(messaging_entries())
        )
            .prop_map(
                |(
                    name,
                    owner,
                    recovery,
                    [sequence, registered, updated, expires, height, messaging_sequence],
                    revoked,
                    to,
                    records,
                    messaging,
                )| {
                    let transfer = to.map(|to| PendingTransfer { to, height });
                    Entry::Name(NameEntry {
                        name,
                        owner,
                        recovery,
                        sequence,
                        registered,
                        updated,
                        expires,
                        revoked,
                        transfer,
                        records,
                        messaging: messaging.map(Box::new),
                        messaging_sequence,
                    })
                }
            ),
        (hashes(), any::<u32>(), any::<u64>(), any::<u32>()).prop_map(
            |(commitment, height, work, price)| {
                Entry::Commitment(CommitmentEntry { commitment, height, work, price })
            }
        ),
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
            "077fef1738dd8c5108dcf338f5a2ba17af3e9e3a626d105f382f2a3bb87b9644",
            "2318f3c8a113b0e5712e6e04ebb6915ef16621d8df9cfabda55726f8d884cbcd",
            "19fd14eb38407412bbb0ed5b221310616887d2f9834f989754e966e395c1cbd5",
        ]
    );
}

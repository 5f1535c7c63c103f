//! The vectors of the rules of messaging records.

use namechain_core::types::{
    Action, Entry, Hash, Locators, MessagingEntry, MessagingPolicy, MessagingRecord, Operation,
    Signature, SignedMessagingRecord, next_key_hash,
};

use super::{HEIGHT, NETWORK, Vector, act, active, alice, key, name, operation};

/// The identity keys: the one that stands, the one that it announces, another.
const STANDS: u8 = 20;
const ANNOUNCED: u8 = 21;
const OTHER: u8 = 22;

fn record(sequence: u32, previous: Hash, identity: u8) -> MessagingRecord {
    MessagingRecord {
        sequence,
        previous,
        identity: key(identity).public(),
        next: next_key_hash(NETWORK, &key(identity + 1).public()),
        x25519: [9; 32],
        bundle: Hash::ZERO,
        locators: Locators::new(vec!["https://alice.example/inbox".into()]).unwrap(),
        policy: MessagingPolicy { x25519_alone: true },
    }
}

/// The record that stands under `alice` in [`published`].
fn standing() -> MessagingRecord {
    record(1, Hash::ZERO, STANDS)
}

/// `alice` with a messaging record.
fn published() -> Entry {
    alice(HEIGHT + 1, |entry| {
        let stands = MessagingEntry { record: standing(), linked: false, height: 150 };
        (entry.messaging, entry.messaging_sequence) = (Some(Box::new(stands)), 1);
    })
}

fn sign(record: MessagingRecord, identity: u8, link: Option<u8>) -> SignedMessagingRecord {
    let link = link.map(key);
    SignedMessagingRecord::sign(NETWORK, &name("alice"), record, &key(identity), link.as_ref())
}

fn publish(signed: SignedMessagingRecord) -> Operation {
    act(4, 1, Action::Publish { record: Some(Box::new(signed)) })
}

/// The second record of `alice`, of this identity key.
fn second(identity: u8) -> MessagingRecord {
    record(2, standing().hash(NETWORK), identity)
}

pub fn vectors() -> Vec<Vector> {
    let first = || sign(standing(), STANDS, None);
    let rotated = || sign(second(ANNOUNCED), ANNOUNCED, Some(STANDS));
    let mut broken_link = rotated();
    broken_link.link.as_mut().unwrap().signature = Signature([1; 64]);
    let again = MessagingRecord { sequence: 1, ..second(STANDS) };
    let unfollowing = MessagingRecord { previous: Hash::ZERO, ..second(STANDS) };
    vec![
        operation(
            "possession",
            "signed by another key than the identity key",
            &[active()],
            &publish(sign(standing(), OTHER, None)),
            &publish(first()),
        ),
        operation(
            "link-signature",
            "the signature of the link is 64 bytes of 1",
            &[published()],
            &publish(broken_link),
            &publish(rotated()),
        ),
        operation(
            "messaging-sequence",
            "1 was the last, 2 is the next",
            &[published()],
            &publish(sign(again, STANDS, None)),
            &publish(sign(second(STANDS), STANDS, None)),
        ),
        operation(
            "messaging-previous",
            "zeros instead of the hash of the record that stands; a new identity key without a link is fine",
            &[published()],
            &publish(sign(unfollowing, STANDS, None)),
            &publish(sign(second(OTHER), OTHER, None)),
        ),
        operation(
            "link-identity",
            "linked by a key that does not stand",
            &[published()],
            &publish(sign(second(ANNOUNCED), ANNOUNCED, Some(OTHER))),
            &publish(rotated()),
        ),
        operation(
            "link-announced",
            "linked to a key that was not announced",
            &[published()],
            &publish(sign(second(OTHER), OTHER, Some(STANDS))),
            &publish(rotated()),
        ),
    ]
}

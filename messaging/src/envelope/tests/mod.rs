//! Tests of envelopes: the way there and back, each refusal, mutations.

mod mutations;
mod refusals;

use namechain_core::types::{SecretKey, tag};
use zeroize::Zeroizing;

use super::{
    letter::{Binding, LetterFields},
    *,
};
use crate::{
    kem::{self, Public},
    random::Randomness,
    testing::{DAY, NETWORK, NOW, Pair, name},
};

const TEXT: &[u8] = b"Meet me where the river bends.";

fn random(number: u8) -> Randomness {
    Randomness::from_bytes([number; 32])
}

fn draft(body: &[u8]) -> Draft<'_> {
    Draft { body, created: NOW, expires: NOW + DAY }
}

fn keys(pair: &Pair) -> [Recipient<'_>; 4] {
    let bundle = |prekey| Recipient::new(&pair.bob_peer, Some(&pair.bob_bundle), prekey).unwrap();
    [
        Recipient::new(&pair.bob_peer, None, Prekey::LastResort).unwrap(),
        bundle(Prekey::LastResort),
        bundle(Prekey::OneTime(1)),
        bundle(Prekey::Device(7)),
    ]
}

fn read(
    pair: &Pair,
    inbox: &mut Inbox,
    seen: &mut ReplayCache,
    envelope: &[u8],
) -> Result<Letter, OpenError> {
    inbox.open(envelope, NOW)?.verify(Some(&pair.alice_peer), inbox, seen)
}

/// The parts of a good letter, for those who do not keep to the rules.
fn parts<'a>(pair: &Pair, body: &'a [u8]) -> LetterFields<'a> {
    LetterFields {
        sender: pair.alice.name.clone(),
        sender_identity: pair.alice_key.public(),
        sender_sequence: 1,
        recipient: pair.bob.name.clone(),
        recipient_identity: pair.bob.identity(0).public(),
        id: [7; 16],
        created: NOW,
        expires: NOW + DAY,
        body,
    }
}

/// Seals whatever `plain` makes of the binding to Bob, as anybody can who knows his key.
fn seal_any(
    pair: &Pair,
    kem: Kem,
    seed: u8,
    plain: impl FnOnce(&Binding<'_>, usize) -> Zeroizing<Vec<u8>>,
) -> Vec<u8> {
    let wing = pair.bob.last_resort().public();
    let to = match kem {
        Kem::X25519 => Public::X25519(pair.bob.x25519().public()),
        Kem::XWing => Public::XWing(&wing),
    };
    let outside = EnvelopeHeader {
        kem,
        class: SizeClass::Kib2,
        recipient_tag: recipient_tag(NETWORK, &pair.bob.name),
    };
    let header = outside.to_bytes();
    let make = |enc: &[u8]| {
        plain(
            &Binding { network: NETWORK, outside: &header, to, enc },
            outside.class.plain_bytes(kem),
        )
    };
    let info = tag(NETWORK, Domain::Envelope);
    let mut stream = random(seed).stream(NETWORK);
    let (enc, sealed) = kem::seal(to, &info, &header, &mut stream, make).unwrap();
    [header.as_slice(), &enc, &sealed].concat()
}

/// A letter that keeps to the format, whatever it says, signed by `key`.
fn seal_parts(pair: &Pair, letter: &LetterFields<'_>, key: &SecretKey) -> Vec<u8> {
    seal_any(pair, Kem::X25519, 1, |binding, length| letter.sign_and_pad(key, binding, length))
}

#[test]
fn a_letter_arrives_by_every_kind_of_key() {
    let pair = Pair::new();
    let (mut inbox, mut seen) = (pair.bob.inbox(), ReplayCache::new());
    for (number, (to, used)) in keys(&pair).iter().zip([1, 2, 11, 3]).enumerate() {
        let envelope = seal(&pair.sender(), to, &draft(TEXT), random(number as u8)).unwrap();
        assert_eq!(envelope.len(), SizeClass::Kib2.bytes());
        let opened = inbox.open(&envelope, NOW).unwrap();
        assert_eq!(opened.claimed_sender(), &pair.alice.name);
        let letter = opened.verify(Some(&pair.alice_peer), &mut inbox, &mut seen).unwrap();
        assert_eq!((&letter.sender, letter.body()), (&pair.alice.name, TEXT));
        assert_eq!(letter.identity, pair.alice_key.public());
        assert_eq!((letter.created, letter.expires), (NOW, NOW + DAY));
        assert_eq!((letter.kem, letter.used, letter.spent), (to.kem(), used, used == 11));
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn an_envelope_is_of_the_smallest_class_that_fits() {
    let pair = Pair::new();
    let names = (&pair.alice.name, &pair.bob.name);
    for to in &keys(&pair)[..2] {
        let mut inbox = pair.bob.inbox();
        for (number, class) in SizeClass::ALL.into_iter().enumerate() {
            let most = capacity(class, to.kem(), names.0, names.1);
            let body = vec![b'x'; most];
            let envelope = seal(&pair.sender(), to, &draft(&body), random(number as u8)).unwrap();
            assert_eq!(envelope.len(), class.bytes());
            let letter = read(&pair, &mut inbox, &mut ReplayCache::new(), &envelope).unwrap();
            assert_eq!(letter.body(), body);
            let over = seal(&pair.sender(), to, &draft(&vec![0; most + 1]), random(9));
            match class {
                SizeClass::Kib64 => {
                    assert_eq!(over, Err(SealError::TooLong { found: most + 1, most }))
                }
                _ => assert!(over.unwrap().len() > class.bytes()),
            }
        }
        let empty = seal(&pair.sender(), to, &draft(b""), random(9)).unwrap();
        assert_eq!(read(&pair, &mut inbox, &mut ReplayCache::new(), &empty).unwrap().body(), b"");
    }
    // The longest names in the smallest envelope leave room for a text.
    let long = name(&"n".repeat(63));
    assert_eq!(capacity(SizeClass::Kib2, Kem::XWing, &long, &long), 613);
    assert_eq!(capacity(SizeClass::Kib2, Kem::X25519, &long, &long), 1_701);
}

/// The header has the version, the kind of key, the class and 16 bits of a hash of the name;
/// nothing else repeats.
#[test]
fn the_outside_tells_nothing_else() {
    let pair = Pair::new();
    for to in &keys(&pair)[..2] {
        let envelopes: Vec<Vec<u8>> = (0..40)
            .map(|number| seal(&pair.sender(), to, &draft(TEXT), random(number)).unwrap())
            .collect();
        let outside = EnvelopeHeader::read(&envelopes[0]).unwrap();
        let expected = EnvelopeHeader {
            kem: to.kem(),
            class: SizeClass::Kib2,
            recipient_tag: recipient_tag(NETWORK, &pair.bob.name),
        };
        assert_eq!(outside, expected);
        for at in 0..envelopes[0].len() {
            let constant = envelopes.iter().all(|envelope| envelope[at] == envelopes[0][at]);
            assert_eq!(constant, at < ENVELOPE_HEADER_BYTES, "byte {at}");
        }
    }
}

#[test]
fn what_is_not_sealed() {
    let pair = Pair::new();
    let [x25519, wing, ..] = keys(&pair);
    let seal = |to: &Recipient<'_>, created, expires| {
        let draft = Draft { body: TEXT, created, expires };
        super::seal(&pair.sender(), to, &draft, random(1)).map(drop)
    };
    assert_eq!(seal(&x25519, NOW, NOW), Err(SealError::Lifetime));
    assert_eq!(seal(&x25519, NOW, NOW - 1), Err(SealError::Lifetime));
    assert_eq!(seal(&x25519, NOW, NOW + MAX_LETTER_LIFETIME_SECONDS + 1), Err(SealError::Lifetime));
    assert_eq!(seal(&x25519, NOW, NOW + MAX_LETTER_LIFETIME_SECONDS), Ok(()));
    assert_eq!(seal(&wing, NOW + DAY, NOW + 2 * DAY), Err(SealError::BundleExpired(NOW + DAY)));
    let key = |prekey| Recipient::new(&pair.bob_peer, Some(&pair.bob_bundle), prekey).err();
    assert_eq!(key(Prekey::OneTime(2)), Some(SealError::NoSuchKey));
    assert_eq!(key(Prekey::Device(6)), Some(SealError::NoSuchKey));
    let alices = Recipient::new(&pair.alice_peer, Some(&pair.bob_bundle), Prekey::LastResort);
    assert_eq!(alices.err(), Some(SealError::OtherBundle(pair.alice.name.clone())));
}

#[test]
fn policy_and_weak_keys_are_looked_at() {
    let pair = Pair::new();
    let mut world = crate::testing::World::new();
    world.add(&pair.bob);
    let record = pair.bob.record(0, 1, namechain_core::types::Hash::ZERO);
    let strict =
        namechain_core::types::MessagingRecord { policy: Default::default(), ..record.clone() };
    world.publish(&pair.bob.name, strict, false);
    let refused = world.resolve(&pair.bob.name);
    let refused = Recipient::new(&refused, None, Prekey::LastResort).err();
    assert_eq!(refused, Some(SealError::NeedsBundle(pair.bob.name.clone())));
    // The points of small order (RFC 7748 section 6.1): every shared secret with them is zero.
    for first in [0, 1] {
        let mut weak = [0; 32];
        weak[0] = first;
        world.publish(
            &pair.bob.name,
            namechain_core::types::MessagingRecord { x25519: weak, ..record.clone() },
            false,
        );
        let peer = world.resolve(&pair.bob.name);
        let to = Recipient::new(&peer, None, Prekey::LastResort).unwrap();
        let sealed = seal(&pair.sender(), &to, &draft(TEXT), random(1));
        assert_eq!(sealed, Err(SealError::WeakKey(pair.bob.name.clone())));
    }
}

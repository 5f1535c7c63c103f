use namechain_core::types::{self, BundleHead, Hash};

use super::*;
use crate::testing::{
    DAY, NETWORK, NOW, Pair, Person, World,
    mutation::{Mutator, count},
    name,
};

fn setup() -> (Person, VerifiedPeer) {
    let Pair { bob, bob_peer, .. } = Pair::new();
    (bob, bob_peer)
}

#[test]
fn a_bundle_is_verified() {
    let (bob, peer) = setup();
    let signed = bob.bundle(1).sign(NETWORK, &bob.identity(0)).unwrap();
    let bytes = signed.to_bytes();
    assert_eq!(SignedBundle::read(&bytes).as_ref(), Ok(&signed));
    let verified = signed.clone().verify(&peer, NOW).unwrap();
    assert_eq!(verified.bundle(), &bob.bundle(1));
    assert!(!verified.is_recorded(), "the record has no hash");
    let mut world = World::new();
    world.register(&bob.name, bob.owner().public());
    let record = namechain_core::types::MessagingRecord {
        bundle: signed.hash(NETWORK),
        ..bob.record(0, 1, Hash::ZERO)
    };
    world.publish(&bob.name, record, false);
    assert!(signed.verify(&world.resolve(&bob.name), NOW).unwrap().is_recorded());
}

/// A node looks at the beginning and the signature alone, and reads the same there.
#[test]
fn a_node_reads_the_same() {
    let (bob, _) = setup();
    let bundle = bob.bundle(1);
    let signed = bundle.clone().sign(NETWORK, &bob.identity(0)).unwrap();
    let mut bytes = signed.to_bytes();
    let head = BundleHead::read(NETWORK, &bytes).unwrap();
    assert_eq!((head.name, head.identity), (bundle.name, bundle.identity));
    assert_eq!(
        (head.sequence, head.created, head.expires),
        (bundle.sequence, bundle.created, bundle.expires)
    );
    assert_eq!(usize::from(head.one_time), bundle.one_time.len());
    assert_eq!(
        (types::MAX_BUNDLE_BYTES, types::MAX_BUNDLE_LIFETIME_SECONDS),
        (MAX_BUNDLE_BYTES, MAX_BUNDLE_LIFETIME_SECONDS)
    );
    assert!(BundleHead::read(Network::Test, &bytes).is_err());
    bytes[100] ^= 1;
    assert!(BundleHead::read(NETWORK, &bytes).is_err());
}

#[test]
fn each_substitution_has_its_error() {
    let (bob, peer) = setup();
    let sign =
        |bundle: Bundle, key: &SecretKey| bundle.sign(NETWORK, key).unwrap().verify(&peer, NOW);
    let bundle = || bob.bundle(1);
    let identity = bob.identity(0);
    let carol = Bundle { name: name("carol"), ..bundle() };
    assert_eq!(sign(carol, &identity), Err(BundleError::OtherName(name("carol"))));
    let other = Bundle { identity: bob.identity(1).public(), ..bundle() };
    assert_eq!(sign(other, &bob.identity(1)), Err(BundleError::OtherIdentity));
    let stale = Bundle { sequence: 0, ..bundle() };
    assert_eq!(sign(stale, &identity), Err(BundleError::Sequence { expected: 1, found: 0 }));
    let future = Bundle { created: NOW + MAX_BUNDLE_SKEW_SECONDS + 1, ..bundle() };
    assert_eq!(
        sign(future, &identity),
        Err(BundleError::FromTheFuture(NOW + MAX_BUNDLE_SKEW_SECONDS + 1))
    );
    let expired = Bundle { expires: NOW, ..bundle() };
    assert_eq!(sign(expired, &identity), Err(BundleError::Expired(NOW)));
    let forged = SignedBundle { bundle: bundle(), signature: identity.sign(b"another") };
    assert_eq!(forged.verify(&peer, NOW), Err(BundleError::BadSignature));
    let elsewhere = bundle().sign(Network::Test, &identity).unwrap();
    assert_eq!(elsewhere.verify(&peer, NOW), Err(BundleError::BadSignature));
    let endless = Bundle { expires: NOW + 60 * DAY, ..bundle() };
    let message = endless.message(NETWORK);
    let endless = SignedBundle { bundle: endless, signature: identity.sign(&message) };
    assert_eq!(endless.verify(&peer, NOW), Err(BundleError::Lifetime));
}

#[test]
fn what_breaks_the_rules_is_not_signed() {
    let (bob, _) = setup();
    let sign = |bundle: Bundle| bundle.sign(NETWORK, &bob.identity(0)).unwrap_err();
    let bundle = || bob.bundle(1);
    let key = bob.device().public();
    let device = |number, label: &str| Device { number, label: label.into(), key: key.clone() };
    assert_eq!(
        sign(Bundle { one_time: vec![key.clone(); MAX_ONE_TIME + 1], ..bundle() }),
        BundleError::Shape
    );
    assert_eq!(
        sign(Bundle { devices: vec![device(2, "a"), device(2, "b")], ..bundle() }),
        BundleError::Shape
    );
    assert_eq!(
        sign(Bundle { devices: vec![device(1, "\u{1b}[2J")], ..bundle() }),
        BundleError::Shape
    );
    assert_eq!(
        sign(Bundle { devices: vec![device(1, &"x".repeat(33))], ..bundle() }),
        BundleError::Shape
    );
    let many = (0..=MAX_DEVICES as u8).map(|number| device(number, "")).collect();
    assert_eq!(sign(Bundle { devices: many, ..bundle() }), BundleError::Shape);
    assert_eq!(sign(Bundle { expires: NOW - DAY, ..bundle() }), BundleError::Lifetime);
    let long = Bundle { created: NOW, expires: NOW + MAX_BUNDLE_LIFETIME_SECONDS + 1, ..bundle() };
    assert_eq!(sign(long), BundleError::Lifetime);
    assert_eq!(bundle().sign(NETWORK, &bob.identity(1)), Err(BundleError::NotTheIdentity));
}

#[test]
fn the_largest_bundle_fits_and_counts_are_capped() {
    let (bob, _) = setup();
    let key = bob.device().public();
    let device = |number| Device { number, label: "x".repeat(MAX_LABEL_BYTES), key: key.clone() };
    let largest = Bundle {
        name: name(&"n".repeat(63)),
        one_time: vec![key.clone(); MAX_ONE_TIME],
        devices: (0..MAX_DEVICES as u8).map(device).collect(),
        ..bob.bundle(1)
    };
    let bytes = largest.sign(NETWORK, &bob.identity(0)).unwrap().to_bytes();
    assert_eq!(bytes.len(), 50_311);
    assert!(bytes.len() <= MAX_BUNDLE_BYTES && SignedBundle::read(&bytes).is_ok());
    assert_eq!(
        SignedBundle::read(&vec![1; MAX_BUNDLE_BYTES + 1]),
        Err(BundleError::TooLong(MAX_BUNDLE_BYTES + 1))
    );
    let small = bob.bundle(1).sign(NETWORK, &bob.identity(0)).unwrap().to_bytes();
    let fixed = 1 + 4 + 4 + 32 + 16 + 1216;
    assert_eq!(small[fixed], 2, "the number of one-time prekeys");
    for (at, value) in
        [(fixed, MAX_ONE_TIME as u8 + 1), (fixed + 1 + 2 * 1216, MAX_DEVICES as u8 + 1)]
    {
        let mut over = small.clone();
        over[at] = value;
        let refused = SignedBundle::read(&over);
        assert!(
            matches!(refused, Err(BundleError::Malformed(DecodeError::OverCap { .. }))),
            "{refused:?}"
        );
    }
    let mut version = small.clone();
    version[0] = 2;
    assert_eq!(SignedBundle::read(&version), Err(BundleError::Version(2)));
    assert!(matches!(
        SignedBundle::read(&[]),
        Err(BundleError::Malformed(DecodeError::Truncated { .. }))
    ));
    let mut key = small;
    key[fixed - 1216..fixed - 1213].fill(0xff);
    let refused = SignedBundle::read(&key);
    assert!(
        matches!(refused, Err(BundleError::Malformed(DecodeError::Invalid(_)))),
        "a coefficient over the modulus"
    );
}

/// A bundle that somebody changed is not believed, and nothing panics.
#[test]
fn a_changed_bundle_is_refused() {
    let (bob, peer) = setup();
    let good = bob.bundle(1).sign(NETWORK, &bob.identity(0)).unwrap().to_bytes();
    let other = Bundle { expires: NOW + 2 * DAY, ..bob.bundle(1) };
    let other = other.sign(NETWORK, &bob.identity(0)).unwrap().to_bytes();
    let (mut mutator, mut forged) = (Mutator::new(4), 0);
    for _ in 0..2 * count() {
        let changed = mutator.change(&good, &other);
        if changed == good || changed == other {
            continue;
        }
        let pin_status = SignedBundle::read(&changed).and_then(|bundle| bundle.verify(&peer, NOW));
        forged += u32::from(pin_status == Err(BundleError::BadSignature));
        assert!(pin_status.is_err(), "accepted: {}", hex::encode(&changed));
    }
    assert!(forged > 0, "none came as far as the signature");
}

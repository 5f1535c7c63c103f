//! Each refusal has its own error.

use super::*;
use crate::testing::{Person, World};

fn envelope(pair: &Pair) -> Vec<u8> {
    seal(&pair.sender(), &keys(pair)[1], &draft(TEXT), random(1)).unwrap()
}

/// What Bob says to an envelope that a good key made of `letter`.
fn judge(letter: &LetterFields<'_>) -> Result<Letter, OpenError> {
    let pair = Pair::new();
    let envelope = seal_parts(&pair, letter, &pair.alice_key);
    read(&pair, &mut pair.bob.inbox(), &mut ReplayCache::new(), &envelope)
}

#[test]
fn cut_or_extended() {
    let pair = Pair::new();
    let good = envelope(&pair);
    let open = |bytes: &[u8]| pair.bob.inbox().open(bytes, NOW).err().unwrap();
    assert_eq!(open(&[]), OpenError::Truncated { expected: 5, found: 0 });
    assert_eq!(open(&good[..4]), OpenError::Truncated { expected: 5, found: 4 });
    for found in [5, 100, 2_047] {
        assert_eq!(open(&good[..found]), OpenError::Truncated { expected: 2_048, found });
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(open(&longer), OpenError::TooLong { expected: 2_048, found: 2_049 });
}

#[test]
fn unknown_versions_kinds_and_classes() {
    let pair = Pair::new();
    let open = |at: usize, value: u8| {
        let mut changed = envelope(&pair);
        changed[at] = value;
        pair.bob.inbox().open(&changed, NOW).err().unwrap()
    };
    assert_eq!(open(0, 0), OpenError::Version(0));
    assert_eq!(open(0, 2), OpenError::Version(2));
    assert_eq!(open(1, 0), OpenError::Kem(0));
    assert_eq!(open(1, 3), OpenError::Kem(3));
    assert_eq!(open(2, 4), OpenError::Class(4));
    assert_eq!(open(1, 1), OpenError::NotForUs, "the other kind of key");
}

#[test]
fn for_somebody_else() {
    let pair = Pair::new();
    let good = envelope(&pair);
    let carol = Person::new("carol", 3);
    assert_eq!(carol.inbox().open(&good, NOW).err(), Some(OpenError::OtherRecipient));
    let mut changed = good.clone();
    changed[3..5].copy_from_slice(&recipient_tag(NETWORK, &carol.name));
    assert_eq!(carol.inbox().open(&changed, NOW).err(), Some(OpenError::NotForUs));
    assert_eq!(pair.bob.inbox().open(&changed, NOW).err(), Some(OpenError::OtherRecipient));
    let without = Inbox::new(NETWORK, pair.bob.name.clone(), pair.bob.identity(0).public());
    assert_eq!(without.open(&good, NOW).err(), Some(OpenError::NotForUs));
    let network = Network::Test;
    let mut elsewhere = Inbox::new(network, pair.bob.name.clone(), pair.bob.identity(0).public());
    elsewhere.add_xwing(1, pair.bob.last_resort()).unwrap();
    let mut changed = good;
    changed[3..5].copy_from_slice(&recipient_tag(network, &pair.bob.name));
    assert_eq!(elsewhere.open(&changed, NOW).err(), Some(OpenError::NotForUs), "another network");
}

/// Carol got a letter from Alice and seals it anew, to Bob: he sees that it was not written to him.
#[test]
fn passed_on_in_another_envelope() {
    let pair = Pair::new();
    let text = |letter: &LetterFields<'_>| judge(letter).err().unwrap();
    let to_carol = LetterFields { recipient: name("carol"), ..parts(&pair, TEXT) };
    assert_eq!(text(&to_carol), OpenError::Readdressed(name("carol")));
    let to_another_key =
        LetterFields { recipient_identity: pair.bob.identity(1).public(), ..parts(&pair, TEXT) };
    assert_eq!(text(&to_another_key), OpenError::OtherIdentity);
    // Alice's own letter to Bob, taken out of its envelope and sealed again: the signature is over
    // the envelope too.
    let mut inside = Vec::new();
    seal_any(&pair, Kem::X25519, 1, |binding, length| {
        let plain = parts(&pair, TEXT).sign_and_pad(&pair.alice_key, binding, length);
        inside.extend_from_slice(&plain);
        plain
    });
    let again = |kem, seed| {
        let envelope = seal_any(&pair, kem, seed, |_, length| {
            let mut plain = Zeroizing::new(inside.clone());
            plain.resize(length, 0);
            plain
        });
        read(&pair, &mut pair.bob.inbox(), &mut ReplayCache::new(), &envelope).map(drop)
    };
    assert_eq!(again(Kem::X25519, 1), Ok(()), "the same envelope once more");
    assert_eq!(again(Kem::X25519, 2), Err(OpenError::BadSignature), "another encapsulated key");
    assert_eq!(again(Kem::XWing, 1), Err(OpenError::BadSignature), "another key of Bob's");
}

#[test]
fn signed_by_somebody_else_or_changed() {
    let pair = Pair::new();
    let mallory = Person::new("mallory", 4);
    let by_mallory = seal_parts(&pair, &parts(&pair, TEXT), &mallory.identity(0));
    let open = |envelope: &[u8]| {
        read(&pair, &mut pair.bob.inbox(), &mut ReplayCache::new(), envelope).err().unwrap()
    };
    assert_eq!(open(&by_mallory), OpenError::BadSignature);
    // She signs with her key and says so, but claims Alice's name.
    let letter =
        LetterFields { sender_identity: mallory.identity(0).public(), ..parts(&pair, TEXT) };
    let claimed = seal_parts(&pair, &letter, &mallory.identity(0));
    assert_eq!(open(&claimed), OpenError::WrongKey(pair.alice.name.clone()));
}

#[test]
fn out_of_time() {
    let pair = Pair::new();
    let at = |created, expires| {
        judge(&LetterFields { created, expires, ..parts(&pair, TEXT) }).map(drop)
    };
    assert_eq!(at(NOW - DAY, NOW), Err(OpenError::Expired { expired: NOW }));
    assert_eq!(at(NOW - DAY, NOW + 1), Ok(()));
    let soon = NOW + MAX_CLOCK_SKEW_SECONDS;
    assert_eq!(at(soon, soon + 1), Ok(()));
    assert_eq!(at(soon + 1, soon + 2), Err(OpenError::FromTheFuture { created: soon + 1 }));
    assert_eq!(at(NOW, NOW), Err(OpenError::Lifetime));
    assert_eq!(at(NOW, NOW - 1), Err(OpenError::Lifetime));
    assert_eq!(at(NOW, NOW + MAX_LETTER_LIFETIME_SECONDS + 1), Err(OpenError::Lifetime));
    assert_eq!(at(0, u64::MAX), Err(OpenError::Lifetime));
}

#[test]
fn malformed_inside() {
    let pair = Pair::new();
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let envelope = seal_any(&pair, Kem::X25519, 1, |binding, length| {
            let mut plain = parts(&pair, TEXT).sign_and_pad(&pair.alice_key, binding, length);
            change(&mut plain);
            plain
        });
        let (mut inbox, mut seen) = (pair.bob.inbox(), ReplayCache::new());
        read(&pair, &mut inbox, &mut seen, &envelope).map(drop)
    };
    assert_eq!(open(&|_| {}), Ok(()));
    assert_eq!(open(&|plain| *plain.last_mut().unwrap() = 1), Err(OpenError::Padding));
    assert!(matches!(
        open(&|plain| plain[0] = 64),
        Err(OpenError::Malformed(DecodeError::OverCap { .. }))
    ));
    assert!(matches!(
        open(&|plain| plain[1] = b'A'),
        Err(OpenError::Malformed(DecodeError::Invalid(_)))
    ));
    let length = 1 + 5 + 32 + 4 + 1 + 3 + 32 + 16 + 16;
    let endless = open(&|plain| plain[length..length + 2].fill(0xff));
    assert!(
        matches!(endless, Err(OpenError::Malformed(DecodeError::Truncated { .. }))),
        "{endless:?}"
    );
}

#[test]
fn from_an_unknown_or_another_sender() {
    let pair = Pair::new();
    let mut inbox = pair.bob.inbox();
    let envelope = envelope(&pair);
    let mut verify = |sender: Option<&crate::VerifiedPeer>| {
        let opened = inbox.open(&envelope, NOW).unwrap();
        opened.verify(sender, &mut inbox, &mut ReplayCache::new()).map(drop)
    };
    let alice = || pair.alice.name.clone();
    assert_eq!(verify(None), Err(OpenError::UnknownSender(alice())));
    let given = pair.bob.name.clone();
    assert_eq!(
        verify(Some(&pair.bob_peer)),
        Err(OpenError::OtherSender { claimed: alice(), given })
    );
    // Since then Alice has another key.
    let mut world = World::new();
    world.add(&pair.alice);
    world.publish(&pair.alice.name, pair.alice.record(1, 2, pair.alice_peer.record_hash()), true);
    assert_eq!(
        verify(Some(&world.resolve(&pair.alice.name))),
        Err(OpenError::ReplacedKey(alice()))
    );
    world.publish(
        &pair.alice.name,
        pair.alice.record(0, 3, namechain_core::types::Hash::ZERO),
        false,
    );
    assert_eq!(
        verify(Some(&world.resolve(&pair.alice.name))),
        Ok(()),
        "another record, the same key"
    );
    world.publish(
        &pair.alice.name,
        pair.alice.record(1, 1, namechain_core::types::Hash::ZERO),
        false,
    );
    assert_eq!(verify(Some(&world.resolve(&pair.alice.name))), Err(OpenError::WrongKey(alice())));
    world.publish(
        &pair.alice.name,
        pair.alice.record(1, 0, namechain_core::types::Hash::ZERO),
        false,
    );
    assert_eq!(verify(Some(&world.resolve(&pair.alice.name))), Err(OpenError::NewerKey(alice())));
}

#[test]
fn opened_before() {
    let pair = Pair::new();
    let (mut inbox, mut seen) = (pair.bob.inbox(), ReplayCache::new());
    let good = envelope(&pair);
    assert!(read(&pair, &mut inbox, &mut seen, &good).is_ok());
    assert_eq!(read(&pair, &mut inbox, &mut seen, &good).err(), Some(OpenError::Replayed));
    // The same number in another envelope is the same letter.
    let twice = parts(&pair, b"another text");
    for expected in [None, Some(OpenError::Replayed)] {
        let envelope = seal_parts(&pair, &twice, &pair.alice_key);
        assert_eq!(read(&pair, &mut inbox, &mut seen, &envelope).err(), expected);
    }
    struct Fails(ReplayError);
    impl ReplayGuard for Fails {
        fn record(&mut self, _: LetterId, _: u64, _: u64) -> Result<(), ReplayError> {
            Err(self.0)
        }
    }
    for (error, expected) in
        [(ReplayError::NoRoom, OpenError::NoRoom), (ReplayError::NotStored, OpenError::NotStored)]
    {
        let opened = inbox.open(&good, NOW).unwrap();
        let refused = opened.verify(Some(&pair.alice_peer), &mut inbox, &mut Fails(error));
        assert_eq!(refused.err(), Some(expected));
    }
}

#[test]
fn a_one_time_prekey_opens_one_letter() {
    let pair = Pair::new();
    let (mut inbox, mut seen) = (pair.bob.inbox(), ReplayCache::new());
    let [first, second] = [1, 2]
        .map(|number| seal(&pair.sender(), &keys(&pair)[2], &draft(TEXT), random(number)).unwrap());
    // Both are opened before either is verified: the key is still good for one only.
    let opened = [&first, &second].map(|envelope| inbox.open(envelope, NOW).unwrap());
    let [a, b] = opened;
    assert!(a.verify(Some(&pair.alice_peer), &mut inbox, &mut seen).unwrap().spent);
    assert_eq!(
        b.verify(Some(&pair.alice_peer), &mut inbox, &mut seen).err(),
        Some(OpenError::NotForUs)
    );
    assert_eq!(inbox.open(&second, NOW).err(), Some(OpenError::NotForUs));
    assert!(!inbox.holds(11) && inbox.holds(10));
    // A letter that is not believed uses nothing up.
    let third = seal(
        &pair.sender(),
        &Recipient::new(&pair.bob_peer, Some(&pair.bob_bundle), Prekey::OneTime(0)).unwrap(),
        &draft(TEXT),
        random(3),
    );
    let opened = inbox.open(&third.unwrap(), NOW).unwrap();
    assert!(opened.verify(None, &mut inbox, &mut seen).is_err());
    assert!(inbox.holds(10));
}

#[test]
fn an_inbox_has_a_bound() {
    let pair = Pair::new();
    let mut inbox = Inbox::new(NETWORK, pair.bob.name.clone(), pair.bob.identity(0).public());
    for label in 0..MAX_INBOX_KEYS as u32 {
        assert_eq!(inbox.add_x25519(label, pair.bob.x25519()), Ok(()));
    }
    assert_eq!(inbox.add_xwing(3, pair.bob.device()), Err(InboxError::Label(3)));
    assert_eq!(inbox.add_xwing(1_000, pair.bob.device()), Err(InboxError::TooMany));
}

/// Whatever is logged of a letter, the text is not in it.
#[test]
fn the_text_is_in_no_debug_output() {
    let pair = Pair::new();
    let mut inbox = pair.bob.inbox();
    let opened = inbox.open(&envelope(&pair), NOW).unwrap();
    let mut said = format!("{opened:?} {:?} {:?}", draft(TEXT), random(1));
    let letter =
        opened.verify(Some(&pair.alice_peer), &mut inbox, &mut ReplayCache::new()).unwrap();
    said += &format!("{letter:?} {inbox:?}");
    assert!(said.contains("alice") && said.contains("30 bytes"), "{said}");
    let numbers: Vec<String> = TEXT.iter().map(u8::to_string).collect();
    assert!(!said.contains("river") && !said.contains(&numbers[..4].join(", ")), "{said}");
}

mod substituted;

use namechain_core::types::MessagingRecord;

use super::*;
use crate::testing::{
    DAY, NETWORK, NOW, Person, World,
    mutation::{Mutator, count},
    name,
};

fn setup() -> (World, Person, Pins) {
    let (mut world, alice) = (World::new(), Person::new("alice", 1));
    world.add(&alice);
    (world, alice, Pins::new(NETWORK))
}

fn refused(result: Result<Verdict, PinError>) -> Verdict {
    match result {
        Err(PinError::Refused { verdict, .. }) => verdict,
        other => panic!("{other:?}"),
    }
}

#[test]
fn first_then_same_then_rotated() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    assert_eq!(pins.note(&first, &[], Accept::Nothing), Ok(Verdict::First));
    assert_eq!(pins.note(&first, &[], Accept::Nothing), Ok(Verdict::Same));
    world.publish(&alice.name, alice.record(0, 2, first.record_hash()), false);
    let second = world.resolve(&alice.name);
    assert_eq!(
        pins.note(&second, &[], Accept::Nothing),
        Ok(Verdict::Same),
        "another record, the same identity"
    );
    world.publish(&alice.name, alice.record(1, 3, second.record_hash()), true);
    let third = world.resolve(&alice.name);
    assert_eq!(pins.note(&third, &[], Accept::Nothing), Ok(Verdict::Rotated));
    let pin = pins.get(&alice.name).unwrap();
    assert_eq!((pin.sequence, pin.known.identity), (3, alice.identity(1).public()));
    assert_eq!((pin.first_seen, pin.last_seen), (0, 2));
}

/// An older record is never believed again, whatever the user says.
#[test]
fn a_lower_sequence_is_never_accepted_again() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    world.publish(&alice.name, alice.record(1, 2, first.record_hash()), true);
    let second = world.resolve(&alice.name);
    pins.note(&second, &[], Accept::Nothing).unwrap();
    for accept in [Accept::Nothing, Accept::Change] {
        let before = pins.clone();
        assert_eq!(refused(pins.note(&first, &[], accept)), Verdict::Older);
        assert_eq!(pins, before);
    }
}

#[test]
fn an_unlinked_key_wants_the_users_word() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    pins.note(&first, &[], Accept::Nothing).unwrap();
    world.publish(&alice.name, alice.record(5, 2, first.record_hash()), false);
    let second = world.resolve(&alice.name);
    assert_eq!(refused(pins.note(&second, &[], Accept::Nothing)), Verdict::Unlinked);
    assert_eq!(pins.note(&second, &[], Accept::Change), Ok(Verdict::Unlinked));
    assert_eq!(pins.note(&second, &[], Accept::Nothing), Ok(Verdict::Same));
}

/// "Linked" on the chain is about the record just before, which may not be the one that was seen.
#[test]
fn a_link_over_records_that_were_not_seen_takes_the_records() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    pins.note(&first, &[], Accept::Nothing).unwrap();
    let second = alice.record(1, 2, first.record_hash());
    let third = alice.record(2, 3, second.hash(NETWORK));
    let steps = [alice.signed(second.clone(), 1, true), alice.signed(third.clone(), 2, true)];
    world.publish(&alice.name, third.clone(), true);
    let peer = Finding::Peer(Box::new(world.resolve(&alice.name)));
    assert_eq!(pins.judge(&peer, &[]), Verdict::Unlinked);
    assert_eq!(pins.judge(&peer, &steps), Verdict::Rotated);
    let unlinked = [alice.signed(second.clone(), 1, false), steps[1].clone()];
    assert_eq!(pins.judge(&peer, &unlinked), Verdict::Unlinked, "without the old key's signature");
    let bob = Person { name: name("bob"), number: 1 };
    let others = [bob.signed(second.clone(), 1, true), steps[1].clone()];
    assert_eq!(pins.judge(&peer, &others), Verdict::Unlinked, "signed for another name");
    assert_eq!(pins.judge(&peer, &steps[1..]), Verdict::Unlinked, "one is missing");
    let mut swapped = steps.clone();
    swapped.reverse();
    assert_eq!(pins.judge(&peer, &swapped), Verdict::Unlinked);
    // Somebody who has the old key but was not announced.
    let thief = MessagingRecord { identity: alice.identity(7).public(), ..second };
    let stolen = SignedMessagingRecord::sign(
        NETWORK,
        &alice.name,
        thief.clone(),
        &alice.identity(7),
        Some(&alice.identity(0)),
    );
    world.publish(
        &alice.name,
        MessagingRecord { sequence: 3, previous: thief.hash(NETWORK), ..thief.clone() },
        false,
    );
    let last = world.entries[&alice.name].messaging.as_ref().unwrap().record.clone();
    let last = SignedMessagingRecord::sign(NETWORK, &alice.name, last, &alice.identity(7), None);
    let peer = Finding::Peer(Box::new(world.resolve(&alice.name)));
    assert_eq!(pins.judge(&peer, &[stolen, last]), Verdict::Unlinked);
    let many = vec![steps[0].clone(); crate::record::MAX_STEPS + 1];
    assert_eq!(pins.judge(&peer, &many), Verdict::Unlinked);
}

#[test]
fn a_buyer_is_not_the_seller() {
    let (mut world, alice, mut pins) = setup();
    pins.note(&world.resolve(&alice.name), &[], Accept::Nothing).unwrap();
    let buyer = Person::new("alice", 9);
    world.entries.get_mut(&alice.name).unwrap().owner = buyer.owner().public();
    world.publish(&alice.name, buyer.record(0, 2, Hash::ZERO), false);
    let peer = world.resolve(&alice.name);
    assert_eq!(refused(pins.note(&peer, &[], Accept::Nothing)), Verdict::Transferred);
    assert_eq!(pins.note(&peer, &[], Accept::Change), Ok(Verdict::Transferred));
    // Even with the seller's own identity key: the owner is another.
    world.entries.get_mut(&alice.name).unwrap().registered = 3;
    world.publish(&alice.name, buyer.record(0, 3, peer.record_hash()), false);
    let again = world.resolve(&alice.name);
    assert_eq!(
        refused(pins.note(&again, &[], Accept::Nothing)),
        Verdict::Transferred,
        "registered anew"
    );
}

#[test]
fn another_record_of_the_same_sequence_is_a_fork() {
    let (mut world, alice, mut pins) = setup();
    pins.note(&world.resolve(&alice.name), &[], Accept::Nothing).unwrap();
    let other = MessagingRecord { x25519: [9; 32], ..alice.record(0, 1, Hash::ZERO) };
    world.publish(&alice.name, other, false);
    let forked = world.resolve(&alice.name);
    assert_eq!(refused(pins.note(&forked, &[], Accept::Nothing)), Verdict::Forked);
    assert_eq!(pins.note(&forked, &[], Accept::Change), Ok(Verdict::Forked));
}

#[test]
fn what_was_withdrawn_or_revoked_stays_so() {
    for why in [Absence::Revoked, Absence::NoRecord] {
        let (mut world, alice, mut pins) = setup();
        let old = world.resolve(&alice.name);
        pins.note(&old, &[], Accept::Nothing).unwrap();
        let finding = Finding::Absent { why, height: 1 };
        let verdict = if why == Absence::Revoked { Verdict::Revoked } else { Verdict::Gone };
        assert_eq!(pins.judge(&finding, &[]), verdict);
        pins.note_absence(&alice.name, why, 1);
        assert_eq!(
            refused(pins.note(&old, &[], Accept::Change)),
            Verdict::Older,
            "proven at an earlier height"
        );
        world.publish(&alice.name, alice.record(0, 2, Hash::ZERO), false);
        assert_eq!(pins.note(&world.resolve(&alice.name), &[], Accept::Nothing), Ok(Verdict::Same));
    }
    let (mut world, alice, mut pins) = setup();
    world.block();
    let peer = world.resolve(&alice.name);
    pins.note(&peer, &[], Accept::Nothing).unwrap();
    pins.note_absence(&alice.name, Absence::NoRecord, 0);
    pins.note_absence(&alice.name, Absence::Grace, 9);
    assert_eq!(
        pins.note(&peer, &[], Accept::Nothing),
        Ok(Verdict::Same),
        "older, or only the lease"
    );
}

#[test]
fn an_older_bundle_is_refused() {
    let (mut world, alice, mut pins) = setup();
    let peer = world.resolve(&alice.name);
    let bundle = |created| {
        let bundle = crate::bundle::Bundle { created, ..alice.bundle(1) };
        bundle.sign(NETWORK, &alice.identity(0)).unwrap().verify(&peer, NOW).unwrap()
    };
    let unpinned = pins.note_bundle(&bundle(NOW - DAY));
    assert!(matches!(unpinned, Err(PinError::Refused { .. })));
    pins.note(&peer, &[], Accept::Nothing).unwrap();
    assert_eq!(pins.note_bundle(&bundle(NOW - DAY)), Ok(()));
    assert_eq!(pins.note_bundle(&bundle(NOW - DAY)), Ok(()));
    let older = pins.note_bundle(&bundle(NOW - DAY - 1));
    assert!(matches!(older, Err(PinError::OlderBundle { .. })), "{older:?}");
    assert_eq!(pins.note(&peer, &[], Accept::Nothing), Ok(Verdict::Same));
    assert!(
        pins.note_bundle(&bundle(NOW - DAY - 1)).is_err(),
        "looking the name up again forgets nothing"
    );
}

#[test]
fn pins_are_of_one_network_and_have_one_encoding() {
    let (mut world, alice, mut pins) = setup();
    world.add(&Person::new("bob", 2));
    for who in [&name("bob"), &alice.name] {
        pins.note(&world.resolve(who), &[], Accept::Nothing).unwrap();
    }
    let bytes = pins.to_bytes();
    assert_eq!(bytes.len(), 4 + 4 + 6 + 4 + 2 * 153);
    assert_eq!(Pins::from_bytes(&bytes).as_ref(), Ok(&pins));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        if let Ok(read) = Pins::from_bytes(&changed) {
            assert_eq!(read.to_bytes(), changed, "byte {at}");
        }
        assert!(Pins::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
    let mut other = Pins::new(Network::Test);
    let peer = world.resolve(&alice.name);
    assert!(matches!(other.note(&peer, &[], Accept::Change), Err(PinError::OtherNetwork { .. })));
    assert!(pins.forget(&alice.name).is_some());
    assert_eq!(pins.note(&peer, &[], Accept::Nothing), Ok(Verdict::First));
}

/// A record between that somebody changed links nothing, and nothing panics.
#[test]
fn a_changed_record_links_nothing() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    pins.note(&first, &[], Accept::Nothing).unwrap();
    let second = alice.record(1, 2, first.record_hash());
    let third = alice.record(2, 3, second.hash(NETWORK));
    let steps = [alice.signed(second, 1, true), alice.signed(third.clone(), 2, true)];
    world.publish(&alice.name, third, true);
    let peer = Finding::Peer(Box::new(world.resolve(&alice.name)));
    assert_eq!(pins.judge(&peer, &steps), Verdict::Rotated);
    let good: Vec<Vec<u8>> = steps.iter().map(Encode::to_bytes).collect();
    let (mut mutator, mut read) = (Mutator::new(5), 0);
    for round in 0..5 * count() {
        let (at, other) = (round % 2, (round + 1) % 2);
        let changed = mutator.change(&good[at], &good[other]);
        let Ok(step) = SignedMessagingRecord::from_bytes(&changed) else { continue };
        if step == steps[at] {
            continue;
        }
        read += 1;
        let mut steps = steps.clone();
        steps[at] = step;
        assert_eq!(pins.judge(&peer, &steps), Verdict::Unlinked, "{}", hex::encode(&changed));
    }
    assert!(read > count(), "only {read} were read");
}

/// A file of pins that somebody changed is read as what it says, or not at all; nothing panics.
#[test]
fn changed_pins_are_read_or_not() {
    let (mut world, alice, mut pins) = setup();
    pins.note(&world.resolve(&alice.name), &[], Accept::Nothing).unwrap();
    let (good, mut mutator) = (pins.to_bytes(), Mutator::new(6));
    for _ in 0..10 * count() {
        let changed = mutator.change(&good, &good);
        if let Ok(pins) = Pins::from_bytes(&changed) {
            assert_eq!(pins.to_bytes(), changed);
        }
    }
}

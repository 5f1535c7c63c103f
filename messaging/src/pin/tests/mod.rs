mod substituted;

use namechain_core::types::{MessagingRecord, NameEntry};

use super::*;
use crate::testing::{
    DAY, NETWORK, NOW, Person, World,
    mutation::{Mutator, count},
    name, title_of,
};

fn setup() -> (World, Person, Pins) {
    let (mut world, alice) = (World::new(), Person::new("alice", 1));
    world.add(&alice);
    (world, alice, Pins::new(NETWORK))
}

fn refused(result: Result<PinStatus, PinError>) -> PinStatus {
    match result {
        Err(PinError::Refused { pin_status, .. }) => pin_status,
        other => panic!("{other:?}"),
    }
}

#[test]
fn first_then_same_then_rotated() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    assert_eq!(pins.record(&first, &[], OnKeyChange::Refuse), Ok(PinStatus::First));
    assert_eq!(pins.record(&first, &[], OnKeyChange::Refuse), Ok(PinStatus::Same));
    world.publish(&alice.name, alice.record(0, 2, first.record_hash()), false);
    let second = world.resolve(&alice.name);
    assert_eq!(
        pins.record(&second, &[], OnKeyChange::Refuse),
        Ok(PinStatus::Same),
        "another record, the same identity"
    );
    world.publish(&alice.name, alice.record(1, 3, second.record_hash()), true);
    let third = world.resolve(&alice.name);
    assert_eq!(pins.record(&third, &[], OnKeyChange::Refuse), Ok(PinStatus::Rotated));
    let pin = pins.get(&alice.name).unwrap();
    assert_eq!((pin.sequence, pin.known.identity), (3, alice.identity(1).public()));
    assert_eq!((pin.first_seen, pin.last_seen), (1, 3));
}

/// An older record is never believed again, whatever the user says.
#[test]
fn a_lower_sequence_is_never_accepted_again() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    world.publish(&alice.name, alice.record(1, 2, first.record_hash()), true);
    let second = world.resolve(&alice.name);
    pins.record(&second, &[], OnKeyChange::Refuse).unwrap();
    for accept in [OnKeyChange::Refuse, OnKeyChange::Accept] {
        let before = pins.clone();
        assert_eq!(refused(pins.record(&first, &[], accept)), PinStatus::Older);
        assert_eq!(pins, before);
    }
}

#[test]
fn an_unlinked_key_wants_the_users_word() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    pins.record(&first, &[], OnKeyChange::Refuse).unwrap();
    world.publish(&alice.name, alice.record(5, 2, first.record_hash()), false);
    let second = world.resolve(&alice.name);
    assert_eq!(refused(pins.record(&second, &[], OnKeyChange::Refuse)), PinStatus::Unlinked);
    assert_eq!(pins.record(&second, &[], OnKeyChange::Accept), Ok(PinStatus::Unlinked));
    assert_eq!(pins.record(&second, &[], OnKeyChange::Refuse), Ok(PinStatus::Same));
}

/// "Linked" on the chain is about the record just before, which may not be the one that was seen.
#[test]
fn a_link_over_records_that_were_not_seen_takes_the_records() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    pins.record(&first, &[], OnKeyChange::Refuse).unwrap();
    let second = alice.record(1, 2, first.record_hash());
    let third = alice.record(2, 3, second.hash(NETWORK));
    let steps = [alice.signed(second.clone(), 1, true), alice.signed(third.clone(), 2, true)];
    world.publish(&alice.name, third.clone(), true);
    let peer = Resolution::Peer(Box::new(world.resolve(&alice.name)));
    assert_eq!(pins.compare(&peer, &[]), PinStatus::Unlinked);
    assert_eq!(pins.compare(&peer, &steps), PinStatus::Rotated);
    let unlinked = [alice.signed(second.clone(), 1, false), steps[1].clone()];
    assert_eq!(
        pins.compare(&peer, &unlinked),
        PinStatus::Unlinked,
        "without the old key's signature"
    );
    let bob = Person { name: name("bob"), number: 1 };
    let others = [bob.signed(second.clone(), 1, true), steps[1].clone()];
    assert_eq!(pins.compare(&peer, &others), PinStatus::Unlinked, "signed for another name");
    assert_eq!(pins.compare(&peer, &steps[1..]), PinStatus::Unlinked, "one is missing");
    let mut swapped = steps.clone();
    swapped.reverse();
    assert_eq!(pins.compare(&peer, &swapped), PinStatus::Unlinked);
    // Somebody who has the old key but was not announced.
    let thief = MessagingRecord { identity: alice.identity(7).public(), ..second };
    let title = &alice.title();
    let stolen = SignedMessagingRecord::sign(
        NETWORK,
        &alice.name,
        title,
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
    let last =
        SignedMessagingRecord::sign(NETWORK, &alice.name, title, last, &alice.identity(7), None);
    let peer = Resolution::Peer(Box::new(world.resolve(&alice.name)));
    assert_eq!(pins.compare(&peer, &[stolen, last]), PinStatus::Unlinked);
    let many = vec![steps[0].clone(); crate::record::MAX_STEPS + 1];
    assert_eq!(pins.compare(&peer, &many), PinStatus::Unlinked);
}

#[test]
fn a_buyer_is_not_the_seller() {
    let (mut world, alice, mut pins) = setup();
    pins.record(&world.resolve(&alice.name), &[], OnKeyChange::Refuse).unwrap();
    let buyer = Person::new("alice", 9);
    let entry = world.entries.get_mut(&alice.name).unwrap();
    (entry.owner, entry.title) = (buyer.owner().public(), title_of(&buyer.owner().public(), 0));
    let sold = world.entries[&alice.name].clone();
    world.publish(&alice.name, buyer.record(0, 1, Hash::ZERO), false);
    let peer = world.resolve(&alice.name);
    assert_eq!(refused(pins.record(&peer, &[], OnKeyChange::Refuse)), PinStatus::Transferred);
    assert_eq!(pins.record(&peer, &[], OnKeyChange::Accept), Ok(PinStatus::Transferred));
    // The same keys under another title: the name was out of these hands in between.
    let anew = NameEntry { title: title_of(&buyer.owner().public(), 1), ..sold };
    world.entries.insert(alice.name.clone(), anew);
    world.publish(&alice.name, buyer.record(0, 1, Hash::ZERO), false);
    let again = world.resolve(&alice.name);
    assert_eq!(refused(pins.record(&again, &[], OnKeyChange::Refuse)), PinStatus::Transferred);
    assert_eq!(pins.record(&again, &[], OnKeyChange::Accept), Ok(PinStatus::Transferred));
    // And nobody can go back to the title before by an old proof.
    assert_eq!(refused(pins.record(&peer, &[], OnKeyChange::Accept)), PinStatus::Older);
}

#[test]
fn another_record_of_the_same_sequence_is_a_fork() {
    let (mut world, alice, mut pins) = setup();
    pins.record(&world.resolve(&alice.name), &[], OnKeyChange::Refuse).unwrap();
    let other = MessagingRecord { x25519: [9; 32], ..alice.record(0, 1, Hash::ZERO) };
    world.publish(&alice.name, other, false);
    let forked = world.resolve(&alice.name);
    assert_eq!(refused(pins.record(&forked, &[], OnKeyChange::Refuse)), PinStatus::Forked);
    assert_eq!(pins.record(&forked, &[], OnKeyChange::Accept), Ok(PinStatus::Forked));
}

#[test]
fn what_was_withdrawn_or_revoked_stays_so() {
    for why in [Absence::Revoked, Absence::NoRecord] {
        let (mut world, alice, mut pins) = setup();
        let old = world.resolve(&alice.name);
        pins.record(&old, &[], OnKeyChange::Refuse).unwrap();
        let finding = Resolution::Absent { why, height: 1 };
        let pin_status = if why == Absence::Revoked { PinStatus::Revoked } else { PinStatus::Gone };
        assert_eq!(pins.compare(&finding, &[]), pin_status);
        pins.record_absence(&alice.name, why, 1);
        assert_eq!(
            refused(pins.record(&old, &[], OnKeyChange::Accept)),
            PinStatus::Older,
            "proven at an earlier height"
        );
        world.publish(&alice.name, alice.record(0, 2, Hash::ZERO), false);
        assert_eq!(
            pins.record(&world.resolve(&alice.name), &[], OnKeyChange::Refuse),
            Ok(PinStatus::Same)
        );
    }
    let (mut world, alice, mut pins) = setup();
    world.block();
    let peer = world.resolve(&alice.name);
    pins.record(&peer, &[], OnKeyChange::Refuse).unwrap();
    pins.record_absence(&alice.name, Absence::NoRecord, 0);
    pins.record_absence(&alice.name, Absence::Grace, 9);
    assert_eq!(
        pins.record(&peer, &[], OnKeyChange::Refuse),
        Ok(PinStatus::Same),
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
    let unpinned = pins.record_bundle(&bundle(NOW - DAY));
    assert!(matches!(unpinned, Err(PinError::Refused { .. })));
    pins.record(&peer, &[], OnKeyChange::Refuse).unwrap();
    assert_eq!(pins.record_bundle(&bundle(NOW - DAY)), Ok(()));
    assert_eq!(pins.record_bundle(&bundle(NOW - DAY)), Ok(()));
    let older = pins.record_bundle(&bundle(NOW - DAY - 1));
    assert!(matches!(older, Err(PinError::OlderBundle { .. })), "{older:?}");
    assert_eq!(pins.record(&peer, &[], OnKeyChange::Refuse), Ok(PinStatus::Same));
    assert!(
        pins.record_bundle(&bundle(NOW - DAY - 1)).is_err(),
        "looking the name up again forgets nothing"
    );
}

#[test]
fn pins_are_of_one_network_and_have_one_encoding() {
    let (mut world, alice, mut pins) = setup();
    world.add(&Person::new("bob", 2));
    for who in [&name("bob"), &alice.name] {
        pins.record(&world.resolve(who), &[], OnKeyChange::Refuse).unwrap();
    }
    let bytes = pins.to_bytes();
    assert_eq!(bytes.len(), 4 + 4 + 6 + 4 + 2 * 185);
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
    assert!(matches!(
        other.record(&peer, &[], OnKeyChange::Accept),
        Err(PinError::OtherNetwork { .. })
    ));
    assert!(pins.forget(&alice.name).is_some());
    assert_eq!(pins.record(&peer, &[], OnKeyChange::Refuse), Ok(PinStatus::First));
}

/// A record between that somebody changed links nothing, and nothing panics.
#[test]
fn a_changed_record_links_nothing() {
    let (mut world, alice, mut pins) = setup();
    let first = world.resolve(&alice.name);
    pins.record(&first, &[], OnKeyChange::Refuse).unwrap();
    let second = alice.record(1, 2, first.record_hash());
    let third = alice.record(2, 3, second.hash(NETWORK));
    let steps = [alice.signed(second, 1, true), alice.signed(third.clone(), 2, true)];
    world.publish(&alice.name, third, true);
    let peer = Resolution::Peer(Box::new(world.resolve(&alice.name)));
    assert_eq!(pins.compare(&peer, &steps), PinStatus::Rotated);
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
        assert_eq!(pins.compare(&peer, &steps), PinStatus::Unlinked, "{}", hex::encode(&changed));
    }
    assert!(read > count(), "only {read} were read");
}

/// A file of pins that somebody changed is read as what it says, or not at all; nothing panics.
#[test]
fn changed_pins_are_read_or_not() {
    let (mut world, alice, mut pins) = setup();
    pins.record(&world.resolve(&alice.name), &[], OnKeyChange::Refuse).unwrap();
    let (good, mut mutator) = (pins.to_bytes(), Mutator::new(6));
    for _ in 0..10 * count() {
        let changed = mutator.change(&good, &good);
        if let Ok(pins) = Pins::from_bytes(&changed) {
            assert_eq!(pins.to_bytes(), changed);
        }
    }
}

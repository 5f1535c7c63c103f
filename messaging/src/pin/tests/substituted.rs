//! Keys put in the place of a name's own, in eight ways: each has its pin status.

use namechain_core::tree;

use super::*;
use crate::{
    bundle::BundleError,
    verify::{PeerError, ProofError, resolve_peer},
};

/// Alice, seen with her first record; what stands now is her second, linked.
fn setup() -> (World, Person, Pins, VerifiedPeer) {
    let (mut world, alice) = (World::new(), Person::new("alice", 1));
    world.add(&alice);
    world.add(&Person::new("mallory", 66));
    let first = world.resolve(&alice.name);
    let mut pins = Pins::new(NETWORK);
    pins.record(&first, &[], OnKeyChange::Refuse).unwrap();
    world.publish(&alice.name, alice.record(1, 2, first.record_hash()), true);
    (world, alice, pins, first)
}

fn pin_status(pins: &mut Pins, peer: &VerifiedPeer) -> PinStatus {
    let before = pins.clone();
    let pin_status = refused(pins.record(peer, &[], OnKeyChange::Refuse));
    assert_eq!(*pins, before, "what is refused changes nothing");
    pin_status
}

#[test]
fn stale() {
    let (mut world, alice, mut pins, first) = setup();
    assert_eq!(
        pins.record(&world.resolve(&alice.name), &[], OnKeyChange::Refuse),
        Ok(PinStatus::Rotated)
    );
    assert_eq!(pin_status(&mut pins, &first), PinStatus::Older);
    // Who never saw her is helped by the age of the proof alone.
    let tip = (0..40).map(|_| world.block()).last().unwrap();
    let old =
        resolve_peer(&world.trusted_header(tip), &alice.name, &world.placed(&alice.name, 0, tip));
    assert!(matches!(old, Err(PeerError::Proof(ProofError::TooOld { .. }))), "{old:?}");
}

#[test]
fn revoked() {
    let (mut world, alice, mut pins, first) = setup();
    world.entries.get_mut(&alice.name).unwrap().revoked = true;
    let height = world.block();
    let finding = crate::verify::verify_name(
        &world.trusted_header(height),
        &alice.name,
        &world.name_proof(&alice.name, height),
    );
    let finding = finding.unwrap();
    assert_eq!(finding, Resolution::Absent { why: Absence::Revoked, height });
    assert_eq!(pins.compare(&finding, &[]), PinStatus::Revoked);
    pins.record_absence(&alice.name, Absence::Revoked, height);
    assert_eq!(pin_status(&mut pins, &first), PinStatus::Older);
}

#[test]
fn of_another_name() {
    let (mut world, alice, _, _) = setup();
    let height = world.block();
    let mallorys = world.name_proof(&name("mallory"), height);
    let error = resolve_peer(&world.trusted_header(height), &alice.name, &mallorys);
    assert_eq!(error, Err(PeerError::Proof(ProofError::Tree(tree::ProofError::Root))));
}

#[test]
fn of_another_network() {
    let (mut world, alice, mut pins, _) = setup();
    world.block();
    let mut elsewhere = World::on(Network::Test);
    elsewhere.add(&alice);
    let height = elsewhere.block();
    let name_proof = elsewhere.name_proof(&alice.name, height);
    let error = resolve_peer(&world.trusted_header(1), &alice.name, &name_proof);
    assert_eq!(error, Err(PeerError::Proof(ProofError::UnknownHeader)));
    let peer = elsewhere.resolve(&alice.name);
    assert!(matches!(
        pins.record(&peer, &[], OnKeyChange::Accept),
        Err(PinError::OtherNetwork { .. })
    ));
}

#[test]
fn of_a_wrong_sequence() {
    let (mut world, alice, mut pins, first) = setup();
    let other = MessagingRecord { x25519: [66; 32], ..alice.record(0, 1, Hash::ZERO) };
    world.publish(&alice.name, other, false);
    assert_eq!(pin_status(&mut pins, &world.resolve(&alice.name)), PinStatus::Forked);
    let bundle = alice.bundle(2).sign(NETWORK, &alice.identity(0)).unwrap();
    assert_eq!(bundle.verify(&first, NOW), Err(BundleError::Sequence { expected: 1, found: 2 }));
}

#[test]
fn transferred() {
    let (mut world, alice, mut pins, _) = setup();
    let buyer = Person::new("alice", 9);
    let entry = world.entries.get_mut(&alice.name).unwrap();
    (entry.owner, entry.title) = (buyer.owner().public(), buyer.title());
    world.publish(&alice.name, buyer.record(0, 1, Hash::ZERO), false);
    assert_eq!(pin_status(&mut pins, &world.resolve(&alice.name)), PinStatus::Transferred);
}

#[test]
fn unlinked() {
    let (mut world, alice, mut pins, first) = setup();
    world.publish(&alice.name, alice.record(7, 2, first.record_hash()), false);
    assert_eq!(pin_status(&mut pins, &world.resolve(&alice.name)), PinStatus::Unlinked);
}

#[test]
fn reorganised_away() {
    let (mut world, alice, _, _) = setup();
    let mut other = World::new();
    other.add(&Person::new("alice", 66));
    let tip = (0..5).map(|_| (world.block(), other.block()).0).last().unwrap();
    let gone = other.placed(&alice.name, 2, 4);
    let error = resolve_peer(&world.trusted_header(tip), &alice.name, &gone);
    assert!(matches!(error, Err(PeerError::Proof(ProofError::OffChain(_)))), "{error:?}");
}

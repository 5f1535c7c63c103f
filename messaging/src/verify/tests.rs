use namechain_core::types::{Hash, Network};

use super::*;
use crate::testing::{
    NETWORK, Person, World,
    mutation::{Mutator, count},
    name,
};

fn world() -> (World, Person) {
    let (mut world, alice) = (World::new(), Person::new("alice", 1));
    world.add(&alice);
    for (number, other) in ["carol", "dave", "erin", "frank"].into_iter().enumerate() {
        world.add(&Person::new(other, 10 + number as u8));
    }
    (world, alice)
}

#[test]
fn a_proven_name_has_its_keys() {
    let (mut world, alice) = world();
    let peer = world.resolve(&alice.name);
    assert_eq!((peer.name(), peer.network()), (&alice.name, NETWORK));
    assert_eq!(
        (peer.identity(), peer.owner()),
        (alice.identity(0).public(), alice.owner().public())
    );
    assert_eq!(
        (peer.sequence(), peer.title(), peer.height(), peer.depth()),
        (1, alice.title(), 1, 0)
    );
    assert_eq!(peer.x25519(), alice.x25519().public().0);
    assert_eq!(peer.record_hash(), alice.record(0, 1, Hash::ZERO).hash(NETWORK));
    assert_eq!(peer.block(), world.header(1).id(NETWORK));
    assert_eq!(peer.locators(), ["/dns4/peer.example/udp/7/quic-v1"]);
    assert!(peer.allows_x25519_alone());
}

#[test]
fn every_way_to_have_no_keys_is_told() {
    let (mut world, alice) = world();
    let find = |world: &mut World, asked: &str| {
        let height = world.block();
        let asked = name(asked);
        resolve_peer(&world.trusted_header(height), &asked, &world.name_proof(&asked, height))
            .unwrap_err()
    };
    assert_eq!(find(&mut world, "nobody"), PeerError::Absent(Absence::Unregistered));
    let entry = world.entries[&alice.name].clone();
    let with = |world: &mut World, change: &dyn Fn(&mut NameEntry)| {
        let mut entry = entry.clone();
        change(&mut entry);
        world.entries.insert(alice.name.clone(), entry);
        find(world, "alice")
    };
    assert_eq!(
        with(&mut world, &|entry| entry.messaging = None),
        PeerError::Absent(Absence::NoRecord)
    );
    assert_eq!(
        with(&mut world, &|entry| entry.revoked = true),
        PeerError::Absent(Absence::Revoked)
    );
    let now = NETWORK.params().genesis_time;
    let lapsed = |entry: &mut NameEntry| entry.expires = now;
    assert_eq!(with(&mut world, &lapsed), PeerError::Absent(Absence::Grace));
    let over = |entry: &mut NameEntry| (entry.revoked, entry.expires) = (true, 1);
    assert_eq!(with(&mut world, &over), PeerError::Absent(Absence::Released));
    let young = |entry: &mut NameEntry| entry.registered.height = u32::MAX;
    assert_eq!(with(&mut world, &young), PeerError::Absent(Absence::Settling));
}

#[test]
fn another_name_entry_header_or_network_proves_nothing() {
    let (mut world, alice) = world();
    let height = world.block();
    let trusted = world.trusted_header(height);
    let (header, proof, entry) = world.parts(&alice.name, height);
    let (_, _, carols) = world.parts(&name("carol"), height);
    let read = |header: &[u8], proof: &[u8], entry: Option<&Vec<u8>>| {
        NameProof::read(header, proof, entry.map(Vec::as_slice), None).unwrap()
    };
    let tree_error =
        |name_proof: &NameProof, asked: &str| match verify_name(&trusted, &name(asked), name_proof)
        {
            Err(ProofError::Tree(error)) => error,
            other => panic!("{other:?}"),
        };
    let good = read(&header, &proof, entry.as_ref());
    assert!(verify_name(&trusted, &alice.name, &good).is_ok());
    assert_eq!(tree_error(&good, "carol"), tree::ProofError::Root);
    assert_eq!(
        tree_error(&read(&header, &proof, carols.as_ref()), "alice"),
        tree::ProofError::Root
    );
    assert_eq!(tree_error(&read(&header, &proof, None), "alice"), tree::ProofError::Claim(true));
    let other = TrustedHeader::new(Network::Test, world.header(height).clone());
    assert_eq!(
        verify_name(&other, &alice.name, &good),
        Err(ProofError::Tree(tree::ProofError::Root))
    );
    let mut elsewhere = header.clone();
    elsewhere[80] ^= 1;
    let elsewhere = read(&elsewhere, &proof, entry.as_ref());
    assert_eq!(verify_name(&trusted, &alice.name, &elsewhere), Err(ProofError::UnknownHeader));
}

#[test]
fn a_proof_is_good_for_some_blocks_below_a_later_header() {
    let (mut world, alice) = world();
    let first = world.block();
    for _ in 0..DEFAULT_MAX_DEPTH_BLOCKS {
        world.block();
    }
    let tip = world.block();
    assert_eq!(tip - first, DEFAULT_MAX_DEPTH_BLOCKS + 1);
    let peer = |trusted: &TrustedHeader, at, against| {
        resolve_peer(trusted, &alice.name, &world.placed(&alice.name, at, against))
    };
    assert_eq!(
        peer(&world.trusted_header(tip), first + 1, tip).unwrap().depth(),
        DEFAULT_MAX_DEPTH_BLOCKS
    );
    let old =
        ProofError::TooOld { depth: DEFAULT_MAX_DEPTH_BLOCKS + 1, most: DEFAULT_MAX_DEPTH_BLOCKS };
    assert_eq!(peer(&world.trusted_header(tip), first, tip), Err(PeerError::Proof(old)));
    assert!(peer(&world.trusted_header(tip).with_max_depth(1_000), first, tip).is_ok());
    let unplaced = resolve_peer(
        &world.trusted_header(tip),
        &alice.name,
        &world.name_proof(&alice.name, tip - 1),
    );
    assert_eq!(unplaced, Err(PeerError::Proof(ProofError::UnknownHeader)));
    assert!(matches!(
        peer(&world.trusted_header(tip - 1), 5, tip),
        Err(PeerError::Proof(ProofError::OffChain(_)))
    ));
}

/// The block that said so is no longer on the chain: its header is not below the trusted one.
#[test]
fn what_was_reorganised_away_proves_nothing() {
    let (mut world, alice) = world();
    let (mut other, mallory) = (World::new(), Person::new("alice", 99));
    other.add(&mallory);
    for world in [&mut world, &mut other] {
        while world.block() < 4 {}
    }
    let name_proof = other.placed(&alice.name, 2, 4);
    assert!(resolve_peer(&other.trusted_header(4), &alice.name, &name_proof).is_ok());
    let refused = resolve_peer(&world.trusted_header(4), &alice.name, &name_proof);
    assert_eq!(refused, Err(PeerError::Proof(ProofError::OffChain(HistoryProofError::Root))));
}

#[test]
fn evidence_is_bounded_and_has_one_encoding() {
    let (mut world, alice) = world();
    let (at, tip) = (world.block(), world.block());
    let (header, proof, entry) = world.parts(&alice.name, at);
    let entry = entry.unwrap();
    for name_proof in [world.placed(&alice.name, at, tip), world.name_proof(&name("nobody"), at)] {
        assert_eq!(NameProof::from_bytes(&name_proof.to_bytes()).as_ref(), Ok(&name_proof));
    }
    let read = |header: &[u8], proof: &[u8], entry: &[u8], place: &[u8]| {
        NameProof::read(header, proof, Some(entry), Some(place)).unwrap_err()
    };
    let place = world.place(at, tip);
    let long = |bytes: &[u8], length: usize| [bytes, &vec![0; length]].concat();
    assert_eq!(read(&long(&header, 1), &proof, &entry, &place), ProofError::TooLong("header"));
    assert_eq!(
        read(&header, &long(&proof, MAX_PROOF_BYTES), &entry, &place),
        ProofError::TooLong("proof")
    );
    assert_eq!(
        read(&header, &proof, &long(&entry, MAX_ENTRY_BYTES), &place),
        ProofError::TooLong("entry")
    );
    let what = "proof of the header's place";
    assert_eq!(
        read(&header, &proof, &entry, &long(&place, MAX_HISTORY_PROOF_BYTES)),
        ProofError::TooLong(what)
    );
    assert!(matches!(
        read(&header[1..], &proof, &entry, &place),
        ProofError::Malformed("header", _)
    ));
    assert!(matches!(
        read(&header, &proof[1..], &entry, &place),
        ProofError::Malformed("proof", _)
    ));
    assert!(matches!(read(&header, &proof, &entry, &place[1..]), ProofError::Malformed(_, _)));
}

/// A name proof that somebody changed: it proves nothing, of any name, and nothing panics.
#[test]
fn changed_evidence_proves_nothing() {
    let (mut world, alice) = world();
    let (at, tip) = (world.block(), world.block());
    let names = [alice.name.clone(), name("carol"), name("nobody")];
    let good: Vec<Vec<u8>> =
        names.iter().map(|name| world.placed(name, at, tip).to_bytes()).collect();
    let (trusted, mut mutator) = (world.trusted_header(tip), Mutator::new(3));
    let (mut read, mut damaged) = (0, 0);
    for round in 0..10 * count() {
        let changed = mutator.change(&good[round % 3], &good[(round + 1) % 3]);
        if good.contains(&changed) {
            continue;
        }
        match NameProof::from_bytes(&changed) {
            Err(_) => damaged += 1,
            Ok(name_proof) => {
                read += 1;
                for name in &names {
                    let pin_status = verify_name(&trusted, name, &name_proof);
                    assert!(
                        pin_status.is_err(),
                        "{name}: {pin_status:?} by {}",
                        hex::encode(&changed)
                    );
                }
            }
        }
    }
    assert!(read > count() && damaged > count(), "{read} were read, {damaged} were not");
}

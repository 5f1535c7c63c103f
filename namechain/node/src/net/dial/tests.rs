use super::*;
use crate::net::{address::Carrier, addrman::Source};

const UNIX: u64 = 1_800_000_000;

fn entry(ip: &str) -> Entry {
    (
        PeerId::random(),
        Address { ip: ip.parse().expect("an ip"), port: 7379, carrier: Carrier::Tcp },
    )
}

fn named(text: &str) -> (Multiaddr, Option<PeerId>) {
    (text.parse().expect("an address"), None)
}

struct World {
    dialer: Dialer,
    addrman: AddrMan,
    random: Random,
    next: usize,
}

impl World {
    fn new(named: Vec<(Multiaddr, Option<PeerId>)>, anchors: Vec<Entry>, seed: u64) -> Self {
        let mut random = Random::seeded(seed);
        let addrman = AddrMan::new(&mut random);
        World { dialer: Dialer::new(named, anchors, limits::OUTBOUND), addrman, random, next: 0 }
    }

    fn next(&mut self, now: u64) -> Option<(ConnectionId, Target)> {
        let dialer = &mut self.dialer;
        let connected: Vec<PeerId> = dialer.outbound.keys().copied().collect();
        let view = View {
            now: Duration::from_secs(now),
            unix: UNIX + now,
            addrman: &self.addrman,
            taken: &|peer| connected.contains(peer),
        };
        let target = dialer.next(&view, &mut self.random)?;
        self.next += 1;
        let id = ConnectionId::new_unchecked(self.next);
        dialer.begun(id, target.clone());
        Some((id, target))
    }

    /// Dials until nobody is left; whoever is dialled answers.
    fn fill(&mut self) -> Vec<Entry> {
        let mut filled = Vec::new();
        while let Some((id, target)) = self.next(0) {
            let peer = target.peer.unwrap_or_else(PeerId::random);
            self.dialer.established(id, peer, Duration::ZERO).expect("ours");
            filled.extend(target.entry);
        }
        filled
    }
}

/// Eight slots, a thousand addresses of one subnet, and a handful of honest peers: the subnet gets
/// one slot.
#[test]
fn a_thousand_addresses_of_a_subnet_get_one_slot() {
    for seed in 0..50 {
        let mut world = World::new(Vec::new(), Vec::new(), seed);
        let teller =
            Source::Peer(super::super::address::group("203.0.113.1".parse().expect("an ip")));
        for at in 0..1_000 {
            world.addrman.add(entry(&format!("203.0.{}.{}", at / 250, at % 250)), teller, UNIX);
        }
        for group in 0..12 {
            let honest = entry(&format!("198.{group}.0.1"));
            if group % 2 == 0 {
                world.addrman.good(honest, teller, UNIX)
            } else {
                world.addrman.add(honest, teller, UNIX)
            }
        }
        let filled = world.fill();
        assert_eq!(filled.len(), limits::OUTBOUND, "seed {seed}");
        let evil =
            filled.iter().filter(|(_, address)| address.ip.to_string().starts_with("203.")).count();
        assert!(evil <= 1, "seed {seed}: {evil} of eight");
    }
}

#[test]
fn a_thousand_addresses_of_ipv6_get_one_slot() {
    let mut world = World::new(Vec::new(), Vec::new(), 3);
    for at in 0..1_000 {
        world.addrman.add(entry(&format!("2001:db8:{at:x}::1")), Source::Asked, UNIX);
    }
    assert_eq!(world.fill().len(), 1, "a /32 is one group");
}

#[test]
fn anchors_come_first_and_once() {
    let anchors: Vec<Entry> = (0..4).map(|group| entry(&format!("198.{group}.0.1"))).collect();
    let mut world = World::new(Vec::new(), anchors.clone(), 1);
    for group in 0..30 {
        world.addrman.add(entry(&format!("192.{group}.0.1")), Source::Asked, UNIX);
    }
    let filled = world.fill();
    assert!(anchors.iter().all(|anchor| filled[..4].contains(anchor)));
    assert_eq!(filled.len(), limits::OUTBOUND);
}

#[test]
fn a_named_peer_is_tried_again_ever_later_and_for_ever() {
    let mut world = World::new(vec![named("/dns4/node-a/tcp/7379")], Vec::new(), 1);
    let mut dialled = Vec::new();
    for second in 0..600 {
        while let Some((id, _)) = world.next(second) {
            dialled.push(second);
            world.dialer.failed(id, Outcome::Failed, Duration::from_secs(second));
        }
    }
    assert_eq!(dialled[..7], [0, 1, 3, 7, 15, 31, 63]);
    assert!(dialled[7..].windows(2).all(|pair| pair[1] - pair[0] == 60), "{dialled:?}");
}

#[test]
fn a_named_peer_needs_no_slot_and_no_group() {
    let peers = ["/ip4/203.0.113.1/tcp/1", "/ip4/203.0.113.2/tcp/1", "/ip4/203.0.113.3/tcp/1"];
    let mut world = World::new(peers.map(named).to_vec(), Vec::new(), 1);
    world.addrman.add(entry("203.0.113.9"), Source::Asked, UNIX);
    assert_eq!(world.fill().len(), 1, "the addrman's groups are its own");
    assert_eq!(world.dialer.outbound.len(), 4);
    let is_named = |peer: &PeerId| world.dialer.named.iter().any(|named| named.peer == Some(*peer));
    let peer = *world.dialer.outbound.keys().find(|peer| is_named(peer)).expect("one");
    world.dialer.closed(&peer);
    let (_, target) = world.next(5).expect("dialled again");
    assert_eq!(target.peer, Some(peer), "the one who answered there must answer again");
}

#[test]
fn ourselves_are_not_dialled_twice() {
    let mut world = World::new(vec![named("/ip4/127.0.0.1/tcp/7379")], Vec::new(), 1);
    let (id, _) = world.next(0).expect("dialled");
    world.dialer.failed(id, Outcome::Ourselves, Duration::ZERO);
    assert!(world.next(10_000).is_none());
}

#[test]
fn few_dials_are_under_way_at_once() {
    let mut world = World::new(Vec::new(), Vec::new(), 1);
    for group in 0..30 {
        world.addrman.add(entry(&format!("192.{group}.0.1")), Source::Asked, UNIX);
    }
    let mut begun = 0;
    while world.next(0).is_some() {
        begun += 1;
    }
    assert_eq!(begun, DIALS_AT_ONCE);
}

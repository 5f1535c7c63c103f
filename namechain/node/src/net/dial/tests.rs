use super::*;
use crate::net::address::{Carrier, group};

const UNIX: u64 = 1_800_000_000;

fn entry(ip: &str) -> Entry {
    (
        PeerId::random(),
        Address { ip: ip.parse().expect("an ip"), port: 7379, carrier: Carrier::Tcp },
    )
}

fn teller(ip: &str) -> Group {
    group(ip.parse().expect("an ip"))
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
        World {
            dialer: Dialer::new(named, Vec::new(), anchors, &Limits::default()),
            addrman,
            random,
            next: 0,
        }
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

    fn in_slot(&self, slot: Slot) -> usize {
        self.dialer.outbound.values().filter(|link| link.slot == slot).count()
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
        let teller = teller("203.0.113.1");
        for at in 0..1_000 {
            world.addrman.add(entry(&format!("203.0.{}.{}", at / 250, at % 250)), teller, UNIX);
        }
        for group in 0..30 {
            let honest = entry(&format!("198.{group}.0.1"));
            if group % 2 == 0 {
                world.addrman.good(honest, honest.1.group(), UNIX)
            } else {
                world.addrman.add(honest, honest.1.group(), UNIX)
            }
        }
        let filled = world.fill();
        assert_eq!(filled.len(), limits::OUTBOUND + limits::BLOCK_ONLY, "seed {seed}");
        let evil =
            filled.iter().filter(|(_, address)| address.ip.to_string().starts_with("203.")).count();
        assert!(evil <= 1, "seed {seed}: {evil} of ten");
    }
}

#[test]
fn a_thousand_addresses_of_ipv6_get_one_slot() {
    let mut world = World::new(Vec::new(), Vec::new(), 3);
    for at in 0..1_000 {
        world.addrman.add(entry(&format!("2001:db8:{at:x}::1")), teller("192.0.2.1"), UNIX);
    }
    assert_eq!(world.fill().len(), 1, "a /32 is one group");
}

#[test]
fn anchors_come_first_for_blocks_only() {
    let anchors: Vec<Entry> = (0..2).map(|group| entry(&format!("198.{group}.0.1"))).collect();
    let mut world = World::new(Vec::new(), anchors.clone(), 1);
    for group in 0..30 {
        world.addrman.add(entry(&format!("192.{group}.0.1")), teller("192.0.2.1"), UNIX);
    }
    let filled = world.fill();
    assert!(anchors.iter().all(|anchor| filled[..2].contains(anchor)));
    assert!(anchors.iter().all(|(peer, _)| world.dialer.slot(peer) == Some(Slot::BlockOnly)));
    assert_eq!(filled.len(), limits::OUTBOUND + limits::BLOCK_ONLY);
    assert_eq!(world.in_slot(Slot::BlockOnly), limits::BLOCK_ONLY);
}

#[test]
fn slots_for_blocks_only_are_filled_after_the_others() {
    let mut world = World::new(Vec::new(), Vec::new(), 4);
    // Some of them may want the same place.
    let mut groups = 0..;
    while world.addrman.len().0 < limits::OUTBOUND {
        let told = entry(&format!("192.{}.0.1", groups.next().expect("endless")));
        world.addrman.add(told, told.1.group(), UNIX);
    }
    world.fill();
    assert_eq!((world.in_slot(Slot::Full), world.in_slot(Slot::BlockOnly)), (limits::OUTBOUND, 0));
    for group in 0..30 {
        let told = entry(&format!("193.{group}.0.1"));
        world.addrman.add(told, told.1.group(), UNIX);
    }
    world.fill();
    assert_eq!(world.in_slot(Slot::Full), limits::OUTBOUND);
    assert_eq!(world.in_slot(Slot::BlockOnly), limits::BLOCK_ONLY);
}

/// In a network of three, the two anchors of a node are all that it has for operations too.
#[test]
fn a_slot_for_blocks_only_is_given_up_when_there_is_no_other_connection() {
    let anchors: Vec<Entry> = (0..2).map(|group| entry(&format!("198.{group}.0.1"))).collect();
    let mut world = World::new(Vec::new(), anchors.clone(), 1);
    anchors.iter().for_each(|anchor| world.addrman.good(*anchor, anchor.1.group(), UNIX));
    world.fill();
    assert_eq!(world.in_slot(Slot::BlockOnly), 2);
    let at = |second| Duration::from_secs(second);
    assert_eq!(world.dialer.surplus_block_only(at(1)), None);
    assert_eq!(world.dialer.surplus_block_only(at(60)), None);
    let surplus = world.dialer.surplus_block_only(at(61)).expect("one of them");
    world.dialer.closed(&surplus);
    world.fill();
    assert_eq!(world.dialer.slot(&surplus), Some(Slot::Full));
    assert_eq!(world.dialer.surplus_block_only(at(1_000)), None, "one is enough");
}

/// Attackers tell a node of thousands of addresses in all groups before any honest peer says
/// anything. What honest peers tell then finds room all the same.
#[test]
fn what_honest_peers_tell_finds_room_beside_a_flood() {
    let mut honest_slots = 0;
    for seed in 0..10 {
        let mut world = World::new(Vec::new(), Vec::new(), seed);
        for at in 0..4_000 {
            let evil = entry(&format!("{}.{}.66.66", 11 + at % 100, at / 100));
            world.addrman.add(evil, teller(&format!("203.{}.0.1", at % 8)), UNIX);
        }
        for at in 0..1_200 {
            let honest = entry(&format!("{}.{}.7.7", 120 + at % 20, at / 20));
            world.addrman.add(honest, teller(&format!("198.{}.0.1", at % 8)), UNIX + 10);
        }
        let honest = |(_, address): &&Entry| address.ip.to_string().ends_with(".7.7");
        honest_slots += world.fill().iter().filter(honest).count();
    }
    assert!(honest_slots > 10, "{honest_slots} of {}", 10 * 10);
}

#[test]
fn a_feeler_goes_to_somebody_new_every_two_minutes_when_nobody_else_is_wanted() {
    let mut world = World::new(Vec::new(), Vec::new(), 9);
    for group in 0..200 {
        let told = entry(&format!("192.{group}.0.1"));
        world.addrman.add(told, told.1.group(), UNIX);
    }
    world.fill();
    let mut feelers = 0;
    for second in 1..=3_600 {
        while let Some((id, target)) = world.next(second) {
            assert_eq!(target.slot, Slot::Feeler);
            let peer = target.peer.expect("known");
            world.dialer.established(id, peer, Duration::from_secs(second)).expect("ours");
            let entry = target.entry.expect("known");
            world.dialer.closed(&peer);
            world.addrman.good(entry, entry.1.group(), UNIX + second);
            world.addrman.resolve_collisions(UNIX + second);
            feelers += 1;
        }
    }
    assert!((20..=40).contains(&feelers), "{feelers} an hour");
    // A few want a place that is taken, and wait.
    let tried = world.addrman.len().1;
    assert!(tried <= feelers && tried + 10 >= feelers, "{tried} of {feelers}");
}

/// Whoever has filled the local network with announcements gets two connections.
#[test]
fn the_local_network_gets_two_slots() {
    let mut world = World::new(Vec::new(), Vec::new(), 9);
    (0..200).for_each(|host| world.dialer.add_local(entry(&format!("192.168.0.{host}"))));
    world.fill();
    assert_eq!(world.in_slot(Slot::Local), limits::LOCAL);
    assert_eq!(world.dialer.outbound.len(), limits::LOCAL);
    assert!(world.dialer.wants_more(), "they take no slot of others");
    assert_eq!(world.addrman.len(), (0, 0));
}

#[test]
fn a_local_peer_that_does_not_answer_is_dropped() {
    let mut world = World::new(Vec::new(), Vec::new(), 9);
    world.dialer.add_local(entry("192.168.0.7"));
    let mut dials = Vec::new();
    for second in 0..10_000 {
        while let Some((id, _)) = world.next(second) {
            dials.push(second);
            world.dialer.failed(id, Outcome::Failed, Duration::from_secs(second));
        }
    }
    assert_eq!(dials, [0, 1, 3, 7, 15, 31, 63, 123]);
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
    world.addrman.add(entry("203.0.113.9"), teller("192.0.2.1"), UNIX);
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
        world.addrman.add(entry(&format!("192.{group}.0.1")), teller("192.0.2.1"), UNIX);
    }
    let mut begun = 0;
    while world.next(0).is_some() {
        begun += 1;
    }
    assert_eq!(begun, DIALS_AT_ONCE);
}

/// When the tip does not move, one peer more is dialled, and one of all of them closed later.
#[test]
fn one_peer_more_is_dialled_when_the_tip_is_stale() {
    let mut world = World::new(Vec::new(), Vec::new(), 1);
    for group in 0..30 {
        world.addrman.add(entry(&format!("192.{group}.0.1")), teller("192.0.2.1"), UNIX);
    }
    world.fill();
    world.dialer.want_extra();
    world.fill();
    assert_eq!(world.in_slot(Slot::Full), limits::OUTBOUND + 1);
    assert!(world.dialer.take_surplus(|_| false).is_empty(), "it has its time");
    let surplus = world.dialer.take_surplus(|_| true);
    assert_eq!(surplus.len(), limits::OUTBOUND + 1);
    world.dialer.closed(&surplus[0]);
    world.fill();
    assert_eq!(world.in_slot(Slot::Full), limits::OUTBOUND);
    assert!(world.dialer.take_surplus(|_| true).is_empty());
}

/// A node that knows nobody asks a seed, and leaves it once it knows others.
#[test]
fn a_seed_is_dialled_when_nobody_is_known_and_left_when_somebody_is() {
    let seeds = ["/dns/seed-1.example/tcp/1", "/dns/seed-2.example/tcp/1"].map(named).to_vec();
    let mut world = World::new(Vec::new(), Vec::new(), 1);
    world.dialer = Dialer::new(Vec::new(), seeds, Vec::new(), &Limits::default());
    assert!(world.next(9).is_none(), "somebody may connect yet");
    let (id, _) = world.next(10).expect("a seed");
    world.dialer.failed(id, Outcome::Failed, Duration::from_secs(11));
    assert!(world.next(19).is_none());
    let (id, target) = world.next(20).expect("a seed");
    assert_eq!(target.slot, Slot::Seed);
    let seed = PeerId::random();
    world.dialer.established(id, seed, Duration::from_secs(20)).expect("ours");
    assert!(world.next(60).is_none(), "one is enough");
    assert!(world.dialer.seeds_to_leave().is_empty(), "there is no other");
    world.addrman.add(entry("198.51.100.7"), teller("192.0.2.1"), UNIX);
    assert_eq!(world.fill().len(), 1);
    assert_eq!(world.dialer.seeds_to_leave(), [seed]);
}

use std::{collections::HashSet, net::IpAddr};

use super::*;
use crate::net::address::Carrier;

const NOW: u64 = 1_800_000_000;

fn entry(ip: &str) -> Entry {
    (
        PeerId::random(),
        Address { ip: ip.parse().expect("an ip"), port: 7379, carrier: Carrier::Tcp },
    )
}

fn told_from(ip: &str) -> Group {
    super::super::address::group(ip.parse::<IpAddr>().expect("an ip"))
}

/// Somebody far away who tells of others.
fn teller() -> Group {
    told_from("192.0.2.1")
}

fn addrman(seed: u64) -> (AddrMan, Random) {
    let mut random = Random::seeded(seed);
    (AddrMan::new(&mut random), random)
}

#[test]
fn a_thousand_addresses_of_a_subnet_take_a_small_part_of_the_book() {
    for seed in 0..20 {
        let (mut addrman, _) = addrman(seed);
        for at in 0..1_000 {
            addrman.add(
                entry(&format!("203.0.{}.{}", at / 250, at % 250)),
                told_from("203.0.113.1"),
                NOW,
            );
        }
        // One group told by one teller is one bucket.
        assert!(addrman.len().0 <= NEW_PLACES, "seed {seed}: {}", addrman.len().0);
    }
}

#[test]
fn a_teller_with_addresses_in_every_group_takes_a_sixteenth_of_the_book() {
    for seed in 0..5 {
        let (mut addrman, _) = addrman(seed);
        for at in 0..5_000 {
            let told = entry(&format!("{}.{}.0.1", 11 + at % 50, at / 50));
            addrman.add(told, told_from("203.0.113.1"), NOW);
        }
        let most = NEW_BUCKETS_PER_TELLER as usize * NEW_PLACES;
        assert!(addrman.len().0 <= most, "seed {seed}: {}", addrman.len().0);
        assert_eq!(most * 16, NEW_BUCKETS * NEW_PLACES);
    }
}

#[test]
fn a_flood_pushes_nobody_out() {
    for seed in 0..20 {
        let (mut addrman, _) = addrman(seed);
        let honest: Vec<Entry> = (0..40).map(|group| entry(&format!("198.{group}.0.1"))).collect();
        for (at, entry) in honest.iter().enumerate() {
            let teller = told_from(&format!("192.{at}.0.1"));
            if at % 2 == 0 {
                addrman.good(*entry, teller, NOW)
            } else {
                addrman.add(*entry, teller, NOW)
            }
        }
        let before: HashSet<Entry> =
            honest.iter().copied().filter(|e| addrman.places.contains_key(e)).collect();
        for at in 0..5_000 {
            addrman.add(entry(&format!("203.{}.0.{}", at % 200, at / 200)), teller(), NOW + 10);
        }
        assert!(before.iter().all(|entry| addrman.places.contains_key(entry)), "seed {seed}");
        assert!(before.len() >= 36, "seed {seed}: {} of 40 found a place", before.len());
    }
}

#[test]
fn who_has_answered_is_tried_and_found_again_after_a_restart() {
    let (mut addrman, mut random) = addrman(1);
    let friend = entry("198.51.100.7");
    addrman.add(friend, teller(), NOW);
    assert_eq!(addrman.len(), (1, 0));
    addrman.good(friend, teller(), NOW);
    assert_eq!(addrman.len(), (1, 1));
    addrman.set_anchors(vec![friend]);
    let again = AddrMan::from_bytes(&addrman.to_bytes()).expect("read back");
    assert_eq!(again.len(), (1, 1));
    assert_eq!(again.anchors(), [friend]);
    assert_eq!(again.pick(&mut random, NOW, |_| true), Some(friend));
}

#[test]
fn the_file_is_read_back_as_it_was() {
    let (mut addrman, mut random) = addrman(7);
    for at in 0..3_000u32 {
        let ip = match at % 4 {
            0 => format!("{}.{}.{}.1", 11 + at % 70, at % 250, at % 9),
            1 => format!("2001:{:x}::{at:x}", at + 1),
            2 => format!("10.0.{}.{}", at / 250, at % 250),
            _ => "127.0.0.1".to_owned(),
        };
        let mut told = entry(&ip);
        told.1.port = 1 + at as u16;
        let teller = match at % 3 {
            0 => teller(),
            1 => told_from("2001:db8::1"),
            _ => told_from("10.1.2.3"),
        };
        addrman.add(told, teller, NOW + u64::from(at));
        if at % 5 == 0 {
            addrman.good(told, teller, NOW);
        }
        if random.below(9) == 0 {
            addrman.failed(&told, NOW + 1);
        }
    }
    let again = AddrMan::from_bytes(&addrman.to_bytes()).expect("read back");
    assert!(addrman.len().0 > 300 && addrman.len().1 > 50, "{:?}", addrman.len());
    assert_eq!((again.new, again.tried), (addrman.new, addrman.tried));
    assert_eq!((again.places, again.key), (addrman.places, addrman.key));
}

#[test]
fn a_damaged_file_is_no_book() {
    let (mut addrman, _) = addrman(3);
    addrman.add(entry("198.51.100.7"), teller(), NOW);
    let bytes = addrman.to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(AddrMan::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(AddrMan::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn failures_wait_longer_each_time_and_end_in_being_forgotten() {
    let (mut addrman, mut random) = addrman(5);
    let (told, friend) = (entry("198.51.100.7"), entry("203.0.113.7"));
    addrman.add(told, teller(), NOW);
    addrman.good(friend, teller(), NOW);
    addrman.failed(&told, NOW);
    addrman.failed(&friend, NOW);
    assert_eq!(addrman.pick(&mut random, NOW + RETRY_FIRST - 1, |_| true), None);
    assert!(addrman.pick(&mut random, NOW + RETRY_FIRST, |_| true).is_some());
    addrman.failed(&told, NOW + RETRY_FIRST);
    addrman.failed(&told, NOW + 4 * RETRY_FIRST);
    assert_eq!(addrman.len(), (1, 1), "told of, and never reached");
    (0..20).for_each(|_| addrman.failed(&friend, NOW + 100));
    assert_eq!(addrman.len(), (1, 1), "it has answered this week");
    assert_eq!(addrman.pick(&mut random, NOW + 100 + RETRY_MOST, |_| true), Some(friend));
    addrman.failed(&friend, NOW + 8 * 24 * 3600);
    assert_eq!(addrman.len(), (0, 0));
}

#[test]
fn a_peer_is_forgotten_wherever_it_is() {
    let (mut addrman, _) = addrman(9);
    let one = entry("198.51.100.7");
    let other = (one.0, Address { port: 1, ..one.1 });
    addrman.good(one, teller(), NOW);
    addrman.add(other, teller(), NOW);
    addrman.set_anchors(vec![one]);
    addrman.forget(&one.0);
    assert_eq!(addrman.len(), (0, 0));
    assert!(addrman.anchors().is_empty() && addrman.places.is_empty());
}

#[test]
fn the_lesser_table_is_picked_from_as_often() {
    let (mut addrman, mut random) = addrman(11);
    let friend = entry("198.51.100.7");
    addrman.good(friend, teller(), NOW);
    for at in 0..100 {
        addrman.add(
            entry(&format!("{}.7.0.1", 11 + at)),
            told_from(&format!("{}.9.0.1", 11 + at)),
            NOW,
        );
    }
    let picked =
        (0..1_000).filter(|_| addrman.pick(&mut random, NOW, |_| true) == Some(friend)).count();
    assert!((400..600).contains(&picked), "{picked} of 1000");
}

/// Two addresses that want the same place in *tried*.
fn rivals(addrman: &AddrMan) -> (Entry, Entry) {
    let first = entry("198.51.100.7");
    let at = addrman.place_in_tried(&first);
    let second = (0..100_000u32)
        .map(|at| entry(&format!("{}.{}.0.1", 11 + at % 150, at / 150 % 250)))
        .find(|other| addrman.place_in_tried(other) == at)
        .expect("one of many");
    (first, second)
}

fn is_tried(addrman: &AddrMan, entry: &Entry) -> bool {
    matches!(addrman.places.get(entry), Some(Place::Tried(_)))
}

#[test]
fn who_answers_is_not_pushed_out_of_tried() {
    let (mut addrman, mut random) = addrman(21);
    let (old, rival) = rivals(&addrman);
    addrman.good(old, teller(), NOW);
    let later = NOW + 30 * 24 * 3600;
    addrman.good(rival, told_from("198.51.100.1"), later);
    assert!(is_tried(&addrman, &old) && !is_tried(&addrman, &rival));
    assert_eq!(addrman.pick_collided(&mut random, |_| true), Some(old), "it is to be dialled");
    addrman.resolve_collisions(later + 60);
    assert!(is_tried(&addrman, &old), "it has not been dialled yet");
    addrman.good(old, teller(), later + 120);
    addrman.resolve_collisions(later + 121);
    assert!(is_tried(&addrman, &old) && addrman.collisions.is_empty());
    assert!(addrman.places.contains_key(&rival), "it stays in new");
}

#[test]
fn who_does_not_answer_gives_its_place_in_tried_away() {
    let (mut addrman, _) = addrman(22);
    let (old, rival) = rivals(&addrman);
    addrman.good(old, teller(), NOW);
    let later = NOW + 24 * 3600;
    addrman.good(rival, told_from("198.51.100.1"), later);
    addrman.failed(&old, later + 10);
    addrman.resolve_collisions(later + 11);
    assert!(is_tried(&addrman, &rival) && !is_tried(&addrman, &old));
    assert!(addrman.collisions.is_empty());
}

#[test]
fn who_is_never_dialled_gives_way_in_the_end_unless_it_is_connected() {
    let (mut addrman, _) = addrman(23);
    let (old, rival) = rivals(&addrman);
    addrman.good(old, teller(), NOW);
    let later = NOW + 24 * 3600;
    addrman.good(rival, told_from("198.51.100.1"), later);
    let mut connected = addrman.clone();
    addrman.resolve_collisions(later + 39 * 60);
    assert!(is_tried(&addrman, &old));
    addrman.resolve_collisions(later + 41 * 60);
    assert!(is_tried(&addrman, &rival));
    connected.record_connected(&old, later + 30 * 60);
    connected.resolve_collisions(later + 41 * 60);
    assert!(is_tried(&connected, &old) && connected.collisions.is_empty());
}

#[test]
fn few_wait_for_a_place_in_tried() {
    let (mut addrman, _) = addrman(24);
    for at in 0..5_000u32 {
        let told = entry(&format!("{}.{}.0.1", 11 + at % 150, at / 150));
        addrman.good(told, told_from(&format!("{}.{}.0.1", 11 + at % 150, at / 150)), NOW);
    }
    assert!(addrman.len().1 > 400, "{:?}", addrman.len());
    assert_eq!(addrman.collisions.len(), 10);
}

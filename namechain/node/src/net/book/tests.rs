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

fn told_from(ip: &str) -> Source {
    Source::Peer(super::super::address::group(ip.parse::<IpAddr>().expect("an ip")))
}

fn book(seed: u64) -> (Book, Random) {
    let mut random = Random::seeded(seed);
    (Book::new(&mut random), random)
}

#[test]
fn a_thousand_addresses_of_a_subnet_take_a_small_part_of_the_book() {
    for seed in 0..20 {
        let (mut book, _) = book(seed);
        for at in 0..1_000 {
            book.add(
                entry(&format!("203.0.{}.{}", at / 250, at % 250)),
                told_from("203.0.113.1"),
                NOW,
            );
        }
        // One group told by one teller is one bucket.
        assert!(book.len().0 <= NEW_PLACES, "seed {seed}: {}", book.len().0);
    }
}

#[test]
fn a_teller_with_addresses_in_every_group_takes_a_sixteenth_of_the_book() {
    for seed in 0..5 {
        let (mut book, _) = book(seed);
        for at in 0..5_000 {
            let told = entry(&format!("{}.{}.0.1", 11 + at % 50, at / 50));
            book.add(told, told_from("203.0.113.1"), NOW);
        }
        let most = NEW_BUCKETS_PER_SOURCE as usize * NEW_PLACES;
        assert!(book.len().0 <= most, "seed {seed}: {}", book.len().0);
        assert_eq!(most * 16, NEW_BUCKETS * NEW_PLACES);
    }
}

#[test]
fn a_flood_pushes_nobody_out() {
    for seed in 0..20 {
        let (mut book, _) = book(seed);
        let honest: Vec<Entry> = (0..40).map(|group| entry(&format!("198.{group}.0.1"))).collect();
        for (at, entry) in honest.iter().enumerate() {
            let teller = told_from(&format!("192.{at}.0.1"));
            if at % 2 == 0 { book.good(*entry, teller, NOW) } else { book.add(*entry, teller, NOW) }
        }
        let before: HashSet<Entry> =
            honest.iter().copied().filter(|e| book.places.contains_key(e)).collect();
        for at in 0..5_000 {
            book.add(entry(&format!("203.{}.0.{}", at % 200, at / 200)), Source::Asked, NOW + 10);
        }
        assert!(before.iter().all(|entry| book.places.contains_key(entry)), "seed {seed}");
        assert!(before.len() >= 36, "seed {seed}: {} of 40 found a place", before.len());
    }
}

#[test]
fn who_has_answered_is_tried_and_found_again_after_a_restart() {
    let (mut book, mut random) = book(1);
    let friend = entry("198.51.100.7");
    book.add(friend, Source::Asked, NOW);
    assert_eq!(book.len(), (1, 0));
    book.good(friend, Source::Asked, NOW);
    assert_eq!(book.len(), (1, 1));
    book.set_anchors(vec![friend]);
    let again = Book::from_bytes(&book.to_bytes()).expect("read back");
    assert_eq!(again.len(), (1, 1));
    assert_eq!(again.anchors(), [friend]);
    assert_eq!(again.pick(&mut random, NOW, |_| true), Some(friend));
}

#[test]
fn the_file_is_read_back_as_it_was() {
    let (mut book, mut random) = book(7);
    for at in 0..3_000u32 {
        let ip = match at % 4 {
            0 => format!("{}.{}.{}.1", 11 + at % 70, at % 250, at % 9),
            1 => format!("2001:{:x}::{at:x}", at + 1),
            2 => format!("10.0.{}.{}", at / 250, at % 250),
            _ => "127.0.0.1".to_owned(),
        };
        let mut told = entry(&ip);
        told.1.port = 1 + at as u16;
        let source = match at % 3 {
            0 => Source::Asked,
            1 => told_from("2001:db8::1"),
            _ => told_from("10.1.2.3"),
        };
        book.add(told, source, NOW + u64::from(at));
        if at % 5 == 0 {
            book.good(told, source, NOW);
        }
        if random.below(9) == 0 {
            book.failed(&told, NOW + 1);
        }
    }
    let again = Book::from_bytes(&book.to_bytes()).expect("read back");
    assert!(book.len().0 > 300 && book.len().1 > 50, "{:?}", book.len());
    assert_eq!((again.new, again.tried), (book.new, book.tried));
    assert_eq!((again.places, again.key), (book.places, book.key));
}

#[test]
fn a_damaged_file_is_no_book() {
    let (mut book, _) = book(3);
    book.add(entry("198.51.100.7"), Source::Asked, NOW);
    let bytes = book.to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Book::from_bytes(&damaged).is_err(), "byte {at}");
        assert!(Book::from_bytes(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn failures_wait_longer_each_time_and_end_in_being_forgotten() {
    let (mut book, mut random) = book(5);
    let (told, friend) = (entry("198.51.100.7"), entry("203.0.113.7"));
    book.add(told, Source::Asked, NOW);
    book.good(friend, Source::Asked, NOW);
    book.failed(&told, NOW);
    book.failed(&friend, NOW);
    assert_eq!(book.pick(&mut random, NOW + RETRY_FIRST - 1, |_| true), None);
    assert!(book.pick(&mut random, NOW + RETRY_FIRST, |_| true).is_some());
    book.failed(&told, NOW + RETRY_FIRST);
    book.failed(&told, NOW + 4 * RETRY_FIRST);
    assert_eq!(book.len(), (1, 1), "told of, and never reached");
    (0..20).for_each(|_| book.failed(&friend, NOW + 100));
    assert_eq!(book.len(), (1, 1), "it has answered this week");
    assert_eq!(book.pick(&mut random, NOW + 100 + RETRY_MOST, |_| true), Some(friend));
    book.failed(&friend, NOW + 8 * 24 * 3600);
    assert_eq!(book.len(), (0, 0));
}

#[test]
fn a_peer_is_forgotten_wherever_it_is() {
    let (mut book, _) = book(9);
    let one = entry("198.51.100.7");
    let other = (one.0, Address { port: 1, ..one.1 });
    book.good(one, Source::Asked, NOW);
    book.add(other, Source::Asked, NOW);
    book.set_anchors(vec![one]);
    book.forget(&one.0);
    assert_eq!(book.len(), (0, 0));
    assert!(book.anchors().is_empty() && book.places.is_empty());
}

#[test]
fn the_lesser_table_is_picked_from_as_often() {
    let (mut book, mut random) = book(11);
    let friend = entry("198.51.100.7");
    book.good(friend, Source::Asked, NOW);
    for at in 0..100 {
        book.add(
            entry(&format!("{}.7.0.1", 11 + at)),
            told_from(&format!("{}.9.0.1", 11 + at)),
            NOW,
        );
    }
    let picked =
        (0..1_000).filter(|_| book.pick(&mut random, NOW, |_| true) == Some(friend)).count();
    assert!((400..600).contains(&picked), "{picked} of 1000");
}

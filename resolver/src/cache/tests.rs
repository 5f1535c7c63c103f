//! The cache against a plain model, its bounds, and what junk can't do to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::store::{Held, Known, Store};
use super::testing::{Build, question};
use super::wire::Packet;
use super::{Answer, Cache, DEFAULT_BYTES, ENTRY_OVERHEAD, Hit, Key, Kind, NO_REPLY, Scope};

const AT_START: Duration = Duration::ZERO;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An answer whose text tells it from others, `size` bytes longer than the shortest.
fn answer(mark: u32, size: usize) -> Arc<Answer> {
    let q = question("x.example", 10);
    let rdata = [&mark.to_be_bytes()[..], &vec![b'.'; size]].concat();
    let message = Build::answer(&q).record(super::wire::Section::Answer, &[0xc0, 12], 10, 300, &rdata).done();
    Arc::new(Answer::new(&Packet::parse(&message).unwrap(), &q, false).unwrap())
}

fn key(name: &str) -> Key {
    Key::new(&question(name, 1), false, false, Scope::Upstreams)
}

fn found(cache: &Cache, name: &str, now: Duration) -> bool {
    cache.get(&key(name), now).is_some()
}

fn put(cache: &Cache, name: &str, kind: Kind) {
    cache.insert(&key(name), answer(0, 40), kind, seconds(300), AT_START);
}

#[test]
fn an_answer_ages_and_is_gone_when_it_has_run_out() {
    let cache = Cache::new(1 << 20);
    let kept = answer(1, 0);
    cache.insert(&key("a.example"), kept.clone(), Kind::Positive, seconds(10), seconds(5));
    for (at, age) in [(5_000, 0), (5_999, 0), (6_000, 1), (14_999, 9)] {
        match cache.get(&key("a.example"), Duration::from_millis(at)) {
            Some(Hit::Answer(answer, found)) => {
                assert_eq!((answer, found), (kept.clone(), age), "at {at} ms")
            }
            other => panic!("at {at} ms: {other:?}"),
        }
    }
    assert!(!found(&cache, "a.example", seconds(15)));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (4, 1));
}

#[test]
fn what_tells_questions_apart() {
    let q = question("a.example", 1);
    let servers = ["192.0.2.1:53".parse().unwrap(), "[2001:db8::1]:53".parse().unwrap()];
    let other_port = ["192.0.2.1:54".parse().unwrap()];
    let turned = [servers[1], servers[0], servers[1]];
    let of = |question: &[u8], dnssec_ok, cd, scope| Key::new(question, dnssec_ok, cd, scope);
    let same = of(&q, false, false, Scope::Upstreams);
    assert_eq!(same, of(&question("A.eXample", 1), false, false, Scope::Upstreams));
    // Type 65 is an `A` as a byte and type 97 an `a`: only the name has no case.
    let all = [
        same,
        of(&question("a.example", 65), false, false, Scope::Upstreams),
        of(&question("a.example", 97), false, false, Scope::Upstreams),
        of(&[&q[..q.len() - 1], &[3]].concat(), false, false, Scope::Upstreams),
        of(&q, true, false, Scope::Upstreams),
        of(&q, false, true, Scope::Upstreams),
        of(&q, false, false, Scope::Servers(&servers)),
        of(&q, false, false, Scope::Servers(&servers[..1])),
        of(&q, false, false, Scope::Servers(&other_port)),
    ];
    for (at, one) in all.iter().enumerate() {
        assert_eq!(all.iter().position(|other| other == one), Some(at));
    }
    assert_eq!(of(&q, false, false, Scope::Servers(&servers)), of(&q, false, false, Scope::Servers(&turned)));
}

#[test]
fn junk_names_do_not_push_out_positive_answers() {
    let cache = Cache::new(4 << 20);
    (0..1000).for_each(|n| put(&cache, &format!("used{n}.example"), Kind::Positive));
    (0..50_000).for_each(|n| put(&cache, &format!("junk{n}.example"), Kind::Negative));
    assert_eq!((0..1000).filter(|n| !found(&cache, &format!("used{n}.example"), seconds(1))).count(), 0);
    assert!(cache.stats().bytes <= 4 << 20);
}

#[test]
fn what_is_asked_for_once_does_not_push_out_what_is_in_use() {
    let cache = Cache::new(2 << 20);
    let used = |n| format!("used{n}.example");
    (0..500).for_each(|n| put(&cache, &used(n), Kind::Positive));
    assert!((0..500).all(|n| found(&cache, &used(n), seconds(1))));
    for n in 0..50_000 {
        put(&cache, &format!("once{n}.example"), Kind::Positive);
        if n % 10 == 0 {
            found(&cache, &used(n / 10 % 500), seconds(1));
        }
    }
    let lost = (0..500).filter(|n| !found(&cache, &used(*n), seconds(1))).count();
    assert_eq!(lost, 0, "of 500 in use");
}

#[test]
fn a_name_that_appears_or_vanishes_has_one_answer() {
    let cache = Cache::new(1 << 20);
    for (mark, kind) in [(1, Kind::Negative), (2, Kind::Positive), (3, Kind::Negative)] {
        cache.insert(&key("a.example"), answer(mark, 0), kind, seconds(100 / u64::from(mark)), AT_START);
        match cache.get(&key("a.example"), seconds(1)) {
            Some(Hit::Answer(found, _)) => assert_eq!(found, answer(mark, 0)),
            other => panic!("{other:?}"),
        }
    }
    // The one with the shortest life came last; when it has run out no earlier one comes back.
    assert!(!found(&cache, "a.example", seconds(40)));
}

#[test]
fn no_reply_is_remembered_briefly_and_an_answer_replaces_it() {
    let cache = Cache::new(1 << 20);
    cache.insert_no_reply(&key("a.example"), AT_START);
    assert!(matches!(cache.get(&key("a.example"), AT_START), Some(Hit::NoReply)));
    assert!(!found(&cache, "a.example", NO_REPLY));
    cache.insert_no_reply(&key("b.example"), AT_START);
    put(&cache, "b.example", Kind::Positive);
    assert!(matches!(cache.get(&key("b.example"), AT_START), Some(Hit::Answer(..))));
}

#[test]
fn flushing_forgets_everything() {
    let cache = Cache::new(1 << 20);
    put(&cache, "a.example", Kind::Positive);
    put(&cache, "b.example", Kind::Negative);
    cache.flush();
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    assert!(!found(&cache, "a.example", AT_START) && !found(&cache, "b.example", AT_START));
}

#[test]
fn a_cache_of_no_bytes_holds_nothing() {
    let cache = Cache::new(0);
    put(&cache, "a.example", Kind::Positive);
    assert_eq!(cache.stats().entries, 0);
}

#[test]
fn the_longest_answer_finds_room_in_the_default_cache() {
    let cache = Cache::new(DEFAULT_BYTES);
    cache.insert(&key("a.example"), answer(1, 65_000), Kind::Positive, seconds(9), AT_START);
    cache.insert(&key("b.example"), answer(1, 65_000), Kind::Negative, seconds(9), AT_START);
    assert!(found(&cache, "a.example", AT_START) && found(&cache, "b.example", AT_START));
}

#[test]
fn an_answer_that_grows_is_not_its_own_victim() {
    let one = ENTRY_OVERHEAD + 1 + answer(0, 0).heap_bytes();
    let mut store = Store::new(8 * one);
    let held = |size| Held { known: Known::Answer(answer(0, size)), since: 0, until: 1 };
    (0..8u8).for_each(|key| store.insert(&[key], held(0), 0));
    assert_eq!(store.bytes(), 8 * one);
    // All are in use alike.
    assert!((0..8u8).all(|key| store.get(&[key], 0).is_some()));
    store.insert(&[0], held(one), 0);
    assert!(store.get(&[0], 0).is_some());
    store.audit();
}

#[derive(Debug, Clone)]
enum Step {
    Insert { key: u8, size: usize, life: u64 },
    Get { key: u8 },
    Forget { key: u8 },
    Wait { millis: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..40u8;
    let step = prop_oneof![
        4 => (key.clone(), 0..1500usize, 1..5000u64).prop_map(|(key, size, life)| Step::Insert { key, size, life }),
        4 => key.clone().prop_map(|key| Step::Get { key }),
        1 => key.prop_map(|key| Step::Forget { key }),
        1 => (0..2000u64).prop_map(|millis| Step::Wait { millis }),
    ];
    prop::collection::vec(step, 0..300)
}

proptest! {
    /// Never more bytes than allowed; never anything but the last value of a key; never one that has run out.
    #[test]
    fn the_store_agrees_with_a_map(steps in steps(), limit in 0..20_000usize) {
        let mut store = Store::new(limit);
        let mut model: HashMap<u8, (u32, u64)> = HashMap::new();
        let (mut now, mut mark) = (0, 0);
        for step in steps {
            match step {
                Step::Insert { key, size, life } => {
                    mark += 1;
                    let held = Held { known: Known::Answer(answer(mark, size)), since: now, until: now + life };
                    store.insert(&[key], held, now);
                    model.insert(key, (mark, now + life));
                    // What fits is there right after it came.
                    let fits = ENTRY_OVERHEAD + 1 + answer(mark, size).heap_bytes() <= limit / 4;
                    prop_assert_eq!(store.get(&[key], now).is_some(), fits);
                }
                Step::Get { key } => {
                    let got = store.get(&[key], now);
                    let allowed = model.get(&key).filter(|(_, until)| now < *until);
                    if let Some(Held { known: Known::Answer(got), .. }) = got {
                        let (mark, _) = allowed.expect("the model holds nothing");
                        // Header, question (x.example, type, class), pointer and fixed part of the record come before.
                        prop_assert_eq!(&got.wire()[12 + 15 + 12..][..4], &mark.to_be_bytes());
                    }
                }
                Step::Forget { key } => {
                    store.forget(&[key]);
                    model.remove(&key);
                    prop_assert!(store.get(&[key], now).is_none());
                }
                Step::Wait { millis } => now += millis,
            }
            prop_assert!(store.bytes() <= limit, "{} of {}", store.bytes(), limit);
            store.audit();
        }
    }
}

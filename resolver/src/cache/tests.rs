//! The cache against a simple model, its bounds, and malformed input.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::entry::{Entry, EntryKind, Partition};
use super::store::Store;
use super::{
    Answer, AnswerKind, Cache, DEFAULT_BYTES, ENTRY_OVERHEAD_BYTES, Hit, Key, MAX_STALE_AGE,
    NO_REPLY_TTL, Probe, SERVFAIL_TTL, Scope,
};
use crate::dns::message::{Packet, rcode};
use crate::dns::testing::{Build, name, question};

const AT_START: Duration = Duration::ZERO;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An answer for a name, with a distinguishing text, `size` bytes longer than the shortest.
fn answer(name: &str, checked_epoch: u32, size: usize) -> Arc<Answer> {
    let q = question(name, 1);
    let rdata = [&checked_epoch.to_be_bytes()[..], &vec![b'.'; size]].concat();
    let message = Build::answer(&q)
        .record(crate::dns::message::Section::Answer, &[0xc0, 12], 10, 300, &rdata)
        .done();
    Arc::new(Answer::new(&Packet::parse(&message).unwrap(), &q, false).unwrap())
}

fn key(name: &str) -> Key {
    Key::new(&question(name, 1), false, false, Scope::Upstreams)
}

fn found(cache: &Cache, name: &str, now: Duration) -> bool {
    cache.get(&key(name), now).is_some()
}

fn put(cache: &Cache, name: &str, kind: AnswerKind) {
    cache.insert(&key(name), answer(name, 0, 40), kind, seconds(300), AT_START);
}

#[test]
fn an_answer_ages_and_is_gone_when_it_has_run_out() {
    let cache = Cache::new(1 << 20);
    let kept = answer("a.example", 1, 0);
    cache.insert(&key("a.example"), kept.clone(), AnswerKind::Positive, seconds(10), seconds(5));
    for (at, age) in [(5_000, 0), (5_999, 0), (6_000, 1), (14_999, 9)] {
        match cache.get(&key("a.example"), Duration::from_millis(at)) {
            Some(Hit::Answer(answer, found, _)) => {
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
    // As bytes, type 65 is an `A` and type 97 an `a`: only the name is case-insensitive.
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
    assert_eq!(
        of(&q, false, false, Scope::Servers(&servers)),
        of(&q, false, false, Scope::Servers(&turned))
    );
}

#[test]
fn junk_names_do_not_push_out_positive_answers() {
    let cache = Cache::new(4 << 20);
    (0..1000).for_each(|n| put(&cache, &format!("used{n}.example"), AnswerKind::Positive));
    (0..50_000).for_each(|n| put(&cache, &format!("junk{n}.example"), AnswerKind::Negative));
    assert_eq!(
        (0..1000).filter(|n| !found(&cache, &format!("used{n}.example"), seconds(1))).count(),
        0
    );
    assert!(cache.stats().bytes <= 4 << 20);
}

#[test]
fn what_is_asked_for_once_does_not_push_out_what_is_in_use() {
    let cache = Cache::new(2 << 20);
    let used = |n| format!("used{n}.example");
    (0..500).for_each(|n| put(&cache, &used(n), AnswerKind::Positive));
    assert!((0..500).all(|n| found(&cache, &used(n), seconds(1))));
    for n in 0..50_000 {
        put(&cache, &format!("once{n}.example"), AnswerKind::Positive);
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
    for (checked_epoch, kind) in
        [(1, AnswerKind::Negative), (2, AnswerKind::Positive), (3, AnswerKind::Negative)]
    {
        cache.insert(
            &key("a.example"),
            answer("a.example", checked_epoch, 0),
            kind,
            seconds(100 / u64::from(checked_epoch)),
            AT_START,
        );
        match cache.get(&key("a.example"), seconds(1)) {
            Some(Hit::Answer(found, ..)) => {
                assert_eq!(found, answer("a.example", checked_epoch, 0))
            }
            other => panic!("{other:?}"),
        }
    }
    // The one with the shortest lifetime came last; when it expires no earlier one comes back.
    assert!(!found(&cache, "a.example", seconds(40)));
}

#[test]
fn no_reply_is_remembered_briefly_and_an_answer_replaces_it() {
    let cache = Cache::new(1 << 20);
    cache.insert_no_reply(&key("a.example"), AT_START);
    assert!(matches!(cache.get(&key("a.example"), AT_START), Some(Hit::NoReply)));
    assert!(!found(&cache, "a.example", NO_REPLY_TTL));
    cache.insert_no_reply(&key("b.example"), AT_START);
    put(&cache, "b.example", AnswerKind::Positive);
    assert!(matches!(cache.get(&key("b.example"), AT_START), Some(Hit::Answer(..))));
}

#[test]
fn flushing_forgets_everything() {
    let cache = Cache::new(1 << 20);
    put(&cache, "a.example", AnswerKind::Positive);
    put(&cache, "b.example", AnswerKind::Negative);
    assert_eq!(cache.flush(), 2);
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
    assert!(!found(&cache, "a.example", AT_START) && !found(&cache, "b.example", AT_START));
}

#[test]
fn a_cache_of_no_bytes_holds_nothing() {
    let cache = Cache::new(0);
    put(&cache, "a.example", AnswerKind::Positive);
    assert_eq!(cache.stats().entries, 0);
}

#[test]
fn the_longest_answer_finds_room_in_the_default_cache() {
    let cache = Cache::new(DEFAULT_BYTES);
    cache.insert(
        &key("a.example"),
        answer("a.example", 1, 65_000),
        AnswerKind::Positive,
        seconds(9),
        AT_START,
    );
    cache.insert(
        &key("b.example"),
        answer("b.example", 1, 65_000),
        AnswerKind::Negative,
        seconds(9),
        AT_START,
    );
    assert!(found(&cache, "a.example", AT_START) && found(&cache, "b.example", AT_START));
}

/// The store's own view of a key: a name of one letter.
struct In {
    question: Vec<u8>,
    hash: u64,
}

impl In {
    fn new(key: u8) -> Self {
        // Few buckets are in use, so that their lists are long.
        Self {
            question: question(&format!("k{key}"), 1),
            hash: (u64::from(key) % 7) | (u64::from(key) << 40),
        }
    }

    fn probe(&self) -> Probe<'_> {
        Probe::of_upstreams(&self.question, false, false)
    }

    fn entry(
        &self,
        key: u8,
        checked_epoch: u32,
        size: usize,
        partition: Partition,
        since: u64,
        life: u32,
    ) -> Entry {
        let answer = answer(&format!("k{key}"), checked_epoch, size);
        Entry {
            partition,
            since,
            life,
            ..Entry::new(&self.probe(), EntryKind::Upstream, Some(&answer), &[]).unwrap()
        }
    }

    fn cost(&self, size: usize) -> usize {
        ENTRY_OVERHEAD_BYTES
            + self.entry(self.question[2] - b'0', 0, size, Partition::Positive, 0, 1).blob.len()
    }
}

fn get(store: &mut Store, key: u8, now: u64) -> Option<u32> {
    let at = In::new(key);
    let slot = store.find(at.hash, &at.probe()).filter(|slot| slot.is_fresh(now))?;
    slot.touch(now);
    // The checked_epoch is the first four bytes of the text, after the question, the pointer and
    // the fixed part of the record.
    let text = &slot.wire()[12 + at.question.len() + 12..];
    Some(u32::from_be_bytes(text[..4].try_into().unwrap()))
}

#[test]
fn an_answer_that_grows_is_not_its_own_victim() {
    let one = In::new(0).cost(0);
    let mut store = Store::new(8 * one, 0);
    let put = |store: &mut Store, key, size| {
        let at = In::new(key);
        store.insert(at.hash, &at.probe(), at.entry(key, 1, size, Partition::Positive, 0, 1), 0);
    };
    (0..8u8).for_each(|key| put(&mut store, key, 0));
    assert_eq!(store.bytes(), 8 * one);
    // All are equally used.
    assert!((0..8u8).all(|key| get(&mut store, key, 0).is_some()));
    put(&mut store, 0, one);
    assert!(get(&mut store, 0, 0).is_some());
    store.audit();
}

#[test]
fn what_has_run_out_is_at_hand_for_a_while_and_a_failure_does_not_push_it_out() {
    let cache = Cache::new(1 << 20);
    let key = key("a.example");
    let kept = answer("a.example", 1, 0);
    cache.insert(&key, kept.clone(), AnswerKind::Positive, seconds(10), AT_START);
    let stale = |at| cache.get_stale(&key, at);
    assert!(cache.get(&key, seconds(10)).is_none());
    assert_eq!(stale(seconds(12)), Some((kept.clone(), 12)));
    cache.insert_no_reply(&key, seconds(12));
    assert!(matches!(cache.get(&key, seconds(13)), Some(Hit::NoReply)));
    assert_eq!(stale(seconds(13)), Some((kept.clone(), 13)));
    assert!(cache.get(&key, seconds(12) + NO_REPLY_TTL).is_none());
    let failure = Build::answer(&question("a.example", 1)).rcode(rcode::SERVFAIL).done();
    let failure =
        Answer::new(&Packet::parse(&failure).unwrap(), &question("a.example", 1), false).unwrap();
    cache.insert(&key, Arc::new(failure), AnswerKind::Negative, SERVFAIL_TTL, seconds(20));
    assert!(matches!(cache.get(&key, seconds(24)), Some(Hit::NoReply)));
    assert_eq!(stale(seconds(24)), Some((kept.clone(), 24)));
    assert!(stale(seconds(9) + MAX_STALE_AGE).is_some());
    assert!(stale(seconds(10) + MAX_STALE_AGE).is_none());
    let without = Cache::with_stale(1 << 20, Duration::ZERO);
    without.insert(&key, kept, AnswerKind::Positive, seconds(10), AT_START);
    assert!(without.get_stale(&key, seconds(10)).is_none());
}

#[test]
fn one_who_asks_for_a_popular_answer_near_its_end_is_told_to_fetch_it() {
    let cache = Cache::new(1 << 20);
    let due = |at| match cache.get(&key("a.example"), Duration::from_millis(at)) {
        Some(Hit::Answer(_, _, due)) => due,
        other => panic!("{other:?}"),
    };
    put(&cache, "a.example", AnswerKind::Positive);
    assert!(!due(299_000), "asked for once: nobody may ask again");
    assert!(due(299_100));
    assert!(!due(299_200), "somebody is on it");
    put(&cache, "a.example", AnswerKind::Positive);
    assert!(![0, 1, 200_000, 269_999].map(due).contains(&true), "there is time");
    assert!(due(270_001));
}

#[test]
fn a_name_and_a_zone_can_be_forgotten() {
    let cache = Cache::new(1 << 20);
    for name in ["example", "a.example", "b.a.example", "aexample", "example.org"] {
        put(&cache, name, AnswerKind::Positive);
    }
    let typed = Key::new(&question("a.example", 28), false, false, Scope::Upstreams);
    let message = Build::answer(&question("a.example", 28)).soa("example", 60, 60).done();
    let answer =
        Answer::new(&Packet::parse(&message).unwrap(), &question("a.example", 28), false).unwrap();
    cache.insert(&typed, Arc::new(answer), AnswerKind::Negative, seconds(60), AT_START);
    assert_eq!(cache.flush_name(&name("a.example")), 2, "of every type");
    assert!(found(&cache, "b.a.example", AT_START));
    assert_eq!(cache.flush_zone(&name("example")), 2);
    assert!(found(&cache, "aexample", AT_START) && found(&cache, "example.org", AT_START));
    assert_eq!(cache.flush_zone(&name("")), 2, "everything is below the root");
    assert_eq!((cache.stats().entries, cache.stats().bytes), (0, 0));
}

#[test]
fn an_answer_of_ours_is_for_those_who_know_it() {
    let cache = Cache::new(1 << 20);
    let q = question("Alice", 1);
    let lower = question("alice", 1);
    let ours = Answer::constant(&Build::answer(&q).a(60, [192, 0, 2, 1]).done()).unwrap();
    let probe = Probe::of_upstreams(&lower, false, false);
    cache.insert_local(&probe, &ours, AnswerKind::Positive, b"why", 7);
    assert!(cache.get(&key("alice"), seconds(1)).is_none());
    assert!(cache.get_stale(&key("alice"), seconds(1)).is_none());
    let seen = cache.inspect(&probe, cache.hash(&probe), 100 * MAX_STALE_AGE, |slot| {
        Some((slot.entry_kind(), slot.checked_epoch(), slot.extra().to_vec(), slot.answer()))
    });
    assert_eq!(seen, Some((EntryKind::Local, 7, b"why".to_vec(), ours)));
    put(&cache, "alice", AnswerKind::Positive);
    assert!(found(&cache, "alice", seconds(1)), "nobody has the name any more");
}

#[test]
fn bringing_entries_in_changes_nothing() {
    let cache = Cache::new(4 << 20);
    (0..100).for_each(|n| put(&cache, &format!("a{n}.example"), AnswerKind::Positive));
    let hashes: Vec<u64> =
        (0..64).map(|n| cache.hash(&key(&format!("a{}.example", 3 * n)).probe())).collect();
    let before = cache.stats();
    cache.cpu_prefetch(&hashes);
    cache.cpu_prefetch(&[]);
    assert_eq!(cache.stats(), before);
    assert!((0..100).all(|n| found(&cache, &format!("a{n}.example"), seconds(1))));
}

#[derive(Debug, Clone)]
enum StoreOp {
    Insert { key: u8, size: usize, life: u32, negative: bool },
    Get { key: u8 },
    Forget { key: u8 },
    ForgetSome { part: u8 },
    Wait { millis: u64 },
}

fn store_ops() -> impl Strategy<Value = Vec<StoreOp>> {
    let key = 0..100u8;
    let op = prop_oneof![
        8 => (key.clone(), 0..1500usize, 1..5000u32, any::<bool>())
            .prop_map(|(key, size, life, negative)| StoreOp::Insert { key, size, life, negative }),
        8 => key.clone().prop_map(|key| StoreOp::Get { key }),
        2 => key.prop_map(|key| StoreOp::Forget { key }),
        1 => (0..8u8).prop_map(|part| StoreOp::ForgetSome { part }),
        2 => (0..2000u64).prop_map(|millis| StoreOp::Wait { millis }),
    ];
    prop::collection::vec(op, 0..300)
}

proptest! {
    /// The store never holds more bytes than allowed, and never returns an old value of a key or an
    /// expired one.
    #[test]
    fn the_store_agrees_with_a_map(ops in store_ops(), limits in (0..60_000usize, 0..20_000usize)) {
        let mut store = Store::new(limits.0, limits.1);
        let mut model: HashMap<u8, (u32, u64)> = HashMap::new();
        let (mut now, mut checked_epoch) = (0, 0);
        for op in ops {
            match op {
                StoreOp::Insert { key, size, life, negative } => {
                    checked_epoch += 1;
                    let at = In::new(key);
                    let (partition, limit) =
                        if negative { (Partition::Negative, limits.1) } else { (Partition::Positive, limits.0) };
                    let entry = at.entry(key, checked_epoch, size, partition, now, life);
                    // What fits is there right after it was stored.
                    let fits = ENTRY_OVERHEAD_BYTES + entry.blob.len() <= limit / 4;
                    store.insert(at.hash, &at.probe(), entry, now);
                    model.insert(key, (checked_epoch, now + u64::from(life)));
                    prop_assert_eq!(get(&mut store, key, now).is_some(), fits);
                }
                StoreOp::Get { key } => {
                    let allowed = model.get(&key).filter(|(_, until)| now < *until).map(|(checked_epoch, _)| *checked_epoch);
                    if let Some(got) = get(&mut store, key, now) {
                        prop_assert_eq!(Some(got), allowed);
                    }
                }
                StoreOp::Forget { key } => {
                    let at = In::new(key);
                    store.remove_key(at.hash, &at.probe());
                    model.remove(&key);
                    prop_assert!(get(&mut store, key, now).is_none());
                }
                StoreOp::ForgetSome { part } => {
                    let before = store.len() as u64;
                    let gone = store.remove_where(|slot| slot.hash as u8 % 8 == part);
                    prop_assert_eq!(before - gone, store.len() as u64);
                    model.retain(|key, _| In::new(*key).hash as u8 % 8 != part);
                }
                StoreOp::Wait { millis } => now += millis,
            }
            prop_assert!(store.bytes() <= limits.0 + limits.1);
            store.audit();
        }
    }
}

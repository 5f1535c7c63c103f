//! The answers of legacy DNS as wire bytes, bounded in bytes.
//!
//! An answer is kept whole, under the question that it answers and the servers that gave it, and is given out for nothing
//! else: a record can't reach a name that was not asked for. Time is an argument.

mod answer;
mod key;
mod lifetime;
mod store;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod wire;
#[cfg(test)]
mod wire_tests;

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use answer::Answer;
pub use key::{Key, Scope};
pub use lifetime::{Kind, MAX_NEGATIVE, MAX_POSITIVE, NO_REPLY, SERVFAIL, lifetime};
pub use store::ENTRY_OVERHEAD;
use store::{Held, Known, Store};

/// The most shards. Each has its own lock.
const MAX_SHARDS: usize = 16;
/// A shard is at least this large in bytes, so that long answers find room.
const MIN_SHARD: usize = 1 << 20;
/// The negative answers' share of the bytes: one part in so many.
const NEGATIVE_SHARE: usize = 4;

/// How large a cache is unless somebody says otherwise, in bytes: some 60,000 ordinary answers.
pub const DEFAULT_BYTES: usize = 32 << 20;

/// Something that was found.
#[derive(Debug, Clone)]
pub enum Hit {
    /// An answer, so many whole seconds old.
    Answer(Arc<Answer>, u32),
    /// Nobody replied a moment ago.
    NoReply,
}

/// What a cache holds and how it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers held, positive and negative; those that have run out leave when their room is needed.
    pub entries: u64,
    /// Bytes held, bookkeeping included.
    pub bytes: u64,
    /// Look-ups that found an answer.
    pub hits: u64,
    /// Look-ups that found none.
    pub misses: u64,
}

#[derive(Debug)]
struct Shard {
    positive: Store,
    negative: Store,
}

/// The cache. Shared by reference; look-ups of different shards do not wait for each other.
#[derive(Debug)]
pub struct Cache {
    shards: Box<[Mutex<Shard>]>,
    limits: (usize, usize),
    hasher: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Cache {
    /// An empty cache that never holds more than `bytes`, a quarter of them for negative answers.
    pub fn new(bytes: usize) -> Self {
        let count = (bytes / MIN_SHARD).clamp(1, MAX_SHARDS);
        let share = bytes / count;
        let negative = share / NEGATIVE_SHARE;
        let limits = (share - negative, negative);
        let shard = || Mutex::new(Shard { positive: Store::new(limits.0), negative: Store::new(limits.1) });
        Self {
            shards: (0..count).map(|_| shard()).collect(),
            limits,
            hasher: RandomState::new(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Looks an answer up. `now` is the time since any fixed moment.
    pub fn get(&self, key: &Key, now: Duration) -> Option<Hit> {
        let now = millis(now);
        let mut shard = self.shard(key);
        let held = shard.positive.get(key.bytes(), now).or_else(|| shard.negative.get(key.bytes(), now));
        drop(shard);
        let counter = if held.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        held.map(|held| match held.known {
            Known::Answer(answer) => Hit::Answer(answer, seconds_between(held.since, now)),
            Known::NoReply => Hit::NoReply,
        })
    }

    /// Keeps an answer for a time that [`lifetime`] found, in the place of any that was there.
    pub fn insert(&self, key: &Key, answer: Arc<Answer>, kind: Kind, lifetime: Duration, now: Duration) {
        self.keep(key, Known::Answer(answer), kind, lifetime, now);
    }

    /// Keeps in mind for [`NO_REPLY`] that nobody replied (RFC 9520 §3.2).
    pub fn insert_no_reply(&self, key: &Key, now: Duration) {
        self.keep(key, Known::NoReply, Kind::Negative, NO_REPLY, now);
    }

    /// Forgets everything.
    pub fn flush(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            (shard.positive, shard.negative) = (Store::new(self.limits.0), Store::new(self.limits.1));
        }
    }

    /// What it holds and how it did.
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            ..CacheStats::default()
        };
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            stats.entries += (shard.positive.len() + shard.negative.len()) as u64;
            stats.bytes += (shard.positive.bytes() + shard.negative.bytes()) as u64;
        }
        stats
    }

    fn keep(&self, key: &Key, known: Known, kind: Kind, lifetime: Duration, now: Duration) {
        let now = millis(now);
        let held = Held { known, since: now, until: now.saturating_add(millis(lifetime)) };
        let mut shard = self.shard(key);
        let Shard { positive, negative } = &mut *shard;
        let (into, other) = match kind {
            Kind::Positive => (positive, negative),
            Kind::Negative => (negative, positive),
        };
        other.forget(key.bytes());
        into.insert(key.bytes(), held, now);
    }

    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key.bytes()) as usize % self.shards.len();
        // A panic under this lock would be a bug of the store; the answers that it holds stay right even then.
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds_between(since: u64, now: u64) -> u32 {
    u32::try_from(now.saturating_sub(since) / 1000).unwrap_or(u32::MAX)
}

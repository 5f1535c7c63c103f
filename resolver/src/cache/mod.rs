//! The answers of legacy DNS as wire bytes, bounded in bytes.
//!
//! An answer is stored as a whole, under its question and the servers that gave it, and served for
//! that question only: a record can't be served for a name that was not asked for. Time is an
//! argument.

mod answer;
mod entry;
mod key;
mod lifetime;
mod minimal;
mod store;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wire_tests;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::dns::message::{HEADER_BYTES, rcode};
pub use answer::Answer;
use entry::{Entry, Partition};
pub use entry::{EntryKind, Slot};
pub use key::{Key, Probe, Scope};
pub use lifetime::{
    AnswerKind, MAX_NEGATIVE_TTL, MAX_POSITIVE_TTL, NO_REPLY_TTL, SERVFAIL_TTL, lifetime,
};
pub use store::ENTRY_OVERHEAD_BYTES;
use store::Store;

/// The most shards. Each has its own lock.
const MAX_SHARDS: usize = 16;
/// The smallest shard, so that long answers find room.
const MIN_SHARD_BYTES: usize = 1 << 20;
/// The most entries that one [`Cache::cpu_prefetch`] loads.
const MAX_CPU_PREFETCH: usize = 32;
/// The length of a line of the processor's cache.
const CACHE_LINE_BYTES: usize = 64;
/// How many lines of an answer are loaded; the processor's own prefetcher loads the rest.
const MAX_PREFETCHED_LINES: usize = 4;
/// Negative answers may take one part in so many of the bytes.
const NEGATIVE_SHARE: usize = 4;

/// The default size in bytes: some 60,000 ordinary answers.
pub const DEFAULT_BYTES: usize = 32 << 20;

/// How long an expired answer may be served as stale by default (RFC 8767 §5 suggests one to three
/// days).
pub const MAX_STALE_AGE: Duration = Duration::from_secs(86_400);

/// The result of a look-up.
#[derive(Debug, Clone)]
pub enum Hit {
    /// An answer, its age in whole seconds, and whether the caller should prefetch it: it is
    /// popular and near the end of its lifetime, and no other caller was told so.
    Answer(Arc<Answer>, u32, bool),
    /// No upstream replied a moment ago.
    NoReply,
}

/// Statistics of a cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Entries held, positive and negative. Expired ones leave when their room is needed.
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
    store: Store,
    hits: u64,
    misses: u64,
}

/// The cache. Shared by reference; look-ups of different shards do not wait for each other.
#[derive(Debug)]
pub struct Cache {
    shards: Box<[Mutex<Shard>]>,
    limits: (usize, usize),
    stale: u64,
    hasher: RandomState,
}

impl Cache {
    /// An empty cache of at most `bytes`, a quarter of them for negative answers, that serves stale
    /// answers for [`MAX_STALE_AGE`].
    pub fn new(bytes: usize) -> Self {
        Self::with_stale(bytes, MAX_STALE_AGE)
    }

    /// As [`Cache::new`], with another limit for stale answers.
    pub fn with_stale(bytes: usize, stale: Duration) -> Self {
        let count = (bytes / MIN_SHARD_BYTES).clamp(1, MAX_SHARDS);
        let share = bytes / count;
        let negative = share / NEGATIVE_SHARE;
        let limits = (share - negative, negative);
        let shard =
            || Mutex::new(Shard { store: Store::new(limits.0, limits.1), hits: 0, misses: 0 });
        Self {
            shards: (0..count).map(|_| shard()).collect(),
            limits,
            stale: millis(stale),
            hasher: RandomState::new(),
        }
    }

    /// Looks up an answer of an upstream. `now` is the time since any fixed moment.
    pub fn get(&self, key: &Key, now: Duration) -> Option<Hit> {
        let now = millis(now);
        let probe = key.probe();
        let hash = self.hash(&probe);
        let mut shard = self.shard(hash);
        let hit = shard.store.find(hash, &probe).and_then(|slot| match slot.entry_kind {
            EntryKind::Upstream if slot.is_fresh(now) => {
                let due = slot.touch(now);
                Some(Hit::Answer(Arc::new(slot.answer()), slot.age(now), due))
            }
            EntryKind::Upstream if slot.is_failing(now) => Some(Hit::NoReply),
            EntryKind::NoReply if slot.is_fresh(now) => {
                slot.touch(now);
                Some(Hit::NoReply)
            }
            _ => None,
        });
        shard.count(hit.is_some());
        hit
    }

    /// Looks up an answer of an upstream that may be stale (RFC 8767), with its age in whole
    /// seconds. Failures are never returned.
    pub fn get_stale(&self, key: &Key, now: Duration) -> Option<(Arc<Answer>, u32)> {
        let now = millis(now);
        let probe = key.probe();
        let hash = self.hash(&probe);
        let mut shard = self.shard(hash);
        let slot = shard.store.find(hash, &probe)?;
        let there = slot.entry_kind == EntryKind::Upstream
            && !slot.is_failure()
            && now < slot.until().saturating_add(self.stale);
        there.then(|| (Arc::new(slot.answer()), slot.age(now)))
    }

    /// Inspects the fresh entry under a key, of any kind, without copying it.
    /// `hash` is the key's [`Cache::hash`]. The key's shard is locked as long as `inspect` takes.
    /// A caller that serves the answer calls [`Slot::touch`] and returns `Some`.
    pub fn inspect<R>(
        &self,
        probe: &Probe<'_>,
        hash: u64,
        now: Duration,
        inspect: impl FnOnce(&mut Slot) -> Option<R>,
    ) -> Option<R> {
        let mut shard = self.shard(hash);
        let slot = shard.store.find(hash, probe)?;
        let seen = slot.is_fresh(millis(now)).then(|| inspect(slot))??;
        shard.hits += 1;
        Some(seen)
    }

    /// Loads the entries of up to 32 hashes into the processor's cache, all loads in parallel. A
    /// shard that another thread has locked is left out.
    pub fn cpu_prefetch(&self, hashes: &[u64]) {
        let hashes = &hashes[..hashes.len().min(MAX_CPU_PREFETCH)];
        // A locked shard waits for all loads before it, so all locks come first.
        let mut shards: [Option<MutexGuard<'_, Shard>>; MAX_SHARDS] = Default::default();
        for (guard, shard) in shards.iter_mut().zip(&self.shards) {
            *guard = shard.try_lock().ok();
        }
        let store = |hash: u64| shards[self.shard_of(hash)].as_ref().map(|shard| &shard.store);
        let mut places = [entry::NONE; MAX_CPU_PREFETCH];
        for (place, &hash) in places.iter_mut().zip(hashes) {
            *place = store(hash).map_or(entry::NONE, |store| store.first(hash));
        }
        let slots = |at: &usize| store(hashes[*at])?.place(places[*at]);
        let mut touched = 0;
        for slot in (0..hashes.len()).filter_map(|at| slots(&at)) {
            touched ^= slot.hash;
        }
        for slot in (0..hashes.len()).filter_map(|at| slots(&at)) {
            let bytes = slot.blob.iter().step_by(CACHE_LINE_BYTES).take(MAX_PREFETCHED_LINES);
            touched ^= bytes.fold(0, |all, byte| all ^ u64::from(*byte));
        }
        std::hint::black_box(touched);
    }

    /// Counts a miss, for callers of [`Cache::inspect`].
    pub fn record_miss(&self, hash: u64) {
        self.shard(hash).misses += 1;
    }

    /// Stores an answer for a time that [`lifetime`] found. It replaces the entry under its key;
    /// but a failure does not replace an answer that may still be served: it is recorded beside it.
    pub fn insert(
        &self,
        key: &Key,
        answer: Arc<Answer>,
        kind: AnswerKind,
        lifetime: Duration,
        now: Duration,
    ) {
        if rcode::is_failure(answer.rcode()) && self.mark_failed(key, lifetime, now) {
            return;
        }
        self.store(&key.probe(), EntryKind::Upstream, Some(&answer), kind, lifetime, now);
    }

    /// Stores a failure in place of any entry: what was there must not be served any more.
    pub fn replace_with_failure(
        &self,
        key: &Key,
        answer: Arc<Answer>,
        lifetime: Duration,
        now: Duration,
    ) {
        self.store(
            &key.probe(),
            EntryKind::Upstream,
            Some(&answer),
            AnswerKind::Negative,
            lifetime,
            now,
        );
    }

    /// Records for [`NO_REPLY_TTL`] that no upstream replied (RFC 9520 §3.2).
    pub fn insert_no_reply(&self, key: &Key, now: Duration) {
        if !self.mark_failed(key, NO_REPLY_TTL, now) {
            self.store(
                &key.probe(),
                EntryKind::NoReply,
                None,
                AnswerKind::Negative,
                NO_REPLY_TTL,
                now,
            );
        }
    }

    /// Stores an answer made here, which has no lifetime: `extra` says what it depends on, and
    /// `checked_epoch` when that was last checked.
    pub fn insert_local(
        &self,
        probe: &Probe<'_>,
        answer: &Answer,
        kind: AnswerKind,
        extra: &[u8],
        checked_epoch: u32,
    ) {
        let Some(entry) = Entry::new(probe, EntryKind::Local, Some(answer), extra) else { return };
        self.insert_entry(probe, Entry { partition: partition(kind), checked_epoch, ..entry }, 0);
    }

    /// Removes the entry under a key.
    pub fn remove(&self, key: &Key) {
        let probe = key.probe();
        let hash = self.hash(&probe);
        self.shard(hash).store.remove_key(hash, &probe);
    }

    /// Removes all entries and returns their number.
    pub fn flush(&self) -> u64 {
        let mut gone = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            gone += shard.store.len() as u64;
            shard.store = Store::new(self.limits.0, self.limits.1);
        }
        gone
    }

    /// Removes all answers to questions for a name (wire format, lower case) and returns their
    /// number.
    pub fn flush_name(&self, name: &[u8]) -> u64 {
        self.remove_where(|slot| name_of(slot.wire()) == name)
    }

    /// Removes all answers to questions for a name (wire format, lower case) and the names below
    /// it, and returns their number.
    pub fn flush_zone(&self, zone: &[u8]) -> u64 {
        self.remove_where(|slot| is_at_or_below(name_of(slot.wire()), zone))
    }

    /// Removes all failures: error codes of upstreams, bogus answers, and that no upstream replied.
    pub fn flush_failures(&self) {
        self.remove_where(|slot| match slot.entry_kind {
            EntryKind::NoReply => true,
            EntryKind::Upstream => slot.is_failure(),
            EntryKind::Local => false,
        });
    }

    /// The statistics of all shards.
    pub fn stats(&self) -> CacheStats {
        let mut stats = CacheStats::default();
        for shard in &self.shards {
            let shard = lock(shard);
            stats.hits += shard.hits;
            stats.misses += shard.misses;
            stats.entries += shard.store.len() as u64;
            stats.bytes += shard.store.bytes() as u64;
        }
        stats
    }

    fn remove_where(&self, goes: impl Fn(&Slot) -> bool) -> u64 {
        self.shards.iter().map(|shard| lock(shard).store.remove_where(&goes)).sum()
    }

    /// Records beside an answer that may still be served, fresh or stale, that fetching a newer one
    /// failed; `false` if there is none.
    fn mark_failed(&self, key: &Key, lifetime: Duration, now: Duration) -> bool {
        let (now, lifetime) = (millis(now), millis(lifetime));
        let probe = key.probe();
        let hash = self.hash(&probe);
        let mut shard = self.shard(hash);
        let Some(slot) = shard.store.find(hash, &probe) else { return false };
        let better = slot.entry_kind == EntryKind::Upstream
            && !slot.is_failure()
            && now < slot.until().saturating_add(self.stale);
        if better {
            slot.fail_until(now.saturating_add(lifetime));
        }
        better
    }

    fn store(
        &self,
        probe: &Probe<'_>,
        entry_kind: EntryKind,
        answer: Option<&Answer>,
        kind: AnswerKind,
        lifetime: Duration,
        now: Duration,
    ) {
        let now = millis(now);
        let options = answer.map(Answer::options).unwrap_or_default();
        let Some(entry) = Entry::new(probe, entry_kind, answer, options) else { return };
        let life = u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX);
        self.insert_entry(
            probe,
            Entry { partition: partition(kind), since: now, life, ..entry },
            now,
        );
    }

    fn insert_entry(&self, probe: &Probe<'_>, entry: Entry, now: u64) {
        let hash = self.hash(probe);
        self.shard(hash).store.insert(hash, probe, entry, now);
    }

    /// The hash of a key in this cache.
    pub fn hash(&self, probe: &Probe<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(probe.question);
        hasher.write_u8(probe.flags);
        hasher.write(probe.suffix);
        hasher.finish()
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.shard_of(hash)])
    }

    fn shard_of(&self, hash: u64) -> usize {
        // The low bits choose the bucket.
        (hash >> 48) as usize % self.shards.len()
    }
}

impl Shard {
    fn count(&mut self, hit: bool) {
        if hit {
            self.hits += 1;
        } else {
            self.misses += 1;
        }
    }
}

/// A panic under this lock would be a bug in the store; its answers stay correct even then.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn partition(kind: AnswerKind) -> Partition {
    match kind {
        AnswerKind::Positive => Partition::Positive,
        AnswerKind::Negative => Partition::Negative,
    }
}

/// The name in a message's question, which was checked when the message was stored.
fn name_of(wire: &[u8]) -> &[u8] {
    let mut at = HEADER_BYTES;
    while let Some(&length) = wire.get(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            break;
        }
    }
    wire.get(HEADER_BYTES..at).unwrap_or_default()
}

/// Whether a name ends in a zone's, at the beginning of a label.
fn is_at_or_below(name: &[u8], zone: &[u8]) -> bool {
    let Some(above) = name.len().checked_sub(zone.len()) else { return false };
    let mut at = 0;
    while at < above {
        at += 1 + usize::from(name[at]);
    }
    at == above && name[above..] == *zone
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

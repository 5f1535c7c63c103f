//! The answers of legacy DNS as wire bytes, bounded in bytes.
//!
//! An answer is kept whole, under the question that it answers and the servers that gave it, and is
//! given out for nothing else: a record can't reach a name that was not asked for. Time is an
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

use crate::dns::message::{HEADER, rcode};
pub use answer::Answer;
use entry::{Entry, Lane};
pub use entry::{Nature, Slot};
pub use key::{Key, Probe, Scope};
pub use lifetime::{Kind, MAX_NEGATIVE, MAX_POSITIVE, NO_REPLY, SERVFAIL, lifetime};
pub use store::ENTRY_OVERHEAD;
use store::Store;

/// The most shards. Each has its own lock.
const MAX_SHARDS: usize = 16;
/// A shard is at least this large in bytes, so that long answers find room.
const MIN_SHARD: usize = 1 << 20;
/// How many entries are brought into the processor's cache at a time.
const MAX_WARM: usize = 32;
/// A line of the processor's cache, in bytes.
const LINE: usize = 64;
/// How many lines of an answer are brought in; what comes behind them follows by itself.
const MAX_LINES: usize = 4;
/// The negative answers' share of the bytes: one part in so many.
const NEGATIVE_SHARE: usize = 4;

/// How large a cache is unless somebody says otherwise, in bytes: some 60,000 ordinary answers.
pub const DEFAULT_BYTES: usize = 32 << 20;

/// How long an answer that has run out is still at hand unless somebody says otherwise (RFC 8767 §5
/// suggests one to three days).
pub const MAX_STALE: Duration = Duration::from_secs(86_400);

/// Something that was found.
#[derive(Debug, Clone)]
pub enum Hit {
    /// An answer, so many whole seconds old; and whether whoever found it should fetch it again in
    /// the background: it is popular and near its end, and nobody else was told so.
    Answer(Arc<Answer>, u32, bool),
    /// Nobody replied a moment ago.
    NoReply,
}

/// What a cache holds and how it did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Answers held, positive and negative; those that have run out leave when their room is
    /// needed.
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
    /// An empty cache that never holds more than `bytes`, a quarter of them for negative answers,
    /// and what has run out for [`MAX_STALE`] at most.
    pub fn new(bytes: usize) -> Self {
        Self::with_stale(bytes, MAX_STALE)
    }

    /// As [`Cache::new`], with another time for what has run out.
    pub fn with_stale(bytes: usize, stale: Duration) -> Self {
        let count = (bytes / MIN_SHARD).clamp(1, MAX_SHARDS);
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

    /// Looks an answer of legacy DNS up. `now` is the time since any fixed moment.
    pub fn get(&self, key: &Key, now: Duration) -> Option<Hit> {
        let now = millis(now);
        let probe = key.probe();
        let hash = self.hash(&probe);
        let mut shard = self.shard(hash);
        let hit = shard.store.find(hash, &probe).and_then(|slot| match slot.nature {
            Nature::Legacy if slot.is_fresh(now) => {
                let due = slot.ask(now);
                Some(Hit::Answer(Arc::new(slot.answer()), slot.age(now), due))
            }
            Nature::Legacy if slot.is_failing(now) => Some(Hit::NoReply),
            Nature::NoReply if slot.is_fresh(now) => {
                slot.ask(now);
                Some(Hit::NoReply)
            }
            _ => None,
        });
        shard.count(hit.is_some());
        hit
    }

    /// An answer of legacy DNS that has run out, but not too long ago, and its age in whole
    /// seconds: for when nobody replies (RFC 8767). Says nothing about failures.
    pub fn get_stale(&self, key: &Key, now: Duration) -> Option<(Arc<Answer>, u32)> {
        let now = millis(now);
        let probe = key.probe();
        let hash = self.hash(&probe);
        let mut shard = self.shard(hash);
        let slot = shard.store.find(hash, &probe)?;
        let there = slot.nature == Nature::Legacy
            && !slot.is_failure()
            && now < slot.until().saturating_add(self.stale);
        there.then(|| (Arc::new(slot.answer()), slot.age(now)))
    }

    /// Looks at the entry under a key that has not run out, whatever it is, without copying it.
    /// `hash` is the key's [`Cache::hash`]. The key's shard is locked as long as `look` takes.
    /// Whoever gives the answer out calls [`Slot::ask`], and returns something.
    pub fn look<R>(
        &self,
        probe: &Probe<'_>,
        hash: u64,
        now: Duration,
        look: impl FnOnce(&mut Slot) -> Option<R>,
    ) -> Option<R> {
        let mut shard = self.shard(hash);
        let slot = shard.store.find(hash, probe)?;
        let seen = slot.is_fresh(millis(now)).then(|| look(slot))??;
        shard.hits += 1;
        Some(seen)
    }

    /// Brings what will be looked at into the processor's cache: the entries of up to 32 hashes,
    /// all at the same time instead of one after the other. A shard that somebody else has locked
    /// is left out.
    pub fn warm(&self, hashes: &[u64]) {
        let hashes = &hashes[..hashes.len().min(MAX_WARM)];
        // A locked shard waits for all loads before it, so all locks come first.
        let mut shards: [Option<MutexGuard<'_, Shard>>; MAX_SHARDS] = Default::default();
        for (guard, shard) in shards.iter_mut().zip(&self.shards) {
            *guard = shard.try_lock().ok();
        }
        let store = |hash: u64| shards[self.shard_of(hash)].as_ref().map(|shard| &shard.store);
        let mut places = [entry::NONE; MAX_WARM];
        for (place, &hash) in places.iter_mut().zip(hashes) {
            *place = store(hash).map_or(entry::NONE, |store| store.first(hash));
        }
        let slots = |at: &usize| store(hashes[*at])?.place(places[*at]);
        let mut touched = 0;
        for slot in (0..hashes.len()).filter_map(|at| slots(&at)) {
            touched ^= slot.hash;
        }
        for slot in (0..hashes.len()).filter_map(|at| slots(&at)) {
            let bytes = slot.blob.iter().step_by(LINE).take(MAX_LINES);
            touched ^= bytes.fold(0, |all, byte| all ^ u64::from(*byte));
        }
        std::hint::black_box(touched);
    }

    /// Counts a look-up that found nothing, for those who [`Cache::look`].
    pub fn missed(&self, probe: &Probe<'_>) {
        self.shard(self.hash(probe)).misses += 1;
    }

    /// Keeps an answer for a time that [`lifetime`] found, in the place of any that was there. A
    /// failure does not take the place of something better: it is only kept in mind beside it.
    pub fn insert(
        &self,
        key: &Key,
        answer: Arc<Answer>,
        kind: Kind,
        lifetime: Duration,
        now: Duration,
    ) {
        let failure = matches!(answer.rcode(), rcode::SERVFAIL | rcode::REFUSED);
        if failure && self.failed(key, lifetime, now) {
            return;
        }
        self.keep(&key.probe(), Nature::Legacy, Some(&answer), kind, lifetime, now);
    }

    /// Keeps a failure in the place of whatever was there, be it better: it is not to be given any
    /// more.
    pub fn insert_bad(&self, key: &Key, answer: Arc<Answer>, lifetime: Duration, now: Duration) {
        self.keep(&key.probe(), Nature::Legacy, Some(&answer), Kind::Negative, lifetime, now);
    }

    /// Keeps in mind for [`NO_REPLY`] that nobody replied (RFC 9520 §3.2).
    pub fn insert_no_reply(&self, key: &Key, now: Duration) {
        if !self.failed(key, NO_REPLY, now) {
            self.keep(&key.probe(), Nature::NoReply, None, Kind::Negative, NO_REPLY, now);
        }
    }

    /// Keeps an answer of ours, which does not run out: `extra` is what its reader needs to know
    /// whether it is still true, and `mark` when that was last found.
    pub fn insert_ours(
        &self,
        probe: &Probe<'_>,
        answer: &Answer,
        kind: Kind,
        extra: &[u8],
        mark: u32,
    ) {
        let Some(entry) = Entry::new(probe, Nature::Ours, Some(answer), extra) else { return };
        self.put(probe, Entry { lane: lane(kind), mark, ..entry }, 0);
    }

    /// Forgets everything; how many answers went.
    pub fn flush(&self) -> u64 {
        let mut gone = 0;
        for shard in &self.shards {
            let mut shard = lock(shard);
            gone += shard.store.len() as u64;
            shard.store = Store::new(self.limits.0, self.limits.1);
        }
        gone
    }

    /// Forgets all answers to questions for a name (in wire form, lower case); how many went.
    pub fn flush_name(&self, name: &[u8]) -> u64 {
        self.forget_where(|slot| name_of(slot.wire()) == name)
    }

    /// Forgets all answers to questions for a name (in wire form, lower case) and the names below
    /// it; how many went.
    pub fn flush_zone(&self, zone: &[u8]) -> u64 {
        self.forget_where(|slot| is_at_or_below(name_of(slot.wire()), zone))
    }

    /// What it holds and how it did.
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

    fn forget_where(&self, goes: impl Fn(&Slot) -> bool) -> u64 {
        self.shards.iter().map(|shard| lock(shard).store.forget_where(&goes)).sum()
    }

    /// Keeps in mind beside an answer that may still be given, fresh or not, that there is no newer
    /// one.
    fn failed(&self, key: &Key, lifetime: Duration, now: Duration) -> bool {
        let (now, lifetime) = (millis(now), millis(lifetime));
        let probe = key.probe();
        let hash = self.hash(&probe);
        let mut shard = self.shard(hash);
        let Some(slot) = shard.store.find(hash, &probe) else { return false };
        let better = slot.nature == Nature::Legacy
            && !slot.is_failure()
            && now < slot.until().saturating_add(self.stale);
        if better {
            slot.fail_until(now.saturating_add(lifetime));
        }
        better
    }

    fn keep(
        &self,
        probe: &Probe<'_>,
        nature: Nature,
        answer: Option<&Answer>,
        kind: Kind,
        lifetime: Duration,
        now: Duration,
    ) {
        let now = millis(now);
        let options = answer.map(Answer::options).unwrap_or_default();
        let Some(entry) = Entry::new(probe, nature, answer, options) else { return };
        let life = u32::try_from(lifetime.as_millis()).unwrap_or(u32::MAX);
        self.put(probe, Entry { lane: lane(kind), since: now, life, ..entry }, now);
    }

    fn put(&self, probe: &Probe<'_>, entry: Entry, now: u64) {
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

/// A panic under this lock would be a bug of the store; the answers that it holds stay right even
/// then.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lane(kind: Kind) -> Lane {
    match kind {
        Kind::Positive => Lane::Positive,
        Kind::Negative => Lane::Negative,
    }
}

/// The name of a message's question, which was checked before the message was kept.
fn name_of(wire: &[u8]) -> &[u8] {
    let mut at = HEADER;
    while let Some(&length) = wire.get(at) {
        at += 1 + usize::from(length);
        if length == 0 {
            break;
        }
    }
    wire.get(HEADER..at).unwrap_or_default()
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

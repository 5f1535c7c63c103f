//! A map that is bounded in bytes and evicts in constant time: S3-FIFO (Yang et al., SOSP 2023).
//!
//! ```text
//!  new ---------> small (a tenth) --asked again--> main --asked since its last round--> main again
//!                   |                               |
//!                   v not asked again               v not asked
//!                 ghost (hashes only) ----new and in ghost----> main
//! ```
//!
//! What is asked for only once leaves through the small queue and never displaces what is in use.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::answer::Answer;

/// What an entry costs beside its key and its answer: slot, index, queues, ghost, and the allocator's share. Measured
/// on glibc: 100,000 entries, and a million through a full cache; rounded up.
pub const ENTRY_OVERHEAD: usize = 368;
/// The share of the bytes that the small queue may take before it has to give.
const SMALL_SHARE: usize = 10;
/// No entry may take more than this share of the bytes.
const LARGEST_SHARE: usize = 4;
/// How often an entry counts as asked. Each is one more round in the main queue.
const MAX_ASKED: u8 = 3;
/// After so many entries were spared in a row one goes all the same, so that no insertion takes long.
const MAX_SPARED: usize = 1024;
/// The fewest hashes that the ghost remembers.
const MIN_GHOSTS: usize = 64;

/// What is known about a question.
#[derive(Debug, Clone)]
pub enum Known {
    /// An answer.
    Answer(Arc<Answer>),
    /// Nobody replied.
    NoReply,
}

/// What is known, and from when until when, in milliseconds of the caller's clock.
#[derive(Debug, Clone)]
pub struct Held {
    /// What is known.
    pub known: Known,
    /// When it came.
    pub since: u64,
    /// When it has run out.
    pub until: u64,
}

#[derive(Debug)]
struct Slot {
    key: Arc<[u8]>,
    /// None once another answer has taken its place elsewhere; the slot leaves with its turn in the queue.
    held: Option<Held>,
    cost: usize,
    asked: u8,
    in_main: bool,
}

/// The map.
#[derive(Debug)]
pub struct Store {
    limit: usize,
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    index: HashMap<Arc<[u8]>, u32>,
    small: VecDeque<u32>,
    main: VecDeque<u32>,
    ghosts: VecDeque<u64>,
    is_ghost: HashSet<u64>,
    hasher: RandomState,
    bytes: usize,
    small_bytes: usize,
}

impl Store {
    /// An empty store that never holds more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::new(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: VecDeque::new(),
            is_ghost: HashSet::new(),
            hasher: RandomState::new(),
            bytes: 0,
            small_bytes: 0,
        }
    }

    /// What is held under a key and has not run out.
    pub fn get(&mut self, key: &[u8], now: u64) -> Option<Held> {
        let &at = self.index.get(key)?;
        let slot = self.slots.get_mut(at as usize)?.as_mut()?;
        let held = slot.held.as_ref().filter(|held| now < held.until)?;
        slot.asked = (slot.asked + 1).min(MAX_ASKED);
        Some(held.clone())
    }

    /// Puts something in, in the place of what was there. What is too large for this store is not taken.
    pub fn insert(&mut self, key: &[u8], held: Held, now: u64) {
        let cost = cost(key, Some(&held));
        if cost > self.limit / LARGEST_SHARE {
            self.forget(key);
            return;
        }
        if let Some(&at) = self.index.get(key) {
            self.replace(at, Some(held), cost);
            if let Some(slot) = self.slots[at as usize].as_mut() {
                // It was asked for again, or it would not be fetched again.
                slot.asked = (slot.asked + 1).min(MAX_ASKED);
            }
            self.make_room(0, Some(at), now);
            return;
        }
        self.make_room(cost, None, now);
        let in_main = self.is_ghost.remove(&self.hasher.hash_one(key));
        let key: Arc<[u8]> = key.into();
        let slot = Slot { key: key.clone(), held: Some(held), cost, asked: 0, in_main };
        let at = self.place(slot);
        self.index.insert(key, at);
        self.bytes += cost;
        if in_main {
            self.main.push_back(at);
        } else {
            self.small.push_back(at);
            self.small_bytes += cost;
        }
    }

    /// Drops what is held under a key.
    pub fn forget(&mut self, key: &[u8]) {
        if let Some(&at) = self.index.get(key) {
            self.replace(at, None, cost(key, None));
        }
    }

    /// Bytes held, bookkeeping included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Recounts everything. For tests.
    #[cfg(test)]
    pub fn audit(&self) {
        let slots = || self.slots.iter().flatten();
        assert_eq!(self.bytes, slots().map(|slot| slot.cost).sum::<usize>());
        assert_eq!(
            self.small_bytes,
            slots().filter(|slot| !slot.in_main).map(|slot| slot.cost).sum::<usize>()
        );
        assert_eq!(self.small.len() + self.main.len(), slots().count());
        assert_eq!(self.index.len(), slots().count());
        assert!(self.is_ghost.len() <= self.ghosts.len());
    }

    fn place(&mut self, slot: Slot) -> u32 {
        if let Some(at) = self.free.pop() {
            self.slots[at as usize] = Some(slot);
            return at;
        }
        self.slots.push(Some(slot));
        // Every slot costs ENTRY_OVERHEAD of the limit, so their number fits by far.
        (self.slots.len() - 1) as u32
    }

    fn replace(&mut self, at: u32, held: Option<Held>, cost: usize) {
        let Some(slot) = self.slots[at as usize].as_mut() else { return };
        self.bytes = self.bytes - slot.cost + cost;
        if !slot.in_main {
            self.small_bytes = self.small_bytes - slot.cost + cost;
        }
        (slot.held, slot.cost) = (held, cost);
    }

    /// Evicts until `cost` bytes more have room, but never `kept`.
    fn make_room(&mut self, cost: usize, kept: Option<u32>, now: u64) {
        let mut spared = 0;
        while self.bytes + cost > self.limit {
            let from_small = self.small_bytes > self.limit / SMALL_SHARE || self.main.is_empty();
            let queue = if from_small { &mut self.small } else { &mut self.main };
            let Some(at) = queue.pop_front() else { return };
            let Some(slot) = self.slots[at as usize].as_mut() else { continue };
            let alive = slot.held.as_ref().is_some_and(|held| now < held.until);
            // The kept one takes a quarter at most, so there is always another to evict and the loop ends.
            if kept == Some(at) || (alive && slot.asked > 0 && spared < MAX_SPARED) {
                spared += 1;
                if from_small {
                    self.small_bytes -= slot.cost;
                    (slot.in_main, slot.asked) = (true, 0);
                } else {
                    slot.asked = slot.asked.saturating_sub(1);
                }
                self.main.push_back(at);
                continue;
            }
            self.evict(at, from_small && alive);
        }
    }

    fn evict(&mut self, at: u32, remember: bool) {
        let Some(slot) = self.slots[at as usize].take() else { return };
        self.free.push(at);
        self.index.remove(&slot.key);
        self.bytes -= slot.cost;
        if !slot.in_main {
            self.small_bytes -= slot.cost;
        }
        if !remember {
            return;
        }
        let hash = self.hasher.hash_one(&*slot.key);
        if self.is_ghost.insert(hash) {
            self.ghosts.push_back(hash);
        }
        while self.ghosts.len() > self.slots.len().max(MIN_GHOSTS) {
            if let Some(oldest) = self.ghosts.pop_front() {
                self.is_ghost.remove(&oldest);
            }
        }
    }
}

fn cost(key: &[u8], held: Option<&Held>) -> usize {
    let answer = match held {
        Some(Held { known: Known::Answer(answer), .. }) => answer.heap_bytes(),
        _ => 0,
    };
    ENTRY_OVERHEAD + key.len() + answer
}

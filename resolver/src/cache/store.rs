//! A map bounded in bytes with eviction in constant time: S3-FIFO (Yang et al., SOSP 2023), with
//! one partition for positive and one for negative answers.
//!
//! ```text
//!  new ---------> small (a tenth) --asked again--> main --asked since its last round--> main again
//!                   |                               |
//!                   v not asked again               v not asked
//!                 ghost (hashes only) ----new and in ghost----> main
//! ```
//!
//! An entry that is hit only once leaves through the small queue and displaces nothing in use.
//! The index, the queues and the free places are lists through the slots: an entry costs no
//! allocation but that of its bytes.

use super::entry::{Entry, NONE, Partition, Slot};
use super::key::Probe;

/// Bytes that an entry takes beside its own: slot, bucket, ghost, and the allocator's share.
/// Measured on glibc with 100,000 and a million entries; rounded up.
pub const ENTRY_OVERHEAD_BYTES: usize = 112;
/// The small queue may take one part in so many of the bytes before it evicts.
const SMALL_SHARE: usize = 10;
/// No entry may take more than one part in so many of the bytes.
const LARGEST_SHARE: usize = 4;
/// The most entries that one insertion spares before it evicts one regardless, so that no insertion
/// takes long.
const MAX_SPARED: usize = 1024;
/// The fewest buckets and ghosts.
const MIN_BUCKETS: usize = 64;

/// A list of slots, oldest first.
#[derive(Debug, Clone, Copy)]
struct Queue {
    oldest: u32,
    newest: u32,
}

const EMPTY: Queue = Queue { oldest: NONE, newest: NONE };

/// The two queues of one partition.
#[derive(Debug)]
struct Queues {
    limit: usize,
    bytes: usize,
    small_bytes: usize,
    small: Queue,
    main: Queue,
}

/// The map.
#[derive(Debug)]
pub struct Store {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    buckets: Vec<u32>,
    /// Parts of the hashes of what left the small queue, each at the place of its bucket; 0 is
    /// none.
    ghosts: Vec<u32>,
    partitions: [Queues; 2],
    len: usize,
}

impl Store {
    /// An empty store that never holds more than these bytes of positive and of negative answers.
    pub fn new(positive: usize, negative: usize) -> Self {
        let queues = |limit| Queues { limit, bytes: 0, small_bytes: 0, small: EMPTY, main: EMPTY };
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            buckets: vec![NONE; MIN_BUCKETS],
            ghosts: vec![0; MIN_BUCKETS],
            partitions: [queues(positive), queues(negative)],
            len: 0,
        }
    }

    /// The entry under a key, fresh or expired. Does not count as a hit.
    pub fn find(&mut self, hash: u64, probe: &Probe<'_>) -> Option<&mut Slot> {
        let at = self.position(hash, probe)?;
        self.slots[at as usize].as_mut()
    }

    /// The first slot of a hash's bucket.
    pub fn first(&self, hash: u64) -> u32 {
        self.buckets[self.bucket(hash)]
    }

    /// The slot at an index.
    pub fn place(&self, at: u32) -> Option<&Slot> {
        self.slots.get(at as usize)?.as_ref()
    }

    /// Inserts an entry, in place of the one under its key. An entry too large for its partition is
    /// not stored.
    pub fn insert(&mut self, hash: u64, probe: &Probe<'_>, entry: Entry, now: u64) {
        let partition = entry.partition;
        let cost = ENTRY_OVERHEAD_BYTES + entry.blob.len();
        let there = self.position(hash, probe);
        if cost > self.partitions[partition as usize].limit / LARGEST_SHARE {
            there.into_iter().for_each(|at| self.remove(at));
            return;
        }
        match there {
            Some(at)
                if self.slots[at as usize]
                    .as_ref()
                    .is_some_and(|slot| slot.partition == partition) =>
            {
                self.replace(at, entry, cost);
                self.make_room(partition, 0, Some(at), now);
            }
            other => {
                other.into_iter().for_each(|at| self.remove(at));
                self.make_room(partition, cost, None, now);
                self.add(Slot::new(entry, hash));
            }
        }
    }

    /// Removes the entry under a key.
    pub fn remove_key(&mut self, hash: u64, probe: &Probe<'_>) {
        self.position(hash, probe).into_iter().for_each(|at| self.remove(at));
    }

    /// Removes the entries for which `goes` is true and returns their number.
    pub fn remove_where(&mut self, goes: impl Fn(&Slot) -> bool) -> u64 {
        let mut gone = 0;
        for at in 0..self.slots.len() {
            if self.slots[at].as_ref().is_some_and(&goes) {
                self.remove(at as u32);
                gone += 1;
            }
        }
        gone
    }

    /// Bytes held, bookkeeping included.
    pub fn bytes(&self) -> usize {
        self.partitions.iter().map(|partition| partition.bytes).sum()
    }

    /// Entries held.
    pub fn len(&self) -> usize {
        self.len
    }

    fn position(&self, hash: u64, probe: &Probe<'_>) -> Option<u32> {
        let mut at = self.buckets[self.bucket(hash)];
        while let Some(slot) = self.slots.get(at as usize)?.as_ref() {
            if slot.matches(hash, probe) {
                return Some(at);
            }
            at = slot.in_bucket;
        }
        None
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    fn add(&mut self, mut slot: Slot) {
        if self.len == self.buckets.len() {
            self.grow();
        }
        let bucket = self.bucket(slot.hash);
        if self.ghosts[bucket] == ghost(slot.hash) {
            self.ghosts[bucket] = 0;
            slot.in_main = true;
        }
        slot.in_bucket = self.buckets[bucket];
        let queues = &mut self.partitions[slot.partition as usize];
        queues.count(&slot);
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = Some(slot);
                at
            }
            None => {
                self.slots.push(Some(slot));
                // Every slot costs ENTRY_OVERHEAD_BYTES of the limit, so their number fits by far.
                (self.slots.len() - 1) as u32
            }
        };
        self.buckets[bucket] = at;
        self.len += 1;
        self.push(at);
    }

    fn replace(&mut self, at: u32, entry: Entry, cost: usize) {
        let Some(slot) = self.slots[at as usize].as_mut() else { return };
        let queues = &mut self.partitions[slot.partition as usize];
        queues.discount(slot);
        slot.replace(entry);
        debug_assert_eq!(cost, slot_cost(slot));
        queues.count(slot);
    }

    fn remove(&mut self, at: u32) {
        self.unqueue(at);
        let Some(slot) = self.slots[at as usize].take() else { return };
        self.partitions[slot.partition as usize].discount(&slot);
        self.free.push(at);
        self.len -= 1;
        let bucket = self.bucket(slot.hash);
        let mut link = self.buckets[bucket];
        if link == at {
            self.buckets[bucket] = slot.in_bucket;
            return;
        }
        while let Some(other) = self.slots.get_mut(link as usize).and_then(Option::as_mut) {
            link = other.in_bucket;
            if link == at {
                other.in_bucket = slot.in_bucket;
                return;
            }
        }
    }

    /// Twice as many buckets. A ghost may be in either of the two that its own becomes.
    fn grow(&mut self) {
        let count = self.buckets.len() * 2;
        self.ghosts.extend_from_within(..);
        self.buckets = vec![NONE; count];
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            let bucket = &mut self.buckets[slot.hash as usize & (count - 1)];
            slot.in_bucket = *bucket;
            *bucket = at as u32;
        }
    }

    /// Evicts until `cost` bytes more have room in the partition, but never `kept`.
    fn make_room(&mut self, partition: Partition, cost: usize, kept: Option<u32>, now: u64) {
        let mut spared = 0;
        loop {
            let queues = &self.partitions[partition as usize];
            if queues.bytes + cost <= queues.limit {
                return;
            }
            let from_small =
                queues.small_bytes > queues.limit / SMALL_SHARE || queues.main.oldest == NONE;
            let at = if from_small { queues.small.oldest } else { queues.main.oldest };
            let Some(slot) = self.slots.get_mut(at as usize).and_then(Option::as_mut) else {
                return;
            };
            let alive = slot.is_fresh(now);
            // The kept one takes a quarter at most, so there is always another to evict and the
            // loop ends.
            if kept == Some(at) || (alive && slot.was_touched() && spared < MAX_SPARED) {
                spared += 1;
                self.next_round(at);
                continue;
            }
            if from_small && alive {
                let hash = slot.hash;
                let bucket = self.bucket(hash);
                self.ghosts[bucket] = ghost(hash);
            }
            self.remove(at);
        }
    }

    fn next_round(&mut self, at: u32) {
        self.unqueue(at);
        if let Some(slot) = self.slots[at as usize].as_mut() {
            let queues = &mut self.partitions[slot.partition as usize];
            queues.discount(slot);
            slot.next_round();
            queues.count(slot);
        }
        self.push(at);
    }

    /// Puts a slot at the end of its queue.
    fn push(&mut self, at: u32) {
        let Some(slot) = self.slots[at as usize].as_mut() else { return };
        let queue = self.partitions[slot.partition as usize].queue(slot.in_main);
        let before = std::mem::replace(&mut queue.newest, at);
        (slot.older, slot.newer) = (before, NONE);
        match self.slots.get_mut(before as usize).and_then(Option::as_mut) {
            Some(before) => before.newer = at,
            None => queue.oldest = at,
        }
    }

    /// Takes a slot out of its queue.
    fn unqueue(&mut self, at: u32) {
        let Some(slot) = self.slots[at as usize].as_ref() else { return };
        let (older, newer) = (slot.older, slot.newer);
        let queue = self.partitions[slot.partition as usize].queue(slot.in_main);
        match self.slots.get_mut(older as usize).and_then(Option::as_mut) {
            Some(slot) => slot.newer = newer,
            None => queue.oldest = newer,
        }
        match self.slots.get_mut(newer as usize).and_then(Option::as_mut) {
            Some(slot) => slot.older = older,
            None => queue.newest = older,
        }
    }

    /// Recounts everything. For tests.
    #[cfg(test)]
    pub fn audit(&self) {
        let all = || self.slots.iter().flatten();
        assert_eq!(self.len, all().count());
        assert_eq!(self.slots.len(), self.len + self.free.len());
        for partition in [Partition::Positive, Partition::Negative] {
            let queues = &self.partitions[partition as usize];
            assert!(queues.bytes <= queues.limit);
            let slots = || all().filter(|slot| slot.partition == partition);
            assert_eq!(queues.bytes, slots().map(slot_cost).sum::<usize>());
            let small = slots().filter(|slot| !slot.in_main);
            assert_eq!(queues.small_bytes, small.map(slot_cost).sum::<usize>());
            for (queue, in_main) in [(queues.small, false), (queues.main, true)] {
                let (mut at, mut before, mut count) = (queue.oldest, NONE, 0);
                while at != NONE {
                    let slot = self.slots[at as usize].as_ref().unwrap();
                    assert_eq!(
                        (slot.older, slot.in_main, slot.partition),
                        (before, in_main, partition)
                    );
                    (before, at, count) = (at, slot.newer, count + 1);
                }
                assert_eq!(queue.newest, before);
                assert_eq!(count, slots().filter(|slot| slot.in_main == in_main).count());
            }
        }
        let mut indexed = 0;
        for (bucket, &first) in self.buckets.iter().enumerate() {
            let mut at = first;
            while at != NONE {
                let slot = self.slots[at as usize].as_ref().unwrap();
                assert_eq!(self.bucket(slot.hash), bucket);
                (at, indexed) = (slot.in_bucket, indexed + 1);
            }
        }
        assert_eq!(indexed, self.len);
    }
}

impl Queues {
    fn queue(&mut self, main: bool) -> &mut Queue {
        if main { &mut self.main } else { &mut self.small }
    }

    fn count(&mut self, slot: &Slot) {
        self.bytes += slot_cost(slot);
        if !slot.in_main {
            self.small_bytes += slot_cost(slot);
        }
    }

    fn discount(&mut self, slot: &Slot) {
        self.bytes -= slot_cost(slot);
        if !slot.in_main {
            self.small_bytes -= slot_cost(slot);
        }
    }
}

fn slot_cost(slot: &Slot) -> usize {
    ENTRY_OVERHEAD_BYTES + slot.blob.len()
}

/// What a ghost stores of a hash, beyond what its bucket implies.
fn ghost(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

//! The memory layout of one entry: a slot of 64 bytes, and one allocation for everything else.
//!
//! ```text
//!  blob: wire (header, question, records) | places of TTLs (2 each) | extra | suffix of the key (the servers)
//! ```
//!
//! The question is stored once, in the message, in lower case; keys are compared with it there.

use super::answer::Answer;
use super::key::Probe;
use crate::dns::message::{HEADER_BYTES, rcode};

/// The highest frequency that S3-FIFO counts. Each is one more round in the main queue.
const MAX_FREQUENCY: u8 = 3;
/// The number of hits from which an entry is worth a prefetch; no more are counted.
const POPULAR: u8 = 2;
/// As `POPULAR`, and a caller has been told to prefetch it.
const PREFETCH_CLAIMED: u8 = 3;
/// An entry is due for a prefetch in the last tenth of its lifetime.
const DUE_PART: u32 = 10;
/// The unit of [`Slot::checked_epoch`] for an answer of legacy DNS, in milliseconds: 32 bits of it
/// are 13 years.
const FAILURE_UNIT_MS: u64 = 100;

/// The end of a list.
pub const NONE: u32 = u32::MAX;

/// Which of the two byte limits an entry counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// Answers with records.
    Positive,
    /// All others.
    Negative,
}

/// The kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// An answer of an upstream.
    Upstream,
    /// No upstream replied.
    NoReply,
    /// An answer made here. It has no TTL of its own; the reader checks whether it still holds.
    Local,
}

/// An entry to be stored.
#[derive(Debug)]
pub struct Entry {
    pub entry_kind: EntryKind,
    pub partition: Partition,
    pub wire_len: u16,
    pub ttls: u16,
    pub suffix: u16,
    pub flags: u8,
    pub blob: Box<[u8]>,
    /// When it was stored, in milliseconds of the caller's clock.
    pub since: u64,
    /// Its lifetime in milliseconds.
    pub life: u32,
    /// See [`Slot::checked_epoch`].
    pub checked_epoch: u32,
}

impl Entry {
    /// Lays out an entry; `None` if the answer is not to the probe's question.
    pub fn new(
        probe: &Probe<'_>,
        entry_kind: EntryKind,
        answer: Option<&Answer>,
        extra: &[u8],
    ) -> Option<Self> {
        let mut bare;
        let (wire, ttls): (&[u8], &[u16]) = match answer {
            Some(answer) => (answer.wire(), answer.ttl_places()),
            None => {
                bare = vec![0; HEADER_BYTES];
                bare.extend_from_slice(probe.question);
                (&bare, &[])
            }
        };
        if wire.get(HEADER_BYTES..HEADER_BYTES + probe.question.len()) != Some(probe.question) {
            return None;
        }
        let mut blob =
            Vec::with_capacity(wire.len() + 2 * ttls.len() + extra.len() + probe.suffix.len());
        blob.extend_from_slice(wire);
        ttls.iter().for_each(|at| blob.extend_from_slice(&at.to_le_bytes()));
        blob.extend_from_slice(extra);
        blob.extend_from_slice(probe.suffix);
        Some(Self {
            entry_kind,
            partition: Partition::Negative,
            wire_len: wire.len().try_into().ok()?,
            ttls: ttls.len().try_into().ok()?,
            suffix: probe.suffix.len().try_into().ok()?,
            flags: probe.flags,
            blob: blob.into(),
            since: 0,
            life: 0,
            checked_epoch: 0,
        })
    }
}

/// The place of an entry. Its links are those of the store: the bucket of the index, and the queue.
#[derive(Debug)]
#[repr(align(64))]
pub struct Slot {
    pub(super) blob: Box<[u8]>,
    pub(super) hash: u64,
    since: u64,
    life: u32,
    /// For an answer made here: the epoch in which it was last found to hold. For an answer of an
    /// upstream: until when no upstream replies, in units of [`FAILURE_UNIT_MS`].
    pub(super) checked_epoch: u32,
    pub(super) in_bucket: u32,
    pub(super) older: u32,
    pub(super) newer: u32,
    wire_len: u16,
    ttls: u16,
    suffix: u16,
    flags: u8,
    pub(super) entry_kind: EntryKind,
    pub(super) partition: Partition,
    pub(super) in_main: bool,
    /// Two bits each: the frequency that the queues use; hits since it was stored ([`POPULAR`] at
    /// most, [`PREFETCH_CLAIMED`] once a caller was told to prefetch it).
    counts: u8,
    /// The reader's classification of the answer (`server::fast`); 0 at first.
    pub verdict: u8,
}

impl Slot {
    /// A slot with an entry, in no list.
    pub fn new(entry: Entry, hash: u64) -> Self {
        Self {
            blob: entry.blob,
            hash,
            since: entry.since,
            life: entry.life,
            checked_epoch: entry.checked_epoch,
            in_bucket: NONE,
            older: NONE,
            newer: NONE,
            wire_len: entry.wire_len,
            ttls: entry.ttls,
            suffix: entry.suffix,
            flags: entry.flags,
            entry_kind: entry.entry_kind,
            partition: entry.partition,
            in_main: false,
            counts: 0,
            verdict: 0,
        }
    }

    /// Replaces the entry by another under the same key, which counts as a hit.
    pub fn replace(&mut self, entry: Entry) {
        let new = Slot::new(entry, self.hash);
        let old = std::mem::replace(self, new);
        (self.in_bucket, self.older, self.newer) = (old.in_bucket, old.older, old.newer);
        (self.in_main, self.partition) = (old.in_main, old.partition);
        self.count((old.frequency() + 1).min(MAX_FREQUENCY), 0);
    }

    /// Whether the slot's key is this one.
    pub fn matches(&self, hash: u64, probe: &Probe<'_>) -> bool {
        self.hash == hash
            && self.flags == probe.flags
            && usize::from(self.suffix) == probe.suffix.len()
            && self
                .wire()
                .get(HEADER_BYTES..HEADER_BYTES + probe.question.len())
                .is_some_and(|held| same(held, probe.question))
            // Comparing empty slices is not free: it is a masked load.
            && (probe.suffix.is_empty() || self.blob.ends_with(probe.suffix))
    }

    /// The kind of the entry.
    pub fn entry_kind(&self) -> EntryKind {
        self.entry_kind
    }

    /// For an answer made here: the epoch in which it was last found to hold.
    pub fn checked_epoch(&self) -> u32 {
        self.checked_epoch
    }

    /// Records the epoch in which it was found to hold.
    pub fn set_checked_epoch(&mut self, checked_epoch: u32) {
        self.checked_epoch = checked_epoch;
    }

    /// The message in wire format.
    pub fn wire(&self) -> &[u8] {
        &self.blob[..usize::from(self.wire_len)]
    }

    /// The offsets of the TTLs, two bytes each, little-endian.
    pub fn ttl_places(&self) -> &[u8] {
        let start = usize::from(self.wire_len);
        &self.blob[start..start + 2 * usize::from(self.ttls)]
    }

    /// Extra bytes stored with the answer: for an upstream's, its extended errors as EDNS options.
    pub fn extra(&self) -> &[u8] {
        let start = usize::from(self.wire_len) + 2 * usize::from(self.ttls);
        &self.blob[start..self.blob.len() - usize::from(self.suffix)]
    }

    /// A copy of the answer.
    pub fn answer(&self) -> Answer {
        let places = self.ttl_places().chunks_exact(2).map(|at| u16::from_le_bytes([at[0], at[1]]));
        let options = if self.entry_kind == EntryKind::Upstream {
            self.extra().into()
        } else {
            Box::default()
        };
        Answer::from_parts(self.wire().into(), places.collect(), options)
    }

    /// Whether it is a failure and no answer: SERVFAIL, REFUSED, FORMERR or NOTIMP.
    pub fn is_failure(&self) -> bool {
        rcode::is_failure(self.wire()[3] & 0x0f)
    }

    /// Whether it has not expired.
    pub fn is_fresh(&self, now: u64) -> bool {
        self.entry_kind == EntryKind::Local || now < self.until()
    }

    /// When it expires, in milliseconds.
    pub fn until(&self) -> u64 {
        self.since.saturating_add(u64::from(self.life))
    }

    /// Its age in whole seconds.
    pub fn age(&self, now: u64) -> u32 {
        u32::try_from(now.saturating_sub(self.since) / 1000).unwrap_or(u32::MAX)
    }

    /// Records until when no upstream replies.
    pub fn fail_until(&mut self, until: u64) {
        self.checked_epoch = u32::try_from(until.div_ceil(FAILURE_UNIT_MS)).unwrap_or(u32::MAX);
    }

    /// Whether no upstream replied a moment ago.
    pub fn is_failing(&self, now: u64) -> bool {
        self.entry_kind == EntryKind::Upstream
            && now < u64::from(self.checked_epoch) * FAILURE_UNIT_MS
    }

    /// Counts a hit. Returns whether the caller should prefetch the answer: true once, for a
    /// popular entry near the end of its lifetime.
    pub fn touch(&mut self, now: u64) -> bool {
        let due = self.is_due(now);
        let hits = if due { PREFETCH_CLAIMED } else { self.next_hits() };
        self.count((self.frequency() + 1).min(MAX_FREQUENCY), hits);
        due
    }

    /// Whether the next hit is the one that should prefetch.
    pub fn is_due(&self, now: u64) -> bool {
        let near = || self.until().saturating_sub(now) < u64::from(self.life / DUE_PART);
        self.next_hits() == POPULAR
            && self.entry_kind == EntryKind::Upstream
            && near()
            && !self.is_failure()
    }

    fn next_hits(&self) -> u8 {
        if self.hits() < POPULAR { self.hits() + 1 } else { self.hits() }
    }

    fn frequency(&self) -> u8 {
        self.counts & 0b11
    }

    fn hits(&self) -> u8 {
        self.counts >> 2
    }

    fn count(&mut self, frequency: u8, hits: u8) {
        self.counts = frequency | (hits << 2);
    }

    /// Whether it was hit since its last round in the queues.
    pub fn was_touched(&self) -> bool {
        self.frequency() > 0
    }

    /// Moves it to the main queue, or one more round in it.
    pub fn next_round(&mut self) {
        let frequency = if self.in_main { self.frequency().saturating_sub(1) } else { 0 };
        self.count(frequency, self.hits());
        self.in_main = true;
    }
}

/// Compares bytes of equal length, eight at a time: questions are too short for wider vectors.
fn same(a: &[u8], b: &[u8]) -> bool {
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let differ =
        |all, (a, b): (&[u8; 8], &[u8; 8])| all | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b));
    a.iter().zip(b).fold(0, differ) == 0 && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_differ_anywhere_are_not_the_same() {
        let bytes: Vec<u8> = (0..40).collect();
        for length in 0..bytes.len() {
            assert!(same(&bytes[..length], &bytes[..length]));
            for at in 0..length {
                let mut other = bytes.clone();
                other[at] ^= 0x80;
                assert!(!same(&bytes[..length], &other[..length]), "{at} of {length}");
            }
        }
    }

    #[test]
    fn a_slot_is_one_line_of_the_processors_cache() {
        assert_eq!((size_of::<Slot>(), size_of::<Option<Slot>>()), (64, 64));
    }
}

//! One entry as it lies in memory: a slot of 64 bytes, and one allocation for all else.
//!
//! ```text
//!  blob: wire (header, question, records) | places of TTLs (2 each) | extra | suffix of the key (the servers)
//! ```
//!
//! The question is not held twice: the wire has it, in lower case, and is compared with the
//! question of a key.

use super::answer::Answer;
use super::key::Probe;
use crate::dns::message::{HEADER, rcode};

/// How often an entry counts as asked by the queues. Each is one more round in the main queue.
const MAX_ASKED: u8 = 3;
/// How often an entry counts as asked since it was stored, which is all that a prefetch needs to
/// know.
const POPULAR: u8 = 2;
/// As `POPULAR`, and somebody was told that it is due.
const TOLD: u8 = 3;
/// An entry is due for a prefetch in the last part of its lifetime: one in so many.
const DUE_PART: u32 = 10;
/// The unit of [`Slot::mark`] for an answer of legacy DNS, in milliseconds: 32 bits of it are 13
/// years.
const MARK_UNIT: u64 = 100;

/// Nothing: the end of a list.
pub const NONE: u32 = u32::MAX;

/// Which bound an entry counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Answers with records.
    Positive,
    /// All others.
    Negative,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// An answer of legacy DNS.
    Legacy,
    /// Nobody in legacy DNS replied.
    NoReply,
    /// An answer of ours. It has no end in time; whoever reads it knows what it rests on.
    Ours,
}

/// An entry on its way into the store.
#[derive(Debug)]
pub struct Entry {
    pub nature: Nature,
    pub lane: Lane,
    pub wire_len: u16,
    pub ttls: u16,
    pub suffix: u16,
    pub flags: u8,
    pub blob: Box<[u8]>,
    /// When it came, in milliseconds of the caller's clock.
    pub since: u64,
    /// How long it holds, in milliseconds.
    pub life: u32,
    /// See [`Slot::mark`].
    pub mark: u32,
}

impl Entry {
    /// Lays an entry out; `None` if the answer is not to the probe's question.
    pub fn new(
        probe: &Probe<'_>,
        nature: Nature,
        answer: Option<&Answer>,
        extra: &[u8],
    ) -> Option<Self> {
        let mut bare;
        let (wire, ttls): (&[u8], &[u16]) = match answer {
            Some(answer) => (answer.wire(), answer.ttl_places()),
            None => {
                bare = vec![0; HEADER];
                bare.extend_from_slice(probe.question);
                (&bare, &[])
            }
        };
        if wire.get(HEADER..HEADER + probe.question.len()) != Some(probe.question) {
            return None;
        }
        let mut blob =
            Vec::with_capacity(wire.len() + 2 * ttls.len() + extra.len() + probe.suffix.len());
        blob.extend_from_slice(wire);
        ttls.iter().for_each(|at| blob.extend_from_slice(&at.to_le_bytes()));
        blob.extend_from_slice(extra);
        blob.extend_from_slice(probe.suffix);
        Some(Self {
            nature,
            lane: Lane::Negative,
            wire_len: wire.len().try_into().ok()?,
            ttls: ttls.len().try_into().ok()?,
            suffix: probe.suffix.len().try_into().ok()?,
            flags: probe.flags,
            blob: blob.into(),
            since: 0,
            life: 0,
            mark: 0,
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
    /// For an answer of ours: when it was last found to be true, as its reader counts. For one of
    /// legacy DNS: until when it is known that nobody replies, in [`MARK_UNIT`]s.
    pub(super) mark: u32,
    pub(super) in_bucket: u32,
    pub(super) older: u32,
    pub(super) newer: u32,
    wire_len: u16,
    ttls: u16,
    suffix: u16,
    flags: u8,
    pub(super) nature: Nature,
    pub(super) lane: Lane,
    pub(super) in_main: bool,
    /// Two bits each: how often it was asked for, as far as the queues want to know; how often
    /// since it was stored ([`POPULAR`] at most, [`TOLD`] once somebody was told that it is due).
    counts: u8,
    /// What the reader has found out about it; 0 at first.
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
            mark: entry.mark,
            in_bucket: NONE,
            older: NONE,
            newer: NONE,
            wire_len: entry.wire_len,
            ttls: entry.ttls,
            suffix: entry.suffix,
            flags: entry.flags,
            nature: entry.nature,
            lane: entry.lane,
            in_main: false,
            counts: 0,
            verdict: 0,
        }
    }

    /// Puts another entry under the same key into the slot. It was asked for, or it would not be
    /// fetched again.
    pub fn replace(&mut self, entry: Entry) {
        let new = Slot::new(entry, self.hash);
        let old = std::mem::replace(self, new);
        (self.in_bucket, self.older, self.newer) = (old.in_bucket, old.older, old.newer);
        (self.in_main, self.lane) = (old.in_main, old.lane);
        self.count((old.asked() + 1).min(MAX_ASKED), 0);
    }

    /// Whether it is what is looked for.
    pub fn is(&self, hash: u64, probe: &Probe<'_>) -> bool {
        self.hash == hash
            && self.flags == probe.flags
            && usize::from(self.suffix) == probe.suffix.len()
            && self
                .wire()
                .get(HEADER..HEADER + probe.question.len())
                .is_some_and(|held| same(held, probe.question))
            // Comparing nothing is not free: it is a masked load from nowhere.
            && (probe.suffix.is_empty() || self.blob.ends_with(probe.suffix))
    }

    /// What it is.
    pub fn nature(&self) -> Nature {
        self.nature
    }

    /// For an answer of ours: when it was last found to be true, as its reader counts.
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// Keeps in mind when it was found to be true.
    pub fn set_mark(&mut self, mark: u32) {
        self.mark = mark;
    }

    /// The message.
    pub fn wire(&self) -> &[u8] {
        &self.blob[..usize::from(self.wire_len)]
    }

    /// Where the TTLs are, two bytes each, the low one first.
    pub fn ttl_places(&self) -> &[u8] {
        let start = usize::from(self.wire_len);
        &self.blob[start..start + 2 * usize::from(self.ttls)]
    }

    /// What was given with the answer: of one of legacy DNS, its extended errors as EDNS options.
    pub fn extra(&self) -> &[u8] {
        let start = usize::from(self.wire_len) + 2 * usize::from(self.ttls);
        &self.blob[start..self.blob.len() - usize::from(self.suffix)]
    }

    /// The answer, taken out.
    pub fn answer(&self) -> Answer {
        let places = self.ttl_places().chunks_exact(2).map(|at| u16::from_le_bytes([at[0], at[1]]));
        let options =
            if self.nature == Nature::Legacy { self.extra().into() } else { Box::default() };
        Answer::from_parts(self.wire().into(), places.collect(), options)
    }

    /// Whether it says that the servers failed.
    pub fn is_failure(&self) -> bool {
        matches!(self.wire()[3] & 0x0f, rcode::SERVFAIL | rcode::REFUSED)
    }

    /// Whether it has not run out.
    pub fn is_fresh(&self, now: u64) -> bool {
        self.nature == Nature::Ours || now < self.until()
    }

    /// When it runs out, or did.
    pub fn until(&self) -> u64 {
        self.since.saturating_add(u64::from(self.life))
    }

    /// Its age in whole seconds.
    pub fn age(&self, now: u64) -> u32 {
        u32::try_from(now.saturating_sub(self.since) / 1000).unwrap_or(u32::MAX)
    }

    /// Keeps in mind until when nobody replies.
    pub fn fail_until(&mut self, until: u64) {
        self.mark = u32::try_from(until.div_ceil(MARK_UNIT)).unwrap_or(u32::MAX);
    }

    /// Whether nobody replied a moment ago.
    pub fn is_failing(&self, now: u64) -> bool {
        self.nature == Nature::Legacy && now < u64::from(self.mark) * MARK_UNIT
    }

    /// Counts one who asked; whether that is the one who should fetch the answer again: true once,
    /// for a popular entry near its end.
    pub fn ask(&mut self, now: u64) -> bool {
        let due = self.is_due(now);
        let wanted = if due { TOLD } else { self.next_wanted() };
        self.count((self.asked() + 1).min(MAX_ASKED), wanted);
        due
    }

    /// Whether who asks next is the one who should fetch the answer again.
    pub fn is_due(&self, now: u64) -> bool {
        let near = || self.until().saturating_sub(now) < u64::from(self.life / DUE_PART);
        self.next_wanted() == POPULAR
            && self.nature == Nature::Legacy
            && near()
            && !self.is_failure()
    }

    fn next_wanted(&self) -> u8 {
        if self.wanted() < POPULAR { self.wanted() + 1 } else { self.wanted() }
    }

    fn asked(&self) -> u8 {
        self.counts & 0b11
    }

    fn wanted(&self) -> u8 {
        self.counts >> 2
    }

    fn count(&mut self, asked: u8, wanted: u8) {
        self.counts = asked | (wanted << 2);
    }

    /// Whether it was asked for since its last round in the queues.
    pub fn was_asked(&self) -> bool {
        self.asked() > 0
    }

    /// Takes it on to the main queue, where it has to be asked for anew, or one more round in
    /// there.
    pub fn next_round(&mut self) {
        let asked = if self.in_main { self.asked().saturating_sub(1) } else { 0 };
        self.count(asked, self.wanted());
        self.in_main = true;
    }
}

/// Whether bytes of one length are the same: eight at a time, as questions are too short for more
/// to pay.
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

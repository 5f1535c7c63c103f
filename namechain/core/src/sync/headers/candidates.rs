//! Candidates: chains of headers that peers have shown and that may be better than ours. Thirty-two
//! bytes a header.

use std::collections::{BTreeMap, VecDeque};

use super::super::{
    event::Peer,
    limits::{
        CANDIDATE_IDS, CHECKPOINTS, GROWTH_DEADLINE_MS, HEADERS_SLOW_MS, LOCATOR_CHECKPOINTS,
    },
    message::MAX_HEADERS,
    trail::Trail,
};
use crate::{
    chain::{Ancestry, PowChecked},
    types::{Hash, Header},
};

/// An answer's headers whose work is being checked.
#[derive(Debug)]
pub(in crate::sync) struct Batch {
    /// Who showed them.
    pub from: Peer,
    /// Their ids.
    pub ids: Vec<Hash>,
    /// The end of the chain with them.
    pub after: Ancestry,
    /// What came of the parts that are done.
    pub parts: Vec<Option<Vec<PowChecked>>>,
    /// The work that the peer advertised and has shown with these at the latest, if they are its
    /// last.
    pub advertised: Option<u128>,
    /// Whether they are its last.
    pub last: bool,
}

/// A chain of headers from a block that our chain has.
#[derive(Debug)]
pub(in crate::sync) struct Candidate {
    /// The last block that our chain has, and its height.
    pub base: Hash,
    pub base_height: u32,
    /// The ids above it whose work has been checked.
    ids: VecDeque<PowChecked>,
    /// Those above these, whose work has not.
    batches: VecDeque<Batch>,
    /// The number of the first of the batches: they are counted from the first ever.
    first_batch: u64,
    /// Ends from which it can go on, rising; the last one is the end of `ids`, or below everything
    /// the base.
    checkpoints: VecDeque<Ancestry>,
    /// Whether somebody showed it to its end.
    pub complete: bool,
    /// Since when its blocks could be fetched.
    pub usable_since: Option<u64>,
    /// Who is asked for what comes next, and since when.
    extender: Option<(Peer, u64)>,
    /// When it last grew.
    grown_at: u64,
    /// Since when no peer has it.
    pub no_peers_since: Option<u64>,
    /// The ids that it must have at some heights, if it was walked along before it was checked.
    pub trail: Trail,
    /// The end of which it was said that it departs too deep.
    pub reported_parked: Option<Hash>,
}

/// Where a header that a peer showed is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sync) enum Found {
    /// It is there, and its work was checked.
    Checked,
    /// It is there, and its work is being checked.
    Unchecked,
}

impl Candidate {
    /// One without headers yet, on a block of ours.
    pub fn new(base: Ancestry, now: u64) -> Self {
        Candidate {
            base: base.id(),
            base_height: base.header().height,
            ids: VecDeque::new(),
            batches: VecDeque::new(),
            first_batch: 0,
            checkpoints: VecDeque::from([base]),
            complete: false,
            usable_since: None,
            extender: None,
            grown_at: now,
            no_peers_since: None,
            trail: Trail::default(),
            reported_parked: None,
        }
    }

    /// One that shares this one's ids up to `end`, which is among those whose work has been
    /// checked, or the base.
    pub fn fork(&self, end: Ancestry, now: u64) -> Self {
        let shared = (end.header().height - self.base_height) as usize;
        let mut checkpoints: VecDeque<Ancestry> = self
            .checkpoints
            .iter()
            .take_while(|at| at.header().height < end.header().height)
            .cloned()
            .collect();
        checkpoints.push_back(end);
        Candidate {
            base: self.base,
            base_height: self.base_height,
            ids: self.ids.iter().take(shared).copied().collect(),
            batches: VecDeque::new(),
            first_batch: 0,
            checkpoints,
            complete: false,
            usable_since: None,
            extender: None,
            grown_at: now,
            no_peers_since: None,
            trail: Trail::default(),
            reported_parked: None,
        }
    }

    /// The end of what has been checked.
    pub fn end(&self) -> &Ancestry {
        self.checkpoints.back().expect("a candidate has at least one checkpoint")
    }

    /// The end of all that was shown.
    pub fn ahead(&self) -> &Ancestry {
        self.batches.back().map_or_else(|| self.end(), |batch| &batch.after)
    }

    /// The summed work of what has been checked.
    pub fn work(&self) -> u128 {
        self.end().work()
    }

    /// The height of the end of what has been checked.
    pub fn height(&self) -> u32 {
        self.end().header().height
    }

    /// How many ids it holds.
    pub fn len(&self) -> usize {
        self.ids.len() + self.batches.iter().map(|batch| batch.ids.len()).sum::<usize>()
    }

    /// How many answers' headers are in the hands of the checks.
    pub fn unchecked_batches(&self) -> usize {
        self.batches.len()
    }

    /// The id at a height whose work has been checked.
    pub fn checked_at(&self, height: u32) -> Option<PowChecked> {
        let index = height.checked_sub(self.base_height + 1)?;
        self.ids.get(index as usize).copied()
    }

    /// Whether the header is on it.
    pub fn find(&self, id: &Hash, height: u32) -> Option<Found> {
        if height == self.base_height && *id == self.base {
            return Some(Found::Checked);
        }
        let mut index = height.checked_sub(self.base_height + 1)? as usize;
        if let Some(header) = self.ids.get(index) {
            return (header.id() == *id).then_some(Found::Checked);
        }
        index -= self.ids.len();
        for batch in &self.batches {
            match batch.ids.get(index) {
                Some(there) => return (there == id).then_some(Found::Unchecked),
                None => index -= batch.ids.len(),
            }
        }
        None
    }

    /// The height at which it has a header, wherever that is: a look at each.
    pub fn height_of(&self, id: &Hash) -> Option<u32> {
        let unchecked = self.batches.iter().flat_map(|batch| batch.ids.iter().copied());
        let at = self
            .ids
            .iter()
            .map(|header| header.id())
            .chain(unchecked)
            .position(|there| there == *id)?;
        Some(self.base_height + 1 + at as u32)
    }

    /// The end with this id from which it can go on.
    pub fn checkpoint(&self, id: &Hash) -> Option<&Ancestry> {
        std::iter::once(self.ahead())
            .chain(self.checkpoints.iter().rev())
            .find(|end| end.id() == *id)
    }

    /// The ids of its ends for a locator: the newest, then ever further apart.
    pub fn locator(&self) -> Vec<Hash> {
        let mut ids = Vec::new();
        if !self.batches.is_empty() {
            ids.push(self.ahead().id());
        }
        let (mut back, mut step) = (0, 1);
        while back < self.checkpoints.len() && ids.len() < LOCATOR_CHECKPOINTS {
            ids.push(self.checkpoints[self.checkpoints.len() - 1 - back].id());
            back += step;
            step += ids.len() / 4;
        }
        ids
    }

    /// Who is asked for what comes next.
    pub fn extender(&self) -> Option<Peer> {
        self.extender.map(|(peer, _)| peer)
    }

    pub fn set_extender(&mut self, peer: Option<Peer>, now: u64) {
        self.extender = peer.map(|peer| (peer, now));
    }

    /// Stops waiting for this peer to extend it.
    pub fn release_extender(&mut self, peer: Peer) {
        self.extender = self.extender.filter(|(extender, _)| *extender != peer);
    }

    /// Whether somebody is extending it, and is not slow about it.
    pub fn is_being_extended(&self, now: u64) -> bool {
        self.extender.is_some_and(|(_, since)| now < since.max(self.grown_at) + HEADERS_SLOW_MS)
    }

    /// Whether more of it is likely to come: it was not shown to its end, and grew lately.
    pub fn is_growing(&self, now: u64) -> bool {
        !self.complete && now < self.grown_at + GROWTH_DEADLINE_MS
    }

    /// Adds headers whose work is yet to be checked; gives the number of the batch.
    pub fn push(&mut self, batch: Batch, now: u64) -> u64 {
        self.grown_at = now;
        self.batches.push_back(batch);
        self.first_batch + self.batches.len() as u64 - 1
    }

    /// Notes that a part of a batch has its work. Gives the batches that are through with it, in
    /// order.
    pub fn record_part(
        &mut self,
        number: u64,
        part: usize,
        headers: Vec<PowChecked>,
    ) -> Vec<Batch> {
        let batch =
            number.checked_sub(self.first_batch).and_then(|at| self.batches.get_mut(at as usize));
        if let Some(slot) = batch.and_then(|batch| batch.parts.get_mut(part)) {
            *slot = Some(headers);
        }
        let mut through = Vec::new();
        while let Some(batch) = self.batches.front()
            && batch.parts.iter().all(Option::is_some)
            && let Some(mut batch) = self.batches.pop_front()
        {
            self.first_batch += 1;
            self.ids.extend(std::mem::take(&mut batch.parts).into_iter().flatten().flatten());
            self.push_checkpoint(batch.after.clone());
            through.push(batch);
        }
        through
    }

    /// Who showed a batch that is not through.
    pub fn batch_sender(&self, number: u64) -> Option<Peer> {
        let at = number.checked_sub(self.first_batch)?;
        self.batches.get(at as usize).map(|batch| batch.from)
    }

    /// Forgets all headers whose work has not been checked.
    pub fn drop_unchecked(&mut self) {
        self.first_batch += self.batches.len() as u64;
        self.batches.clear();
    }

    /// Makes `end` the last checkpoint. Those that lie close together are thinned: the one before
    /// goes if the two are not an answer's length from the one before that.
    fn push_checkpoint(&mut self, end: Ancestry) {
        if let [.., before, last] = self.checkpoints.make_contiguous()
            && last.header().height - before.header().height < MAX_HEADERS as u32
        {
            self.checkpoints.pop_back();
        }
        self.checkpoints.push_back(end);
        if self.checkpoints.len() > CHECKPOINTS {
            self.checkpoints.pop_front();
        }
    }

    /// Our chain has advance_base its first block.
    pub fn advance_base(&mut self) {
        if let Some(first) = self.ids.pop_front() {
            (self.base, self.base_height) = (first.id(), self.base_height + 1);
            // Ends below the base are our chain's to tell; the last one stays, be it the base
            // itself.
            while self.checkpoints.len() > 1
                && self.checkpoints.front().is_some_and(|at| at.header().height < self.base_height)
            {
                self.checkpoints.pop_front();
            }
        }
    }

    /// Its first id whose work has been checked.
    pub fn first(&self) -> Option<PowChecked> {
        self.ids.front().copied()
    }

    /// Whether all of it that was shown is in our chain.
    pub fn is_done(&self) -> bool {
        self.ids.is_empty() && self.batches.is_empty()
    }
}

/// All candidates, by number.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    all: BTreeMap<u64, Candidate>,
    next: u64,
}

impl Candidates {
    pub fn add(&mut self, candidate: Candidate) -> u64 {
        self.next += 1;
        self.all.insert(self.next, candidate);
        self.next
    }

    pub fn get(&self, number: u64) -> Option<&Candidate> {
        self.all.get(&number)
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut Candidate> {
        self.all.get_mut(&number)
    }

    pub fn remove(&mut self, number: u64) -> Option<Candidate> {
        self.all.remove(&number)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Candidate)> {
        self.all.iter().map(|(number, candidate)| (*number, candidate))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Candidate)> {
        self.all.iter_mut().map(|(number, candidate)| (*number, candidate))
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// The candidate that has a header above its base, the first one found; a few look-ups.
    pub fn find_above(&self, id: &Hash, height: u32) -> Option<(u64, Found)> {
        self.iter()
            .filter(|(_, candidate)| height > candidate.base_height)
            .find_map(|(number, candidate)| Some((number, candidate.find(id, height)?)))
    }

    /// The candidate that goes along with these headers the furthest, and how many of them it has;
    /// at least one.
    pub fn longest(&self, headers: &[Header], ids: &[Hash]) -> Option<(u64, usize)> {
        let along = |on: &Candidate| {
            // Who has one of them has those before it.
            let both: Vec<(&Hash, u32)> =
                ids.iter().zip(headers.iter().map(|header| header.height)).collect();
            both.partition_point(|(id, height)| {
                *height > on.base_height && on.find(id, *height).is_some()
            })
        };
        let all =
            self.iter().map(|(number, on)| (number, along(on))).filter(|(_, count)| *count > 0);
        all.max_by_key(|(number, count)| (*count, u64::MAX - number))
    }

    /// The candidate that ends with `header`'s parent, or else one that has it.
    pub fn find_parent(&self, header: &Header) -> Option<u64> {
        let ends = self.iter().find(|(_, on)| on.ahead().id() == header.previous && !on.is_done());
        let has = || {
            self.find_above(&header.previous, header.height.checked_sub(1)?)
                .map(|(number, _)| number)
        };
        ends.map(|(number, _)| number).or_else(has)
    }

    /// How many ids all of them hold.
    pub fn ids(&self) -> usize {
        self.all.values().map(Candidate::len).sum()
    }

    /// Whether so many ids more are too many.
    pub fn is_full(&self, more: usize) -> bool {
        self.ids() + more > CANDIDATE_IDS
    }
}

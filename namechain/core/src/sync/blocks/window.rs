//! The window: the blocks above our tip that are fetched from several peers at once, checked on all
//! cores, and connected in order. Everything here costs the same however many blocks there are.

use std::collections::{BTreeSet, VecDeque};

use super::super::{
    event::{Peer, RequestId},
    headers::Candidate,
    limits::WINDOW,
    message::MAX_BLOCKS,
};
use crate::{
    chain::{CheckedBlock, PowChecked},
    types::Hash,
};

/// Where a block of the window stands.
#[derive(Debug)]
pub(super) enum BlockStage {
    /// To be asked for.
    Wanted,
    /// Asked for, of this peer.
    Asked(RequestId, Peer),
    /// Here, to be checked; whose it is.
    Body(Vec<u8>, Peer),
    /// In the hands of the checks.
    Checking,
    /// Fine by itself.
    Ready(Box<CheckedBlock>),
    /// In the hands of the chain.
    Connecting,
}

#[derive(Debug)]
struct Slot {
    id: PowChecked,
    state: BlockStage,
    /// The length of its body, once that is here.
    bytes: usize,
    /// When it was asked for last, and how often.
    asked_at: u64,
    asks: u32,
}

/// The blocks that are being fetched: consecutive ones, from the lowest that our chain has not.
#[derive(Debug, Default)]
pub(super) struct Window {
    candidate: Option<u64>,
    /// The height of the first slot.
    first: u32,
    /// Everything that was ever asked for and is not connected. What is above was not asked for
    /// yet.
    slots: VecDeque<Slot>,
    /// The heights of those that are to be asked for again.
    wanted: BTreeSet<u32>,
    /// The heights of those whose bodies wait to be checked.
    bodies: BTreeSet<u32>,
    checking: usize,
    bytes: usize,
    /// The smoothed length of a block.
    average: usize,
}

impl Window {
    /// The candidate whose blocks are fetched.
    pub fn candidate(&self) -> Option<u64> {
        self.candidate
    }

    pub fn len(&self) -> usize {
        self.slots.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn first(&self) -> u32 {
        self.first
    }

    /// How many blocks are in the hands of the checks.
    pub fn checking(&self) -> usize {
        self.checking
    }

    /// The average length of a block, in bytes.
    pub fn average(&self) -> usize {
        self.average.max(256)
    }

    /// Goes for another candidate. What of the old one's blocks is in it too is kept.
    pub fn retarget(&mut self, target: Option<(u64, &Candidate)>) {
        let same_candidate = self.candidate == target.map(|(number, _)| number);
        self.candidate = target.map(|(number, _)| number);
        let first = target.map_or(0, |(_, on)| on.base_height + 1);
        while self.first < first && !self.slots.is_empty() {
            self.pop();
        }
        if same_candidate && self.first == first {
            return;
        }
        let shared = match target {
            Some((_, on)) if self.first == first => {
                let same = |(at, slot): &(usize, &Slot)| {
                    on.checked_at(first + *at as u32) == Some(slot.id)
                };
                self.slots.iter().enumerate().take_while(same).count()
            }
            _ => 0,
        };
        while self.slots.len() > shared {
            let at = self.first + self.slots.len() as u32 - 1;
            if let Some(slot) = self.slots.pop_back() {
                self.forget(at, &slot);
            }
        }
        self.first = first;
    }

    fn forget(&mut self, height: u32, slot: &Slot) {
        self.bytes -= slot.bytes;
        self.checking -= usize::from(matches!(slot.state, BlockStage::Checking));
        self.wanted.remove(&height);
        self.bodies.remove(&height);
    }

    fn pop(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.forget(self.first, &slot);
            self.first += 1;
        }
    }

    /// The first block is in our chain already.
    pub fn remove_first(&mut self, id: &Hash) {
        match self.slots.front() {
            Some(slot) if slot.id.id() == *id => self.pop(),
            None => self.first += 1,
            Some(_) => {}
        }
    }

    /// Whether this is the first block, given to the chain.
    pub fn is_connecting(&self, id: &Hash) -> bool {
        self.slots
            .front()
            .is_some_and(|slot| slot.id.id() == *id && matches!(slot.state, BlockStage::Connecting))
    }

    fn slot(&mut self, height: u32) -> Option<&mut Slot> {
        self.slots.get_mut(height.checked_sub(self.first)? as usize)
    }

    /// Whether a block at this height was never asked for.
    pub fn is_new(&self, height: u32) -> bool {
        height >= self.above()
    }

    fn above(&self) -> u32 {
        self.first + self.slots.len() as u32
    }

    /// The lowest blocks to ask for: from a height on, so many at most. `end` is the candidate's
    /// height.
    pub fn next_run(&self, end: u32) -> Option<(u32, usize)> {
        if let Some(&lowest) = self.wanted.first() {
            let run = self
                .wanted
                .range(lowest..)
                .zip(lowest..)
                .take_while(|(height, due)| *height == due);
            return Some((lowest, run.take(MAX_BLOCKS).count()));
        }
        let above = self.above();
        let last = end.min(self.first.saturating_add(WINDOW as u32 - 1));
        (above <= last).then(|| (above, (last - above) as usize + 1))
    }

    /// Notes that blocks were asked for.
    pub fn set_requested(
        &mut self,
        first: u32,
        ids: &[PowChecked],
        request: RequestId,
        peer: Peer,
        now: u64,
    ) {
        for (height, id) in (first..).zip(ids) {
            if height == self.above() {
                self.slots.push_back(Slot {
                    id: *id,
                    state: BlockStage::Wanted,
                    bytes: 0,
                    asked_at: now,
                    asks: 0,
                });
            }
            self.wanted.remove(&height);
            if let Some(slot) = self.slot(height).filter(|slot| slot.id == *id) {
                (slot.state, slot.asked_at) = (BlockStage::Asked(request, peer), now);
                slot.asks += 1;
            }
        }
    }

    /// A request for a block will bring nothing.
    pub fn request_over(&mut self, height: u32, request: RequestId) {
        if let Some(slot) = self.slot(height)
            && matches!(slot.state, BlockStage::Asked(asked, _) if asked == request)
        {
            slot.state = BlockStage::Wanted;
            self.wanted.insert(height);
        }
    }

    /// A body has come. Whether it was waited for.
    pub fn insert_body(&mut self, height: u32, id: &Hash, bytes: Vec<u8>, from: Peer) -> bool {
        let len = bytes.len();
        let Some(slot) = self.slot(height).filter(|slot| slot.id.id() == *id) else { return false };
        if !matches!(slot.state, BlockStage::Asked(..) | BlockStage::Wanted) {
            return false;
        }
        (slot.state, slot.bytes) = (BlockStage::Body(bytes, from), len);
        self.bytes += len;
        self.average = if self.average == 0 { len } else { (self.average * 7 + len) / 8 };
        self.wanted.remove(&height);
        self.bodies.insert(height);
        true
    }

    /// Takes the lowest body that waits to be checked.
    pub fn next_body(&mut self) -> Option<(u32, PowChecked, Vec<u8>, Peer)> {
        let height = self.bodies.pop_first()?;
        let slot = self.slot(height)?;
        let BlockStage::Body(bytes, from) =
            std::mem::replace(&mut slot.state, BlockStage::Checking)
        else {
            return None;
        };
        let id = slot.id;
        self.checking += 1;
        Some((height, id, bytes, from))
    }

    /// Whether a block is there that is not known to be fine.
    pub fn is_wanted(&self, height: u32, id: &Hash) -> bool {
        let at = height.checked_sub(self.first).and_then(|at| self.slots.get(at as usize));
        at.is_some_and(|slot| {
            slot.id.id() == *id
                && !matches!(slot.state, BlockStage::Ready(_) | BlockStage::Connecting)
        })
    }

    /// A block is fine by itself, whoever found out.
    pub fn set_ready(&mut self, height: u32, block: Box<CheckedBlock>) {
        let id = block.id();
        let Some(slot) = self.slot(height).filter(|slot| slot.id.id() == id) else { return };
        if matches!(slot.state, BlockStage::Ready(_) | BlockStage::Connecting) {
            return;
        }
        let before = std::mem::replace(&mut slot.state, BlockStage::Ready(block));
        self.checking -= usize::from(matches!(before, BlockStage::Checking));
        self.wanted.remove(&height);
        self.bodies.remove(&height);
    }

    /// What came was not the block: it is to be asked for again.
    pub fn reject_body(&mut self, height: u32, id: &Hash) {
        let Some(slot) = self.slot(height).filter(|slot| slot.id.id() == *id) else { return };
        if matches!(slot.state, BlockStage::Checking) {
            let bytes = std::mem::take(&mut slot.bytes);
            slot.state = BlockStage::Wanted;
            self.checking -= 1;
            self.bytes -= bytes;
            self.wanted.insert(height);
        }
    }

    /// Takes the first block, if it is ready to be connected.
    pub fn next_ready(&mut self) -> Option<Box<CheckedBlock>> {
        let slot = self.slots.front_mut()?;
        if !matches!(slot.state, BlockStage::Ready(_)) {
            return None;
        }
        match std::mem::replace(&mut slot.state, BlockStage::Connecting) {
            BlockStage::Ready(block) => Some(block),
            _ => None,
        }
    }

    /// The first block, if it is late: who was asked, when, how often, and how many blocks the same
    /// request was for.
    pub fn stalled(&self) -> Option<(Peer, u64, u32, usize)> {
        let slot = self.slots.front()?;
        let BlockStage::Asked(request, peer) = slot.state else { return None };
        let same =
            |slot: &&Slot| matches!(slot.state, BlockStage::Asked(other, _) if other == request);
        Some((peer, slot.asked_at, slot.asks, self.slots.iter().take_while(same).count()))
    }
}

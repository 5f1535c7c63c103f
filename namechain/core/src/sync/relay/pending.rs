//! Announced blocks that are not connected yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::super::{
    event::{GossipId, Peer},
    limits::{ANNOUNCERS, PARALLEL_DOWNLOADS, SLOW_DOWNLOAD_MS},
    message::{CompactBlock, ShortId},
};
use crate::{
    chain::PowChecked,
    mempool::Mempool,
    types::{Hash, Header, Network, Operation},
};

/// How far an announced block has come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// Its header's proof of work is being checked.
    Pow,
    /// What is missing is asked of those who announced it.
    Fetching(PowChecked),
    /// It is being checked.
    Checking { header: PowChecked, source: Source },
    /// The chain has it.
    Connecting,
}

/// Where a block that is being checked came from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// Put together by this peer's short ids, which may mislead.
    ShortIds(Peer),
    /// Sent whole by this peer.
    Whole(Peer),
}

/// One peer's announcement of a block.
#[derive(Debug)]
pub(super) struct Announcement {
    pub peer: Peer,
    pub outbound: bool,
    pub gossip: Option<GossipId>,
    pub short_ids: Arc<[ShortId]>,
    /// Whether it was asked for the block.
    pub asked: bool,
    /// Whether it has not given it, or is gone.
    pub failed: bool,
}

/// What a peer was asked for.
#[derive(Debug)]
pub(super) enum Form {
    /// The operations that are missing: what is there, in the block's order.
    Operations {
        parts: Vec<Option<Arc<Operation>>>,
        known: Vec<bool>,
    },
    Whole,
}

/// A request for what is missing.
#[derive(Debug)]
pub(super) struct Download {
    pub peer: Peer,
    pub sent_at: u64,
    pub form: Form,
}

/// An announced block.
#[derive(Debug)]
pub(super) struct PendingBlock {
    pub header: Header,
    pub announcements: Vec<Announcement>,
    pub downloads: Vec<Download>,
    pub stage: Stage,
    pub since: u64,
    /// The chain work up to it.
    pub work: u128,
    /// The one compact form that is forwarded, once the block has been checked.
    pub canonical: Option<CompactBlock>,
}

impl PendingBlock {
    pub fn new(header: Header, work: u128, now: u64) -> Self {
        PendingBlock {
            header,
            announcements: Vec::new(),
            downloads: Vec::new(),
            stage: Stage::Pow,
            since: now,
            work,
            canonical: None,
        }
    }

    /// Notes who announced it. False if there are too many already, or this peer is among them.
    /// The last place is kept for a peer that we dialled.
    pub fn add_announcement(
        &mut self,
        peer: Peer,
        outbound: bool,
        gossip: Option<GossipId>,
        short_ids: Vec<ShortId>,
    ) -> bool {
        let places = if outbound { ANNOUNCERS } else { ANNOUNCERS - 1 };
        if self.announcements.len() >= places
            || self.announcements.iter().any(|other| other.peer == peer)
        {
            return false;
        }
        let same = self.announcements.iter().find(|other| other.short_ids[..] == short_ids[..]);
        let short_ids = same.map_or_else(|| short_ids.into(), |other| other.short_ids.clone());
        let announcement =
            Announcement { peer, outbound, gossip, short_ids, asked: false, failed: false };
        self.announcements.push(announcement);
        true
    }

    pub fn announcement_of(&mut self, peer: Peer) -> Option<&mut Announcement> {
        self.announcements.iter_mut().find(|announcement| announcement.peer == peer)
    }

    /// Whom to ask next: the first announcer, then those that we dialled. A silent peer keeps
    /// nobody from being asked, and those who dialled us never have all places.
    pub fn next_source(&self, now: u64) -> Option<Peer> {
        let is_outbound = |peer: Peer| {
            self.announcements.iter().any(|other| other.peer == peer && other.outbound)
        };
        let active = self.downloads.iter().filter(|it| now < it.sent_at + SLOW_DOWNLOAD_MS);
        let (outbound, inbound): (Vec<_>, Vec<_>) = active.partition(|it| is_outbound(it.peer));
        if outbound.len() + inbound.len() >= PARALLEL_DOWNLOADS {
            return None;
        }
        let mut untried = self.announcements.iter().filter(|it| !it.asked && !it.failed);
        if !self.announcements.iter().any(|announcement| announcement.asked) {
            return untried.next().map(|announcement| announcement.peer);
        }
        let dialled = untried.clone().find(|announcement| announcement.outbound);
        let room = inbound.len() + 1 < PARALLEL_DOWNLOADS;
        dialled.or_else(|| untried.next().filter(|_| room)).map(|announcement| announcement.peer)
    }

    /// Whether nobody is left who could give it.
    pub fn is_hopeless(&self) -> bool {
        self.downloads.is_empty() && !self.announcements.iter().any(|it| !it.asked && !it.failed)
    }

    /// Takes the request to a peer out of those in flight.
    pub fn take_download(&mut self, peer: Peer) -> Option<Download> {
        let at = self.downloads.iter().position(|download| download.peer == peer)?;
        Some(self.downloads.remove(at))
    }

    /// When the last request was sent.
    pub fn last_request_at(&self) -> u64 {
        self.downloads.iter().map(|download| download.sent_at).max().unwrap_or(0)
    }
}

/// All of them, by the block's id.
pub(super) type PendingBlocks = BTreeMap<Hash, PendingBlock>;

/// The operations of a block that are in the mempool, by their short ids; one that two share
/// counts as missing.
pub(super) fn find_operations(
    network: Network,
    mempool: &Mempool,
    block: &Hash,
    short_ids: &[ShortId],
) -> Vec<Option<Arc<Operation>>> {
    let mut parts: Vec<Option<Arc<Operation>>> = vec![None; short_ids.len()];
    if short_ids.is_empty() {
        return parts;
    }
    let wanted: HashMap<ShortId, usize> = short_ids.iter().copied().zip(0..).collect();
    let mut seen = vec![false; short_ids.len()];
    for (id, operation) in mempool.all() {
        if let Some(&at) = wanted.get(&ShortId::of(network, block, id)) {
            parts[at] = (!std::mem::replace(&mut seen[at], true)).then(|| operation.clone());
        }
    }
    parts
}

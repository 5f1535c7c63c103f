//! Announced blocks: put together from what waits in the mempool, checked, connected, and only then
//! told further.
//!
//! ```text
//! announced --parent is ours, cheap checks--> work --job--> put together --nothing missing--> checking --> connecting
//!     |                                                        |   ^                             |            |
//!     | parent unknown: ask for headers        what is missing v   | operations, or all of it    | a rule     | tip: accept
//!     | too early: once more when it is time               the announcer, then the next         v broken     v side: ignore
//!     v known, less work than ours: ignore                                                     reject, ban
//! ```

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    Acceptance, Action, GossipId, Job, JobOutcome, Misbehavior, Peer,
    limits::{ARRIVAL_SOURCES, ARRIVALS, EARLY, REQUEST_DEADLINE_MS},
    machine::{Asked, Sync, Task},
    message::{CompactBlock, Request, ShortId},
    peers::Claim,
};
use crate::{
    chain::{Chain, CheckedBlock, PowChecked, StorageError},
    consensus::header::is_too_early,
    mempool::Mempool,
    types::{Block, Hash, Header, Network, Operation},
};

/// How far an announced block has come.
#[derive(Debug)]
enum Stage {
    /// Its header's work is being checked.
    Work,
    /// Operations are missing: what is there, in the block's order.
    Parts { header: PowChecked, parts: Vec<Option<Arc<Operation>>>, known: Vec<bool> },
    /// All of it was asked for.
    Whole(PowChecked),
    /// It is being checked. Whether it was put together from parts, by short ids that may mislead.
    Checking(PowChecked, bool),
    /// The chain has it.
    Connecting,
}

/// An announced block in the works.
#[derive(Debug)]
struct Arrival {
    header: Header,
    short_ids: Vec<ShortId>,
    /// Who announced it; the first is the one who is asked.
    sources: Vec<Peer>,
    gossips: Vec<GossipId>,
    stage: Stage,
    since: u64,
    /// Its summed work.
    work: u128,
}

/// The announced blocks in the works.
#[derive(Debug, Default)]
pub(super) struct Arrivals(BTreeMap<Hash, Arrival>);

impl Arrivals {
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Sync {
    fn judge(&mut self, gossip: Option<GossipId>, verdict: Acceptance) {
        if let Some(gossip) = gossip {
            self.act(Action::ReportAcceptance { gossip, verdict });
        }
    }

    /// A block was announced; without a gossip number one that had been too early.
    pub(super) fn announced(
        &mut self,
        chain: &Chain,
        peer: Peer,
        gossip: Option<GossipId>,
        block: CompactBlock,
    ) -> Result<(), StorageError> {
        let id = block.header.id(self.config.network);
        if !self.peers.contains_key(&peer) {
            self.judge(gossip, Acceptance::Ignore);
            return Ok(());
        }
        if self.failed.has(&id) || chain.has_failed(&id) || chain.has_failed(&block.header.previous)
        {
            self.judge(gossip, Acceptance::Reject);
            self.offend(peer, Misbehavior::BrokenRule);
            return Ok(());
        }
        if let Some(arrival) = self.arrivals.0.get_mut(&id) {
            if arrival.sources.len() < ARRIVAL_SOURCES {
                arrival.sources.push(peer);
                arrival.gossips.extend(gossip);
            } else {
                self.judge(gossip, Acceptance::Ignore);
            }
            return Ok(());
        }
        if chain.has_block(&id)? || self.candidates.find_above(&id, block.header.height).is_some() {
            self.judge(gossip, Acceptance::Ignore);
            self.has_announced(chain, peer, id, &block.header)?;
            return Ok(());
        }
        let Some(parent) = chain.ancestry(&block.header.previous)? else {
            self.judge(gossip, Acceptance::Ignore);
            self.orphan_announced(peer, id, &block.header);
            return Ok(());
        };
        if parent.check(&block.header).is_err() {
            self.judge(gossip, Acceptance::Reject);
            self.offend(peer, Misbehavior::BrokenRule);
            return Ok(());
        }
        let work = parent.work().saturating_add(block.header.target.work());
        if is_too_early(&block.header, self.unix) {
            self.judge(gossip, Acceptance::Ignore);
            if self.early.len() < EARLY && work > chain.work() {
                self.early.push((peer, block));
            }
            return Ok(());
        }
        let may = self.peers.get_mut(&peer).is_some_and(|state| state.may_announce(self.now));
        // A block that does not even make its branch as good as ours is nothing that anybody needs
        // now.
        if !may || work < chain.work() || self.arrivals.0.len() >= ARRIVALS {
            self.judge(gossip, Acceptance::Ignore);
            if !may {
                self.offend(peer, Misbehavior::Flood);
            }
            return Ok(());
        }
        let header = block.header;
        let arrival = Arrival {
            header: header.clone(),
            short_ids: block.short_ids,
            sources: vec![peer],
            gossips: gossip.into_iter().collect(),
            stage: Stage::Work,
            since: self.now,
            work,
        };
        self.arrivals.0.insert(id, arrival);
        self.check(Job::Headers(vec![header]), Task::ArrivalWork(id));
        Ok(())
    }

    /// A peer has a block that is known here: that is where it stands.
    fn has_announced(
        &mut self,
        chain: &Chain,
        peer: Peer,
        id: Hash,
        header: &Header,
    ) -> Result<(), StorageError> {
        match chain.chain_work(&id)? {
            Some(work) => self.claims(peer, id, header.height, work),
            None => self.orphan_announced(peer, id, header),
        }
        Ok(())
    }

    /// A peer was seen to have a block: it claims at least that.
    fn claims(&mut self, peer: Peer, tip: Hash, height: u32, work: u128) {
        if let Some(state) = self.peers.get_mut(&peer)
            && state.claimed_work().is_some_and(|claimed| claimed < work)
        {
            state.claim = Some(Claim { tip, height, work: Some(work) });
        }
    }

    /// The work of an announced block's header was checked.
    pub(super) fn arrival_worked(&mut self, mempool: &Mempool, id: Hash, outcome: JobOutcome) {
        let worked = match outcome {
            JobOutcome::Headers(headers) => {
                headers.first().map(crate::chain::PowCheckedHeader::pow_checked)
            }
            _ => None,
        };
        let Some(worked) = worked else {
            // Without work it is nobody's block; there is no use in remembering it.
            let guilty = self.drop_arrival(&id, Acceptance::Reject);
            return guilty.into_iter().for_each(|peer| self.offend(peer, Misbehavior::BrokenRule));
        };
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        let parts = known_parts(self.config.network, mempool, &id, &arrival.short_ids);
        let (all, missing) = (parts.len(), parts.iter().filter(|part| part.is_none()).count());
        let known = parts.iter().map(Option::is_some).collect();
        arrival.stage = Stage::Parts { header: worked, parts, known };
        if missing == 0 {
            self.put_together(id);
        } else if missing * 2 > all {
            self.ask_for_arrival(id, true);
        } else {
            self.ask_for_arrival(id, false);
        }
    }

    /// Asks the first source for what is missing: the operations, or the whole block.
    fn ask_for_arrival(&mut self, id: Hash, whole: bool) {
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        let Some(peer) = arrival.sources.first().copied() else {
            self.drop_arrival(&id, Acceptance::Ignore);
            return;
        };
        let request = match &arrival.stage {
            Stage::Parts { parts, .. } if !whole => {
                let missing = (0u16..).zip(parts).filter(|(_, part)| part.is_none());
                Request::BlockOperations {
                    block: id,
                    indexes: missing.map(|(index, _)| index).collect(),
                }
            }
            Stage::Parts { header, .. } | Stage::Checking(header, _) | Stage::Whole(header) => {
                arrival.stage = Stage::Whole(*header);
                Request::Blocks { ids: vec![id] }
            }
            Stage::Work | Stage::Connecting => return,
        };
        let whole = matches!(request, Request::Blocks { .. });
        self.ask(peer, request, Asked::Arrival { block: id, whole });
    }

    /// The missing operations have come.
    pub(super) fn arrival_operations(&mut self, peer: Peer, id: Hash, operations: Vec<Operation>) {
        let network = self.config.network;
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        let Stage::Parts { parts, .. } = &mut arrival.stage else { return };
        let gaps = parts.iter_mut().zip(&arrival.short_ids).filter(|(part, _)| part.is_none());
        let mut coming = operations.into_iter();
        for (gap, short) in gaps {
            *gap = coming
                .next()
                .filter(|operation| ShortId::of(network, &id, &operation.id(network)) == *short)
                .map(Arc::new);
        }
        let fits = coming.next().is_none() && parts.iter().all(Option::is_some);
        if fits {
            return self.put_together(id);
        }
        // What it told is not what it gives. The whole block settles it.
        self.offend(peer, Misbehavior::Malformed);
        self.ask_for_arrival(id, true);
    }

    /// The whole block has come, or not.
    pub(super) fn arrival_body(&mut self, peer: Peer, id: Hash, body: Option<Vec<u8>>) {
        let Some(body) = body else { return self.arrival_failed(peer, id) };
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        let Stage::Whole(header) = arrival.stage else { return };
        arrival.stage = Stage::Checking(header, false);
        let height = arrival.header.height;
        self.check_block(height, id, None, || Job::Block { header, bytes: body });
    }

    fn put_together(&mut self, id: Hash) {
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        let Stage::Parts { header, parts, known } = &mut arrival.stage else { return };
        let (header, known) = (*header, std::mem::take(known));
        let operations = parts.iter().flatten().map(|operation| (**operation).clone()).collect();
        let block = Block { header: arrival.header.clone(), operations };
        arrival.stage = Stage::Checking(header, true);
        let height = arrival.header.height;
        self.check_block(height, id, None, || Job::Assembled { header, block, known });
    }

    /// An announced block is fine by itself.
    pub(super) fn arrival_checked(&mut self, id: Hash, block: Box<CheckedBlock>) {
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        // However it was found out: it may still have been waiting for parts.
        if !matches!(arrival.stage, Stage::Connecting) {
            arrival.stage = Stage::Connecting;
            self.act(Action::ConnectBlock { block, durable: true });
        }
    }

    /// What was checked was not the block that was announced. `ours`: it is what the announcement
    /// led to.
    pub(super) fn arrival_misled(&mut self, id: Hash, ours: bool) {
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        let Stage::Checking(_, from_parts) = arrival.stage else { return };
        // Two operations may share a short id: only the whole block tells.
        if ours && !from_parts && !arrival.sources.is_empty() {
            let peer = arrival.sources.remove(0);
            self.offend(peer, Misbehavior::BrokenRule);
        }
        self.ask_for_arrival(id, true);
    }

    /// Who was asked does not give what is missing: the next one is asked.
    pub(super) fn arrival_failed(&mut self, peer: Peer, id: Hash) {
        let Some(arrival) = self.arrivals.0.get_mut(&id) else { return };
        arrival.sources.retain(|source| *source != peer);
        // Later, its headers will show whether there is such a chain.
        if let Some(state) = self.peers.get_mut(&peer) {
            state.orphaned = true;
        }
        self.ask_for_arrival(id, true);
    }

    /// A block was taken: if it was announced, it may go further.
    pub(super) fn arrival_connected(
        &mut self,
        chain: &Chain,
        id: Hash,
    ) -> Result<(), StorageError> {
        if !self.arrivals.0.contains_key(&id) {
            return Ok(());
        }
        // A block beside our chain has not been checked against its state, and is nobody's tip.
        let verdict = if chain.best_chain_height(&id)?.is_some() {
            Acceptance::Accept
        } else {
            Acceptance::Ignore
        };
        let claim = self.arrivals.0.get(&id).map(|arrival| (arrival.header.height, arrival.work));
        let sources = self.drop_arrival(&id, verdict);
        // Blocks of our own chain may come as fast as they are made.
        if verdict == Acceptance::Accept
            && let Some(state) = sources.first().and_then(|first| self.peers.get_mut(first))
        {
            state.announced_well();
        }
        for peer in sources {
            if let Some((height, work)) = claim {
                self.claims(peer, id, height, work);
            }
        }
        self.look_for_target = true;
        Ok(())
    }

    /// Drops an announced block with a verdict. Gives those who announced it.
    pub(super) fn drop_arrival(&mut self, id: &Hash, verdict: Acceptance) -> Vec<Peer> {
        let Some(arrival) = self.arrivals.0.remove(id) else { return Vec::new() };
        for gossip in arrival.gossips {
            self.judge(Some(gossip), verdict);
        }
        arrival.sources
    }

    /// Drops an announced block that breaks a rule, and those that follow it. Gives those who
    /// announced them.
    pub(super) fn fail_arrival(&mut self, id: Hash) -> Vec<Peer> {
        let after = |(other, arrival): (&Hash, &Arrival)| {
            (*other == id || arrival.header.previous == id).then_some(*other)
        };
        let failed: Vec<Hash> = self.arrivals.0.iter().filter_map(after).collect();
        failed.iter().flat_map(|id| self.drop_arrival(id, Acceptance::Reject)).collect()
    }

    /// A peer is gone that was asked for what is missing of an announced block.
    pub(super) fn arrival_source_lost(&mut self, peer: Peer, id: Hash) {
        if let Some(arrival) = self.arrivals.0.get_mut(&id) {
            arrival.sources.retain(|source| *source != peer);
            self.ask_for_arrival(id, true);
        }
    }

    /// Gives up on announced blocks that nobody completes.
    pub(super) fn give_up_arrivals(&mut self) {
        let now = self.now;
        let old = |arrival: &Arrival| {
            now >= arrival.since + 2 * REQUEST_DEADLINE_MS
                && matches!(arrival.stage, Stage::Parts { .. } | Stage::Whole(_))
        };
        let late: Vec<Hash> =
            self.arrivals.0.iter().filter(|(_, arrival)| old(arrival)).map(|(id, _)| *id).collect();
        for id in late {
            for peer in self.drop_arrival(&id, Acceptance::Ignore) {
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.orphaned = true;
                }
            }
        }
    }

    /// Looks once more at blocks whose time has come.
    pub(super) fn take_early(&mut self, chain: &Chain) -> Result<(), StorageError> {
        let unix = self.unix;
        let due: Vec<(Peer, CompactBlock)> =
            self.early.extract_if(.., |(_, block)| !is_too_early(&block.header, unix)).collect();
        for (peer, block) in due {
            self.announced(chain, peer, None, block)?;
        }
        Ok(())
    }
}

/// The operations of a block that wait here, by their short ids; one that two share counts as
/// missing.
fn known_parts(
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

//! Announced blocks: put together from the mempool, checked, connected, and only then forwarded.
//!
//! ```text
//! announced --parent is ours, cheap checks--> pow --job--> fetching --nothing missing--> checking --> connecting
//!   |                                                        |   ^                          |           |
//!   | parent unknown: ask for headers      what is missing   v   | operations, or the block |           | tip: forward the
//!   | too early: again when it is time     up to three announcers at a time, the           v           | canonical form
//!   v less work than ours: ignore          next one after 1.5 s                    rule broken: ban     v branch: ignore
//! ```
//!
//! A header has many encodings as a compact block, of which one has the short ids of the block's
//! operations. That one alone is forwarded: whoever forwards another one is the one who made it.

mod pending;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    action::{Acceptance, Action, Job},
    context::Context,
    event::{GossipId, JobOutcome, Misbehavior, Peer},
    headers::HeaderSync,
    jobs::JobPurpose,
    limits::{
        ANNOUNCED_BURST, ANNOUNCED_PER_SECOND, EARLY_BLOCKS, EARLY_PER_PEER, NEXT_SOURCE_MS,
        PENDING_BLOCKS, REQUEST_DEADLINE_MS,
    },
    message::{CompactBlock, Request, ShortId},
    peers::{AdvertisedTip, bucket_time},
    requests::RequestKind,
};
use crate::{
    chain::{CheckedBlock, PowCheckedHeader, StorageError},
    consensus::{difficulty::header_work, header::is_too_early},
    token_bucket::TokenBucket,
    types::{Block, HEADER_BYTES, Hash, Header, MAX_BLOCK_BYTES, Operation},
};
use pending::{Download, Form, PendingBlock, PendingBlocks, Source, Stage, find_operations};

/// The announced blocks that are not connected yet.
#[derive(Debug, Default)]
pub(super) struct BlockRelay {
    /// How many blocks each peer may still announce.
    buckets: BTreeMap<Peer, TokenBucket>,
    pending: PendingBlocks,
    /// Blocks whose time has not come.
    early: Vec<(Peer, CompactBlock)>,
}

impl BlockRelay {
    pub fn on_peer_connected(&mut self, peer: Peer, now: u64) {
        let bucket = TokenBucket::new(ANNOUNCED_BURST, ANNOUNCED_PER_SECOND, bucket_time(now));
        self.buckets.insert(peer, bucket);
    }

    /// A peer is gone: what it was asked for is asked of the next.
    pub fn on_peer_gone(&mut self, ctx: &mut Context<'_>, peer: Peer) {
        self.buckets.remove(&peer);
        self.early.retain(|(from, _)| *from != peer);
        let its = |pending: &PendingBlock| pending.announcements.iter().any(|it| it.peer == peer);
        let ids: Vec<Hash> =
            self.pending.iter().filter(|(_, pending)| its(pending)).map(|(id, _)| *id).collect();
        for id in ids {
            self.give_up_source(ctx, id, peer);
        }
    }

    /// A block was announced; without a gossip id one that had been too early.
    pub fn on_announcement(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &mut HeaderSync,
        peer: Peer,
        gossip: Option<GossipId>,
        block: CompactBlock,
    ) -> Result<(), StorageError> {
        let id = block.header.id(ctx.network);
        let Some(outbound) = ctx.peers.get(peer).map(|state| state.is_outbound()) else {
            ctx.report(gossip, Acceptance::Ignore);
            return Ok(());
        };
        let failed = |id| ctx.failed_blocks.contains(id) || ctx.chain.has_failed(id);
        if failed(&id) || ctx.chain.has_failed(&block.header.previous) {
            ctx.report(gossip, Acceptance::Reject);
            ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
            return Ok(());
        }
        if let Some(pending) = self.pending.get_mut(&id) {
            if !pending.add_announcement(peer, outbound, gossip, block.short_ids) {
                ctx.report(gossip, Acceptance::Ignore);
            }
            return Ok(());
        }
        if ctx.chain.has_block(&id)? || headers.contains(&id, block.header.height) {
            // The canonical form went out when it was connected.
            ctx.report(gossip, Acceptance::Ignore);
            return on_known_block(ctx, headers, peer, id, &block.header);
        }
        let Some(parent) = ctx.chain.ancestry(&block.header.previous)? else {
            ctx.report(gossip, Acceptance::Ignore);
            headers.on_orphan(ctx, peer, id, &block.header);
            return Ok(());
        };
        if parent.check(&block.header).is_err() {
            ctx.report(gossip, Acceptance::Reject);
            ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
            return Ok(());
        }
        let work = parent.work().saturating_add(header_work(ctx.network.params(), &block.header));
        if is_too_early(&block.header, ctx.unix) {
            ctx.report(gossip, Acceptance::Ignore);
            if work > ctx.chain.work() {
                self.keep_early(peer, block);
            }
            return Ok(());
        }
        let now = bucket_time(ctx.now);
        let may = self.buckets.get_mut(&peer).is_some_and(|bucket| bucket.take(1, now));
        // A block that does not even make its branch as good as ours is nothing that anybody needs
        // now.
        if !may || work < ctx.chain.work() || self.pending.len() >= PENDING_BLOCKS {
            ctx.report(gossip, Acceptance::Ignore);
            if !may {
                ctx.record_misbehavior(peer, Misbehavior::Flood);
            }
            return Ok(());
        }
        let mut pending = PendingBlock::new(block.header.clone(), work, ctx.now);
        pending.add_announcement(peer, outbound, gossip, block.short_ids);
        self.pending.insert(id, pending);
        ctx.run_job(Job::Headers(vec![block.header]), JobPurpose::AnnouncedHeader(id));
        Ok(())
    }

    fn keep_early(&mut self, peer: Peer, block: CompactBlock) {
        let its = self.early.iter().filter(|(from, _)| *from == peer).count();
        if self.early.len() < EARLY_BLOCKS && its < EARLY_PER_PEER {
            self.early.push((peer, block));
        }
    }

    /// The proof of work of an announced block's header was checked.
    pub fn on_pow_checked(&mut self, ctx: &mut Context<'_>, id: Hash, outcome: JobOutcome) {
        let header = match outcome {
            JobOutcome::Headers(headers) => headers.first().map(PowCheckedHeader::pow_checked),
            JobOutcome::UpgradeNeeded(branch) => {
                ctx.record_later_branch(branch);
                self.drop_block(ctx, &id, Acceptance::Ignore);
                return;
            }
            _ => None,
        };
        let Some(header) = header else {
            // Without proof of work it is nobody's block; there is no use in remembering it.
            let guilty = self.drop_block(ctx, &id, Acceptance::Reject);
            return guilty
                .into_iter()
                .for_each(|peer| ctx.record_misbehavior(peer, Misbehavior::BrokenRule));
        };
        if let Some(pending) = self.pending.get_mut(&id) {
            pending.stage = Stage::Fetching(header);
            self.fetch_next(ctx, id);
        }
    }

    /// Asks the next announcer for what is missing by its own short ids; gives up on the block if
    /// nobody is left.
    fn fetch_next(&mut self, ctx: &mut Context<'_>, id: Hash) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if !matches!(pending.stage, Stage::Fetching(_)) {
            return;
        }
        let Some(peer) = pending.next_source(ctx.now) else {
            if pending.is_hopeless() {
                self.drop_block(ctx, &id, Acceptance::Ignore);
            }
            return;
        };
        let Some(announcement) = pending.announcement_of(peer) else { return };
        announcement.asked = true;
        let parts = find_operations(ctx.network, ctx.mempool, &id, &announcement.short_ids);
        let missing: Vec<u16> =
            (0u16..).zip(&parts).filter(|(_, part)| part.is_none()).map(|(at, _)| at).collect();
        let known = parts.iter().map(Option::is_some).collect();
        if missing.is_empty() {
            let parts = parts.into_iter().flatten().collect();
            return self.check_assembled(ctx, id, peer, parts, known);
        }
        if missing.len() * 2 > parts.len() {
            return self.fetch_whole(ctx, id, peer);
        }
        let form = Form::Operations { parts, known };
        pending.downloads.push(Download { peer, sent_at: ctx.now, form });
        let kind = RequestKind::PendingBlock { block: id, whole: false };
        ctx.send_request(peer, Request::BlockOperations { block: id, indexes: missing }, kind);
    }

    fn fetch_whole(&mut self, ctx: &mut Context<'_>, id: Hash, peer: Peer) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        if !ctx.peers.contains(peer) {
            return self.fetch_next(ctx, id);
        }
        pending.downloads.push(Download { peer, sent_at: ctx.now, form: Form::Whole });
        let kind = RequestKind::PendingBlock { block: id, whole: true };
        ctx.send_request(peer, Request::Blocks { ids: vec![id] }, kind);
    }

    /// Missing operations have come.
    pub fn on_operations(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        id: Hash,
        operations: Vec<Operation>,
    ) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let Some(download) = pending.take_download(peer) else { return };
        let Form::Operations { mut parts, known } = download.form else { return };
        if !matches!(pending.stage, Stage::Fetching(_)) {
            return;
        }
        let Some(announcement) = pending.announcement_of(peer) else { return };
        let gaps =
            parts.iter_mut().zip(announcement.short_ids.iter()).filter(|(part, _)| part.is_none());
        let mut coming = operations.into_iter();
        for (gap, short_id) in gaps {
            *gap = coming
                .next()
                .filter(|it| ShortId::of(ctx.network, &id, &it.id(ctx.network)) == *short_id)
                .map(Into::into);
        }
        if coming.next().is_none() && parts.iter().all(Option::is_some) {
            let parts = parts.into_iter().flatten().collect();
            return self.check_assembled(ctx, id, peer, parts, known);
        }
        // What it announced is not what it gives. The whole block settles it.
        ctx.record_misbehavior(peer, Misbehavior::Malformed);
        self.fetch_whole(ctx, id, peer);
    }

    fn check_assembled(
        &mut self,
        ctx: &mut Context<'_>,
        id: Hash,
        peer: Peer,
        parts: Vec<Arc<Operation>>,
        known: Vec<bool>,
    ) {
        let bytes: usize = parts.iter().map(|part| part.byte_len()).sum();
        if HEADER_BYTES + 4 + bytes > MAX_BLOCK_BYTES {
            // No block is that large: the short ids mislead, and nothing of it is put together.
            return self.fetch_whole(ctx, id, peer);
        }
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let Stage::Fetching(header) = pending.stage else { return };
        let operations = parts.into_iter().map(Arc::unwrap_or_clone).collect();
        let block = Block { header: pending.header.clone(), operations };
        pending.stage = Stage::Checking { header, source: Source::ShortIds(peer) };
        let height = pending.header.height;
        ctx.check_block(height, id, None, || Job::Assembled { header, block, known });
    }

    /// The whole block has come.
    pub fn on_body(&mut self, ctx: &mut Context<'_>, peer: Peer, id: Hash, bytes: Vec<u8>) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        pending.take_download(peer);
        let Stage::Fetching(header) = pending.stage else { return };
        pending.stage = Stage::Checking { header, source: Source::Whole(peer) };
        let height = pending.header.height;
        ctx.check_block(height, id, None, || Job::Block { header, bytes });
    }

    /// An announced block was found valid but for the state, whoever gave it.
    pub fn on_block_checked(&mut self, ctx: &mut Context<'_>, id: &Hash, block: Box<CheckedBlock>) {
        let Some(pending) = self.pending.get_mut(id) else { return };
        if !matches!(pending.stage, Stage::Connecting) {
            pending.stage = Stage::Connecting;
            pending.downloads.clear();
            pending.canonical = Some(CompactBlock::of(ctx.network, block.block()));
            ctx.act(Action::ConnectBlock { block, durable: true });
        }
    }

    /// What was checked is not the block. `announced`: it was what an announcement led to, rather
    /// than what the download brought.
    pub fn on_wrong_body(&mut self, ctx: &mut Context<'_>, id: Hash, announced: bool) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        let Stage::Checking { header, source } = pending.stage else { return };
        pending.stage = Stage::Fetching(header);
        match source {
            Source::Whole(peer) if announced => {
                ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
                self.fetch_next(ctx, id);
            }
            // Two operations may share a short id, or the short ids mislead: the whole block
            // tells, and whoever passes such short ids on is not charged for it.
            Source::ShortIds(peer) | Source::Whole(peer) => self.fetch_whole(ctx, id, peer),
        }
    }

    /// A peer does not give what is missing.
    pub fn on_request_failed(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &mut HeaderSync,
        peer: Peer,
        id: Hash,
    ) {
        // Its headers will show whether there is such a chain.
        headers.doubt_announcement(peer);
        self.give_up_source(ctx, id, peer);
    }

    fn give_up_source(&mut self, ctx: &mut Context<'_>, id: Hash, peer: Peer) {
        let Some(pending) = self.pending.get_mut(&id) else { return };
        pending.take_download(peer);
        if let Some(announcement) = pending.announcement_of(peer) {
            announcement.failed = true;
        }
        self.fetch_next(ctx, id);
    }

    /// A block was taken: if it was announced, its canonical form may go further.
    pub fn on_block_connected(
        &mut self,
        ctx: &mut Context<'_>,
        id: &Hash,
    ) -> Result<(), StorageError> {
        if !self.pending.contains_key(id) {
            return Ok(());
        }
        // A block on a branch has not been checked against its state, and is nobody's tip.
        let best = ctx.chain.best_chain_height(id)?.is_some();
        let Some(pending) = self.pending.remove(id) else { return Ok(()) };
        let canonical = match pending.canonical {
            Some(canonical) => canonical,
            None => CompactBlock::of(ctx.network, &ctx.chain.read_block(id)?),
        };
        let mut forwarded = false;
        for announcement in &pending.announcements {
            let sound = announcement.short_ids[..] == canonical.short_ids[..];
            let acceptance = match best {
                true if sound => Acceptance::Accept,
                true => Acceptance::Reject,
                false => Acceptance::Ignore,
            };
            forwarded |= acceptance == Acceptance::Accept && announcement.gossip.is_some();
            ctx.report(announcement.gossip, acceptance);
        }
        if best && !forwarded {
            ctx.act(Action::BroadcastBlock(canonical));
        }
        // Blocks of our own chain may come as fast as they are made.
        let first = pending.announcements.first().map(|announcement| announcement.peer);
        if best && let Some(bucket) = first.and_then(|peer| self.buckets.get_mut(&peer)) {
            bucket.give_back(1);
        }
        let tip = AdvertisedTip { id: *id, height: pending.header.height, work: pending.work };
        for announcement in pending.announcements.iter().filter(|it| !it.failed) {
            if let Some(state) = ctx.peers.get_mut(announcement.peer) {
                state.raise_advertised_tip(tip);
            }
        }
        ctx.wakeups.target = true;
        Ok(())
    }

    /// The chain can't take a block now.
    pub fn on_block_deferred(&mut self, ctx: &mut Context<'_>, id: &Hash) {
        self.drop_block(ctx, id, Acceptance::Ignore);
    }

    /// Drops an announced block that breaks a rule, and those that follow it. Gives those who
    /// announced them.
    pub fn on_block_failed(&mut self, ctx: &mut Context<'_>, id: Hash) -> Vec<Peer> {
        let after = |(other, pending): (&Hash, &PendingBlock)| {
            (*other == id || pending.header.previous == id).then_some(*other)
        };
        let failed: Vec<Hash> = self.pending.iter().filter_map(after).collect();
        failed.iter().flat_map(|id| self.drop_block(ctx, id, Acceptance::Reject)).collect()
    }

    /// Drops an announced block. Gives those who announced it.
    fn drop_block(
        &mut self,
        ctx: &mut Context<'_>,
        id: &Hash,
        acceptance: Acceptance,
    ) -> Vec<Peer> {
        let Some(pending) = self.pending.remove(id) else { return Vec::new() };
        for announcement in &pending.announcements {
            ctx.report(announcement.gossip, acceptance);
        }
        pending.announcements.into_iter().filter(|it| !it.failed).map(|it| it.peer).collect()
    }

    /// Asks the next announcers where those who were asked are slow, gives up on blocks that nobody
    /// completes, and looks again at those whose time has come.
    pub fn on_tick(
        &mut self,
        ctx: &mut Context<'_>,
        headers: &mut HeaderSync,
    ) -> Result<(), StorageError> {
        let fetching: Vec<(Hash, bool, bool)> = self
            .pending
            .iter()
            .filter(|(_, pending)| matches!(pending.stage, Stage::Fetching(_)))
            .map(|(id, pending)| {
                let slow = ctx.now >= pending.last_request_at() + NEXT_SOURCE_MS;
                (*id, slow, ctx.now >= pending.since + 2 * REQUEST_DEADLINE_MS)
            })
            .collect();
        for (id, slow, hopeless) in fetching {
            if hopeless {
                for peer in self.drop_block(ctx, &id, Acceptance::Ignore) {
                    headers.doubt_announcement(peer);
                }
            } else if slow {
                self.fetch_next(ctx, id);
            }
        }
        let unix = ctx.unix;
        let due: Vec<(Peer, CompactBlock)> =
            self.early.extract_if(.., |(_, block)| !is_too_early(&block.header, unix)).collect();
        for (peer, block) in due {
            self.on_announcement(ctx, headers, peer, None, block)?;
        }
        Ok(())
    }

    /// How many blocks are held.
    pub fn len(&self) -> usize {
        self.pending.len() + self.early.len()
    }
}

/// A peer has a block that is known here: that is the least it has.
fn on_known_block(
    ctx: &mut Context<'_>,
    headers: &mut HeaderSync,
    peer: Peer,
    id: Hash,
    header: &Header,
) -> Result<(), StorageError> {
    match ctx.chain.chain_work(&id)? {
        Some(work) => {
            if let Some(state) = ctx.peers.get_mut(peer) {
                state.raise_advertised_tip(AdvertisedTip { id, height: header.height, work });
            }
        }
        None => headers.on_orphan(ctx, peer, id, header),
    }
    Ok(())
}

//! Which candidate's blocks to download, and which candidates to forget.

use super::super::{
    action::Action,
    context::Context,
    event::{Misbehavior, Peer},
    limits::{CANDIDATE_KEPT_MS, HEAR_OUT_MS},
};
use super::{Candidate, HeaderPeer, HeaderSync};
use crate::{
    chain::StorageError,
    params::{MAX_REORG_DEPTH, STATES_KEPT},
    types::Hash,
};

impl HeaderSync {
    /// Chooses the candidate of most checked work that sums more than our chain and whose blocks
    /// somebody is there to give, as `gives_blocks` tells.
    ///
    /// Nothing is chosen while a better one is still growing: what is connected meanwhile would
    /// have to be undone.
    pub fn choose_target(
        &mut self,
        ctx: &mut Context<'_>,
        gives_blocks: impl Fn(&Context<'_>, Peer, u32) -> bool,
    ) -> Result<(), StorageError> {
        let numbers: Vec<u64> = self.candidates.iter().map(|(number, _)| number).collect();
        let mut best: Option<(u128, u64)> = None;
        self.is_pruned_away = false;
        for number in numbers {
            if !self.is_usable(ctx, number)? {
                continue;
            }
            self.is_pruned_away |= self.has_only_pruned(ctx, number);
            if self.has_giver(ctx, number, &gives_blocks)
                && let Some(on) = self.candidates.get(number)
                && best.is_none_or(|(most, _)| on.work() > most)
            {
                best = Some((on.work(), number));
            }
        }
        self.target = best
            .filter(|(work, number)| !self.is_better_one_coming(ctx, *number, *work))
            .map(|(_, number)| number);
        Ok(())
    }

    /// Whether a candidate's blocks may be downloaded. One that is of no use any more is dropped.
    fn is_usable(&mut self, ctx: &mut Context<'_>, number: u64) -> Result<bool, StorageError> {
        let now = ctx.now;
        let Some(on) = self.candidates.get_mut(number) else { return Ok(false) };
        // The download or an announcement has brought its first blocks.
        while let Some(first) = on.first()
            && ctx.chain.has_block(&first.id())?
        {
            if ctx.chain.has_failed(&first.id()) {
                ctx.failed_blocks.insert(first.id());
                return Ok(false);
            }
            on.advance_base();
        }
        let poor = on.work() <= ctx.chain.work();
        let idle = on.unchecked_batches() == 0 && on.extender().is_none();
        if on.is_done() || on.complete && idle && poor {
            self.drop_candidate(ctx, number);
            return Ok(false);
        }
        // One that has not been shown to its end for long is worth what was checked of it.
        if poor || on.is_growing(now) {
            return Ok(false);
        }
        let Some(fork_height) = ctx.chain.fork_height_of(&on.base)? else {
            self.drop_candidate(ctx, number);
            return Ok(false);
        };
        let depth = ctx.chain.tip_header().height.saturating_sub(fork_height);
        if depth > MAX_REORG_DEPTH {
            let (tip, work) = (on.end().id(), on.work());
            if on.reported_parked.replace(tip) != Some(tip) {
                ctx.act(Action::ParkChain { tip, depth, work });
            }
            return Ok(false);
        }
        on.usable_since.get_or_insert(now);
        Ok(true)
    }

    fn has_giver(
        &self,
        ctx: &Context<'_>,
        number: u64,
        gives_blocks: impl Fn(&Context<'_>, Peer, u32) -> bool,
    ) -> bool {
        let Some(on) = self.candidates.get(number) else { return false };
        let height = on.base_height + 1;
        on.checked_at(height).is_some_and(|first| {
            self.peers.keys().any(|peer| {
                gives_blocks(ctx, *peer, height) && self.has_shown(*peer, &first.id(), height)
            })
        })
    }

    /// Whether everybody who has shown a candidate has pruned the blocks that we need next.
    fn has_only_pruned(&self, ctx: &Context<'_>, number: u64) -> bool {
        let Some(on) = self.candidates.get(number) else { return false };
        let height = on.base_height + 1;
        let keeps = |peer| ctx.peers.get(peer).is_some_and(|state| state.keeps(height));
        let mut shown = self.peers_on(number).into_iter().peekable();
        shown.peek().is_some() && !shown.any(keeps)
    }

    /// Whether a candidate with more checked work still grows. If much would be connected
    /// meanwhile, also, but not for long, whether headers that claim more are being checked, or a
    /// peer that advertises more has not been heard out: neither has shown any work.
    fn is_better_one_coming(&self, ctx: &Context<'_>, number: u64, work: u128) -> bool {
        let is_any_other = |is: &dyn Fn(&Candidate) -> bool| {
            let mut others = self.candidates.iter().filter(|(other, _)| *other != number);
            others.any(|(_, on)| on.no_peers_since.is_none() && is(on))
        };
        if is_any_other(&|on| on.work() > work && on.is_growing(ctx.now)) {
            return true;
        }
        let Some(on) = self.candidates.get(number) else { return false };
        let new_blocks = on.height().saturating_sub(ctx.chain.tip_header().height);
        let until = on.usable_since.unwrap_or(ctx.now) + HEAR_OUT_MS;
        let is_being_checked =
            |on: &Candidate| on.ahead().work() > work && on.unchecked_batches() > 0;
        new_blocks > STATES_KEPT / 2
            && ctx.now < until
            && (is_any_other(&is_being_checked) || self.is_more_advertised(ctx, work))
    }

    /// Whether a peer advertises more work than that and has not been heard out.
    fn is_more_advertised(&self, ctx: &Context<'_>, work: u128) -> bool {
        ctx.peers.iter().any(|(peer, state)| {
            let put_off = self.peers.get(&peer).is_some_and(|state| state.put_off);
            let waiting = self.is_asking(peer) || put_off || !state.is_backing_off(ctx.now);
            waiting
                && !self.is_exhausted(peer)
                && state.advertised_work().is_some_and(|advertised| advertised > work)
        })
    }

    /// The chain refused a block of the target: it is left alone for now.
    pub fn give_up_target(&mut self, ctx: &mut Context<'_>) {
        let Some(number) = self.target else { return };
        for peer in self.peers_on(number) {
            ctx.peers.back_off(peer, ctx.now);
            if let Some(state) = self.peers.get_mut(&peer) {
                state.exhausted = false;
            }
        }
        self.drop_candidate(ctx, number);
    }

    /// A peer has not the blocks whose headers it has shown.
    pub fn on_blocks_missing(&mut self, ctx: &mut Context<'_>, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.best_known, state.exhausted) = (None, false);
        }
        ctx.peers.back_off(peer, ctx.now);
        ctx.wakeups.target = true;
        ctx.record_misbehavior(peer, Misbehavior::Lied);
    }

    /// The chain has connected the target's first block.
    pub fn on_block_connected(&mut self, id: &Hash) {
        if let Some(on) = self.target.and_then(|number| self.candidates.get_mut(number))
            && on.first().is_some_and(|first| first.id() == *id)
        {
            on.advance_base();
        }
    }

    /// Drops the candidates with a block that breaks a rule. Gives the peers that showed it.
    pub fn on_block_failed(&mut self, ctx: &mut Context<'_>, id: Hash) -> Vec<Peer> {
        let failed: Vec<(u64, u32)> = self
            .candidates
            .iter()
            .filter_map(|(number, on)| Some((number, on.height_of(&id)?)))
            .collect();
        let mut guilty = Vec::new();
        for (number, height) in failed {
            let on_it =
                |state: &HeaderPeer| state.best_known.is_some_and(|best| best.candidate == number);
            let has_it = |state: &HeaderPeer| {
                state
                    .best_known
                    .is_some_and(|best| best.candidate == number && best.height >= height)
            };
            guilty.extend(
                self.peers.iter().filter(|(_, state)| has_it(state)).map(|(peer, _)| *peer),
            );
            for state in self.peers.values_mut().filter(|state| on_it(state)) {
                state.exhausted = false;
            }
            self.drop_candidate(ctx, number);
        }
        (ctx.wakeups.headers, ctx.wakeups.target) = (true, true);
        guilty
    }

    /// Forgets candidates that no peer has had for long.
    pub fn expire_candidates(&mut self, ctx: &mut Context<'_>) {
        let expired = |on: &Candidate| {
            on.no_peers_since.is_some_and(|since| ctx.now >= since + CANDIDATE_KEPT_MS)
        };
        let old: Vec<u64> = self
            .candidates
            .iter()
            .filter(|(_, on)| expired(on))
            .map(|(number, _)| number)
            .collect();
        for number in old {
            self.drop_candidate(ctx, number);
        }
    }
}

//! Which candidate's blocks to go for, and which candidates to forget.

use super::{
    Action, Peer,
    candidates::Candidate,
    limits::{CANDIDATE_KEPT_MS, HEAR_OUT_MS},
    machine::Sync,
    peers::{PeerState, Spot},
};
use crate::{
    chain::{Ancestry, Chain, StorageError},
    params::MAX_REORG_DEPTH,
    types::Hash,
};

impl Sync {
    /// Goes for the candidate of most work that sums more than our chain and that somebody is there
    /// to give.
    pub(super) fn choose_target(&mut self, chain: &Chain) -> Result<(), StorageError> {
        let numbers: Vec<u64> = self.candidates.iter().map(|(number, _)| number).collect();
        let mut best: Option<(u128, u64)> = None;
        for number in numbers {
            if let Some(work) = self.usable(chain, number)?
                && best.is_none_or(|(most, _)| work > most)
            {
                best = Some((work, number));
            }
        }
        let target = best.map(|(_, number)| number);
        if target != self.window.candidate() {
            self.window
                .retarget(target.and_then(|number| Some((number, self.candidates.get(number)?))));
        }
        Ok(())
    }

    /// The work of a candidate, if its blocks may be fetched. One that is of no use any more is
    /// dropped.
    fn usable(&mut self, chain: &Chain, number: u64) -> Result<Option<u128>, StorageError> {
        let target = self.window.candidate() == Some(number);
        let Some(on) = self.candidates.get_mut(number) else { return Ok(None) };
        // Another candidate or an announcement may have brought its first blocks. The target's own
        // way counts its blocks.
        while let Some(first) = on.first()
            && chain.has_block(&first.id())?
        {
            if chain.has_failed(&first.id()) {
                self.fail(first.id());
                return Ok(None);
            }
            on.taken();
            if target {
                self.window.skip(&first.id());
            }
        }
        if on.is_done()
            || on.complete
                && on.unworked() == 0
                && on.extender.is_none()
                && on.work() <= chain.work()
        {
            self.drop_candidate(number);
            return Ok(None);
        }
        if !on.complete || on.work() <= chain.work() {
            return Ok(None);
        }
        let Some(parts) = chain.fork_height_of(&on.base)? else {
            self.drop_candidate(number);
            return Ok(None);
        };
        let depth = chain.tip_header().height.saturating_sub(parts);
        if depth > MAX_REORG_DEPTH {
            let (tip, work) = (on.end().id(), on.work());
            if on.told.replace(tip) != Some(tip) {
                self.act(Action::ParkChain { tip, depth, work });
            }
            return Ok(None);
        }
        let (work, first, now) = (on.work(), on.base_height + 1, self.now);
        let far = on.height().saturating_sub(chain.tip_header().height) > MAX_REORG_DEPTH / 2;
        let since = *on.usable_since.get_or_insert(now);
        let next = on.worked_at(first);
        if far && now < since + HEAR_OUT_MS && self.somebody_claims_more(work) {
            return Ok(None);
        }
        let able = next.is_some_and(|id| {
            self.peers
                .values()
                .any(|state| state.gives_blocks(self.now) && self.has_shown(state, &id.id(), first))
        });
        Ok(able.then_some(work))
    }

    /// Whether a peer claims more work than that and has not been heard out.
    fn somebody_claims_more(&self, work: u128) -> bool {
        self.peers.values().any(|state| {
            let waiting = state.headers.is_some() || !state.is_quiet(self.now);
            waiting && !state.settled && state.claimed_work().is_some_and(|claim| claim > work)
        })
    }

    /// Whether a peer has shown that it has a block of a candidate.
    pub(super) fn has_shown(&self, state: &PeerState, id: &Hash, height: u32) -> bool {
        state.spot.filter(|spot| spot.height >= height).is_some_and(|spot| {
            self.candidates.get(spot.candidate).is_some_and(|on| on.find(id, height).is_some())
        })
    }

    pub(super) fn drop_candidate(&mut self, number: u64) {
        if self.candidates.remove(number).is_none() {
            return;
        }
        for state in self.peers.values_mut() {
            if state.spot.is_some_and(|spot| spot.candidate == number) {
                state.spot = None;
            }
        }
        if self.window.candidate() == Some(number) {
            self.window.retarget(None);
        }
        self.look_for_target = true;
    }

    /// Drops the candidates with a block that breaks a rule. Gives the peers that showed it.
    pub(super) fn fail_candidates(&mut self, id: Hash) -> Vec<Peer> {
        let with = |on: &Candidate| on.height_of(&id);
        let failed: Vec<(u64, u32)> =
            self.candidates.iter().filter_map(|(number, on)| Some((number, with(on)?))).collect();
        let mut guilty = Vec::new();
        for (number, height) in failed {
            let on_it = |spot: Spot| spot.candidate == number && spot.height >= height;
            guilty.extend(
                self.peers
                    .iter()
                    .filter(|(_, state)| state.spot.is_some_and(on_it))
                    .map(|(peer, _)| *peer),
            );
            for state in self.peers.values_mut() {
                state.settled &= state.spot.is_none_or(|spot| spot.candidate != number);
            }
            self.drop_candidate(number);
        }
        guilty
    }

    /// A peer is gone: others go on with what it did.
    pub(super) fn leave_candidates(&mut self, peer: Peer) {
        let peers = &self.peers;
        let now = self.now;
        for (number, on) in self.candidates.iter_mut() {
            if on.extender == Some(peer) {
                on.extender = None;
            }
            let has = |spot: Spot| spot.candidate == number;
            if on.lonely_since.is_none() && !peers.values().any(|state| state.spot.is_some_and(has))
            {
                on.lonely_since = Some(now);
            }
        }
    }

    pub(super) fn expire_candidates(&mut self) {
        let now = self.now;
        let expired =
            |on: &Candidate| on.lonely_since.is_some_and(|since| now >= since + CANDIDATE_KEPT_MS);
        let old: Vec<u64> = self
            .candidates
            .iter()
            .filter(|(_, on)| expired(on))
            .map(|(number, _)| number)
            .collect();
        for number in old {
            self.drop_candidate(number);
        }
    }

    /// The end of the best chain of headers that was checked, if it sums more than ours: its tip,
    /// height and work.
    pub(super) fn best_headers(&self) -> Option<&Ancestry> {
        self.candidates.iter().map(|(_, on)| on.end()).max_by_key(|end| end.work())
    }
}

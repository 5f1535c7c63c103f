//! Headers first: whom to ask for headers, what to make of the answers, and which chain of headers
//! is worth downloading.
//!
//! A peer:
//!
//! ```text
//! greeted --advertises more work, of a tip that we do not know--> asked for headers --.
//!  ^  ^                                                             |                 |
//!  |  '---- they end, and sum no more than ours -------------------'    they go on, --'
//!  |                                                                |     2,000 an answer
//!  '-- our chain has them all -- on a candidate <-------------------'
//!         its blocks may be downloaded     they sum more
//! ```
//!
//! A candidate, which peers on the same chain share:
//!
//! ```text
//! headers shown --height, time, target, history fit--> unchecked --jobs--> checked --the last--> complete
//!   |                                                    |                                        |
//!   | a rule broken                                      | no proof of work                       | more work than ours?
//!   v                                                    v                                        |
//!  sender banned                        cut back to what is checked, sender banned                |
//!                                                                                                 |
//!  dropped <-- no more work than ours, a block breaks a rule, no peer has it for ten minutes -----+
//!  parked  <-- forks more than 21,600 blocks below our tip ---------------------------------------+
//!  target  <-- the most checked work of all, and a peer is there to give its blocks --------------'
//! ```

mod answers;
mod candidates;
mod target;
mod walk;
mod walk_state;

use std::collections::BTreeMap;

pub(super) use candidates::Candidate;

use super::{
    context::Context,
    event::{Misbehavior, Peer, RequestId},
    limits::{CANDIDATES, HEADERS_SLOW_MS, MAX_SEARCHES, ORPHAN_EVERY_MS},
    message::{MAX_HEADERS, MAX_LOCATOR, Request},
    rate::Rate,
    requests::{HeaderRequest, InFlightRequest, RequestKind},
};
use crate::{
    chain::{Ancestry, StorageError},
    types::{Hash, Header},
};
use candidates::Candidates;
use walk_state::WalkState;

/// The best header that a peer has shown: it is on this candidate, at this height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BestKnown {
    candidate: u64,
    height: u32,
}

/// What is known of a peer's headers.
#[derive(Debug, Default)]
struct HeaderPeer {
    best_known: Option<BestKnown>,
    /// Nothing more is to be found out about the tip that it advertises.
    exhausted: bool,
    /// It announced a block whose parent we do not have: it is asked for headers whatever it
    /// advertises.
    orphaned: bool,
    last_orphan: Option<u64>,
    /// Its request in flight.
    request: Option<RequestId>,
    /// It has shown headers that are too far ahead of our clock.
    too_early: bool,
    /// What it showed could not be placed, which was not its fault: it is going to be asked again.
    put_off: bool,
    walk: WalkState,
}

/// What is to be done about the tip that a peer advertises.
enum Interest {
    Nothing,
    /// It is on a candidate.
    Join(u64),
    /// What it advertises is not so.
    Lied,
    /// Its chain has a block that breaks a rule.
    Failed,
    Ask,
}

/// The chains of headers that peers have shown, and who is asked for more of them.
#[derive(Debug, Default)]
pub(super) struct HeaderSync {
    peers: BTreeMap<Peer, HeaderPeer>,
    candidates: Candidates,
    /// The candidate whose blocks are downloaded.
    target: Option<u64>,
    /// Whether everybody who has shown a chain that we want has pruned the blocks that come next.
    is_pruned_away: bool,
    /// Samples of chains that are walked along and being checked.
    samples: usize,
    rate: Rate,
}

impl HeaderSync {
    pub fn on_peer_connected(&mut self, peer: Peer) {
        self.peers.insert(peer, HeaderPeer::default());
    }

    /// A peer is gone: others go on with what it did.
    pub fn on_peer_gone(&mut self, ctx: &mut Context<'_>, peer: Peer) {
        self.peers.remove(&peer);
        for (number, on) in self.candidates.iter_mut() {
            on.release_extender(peer);
            let has =
                |state: &HeaderPeer| state.best_known.is_some_and(|best| best.candidate == number);
            if on.no_peers_since.is_none() && !self.peers.values().any(has) {
                on.no_peers_since = Some(ctx.now);
            }
        }
        (ctx.wakeups.headers, ctx.wakeups.target) = (true, true);
    }

    /// Whether everybody who has shown a chain that we want has pruned the blocks that come next.
    pub fn is_pruned_away(&self) -> bool {
        self.is_pruned_away
    }

    /// A peer has said what it has.
    pub fn on_hello(&mut self, ctx: &mut Context<'_>, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.exhausted, state.too_early) = (false, false);
            ctx.wakeups.headers = true;
        }
    }

    /// A peer announced a block whose parent we do not have: it has a chain that we do not know.
    pub fn on_orphan(&mut self, ctx: &mut Context<'_>, peer: Peer, id: Hash, header: &Header) {
        if let Some((candidate, _)) = self.candidates.find_above(&id, header.height) {
            self.set_best_known(peer, candidate, header.height);
            ctx.wakeups.target = true;
        } else if let Some(state) = self.peers.get_mut(&peer)
            && state.last_orphan.is_none_or(|last| ctx.now >= last + ORPHAN_EVERY_MS)
        {
            (state.orphaned, state.last_orphan) = (true, Some(ctx.now));
            ctx.wakeups.headers = true;
        }
    }

    /// A peer announced a block and did not give it: its headers will show whether it has it.
    pub fn doubt_announcement(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.orphaned = true;
        }
    }

    /// Asks whoever is worth asking for headers.
    pub fn request_headers(&mut self, ctx: &mut Context<'_>) -> Result<(), StorageError> {
        // A search that takes its time keeps nobody else from being asked.
        let young = |request: &&InFlightRequest| {
            is_search(&request.kind) && ctx.now < request.sent_at + HEADERS_SLOW_MS
        };
        let mut searches = ctx.requests.iter().filter(young).count();
        let mut ours = None;
        let (dialled, others): (Vec<_>, Vec<_>) = ctx
            .peers
            .iter()
            .map(|(peer, state)| (peer, state.is_outbound()))
            .partition(|(_, outbound)| *outbound);
        for (peer, _) in dialled.into_iter().chain(others) {
            match self.interest(ctx, peer)? {
                Interest::Nothing => {}
                Interest::Join(candidate) => self.join_candidate(ctx, peer, candidate),
                Interest::Lied => {
                    self.set_exhausted(peer);
                    ctx.record_misbehavior(peer, Misbehavior::Lied);
                }
                Interest::Failed => ctx.record_misbehavior(peer, Misbehavior::BrokenRule),
                Interest::Ask => {
                    let best = self.peers.get(&peer).and_then(|state| state.best_known);
                    let on = best.and_then(|best| {
                        Some((best.candidate, self.candidates.get(best.candidate)?))
                    });
                    let candidate = match on {
                        // Somebody is at it, or what was shown last is being checked.
                        Some((_, on))
                            if on.is_being_extended(ctx.now) || on.unchecked_batches() > 0 =>
                        {
                            continue;
                        }
                        Some((number, _)) => Some(number),
                        None if searches >= MAX_SEARCHES => continue,
                        None => None,
                    };
                    searches += usize::from(candidate.is_none());
                    if ours.is_none() {
                        ours = Some(ctx.chain.locator()?);
                    }
                    self.request_from(ctx, peer, candidate, ours.as_deref().unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    fn interest(&self, ctx: &Context<'_>, peer: Peer) -> Result<Interest, StorageError> {
        let (Some(shared), Some(state)) = (ctx.peers.get(peer), self.peers.get(&peer)) else {
            return Ok(Interest::Nothing);
        };
        let Some(tip) = shared
            .advertised_tip()
            .filter(|_| state.request.is_none() && !shared.is_backing_off(ctx.now))
            .filter(|_| state.walk.next.is_none())
        else {
            return Ok(Interest::Nothing);
        };
        if state.orphaned {
            return Ok(Interest::Ask);
        }
        if tip.work <= ctx.chain.work() {
            return Ok(Interest::Nothing);
        }
        if let Some(best) = state.best_known
            && let Some(on) = self.candidates.get(best.candidate)
            && on.find(&tip.id, tip.height).is_some()
        {
            let shown = best.height >= tip.height;
            return Ok(if shown { Interest::Nothing } else { Interest::Join(best.candidate) });
        }
        if let Some((candidate, _)) = self.candidates.find_above(&tip.id, tip.height) {
            return Ok(Interest::Join(candidate));
        }
        if state.exhausted {
            return Ok(Interest::Nothing);
        }
        if ctx.chain.has_block(&tip.id)? {
            return Ok(match ctx.chain.chain_work(&tip.id)? {
                None => Interest::Failed,
                Some(shown) if shown < tip.work => Interest::Lied,
                Some(_) => Interest::Nothing,
            });
        }
        Ok(Interest::Ask)
    }

    /// A peer has a candidate's blocks up to the tip that it advertises.
    fn join_candidate(&mut self, ctx: &mut Context<'_>, peer: Peer, candidate: u64) {
        let tip = ctx.peers.get(peer).and_then(|state| state.advertised_tip());
        self.set_best_known(peer, candidate, tip.map_or(0, |tip| tip.height));
        ctx.wakeups.target = true;
    }

    fn set_best_known(&mut self, peer: Peer, candidate: u64, height: u32) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.best_known = Some(BestKnown { candidate, height });
            if let Some(on) = self.candidates.get_mut(candidate) {
                on.no_peers_since = None;
            }
        }
    }

    fn set_exhausted(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.exhausted, state.orphaned) = (true, false);
        }
    }

    fn request_from(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        candidate: Option<u64>,
        ours: &[Hash],
    ) {
        let best = candidate.or_else(|| self.most_work());
        let (mut locator, max_work) = match best.and_then(|number| self.candidates.get(number)) {
            Some(on) => (on.locator(), on.ahead().work().max(ctx.chain.work())),
            None => (Vec::new(), ctx.chain.work()),
        };
        // The end of ours comes first if it is the better one: who is on neither shows where it
        // forks from either.
        locator.extend(ours.iter().take(MAX_LOCATOR - locator.len()));
        let request = HeaderRequest {
            locator,
            advertised: None,
            max_work,
            candidate,
            above: 0,
            full: false,
            from: None,
            walk: None,
        };
        self.send(ctx, peer, request);
    }

    fn send(&mut self, ctx: &mut Context<'_>, peer: Peer, mut request: HeaderRequest) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let Some(shared) = ctx.peers.get(peer) else { return };
        (state.orphaned, state.put_off) = (false, false);
        request.advertised = shared.advertised_work();
        if let Some(on) = request.candidate.and_then(|number| self.candidates.get_mut(number)) {
            on.set_extender(Some(peer), ctx.now);
        }
        let locator = request.locator.clone();
        let id =
            ctx.send_request(peer, Request::Headers { locator }, RequestKind::Headers(request));
        state.request = Some(id);
    }

    /// The candidate of most work, checked or not.
    fn most_work(&self) -> Option<u64> {
        self.candidates
            .iter()
            .max_by_key(|(number, on)| (on.work(), u64::MAX - number))
            .map(|(number, _)| number)
    }

    /// A request is over, however that came.
    pub fn on_request_over(&mut self, ctx: &mut Context<'_>, peer: Peer, request: &HeaderRequest) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.request = None;
        }
        if let Some(on) = request.candidate.and_then(|number| self.candidates.get_mut(number)) {
            on.release_extender(peer);
        }
        ctx.wakeups.headers = true;
    }

    /// Adds a candidate; if there are too many, the one of least work makes room, unless that is
    /// the target.
    fn add_candidate(&mut self, ctx: &mut Context<'_>, candidate: Candidate) -> Option<u64> {
        while self.candidates.len() >= CANDIDATES
            || self.candidates.is_full(candidate.len() + MAX_HEADERS)
        {
            self.drop_least_work(ctx)?;
        }
        Some(self.candidates.add(candidate))
    }

    fn drop_least_work(&mut self, ctx: &mut Context<'_>) -> Option<()> {
        let others = self.candidates.iter().filter(|(number, _)| Some(*number) != self.target);
        let (least, _) = others.min_by_key(|(_, on)| (on.no_peers_since.is_none(), on.work()))?;
        for peer in self.peers_on(least) {
            ctx.peers.back_off(peer, ctx.now);
        }
        self.drop_candidate(ctx, least);
        Some(())
    }

    /// The peers whose best known header is on a candidate.
    fn peers_on(&self, number: u64) -> Vec<Peer> {
        let on = |state: &HeaderPeer| state.best_known.is_some_and(|best| best.candidate == number);
        self.peers.iter().filter(|(_, state)| on(state)).map(|(peer, _)| *peer).collect()
    }

    fn drop_candidate(&mut self, ctx: &mut Context<'_>, number: u64) {
        if self.candidates.remove(number).is_none() {
            return;
        }
        for state in self.peers.values_mut() {
            state.best_known = state.best_known.filter(|best| best.candidate != number);
        }
        self.target = self.target.filter(|target| *target != number);
        ctx.wakeups.target = true;
    }

    /// Whether a peer has shown that it has a block of a candidate.
    pub fn has_shown(&self, peer: Peer, id: &Hash, height: u32) -> bool {
        let best = self.peers.get(&peer).and_then(|state| state.best_known);
        best.filter(|best| best.height >= height).is_some_and(|best| {
            self.candidates.get(best.candidate).is_some_and(|on| on.find(id, height).is_some())
        })
    }

    /// Whether a candidate has this header above its base.
    pub fn contains(&self, id: &Hash, height: u32) -> bool {
        self.candidates.find_above(id, height).is_some()
    }

    /// The candidate whose blocks are downloaded, with its number.
    pub fn target(&self) -> Option<(u64, &Candidate)> {
        self.target.and_then(|number| Some((number, self.candidates.get(number)?)))
    }

    /// A candidate, by number.
    pub fn candidate(&self, number: u64) -> Option<&Candidate> {
        self.candidates.get(number)
    }

    /// The end of the best chain of headers that was checked.
    pub fn best(&self) -> Option<&Ancestry> {
        self.candidates.iter().map(|(_, on)| on.end()).max_by_key(|end| end.work())
    }

    /// Whether nothing more is to be found out about the tip that a peer advertises.
    pub fn is_exhausted(&self, peer: Peer) -> bool {
        self.peers.get(&peer).is_none_or(|state| state.exhausted)
    }

    /// Whether a peer has shown headers that are too far ahead of our clock.
    pub fn is_too_early(&self, peer: Peer) -> bool {
        self.peers.get(&peer).is_some_and(|state| state.too_early)
    }

    /// Whether a peer is being asked for headers.
    pub fn is_asking(&self, peer: Peer) -> bool {
        self.peers.get(&peer).is_some_and(|state| state.request.is_some())
    }

    /// Headers checked per second, lately.
    pub fn per_second(&self, now: u64) -> f64 {
        self.rate.per_second(now)
    }

    /// How many candidates there are, and how many ids they hold.
    pub fn len(&self) -> (usize, usize) {
        (self.candidates.len(), self.candidates.ids())
    }
}

/// Whether a request is to find out what a peer has.
fn is_search(kind: &RequestKind) -> bool {
    matches!(kind, RequestKind::Headers(HeaderRequest { candidate: None, .. }))
}

//! Headers first: whom to ask for them, what to make of what comes, and which candidate's blocks to
//! go for.

use super::{
    Job, JobOutcome, Misbehavior, Peer,
    candidates::{Batch, Candidate, Found},
    limits::{BATCHES, CANDIDATES, HEADERS_A_JOB, ORPHAN_EVERY_MS, WALKS},
    machine::{Asked, Sync, Task},
    message::{MAX_HEADERS, MAX_LOCATOR, Request},
    peers::Spot,
};
use crate::{
    chain::{Ancestry, Chain, PowCheckedHeader, StorageError},
    consensus::header::is_too_early,
    types::{Hash, Header},
};

/// A request for headers, and what was known when it was made.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    locator: Vec<Hash>,
    /// The work that the peer claimed, if it did: an honest one's never becomes less.
    claim: Option<u128>,
    /// The most work of any chain that the locator names: if nothing comes after it, that is what
    /// the peer has at most.
    ceiling: u128,
    /// The candidate that is to be extended; `None` to find out what the peer has.
    candidate: Option<u64>,
    /// The answer must go on above this height: nobody is led in circles.
    above: u32,
    /// Whether the answer was as long as one can be: there may be more.
    full: bool,
    /// Where the answer before ended, if that is neither our chain's to tell nor a candidate's end.
    from: Option<Box<Ancestry>>,
}

/// What is to be done about a peer's claim.
enum Interest {
    Nothing,
    /// It is on a candidate.
    Join(u64),
    /// It claims what is not so.
    Lied,
    /// It has a chain with a block that breaks a rule.
    Failed,
    Ask,
}

impl Sync {
    /// Asks whoever is worth asking for headers.
    pub(super) fn ask_for_headers(&mut self, chain: &Chain) -> Result<(), StorageError> {
        let mut walks = self.requests.values().filter(|asked| is_search(&asked.what)).count();
        let mut ours = None;
        let (dialled, others): (Vec<_>, Vec<_>) = self
            .peers
            .iter()
            .map(|(peer, state)| (*peer, state.outbound))
            .partition(|(_, outbound)| *outbound);
        for (peer, _) in dialled.into_iter().chain(others) {
            match self.interest(chain, peer)? {
                Interest::Nothing => {}
                Interest::Join(candidate) => self.join(peer, candidate),
                Interest::Lied => {
                    self.settle(peer);
                    self.offend(peer, Misbehavior::Lied);
                }
                Interest::Failed => self.offend(peer, Misbehavior::BrokenRule),
                Interest::Ask => {
                    let spot = self.peers.get(&peer).and_then(|state| state.spot);
                    let on = spot.and_then(|spot| {
                        Some((spot.candidate, self.candidates.get(spot.candidate)?))
                    });
                    let candidate = match on {
                        // Somebody is at it, or what was shown last is with the checks.
                        Some((_, on)) if on.extender.is_some() || on.unworked() > 0 => continue,
                        Some((number, _)) => Some(number),
                        None if walks >= WALKS => continue,
                        None => None,
                    };
                    walks += usize::from(candidate.is_none());
                    if ours.is_none() {
                        ours = Some(chain.locator()?);
                    }
                    self.ask_headers_of(
                        chain,
                        peer,
                        candidate,
                        ours.as_deref().unwrap_or_default(),
                    );
                }
            }
        }
        Ok(())
    }

    fn interest(&self, chain: &Chain, peer: Peer) -> Result<Interest, StorageError> {
        let Some(state) = self.peers.get(&peer) else { return Ok(Interest::Nothing) };
        let Some(claim) =
            state.claim.filter(|_| state.headers.is_none() && !state.is_quiet(self.now))
        else {
            return Ok(Interest::Nothing);
        };
        if state.orphaned {
            return Ok(Interest::Ask);
        }
        // What an announcement said has been looked into when it came.
        let Some(work) = claim.work.filter(|work| *work > chain.work()) else {
            return Ok(Interest::Nothing);
        };
        let there = state
            .spot
            .and_then(|spot| self.candidates.get(spot.candidate)?.find(&claim.tip, claim.height));
        if there.is_some() && state.spot.is_some_and(|spot| spot.height >= claim.height) {
            return Ok(Interest::Nothing);
        }
        if let Some(spot) = state.spot.filter(|_| there.is_some()) {
            return Ok(Interest::Join(spot.candidate));
        }
        if let Some((candidate, _)) = self.candidates.find_above(&claim.tip, claim.height) {
            return Ok(Interest::Join(candidate));
        }
        if state.settled {
            return Ok(Interest::Nothing);
        }
        if chain.has_block(&claim.tip)? {
            return Ok(match chain.chain_work(&claim.tip)? {
                None => Interest::Failed,
                Some(shown) if shown < work => Interest::Lied,
                Some(_) => Interest::Nothing,
            });
        }
        Ok(Interest::Ask)
    }

    /// A peer has a candidate's blocks up to what it claims.
    fn join(&mut self, peer: Peer, candidate: u64) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let height = state.claim.map_or(0, |claim| claim.height);
        state.spot = Some(Spot { candidate, height });
        if let Some(candidate) = self.candidates.get_mut(candidate) {
            candidate.lonely_since = None;
        }
        self.look_for_target = true;
    }

    /// Nothing more is to be found out about what a peer claims now.
    fn settle(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            (state.settled, state.orphaned) = (true, false);
        }
    }

    fn ask_headers_of(&mut self, chain: &Chain, peer: Peer, candidate: Option<u64>, ours: &[Hash]) {
        let best = candidate.or_else(|| self.heaviest());
        let (mut locator, ceiling) = match best.and_then(|number| self.candidates.get(number)) {
            Some(on) => (on.locator(), on.ahead().work().max(chain.work())),
            None => (Vec::new(), chain.work()),
        };
        // The end of ours comes first if it is the better one: who is on neither shows where it
        // parts from either.
        locator.extend(ours.iter().take(MAX_LOCATOR - locator.len()));
        self.ask_with(
            peer,
            Walk { locator, claim: None, ceiling, candidate, above: 0, full: false, from: None },
        );
    }

    fn ask_with(&mut self, peer: Peer, mut walk: Walk) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.orphaned = false;
        walk.claim = state.claimed_work();
        if let Some(candidate) = walk.candidate.and_then(|number| self.candidates.get_mut(number)) {
            candidate.extender = Some(peer);
        }
        let locator = walk.locator.clone();
        let request = self.ask(peer, Request::Headers { locator }, Asked::Headers(walk));
        if let Some(state) = self.peers.get_mut(&peer) {
            state.headers = Some(request);
        }
    }

    /// The candidate of most work, checked or not.
    fn heaviest(&self) -> Option<u64> {
        self.candidates
            .iter()
            .max_by_key(|(number, on)| (on.work(), u64::MAX - number))
            .map(|(number, _)| number)
    }

    pub(super) fn walk_failed(&mut self, peer: Peer, walk: &Walk) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.headers = None;
        }
        self.stop_extending(peer, walk.candidate);
    }

    fn stop_extending(&mut self, peer: Peer, candidate: Option<u64>) {
        if let Some(on) = candidate.and_then(|number| self.candidates.get_mut(number))
            && on.extender == Some(peer)
        {
            on.extender = None;
        }
        self.look_for_headers = true;
    }

    /// Takes headers that were asked for.
    pub(super) fn headers_answered(
        &mut self,
        chain: &Chain,
        peer: Peer,
        walk: Walk,
        headers: Vec<Header>,
    ) -> Result<(), StorageError> {
        self.walk_failed(peer, &walk);
        let Some(first) = headers.first() else {
            // What was shown before was the end: it happened to fill an answer.
            if let Some(on) = walk.candidate.and_then(|number| self.candidates.get_mut(number)) {
                on.complete = true;
            }
            self.end_walk(peer, walk.claim, walk.ceiling);
            return Ok(());
        };
        let ids: Vec<Hash> = headers.iter().map(|header| header.id(self.config.network)).collect();
        let linked =
            headers.iter().skip(1).zip(&ids).all(|(header, before)| header.previous == *before);
        let goes_on = headers.last().is_some_and(|last| last.height > walk.above);
        if !linked || !goes_on || !walk.locator.contains(&first.previous) {
            self.offend(peer, Misbehavior::Malformed);
            return Ok(());
        }
        if ids.iter().any(|id| self.failed.has(id) || chain.has_failed(id)) {
            self.offend(peer, Misbehavior::BrokenRule);
            return Ok(());
        }
        // What our chain has.
        let mut known = 0;
        while known < ids.len() && chain.has_block(&ids[known])? {
            known += 1;
        }
        if known == ids.len() {
            return self.all_known(chain, peer, walk, &headers, &ids);
        }
        let Some((candidate, new)) = self.place(chain, peer, &walk, &headers, &ids, known)? else {
            return Ok(());
        };
        let full = headers.len() == MAX_HEADERS;
        if new < ids.len() {
            self.extend_candidate(peer, candidate, &headers[new..], &ids[new..], walk.claim, !full);
        } else {
            self.overlap(
                chain,
                peer,
                candidate,
                Walk { full, ..walk },
                &headers[known..],
                &ids[known..],
            )?;
        }
        if full {
            self.extend_further(chain, candidate)?;
        }
        Ok(())
    }

    /// A peer showed nothing but what our chain has.
    fn all_known(
        &mut self,
        chain: &Chain,
        peer: Peer,
        walk: Walk,
        headers: &[Header],
        ids: &[Hash],
    ) -> Result<(), StorageError> {
        let (Some(last), Some(header)) = (ids.last(), headers.last()) else { return Ok(()) };
        let shown = chain.chain_work(last)?.unwrap_or(0);
        if headers.len() < MAX_HEADERS {
            self.end_walk(peer, walk.claim, shown);
            return Ok(());
        }
        let mut locator = vec![*last];
        locator.extend(chain.locator()?);
        let (above, ceiling) = (header.height, shown.max(walk.ceiling));
        self.ask_with(peer, Walk { locator, ceiling, candidate: None, above, from: None, ..walk });
        Ok(())
    }

    /// A peer showed nothing but what a candidate has, above what our chain has.
    fn overlap(
        &mut self,
        chain: &Chain,
        peer: Peer,
        number: u64,
        walk: Walk,
        headers: &[Header],
        ids: &[Hash],
    ) -> Result<(), StorageError> {
        let (Some(last), Some(id)) = (headers.last(), ids.last()) else { return Ok(()) };
        self.stand(peer, number, last.height);
        let Some(on) = self.candidates.get_mut(number) else { return Ok(()) };
        let at_end = on.ahead().id() == *id;
        if !walk.full {
            on.complete |= at_end;
            // It has no more than that, wherever on the candidate it ends.
            let shown = on.ahead().work();
            self.end_walk(peer, walk.claim, shown);
        } else if at_end {
            on.extender = on.extender.or(Some(peer));
        } else if on.extender.is_none() && on.unworked() == 0 {
            // It may part from the candidate further up.
            let Some(on) = self.candidates.get(number) else { return Ok(()) };
            let Some(from) = self.run_along(chain, on, &walk, headers, ids, id)? else {
                self.leave_in_peace(peer);
                return Ok(());
            };
            let mut locator = vec![*id];
            locator.extend(chain.locator()?);
            let (above, from) = (last.height, Some(Box::new(from)));
            self.ask_with(peer, Walk { locator, candidate: None, above, from, ..walk });
        }
        Ok(())
    }

    fn stand(&mut self, peer: Peer, candidate: u64, height: u32) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.spot = Some(Spot { candidate, height });
            if let Some(on) = self.candidates.get_mut(candidate) {
                on.lonely_since = None;
            }
        }
    }

    /// Finds the candidate that headers belong to, or makes one, and the number of those that it
    /// has already; `None` if they can't be placed now.
    fn place(
        &mut self,
        chain: &Chain,
        peer: Peer,
        walk: &Walk,
        headers: &[Header],
        ids: &[Hash],
        known: usize,
    ) -> Result<Option<(u64, usize)>, StorageError> {
        let along = self.candidates.longest(&headers[known..], &ids[known..]);
        let parent =
            || self.candidates.find_parent(&headers[0]).filter(|_| known == 0).map(|on| (on, 0));
        let Some((number, along)) = along.or_else(parent) else {
            // Nobody has shown these before.
            let Some(base) = chain.ancestry(&headers[known].previous)? else {
                return Ok(self.cannot_place(peer));
            };
            let added = self.add_candidate(Candidate::new(base));
            return Ok(
                added.map_or_else(|| self.cannot_place(peer), |number| Some((number, known)))
            );
        };
        let Some(on) = self.candidates.get(number) else { return Ok(None) };
        let new = known + along;
        if new == ids.len() || on.ahead().id() == headers[new].previous {
            return Ok(Some((number, new)));
        }
        // They part from this candidate: another one, which shares the ids below. Those must have
        // been checked.
        let (before, height) = (headers[new].previous, headers[new].height.saturating_sub(1));
        let shared = height.saturating_sub(on.base_height) as usize;
        if on.find(&before, height) != Some(Found::PowChecked)
            || self.candidates.is_full(shared + MAX_HEADERS)
        {
            return Ok(self.cannot_place(peer));
        }
        let Some(end) =
            self.run_along(chain, on, walk, &headers[known..new], &ids[known..new], &before)?
        else {
            return Ok(self.cannot_place(peer));
        };
        let fork = on.fork(end);
        let added = self.add_candidate(fork);
        Ok(added.map_or_else(|| self.cannot_place(peer), |number| Some((number, new))))
    }

    /// The end of the chain after `headers`, all of which are on the candidate `on`; if there are
    /// none, the one with the id `last`. `None` if nothing tells how they begin.
    fn run_along(
        &self,
        chain: &Chain,
        on: &Candidate,
        walk: &Walk,
        headers: &[Header],
        ids: &[Hash],
        last: &Hash,
    ) -> Result<Option<Ancestry>, StorageError> {
        let start = headers.first().map_or(*last, |first| first.previous);
        let there = walk
            .from
            .as_deref()
            .filter(|from| from.id() == start)
            .or(on.checkpoint(&start))
            .cloned();
        let Some(mut end) = (match there {
            Some(end) => Some(end),
            None => chain.ancestry(&start)?,
        }) else {
            return Ok(None);
        };
        // They are on a candidate, so they fit.
        let fits =
            headers.iter().zip(ids).all(|(header, id)| end.extend_unchecked(*id, header).is_ok());
        Ok(fits.then_some(end))
    }

    /// The chain or the candidates have moved since the peer was asked: it is asked again a little
    /// later.
    fn cannot_place<T>(&mut self, peer: Peer) -> Option<T> {
        self.leave_in_peace(peer);
        None
    }

    fn leave_in_peace(&mut self, peer: Peer) {
        let now = self.now;
        if let Some(state) = self.peers.get_mut(&peer) {
            state.be_quiet(now);
        }
    }

    /// Adds a candidate; if there are too many, the one of least work makes room, unless that is
    /// the target.
    fn add_candidate(&mut self, candidate: Candidate) -> Option<u64> {
        while self.candidates.len() >= CANDIDATES
            || self.candidates.is_full(candidate.len() + MAX_HEADERS)
        {
            self.drop_poorest()?;
        }
        Some(self.candidates.add(candidate))
    }

    fn drop_poorest(&mut self) -> Option<()> {
        let target = self.window.candidate();
        let others = self.candidates.iter().filter(|(number, _)| Some(*number) != target);
        let (poorest, _) = others.min_by_key(|(_, on)| (on.lonely_since.is_none(), on.work()))?;
        let now = self.now;
        for state in self
            .peers
            .values_mut()
            .filter(|state| state.spot.is_some_and(|at| at.candidate == poorest))
        {
            state.be_quiet(now);
        }
        self.drop_candidate(poorest);
        Some(())
    }

    /// Adds headers to the end of a candidate, as far as they fit, and gives their work to be
    /// checked.
    fn extend_candidate(
        &mut self,
        peer: Peer,
        number: u64,
        headers: &[Header],
        ids: &[Hash],
        claim: Option<u128>,
        last: bool,
    ) {
        if self.candidates.is_full(headers.len()) {
            self.drop_poorest();
        }
        let full = self.candidates.is_full(headers.len());
        let unix = self.unix;
        let Some(on) = self.candidates.get_mut(number) else { return };
        let mut after = on.ahead().clone();
        let mut fitting = 0;
        for (header, id) in headers.iter().zip(ids) {
            if full || is_too_early(header, unix) {
                break;
            }
            if after.extend_unchecked(*id, header).is_err() {
                let empty = on.is_done();
                if empty {
                    self.drop_candidate(number);
                }
                return self.offend(peer, Misbehavior::BrokenRule);
            }
            fitting += 1;
        }
        let cut = fitting < headers.len();
        on.extender = (!last && !cut).then_some(peer).or(on.extender);
        // What was cut off is our clock's or our room's matter, and nobody's lie.
        let (claim, last) = (claim.filter(|_| last && !cut), last || cut);
        let height = after.header().height;
        if fitting == 0 {
            on.complete |= last;
            let (shown, empty) = (on.ahead().work(), on.is_done());
            self.stand(peer, number, height);
            if empty {
                self.drop_candidate(number);
            }
            return self.end_walk(peer, claim, shown);
        }
        let (headers, ids) = (&headers[..fitting], ids[..fitting].to_vec());
        let jobs: Vec<Vec<Header>> =
            headers.chunks(HEADERS_A_JOB).map(<[Header]>::to_vec).collect();
        let parts = vec![None; jobs.len()];
        let batch = on.push(Batch { from: peer, ids, after, parts, claim, last });
        self.stand(peer, number, height);
        for (part, headers) in jobs.into_iter().enumerate() {
            self.check(Job::Headers(headers), Task::Headers { candidate: number, batch, part });
        }
    }

    /// Asks for what comes next, if the checks keep up.
    fn extend_further(&mut self, chain: &Chain, number: u64) -> Result<(), StorageError> {
        let Some(on) = self.candidates.get(number) else { return Ok(()) };
        let Some(peer) = on.extender.filter(|_| on.unworked() < BATCHES) else { return Ok(()) };
        if self.peers.get(&peer).is_some_and(|state| state.headers.is_none()) {
            let ours = chain.locator()?;
            self.ask_headers_of(chain, peer, Some(number), &ours);
        }
        Ok(())
    }

    /// A part of a batch has been checked.
    pub(super) fn headers_checked(
        &mut self,
        chain: &Chain,
        number: u64,
        batch: u64,
        part: usize,
        outcome: JobOutcome,
    ) -> Result<(), StorageError> {
        let Some(on) = self.candidates.get_mut(number) else { return Ok(()) };
        let JobOutcome::Headers(worked) = outcome else {
            let guilty = on.shown_by(batch);
            on.drop_unworked();
            on.extender = None;
            let (end, done) = (on.height(), on.is_done());
            for state in self.peers.values_mut() {
                if let Some(spot) = state.spot.as_mut().filter(|spot| spot.candidate == number) {
                    spot.height = spot.height.min(end);
                    state.settled = false;
                }
            }
            if done {
                self.drop_candidate(number);
            }
            if let Some(peer) = guilty {
                self.offend(peer, Misbehavior::BrokenRule);
            }
            self.look_for_headers = true;
            return Ok(());
        };
        self.header_rate.add(worked.len() as u64, self.now);
        let through =
            on.part_worked(batch, part, worked.iter().map(PowCheckedHeader::pow_checked).collect());
        if through.is_empty() {
            return Ok(());
        }
        let mut ended = Vec::new();
        for batch in through.into_iter().filter(|batch| batch.last) {
            on.complete = true;
            on.extender = on.extender.filter(|peer| *peer != batch.from);
            ended.push((batch.from, batch.claim, batch.after.work()));
        }
        for (peer, claim, shown) in ended {
            self.end_walk(peer, claim, shown);
        }
        self.look_for_target = true;
        self.extend_further(chain, number)
    }

    /// A peer has shown all it has: `shown` is the work of it.
    fn end_walk(&mut self, peer: Peer, claim: Option<u128>, shown: u128) {
        self.settle(peer);
        (self.look_for_headers, self.look_for_target) = (true, true);
        if claim.is_some_and(|claim| claim > shown) {
            self.offend(peer, Misbehavior::Lied);
        }
    }

    /// A peer announced a block whose parent we do not have: it has a chain that we do not know.
    pub(super) fn orphan_announced(&mut self, peer: Peer, id: Hash, header: &Header) {
        let now = self.now;
        if let Some((candidate, _)) = self.candidates.find_above(&id, header.height) {
            self.stand(peer, candidate, header.height);
            self.look_for_target = true;
        } else if let Some(state) = self.peers.get_mut(&peer)
            && state.last_orphan.is_none_or(|last| now >= last + ORPHAN_EVERY_MS)
        {
            (state.orphaned, state.last_orphan) = (true, Some(now));
            self.look_for_headers = true;
        }
    }
}

/// Whether headers were asked for to find out what a peer has.
fn is_search(asked: &Asked) -> bool {
    matches!(asked, Asked::Headers(Walk { candidate: None, .. }))
}

//! What becomes of headers that a peer has sent.

use super::super::{
    action::Job,
    context::Context,
    event::{JobOutcome, Misbehavior, Peer},
    jobs::JobPurpose,
    limits::{BATCHES, HEADERS_A_JOB},
    message::MAX_HEADERS,
    requests::HeaderRequest,
};
use super::{
    Candidate, HeaderSync,
    candidates::{Batch, Found},
};
use crate::{
    chain::{Ancestry, PowCheckedHeader, StorageError},
    consensus::header::is_too_early,
    types::{Hash, Header},
};

/// An answer's headers and their ids.
pub(super) struct Shown<'a> {
    pub headers: &'a [Header],
    pub ids: &'a [Hash],
}

impl Shown<'_> {
    fn range(&self, range: std::ops::Range<usize>) -> Shown<'_> {
        Shown { headers: &self.headers[range.clone()], ids: &self.ids[range] }
    }

    fn from(&self, first: usize) -> Shown<'_> {
        self.range(first..self.ids.len())
    }
}

impl HeaderSync {
    /// Takes headers that were asked for.
    pub fn on_headers(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        request: HeaderRequest,
        headers: &[Header],
    ) -> Result<(), StorageError> {
        self.on_request_over(ctx, peer, &request);
        let Some(first) = headers.first() else {
            // What was shown before was the end: it happened to fill an answer.
            if let Some(on) = request.candidate.and_then(|number| self.candidates.get_mut(number)) {
                on.complete = true;
            }
            self.finish_search(ctx, peer, request.advertised, request.max_work);
            return Ok(());
        };
        let ids: Vec<Hash> = headers.iter().map(|header| header.id(ctx.network)).collect();
        let linked =
            headers.iter().skip(1).zip(&ids).all(|(header, before)| header.previous == *before);
        let goes_on = headers.last().is_some_and(|last| last.height > request.above);
        if !linked || !goes_on || !request.locator.contains(&first.previous) {
            ctx.record_misbehavior(peer, Misbehavior::Malformed);
            return Ok(());
        }
        if ids.iter().any(|id| ctx.failed_blocks.contains(id) || ctx.chain.has_failed(id)) {
            ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
            return Ok(());
        }
        // What our chain has.
        let mut known = 0;
        while known < ids.len() && ctx.chain.has_block(&ids[known])? {
            known += 1;
        }
        let shown = Shown { headers, ids: &ids };
        if known == ids.len() {
            return self.on_known_headers(ctx, peer, request, &shown);
        }
        let full = headers.len() == MAX_HEADERS;
        if self.walk_along(ctx, peer, &request, &shown.from(known), full)? {
            return Ok(());
        }
        let Some((candidate, new)) = self.find_or_add(ctx, peer, &request, &shown, known)? else {
            return Ok(());
        };
        if new < ids.len() {
            self.extend_candidate(
                ctx,
                peer,
                candidate,
                &shown.from(new),
                request.advertised,
                !full,
            );
        } else {
            let request = HeaderRequest { full, ..request };
            self.on_candidate_headers(ctx, peer, candidate, request, &shown.from(known))?;
        }
        if full { self.extend_further(ctx, candidate) } else { Ok(()) }
    }

    /// A peer showed nothing but what our chain has.
    fn on_known_headers(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        request: HeaderRequest,
        shown: &Shown<'_>,
    ) -> Result<(), StorageError> {
        let (Some(last), Some(header)) = (shown.ids.last(), shown.headers.last()) else {
            return Ok(());
        };
        let work = ctx.chain.chain_work(last)?.unwrap_or(0);
        if shown.headers.len() < MAX_HEADERS {
            self.finish_search(ctx, peer, request.advertised, work);
            return Ok(());
        }
        let mut locator = vec![*last];
        locator.extend(ctx.chain.locator()?);
        let (above, max_work) = (header.height, work.max(request.max_work));
        let next =
            HeaderRequest { locator, max_work, candidate: None, above, from: None, ..request };
        self.send(ctx, peer, next);
        Ok(())
    }

    /// A peer showed nothing but what a candidate has, above what our chain has.
    fn on_candidate_headers(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        number: u64,
        request: HeaderRequest,
        shown: &Shown<'_>,
    ) -> Result<(), StorageError> {
        let (Some(last), Some(id)) = (shown.headers.last(), shown.ids.last()) else {
            return Ok(());
        };
        self.set_best_known(peer, number, last.height);
        let now = ctx.now;
        let Some(on) = self.candidates.get_mut(number) else { return Ok(()) };
        let at_end = on.ahead().id() == *id;
        if !request.full {
            on.complete |= at_end;
            // It has no more than that, wherever on the candidate it ends.
            let work = on.ahead().work();
            self.finish_search(ctx, peer, request.advertised, work);
        } else if at_end {
            let extender = on.extender().or(Some(peer));
            on.set_extender(extender, now);
        } else if on.extender().is_none() && on.unchecked_batches() == 0 {
            // It may fork from the candidate further up.
            let Some(on) = self.candidates.get(number) else { return Ok(()) };
            let Some(from) = ancestry_after(ctx, on, &request, shown, id)? else {
                ctx.peers.back_off(peer, now);
                return Ok(());
            };
            let mut locator = vec![*id];
            locator.extend(ctx.chain.locator()?);
            let (above, from) = (last.height, Some(Box::new(from)));
            let next = HeaderRequest { locator, candidate: None, above, from, ..request };
            self.send(ctx, peer, next);
        }
        Ok(())
    }

    /// Finds the candidate that headers belong to, or adds one. Gives its number, and how many of
    /// the headers are known; `None` if they can't be placed now.
    fn find_or_add(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        request: &HeaderRequest,
        shown: &Shown<'_>,
        known: usize,
    ) -> Result<Option<(u64, usize)>, StorageError> {
        let Shown { headers, ids } = *shown;
        let along = self.candidates.longest(&headers[known..], &ids[known..]);
        let parent =
            || self.candidates.find_parent(&headers[0]).filter(|_| known == 0).map(|on| (on, 0));
        let Some((number, along)) = along.or_else(parent) else {
            // Nobody has shown these before.
            let base = ctx.chain.ancestry(&headers[known].previous)?;
            let added = base.and_then(|base| {
                let mut candidate = Candidate::new(base, ctx.now);
                let state = self.peers.get_mut(&peer);
                candidate.trail =
                    state.and_then(|state| state.walk.trail.take()).unwrap_or_default();
                self.add_candidate(ctx, candidate)
            });
            return Ok(self.placed(ctx, peer, added, known));
        };
        let Some(on) = self.candidates.get(number) else { return Ok(None) };
        let new = known + along;
        if new == ids.len() || on.ahead().id() == headers[new].previous {
            return Ok(Some((number, new)));
        }
        // They fork from this candidate: another one, which shares the ids below. Those must have
        // been checked.
        let (before, height) = (headers[new].previous, headers[new].height.saturating_sub(1));
        let shared = height.saturating_sub(on.base_height) as usize;
        let shares_checked = on.find(&before, height) == Some(Found::Checked)
            && !self.candidates.is_full(shared + MAX_HEADERS);
        let end = if shares_checked {
            ancestry_after(ctx, on, request, &shown.range(known..new), &before)?
        } else {
            None
        };
        let fork = end.map(|end| on.fork(end, ctx.now));
        let added = fork.and_then(|fork| self.add_candidate(ctx, fork));
        Ok(self.placed(ctx, peer, added, new))
    }

    /// Where headers were placed. If they could not be, the chain or the candidates have moved
    /// since the peer was asked, or what they fork from is being checked: it is asked again a
    /// little later.
    fn placed(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        number: Option<u64>,
        new: usize,
    ) -> Option<(u64, usize)> {
        if number.is_none() {
            ctx.peers.back_off(peer, ctx.now);
            if let Some(state) = self.peers.get_mut(&peer) {
                state.put_off = true;
            }
        }
        number.map(|number| (number, new))
    }

    /// Adds headers to the end of a candidate, as far as they fit, and has their work checked.
    fn extend_candidate(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        number: u64,
        shown: &Shown<'_>,
        advertised: Option<u128>,
        last: bool,
    ) {
        let Shown { headers, ids } = *shown;
        if self.candidates.is_full(headers.len()) {
            self.drop_least_work(ctx);
        }
        let full = self.candidates.is_full(headers.len());
        let Some(on) = self.candidates.get_mut(number) else { return };
        if !on.trail.matches(headers, ids) {
            // Not the chain for whose sum this one is being checked.
            on.release_extender(peer);
            ctx.peers.back_off(peer, ctx.now);
            return;
        }
        let mut after = on.ahead().clone();
        let mut fitting = 0;
        for (header, id) in headers.iter().zip(ids) {
            if full || is_too_early(header, ctx.unix) {
                if let Some(state) = self.peers.get_mut(&peer).filter(|_| !full) {
                    state.too_early = true;
                }
                break;
            }
            if header.version > ctx.network.params().last_branch().number {
                ctx.on_later_branch(peer, header);
                break;
            }
            if after.extend_unchecked(*id, header).is_err() {
                if on.is_done() {
                    self.drop_candidate(ctx, number);
                }
                return ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
            }
            fitting += 1;
        }
        let cut = fitting < headers.len();
        // Targets are in the headers, so the work that they claim is known before any is checked.
        if last && !cut && after.work() <= ctx.chain.work() {
            on.complete = true;
            on.release_extender(peer);
            if on.is_done() {
                self.drop_candidate(ctx, number);
            }
            return self.finish_search(ctx, peer, advertised, after.work());
        }
        let extender = (!last && !cut).then_some(peer).or(on.extender());
        on.set_extender(extender, ctx.now);
        // What was cut off is our clock's or our room's matter, and nobody's lie.
        let (advertised, last) = (advertised.filter(|_| last && !cut), last || cut);
        let height = after.header().height;
        if fitting == 0 {
            on.complete |= last;
            let (work, empty) = (on.ahead().work(), on.is_done());
            self.set_best_known(peer, number, height);
            if empty {
                self.drop_candidate(ctx, number);
            }
            return self.finish_search(ctx, peer, advertised, work);
        }
        let (headers, ids) = (&headers[..fitting], ids[..fitting].to_vec());
        let jobs: Vec<Vec<Header>> =
            headers.chunks(HEADERS_A_JOB).map(<[Header]>::to_vec).collect();
        let parts = vec![None; jobs.len()];
        let batch = on.push(Batch { from: peer, ids, after, parts, advertised, last }, ctx.now);
        self.set_best_known(peer, number, height);
        for (part, headers) in jobs.into_iter().enumerate() {
            ctx.run_job(
                Job::Headers(headers),
                JobPurpose::Headers { candidate: number, batch, part },
            );
        }
    }

    /// Asks for what comes next, if the checks keep up.
    fn extend_further(&mut self, ctx: &mut Context<'_>, number: u64) -> Result<(), StorageError> {
        let Some(on) = self.candidates.get(number) else { return Ok(()) };
        let Some(peer) = on.extender().filter(|_| on.unchecked_batches() < BATCHES) else {
            return Ok(());
        };
        if self.peers.get(&peer).is_some_and(|state| state.request.is_none()) {
            let ours = ctx.chain.locator()?;
            self.request_from(ctx, peer, Some(number), &ours);
        }
        Ok(())
    }

    /// A part of a batch has been checked.
    pub fn on_headers_checked(
        &mut self,
        ctx: &mut Context<'_>,
        number: u64,
        batch: u64,
        part: usize,
        outcome: JobOutcome,
    ) -> Result<(), StorageError> {
        let JobOutcome::Headers(checked) = outcome else {
            self.cut_back(ctx, number, batch);
            return Ok(());
        };
        let Some(on) = self.candidates.get_mut(number) else { return Ok(()) };
        self.rate.add(checked.len() as u64, ctx.now);
        let checked = checked.iter().map(PowCheckedHeader::pow_checked).collect();
        let through = on.record_part(batch, part, checked);
        if through.is_empty() {
            return Ok(());
        }
        let mut ended = Vec::new();
        for batch in through.into_iter().filter(|batch| batch.last) {
            on.complete = true;
            on.release_extender(batch.from);
            ended.push((batch.from, batch.advertised, batch.after.work()));
        }
        for (peer, advertised, work) in ended {
            self.finish_search(ctx, peer, advertised, work);
        }
        ctx.wakeups.target = true;
        self.extend_further(ctx, number)
    }

    /// A batch has a header without proof of work: the candidate is cut back to what is checked.
    fn cut_back(&mut self, ctx: &mut Context<'_>, number: u64, batch: u64) {
        let Some(on) = self.candidates.get_mut(number) else { return };
        let sender = on.batch_sender(batch);
        on.drop_unchecked();
        on.set_extender(None, ctx.now);
        let (end, done) = (on.height(), on.is_done());
        for state in self.peers.values_mut() {
            if let Some(best) = state.best_known.as_mut().filter(|best| best.candidate == number) {
                best.height = best.height.min(end);
                state.exhausted = false;
            }
        }
        if done {
            self.drop_candidate(ctx, number);
        }
        if let Some(peer) = sender {
            ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
        }
        ctx.wakeups.headers = true;
    }

    /// A peer has shown all it has: `shown` is the work of it.
    pub(super) fn finish_search(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        advertised: Option<u128>,
        shown: u128,
    ) {
        self.set_exhausted(peer);
        self.forget_walk(peer);
        (ctx.wakeups.headers, ctx.wakeups.target) = (true, true);
        if advertised.is_some_and(|advertised| advertised > shown) {
            ctx.record_misbehavior(peer, Misbehavior::Lied);
        }
    }
}

/// The end of the chain after headers that are all on the candidate `on`; if there are none, the
/// one with the id `last`. `None` if nothing tells how they begin.
fn ancestry_after(
    ctx: &Context<'_>,
    on: &Candidate,
    request: &HeaderRequest,
    shown: &Shown<'_>,
    last: &Hash,
) -> Result<Option<Ancestry>, StorageError> {
    let start = shown.headers.first().map_or(*last, |first| first.previous);
    let from = request.from.as_deref().filter(|from| from.id() == start);
    let known = match from.or(on.checkpoint(&start)) {
        Some(end) => Some(end.clone()),
        None => ctx.chain.ancestry(&start)?,
    };
    let Some(mut end) = known else { return Ok(None) };
    // They are on a candidate, so they fit.
    let mut all = shown.headers.iter().zip(shown.ids);
    let fits = all.all(|(header, id)| end.extend_unchecked(*id, header).is_ok());
    Ok(fits.then_some(end))
}

//! Chains of headers that may turn out to be poor: walked first, checked afterwards.
//!
//! Checking the work of a header takes half a millisecond, and cheap chains can be made as long as
//! one likes. But the work that headers claim follows from their targets, so its sum is free. An
//! answer that is full and does not sum more than our chain yet is only walked along: nothing of it
//! is kept but the id at its end, and of its headers a few are checked, which ones nobody foresees.
//! Once the sum is more than ours, the peer is asked for the same headers again, and now all are
//! checked. As Bitcoin Core does ("headers presync").

use super::super::{
    action::Job,
    context::Context,
    event::{JobOutcome, Misbehavior, Peer},
    jobs::JobPurpose,
    limits::SAMPLES_UNDER_WAY,
    message::MAX_HEADERS,
    requests::HeaderRequest,
    trail::Walk,
};
use super::{HeaderSync, answers::Shown};
use crate::{chain::StorageError, consensus::header::is_too_early, types::Header};

/// Headers of each answer that are checked while it is walked along, beside the last.
const SAMPLES: usize = 1;

impl HeaderSync {
    /// Walks along headers that nobody has shown before and that may be poor. Whether that is all
    /// that is done with them.
    pub(super) fn walk_along(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        request: &HeaderRequest,
        shown: &Shown<'_>,
        full: bool,
    ) -> Result<bool, StorageError> {
        let Shown { headers, ids } = *shown;
        let (Some(first), Some(last)) = (headers.first(), headers.last()) else { return Ok(false) };
        if let Some(trail) = self.peers.get(&peer).and_then(|state| state.walk.trail.as_ref()) {
            // It was walked along, and is shown again.
            if trail.matches(headers, ids) {
                return Ok(false);
            }
            self.set_exhausted(peer);
            self.forget_walk(peer);
            ctx.record_misbehavior(peer, Misbehavior::Lied);
            return Ok(true);
        }
        let walk = request.walk.as_deref().filter(|walk| walk.end.id() == first.previous);
        let known = self.candidates.longest(headers, ids).is_some()
            || self.candidates.find_parent(first).is_some();
        let base = match walk {
            Some(walk) => Some(walk.end.clone()),
            None if known => None,
            None => ctx.chain.ancestry(&first.previous)?,
        };
        let Some(mut end) = base else { return Ok(false) };
        let params = ctx.network.params();
        let is_taken = |header: &Header| {
            !is_too_early(header, ctx.unix) && header.version <= params.last_branch().number
        };
        if !headers.iter().all(is_taken) {
            return Ok(false);
        }
        for (header, id) in headers.iter().zip(ids) {
            if end.extend_unchecked(*id, header).is_err() {
                ctx.record_misbehavior(peer, Misbehavior::BrokenRule);
                return Ok(true);
            }
        }
        let enough = end.work() > ctx.chain.work().max(params.minimum_work);
        let mut trail = walk.map(|walk| walk.trail.clone()).unwrap_or_default();
        match (enough, full) {
            (true, _) if walk.is_none() => return Ok(false),
            (true, _) => {
                trail.0.push((last.height, end.id()));
                if let Some(state) = self.peers.get_mut(&peer) {
                    state.walk.trail = Some(trail);
                }
                ctx.wakeups.headers = true;
            }
            // It has no more than that.
            (false, false) => self.finish_search(ctx, peer, request.advertised, end.work()),
            (false, true) => {
                trail.0.push((last.height, end.id()));
                let mut locator = vec![end.id()];
                locator.extend(ctx.chain.locator()?);
                let next = HeaderRequest {
                    locator,
                    candidate: None,
                    above: last.height,
                    from: None,
                    walk: Some(Box::new(Walk { end, trail })),
                    ..request.clone()
                };
                self.check_samples(ctx, peer, headers, next);
            }
        }
        Ok(true)
    }

    /// Has a few of an answer's headers checked: the last, and others that nobody foresees. Then
    /// the peer is asked for the next ones.
    fn check_samples(
        &mut self,
        ctx: &mut Context<'_>,
        peer: Peer,
        headers: &[Header],
        next: HeaderRequest,
    ) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        if self.samples >= SAMPLES_UNDER_WAY {
            return ctx.peers.back_off(peer, ctx.now);
        }
        let mut samples: Vec<Header> = headers.last().cloned().into_iter().collect();
        for _ in 0..SAMPLES {
            samples.push(headers[ctx.random_below(headers.len())].clone());
        }
        self.samples += 1;
        state.walk.next = Some(next);
        ctx.run_job(Job::Headers(samples), JobPurpose::HeaderSample(peer));
    }

    /// Samples have been checked.
    pub fn on_samples_checked(&mut self, ctx: &mut Context<'_>, peer: Peer, outcome: &JobOutcome) {
        self.samples = self.samples.saturating_sub(1);
        let next = self.peers.get_mut(&peer).and_then(|state| state.walk.next.take());
        match outcome {
            JobOutcome::Headers(_) => {
                if let Some(next) = next {
                    self.send(ctx, peer, next);
                }
            }
            _ => ctx.record_misbehavior(peer, Misbehavior::BrokenRule),
        }
    }

    pub(super) fn forget_walk(&mut self, peer: Peer) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.walk.trail = None;
        }
    }
}

const _: () = assert!(SAMPLES < MAX_HEADERS);

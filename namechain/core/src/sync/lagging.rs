//! Peers that are of no use, and a tip that does not move. Without this, peers that only say hello,
//! with an old tip, would be kept for ever.

use super::{
    action::Action,
    context::Context,
    event::Peer,
    limits::{CHAIN_SYNC_MS, CHAIN_SYNC_PROTECTED, STALE_TIP_EVERY_MS, STALE_TIP_MS},
};
use crate::types::Hash;

/// Since when the tip has not moved, and when that was last acted on.
#[derive(Debug, Default)]
pub(super) struct TipWatch {
    tip: Option<Hash>,
    since: u64,
    acted_at: Option<u64>,
}

impl TipWatch {
    /// Has one peer more dialled, once in a while, as long as the tip does not move. Not while
    /// blocks are being fetched, as then the way to them is known.
    pub fn on_tick(&mut self, ctx: &mut Context<'_>, fetching: bool) {
        let tip = ctx.chain.tip_id();
        if self.tip != Some(tip) || fetching {
            *self = TipWatch { tip: Some(tip), since: ctx.now, acted_at: self.acted_at };
        }
        let is_stale = ctx.now >= self.since + STALE_TIP_MS;
        let is_due = self.acted_at.is_none_or(|at| ctx.now >= at + STALE_TIP_EVERY_MS);
        if is_stale && is_due && ctx.peers.len() > 0 {
            self.acted_at = Some(ctx.now);
            ctx.act(Action::DialExtraPeer);
        }
    }
}

/// Hangs up on peers that we dialled and that advertise less work than we had for long.
pub(super) fn disconnect_lagging(ctx: &mut Context<'_>) {
    let (work, now) = (ctx.chain.work(), ctx.now);
    let mut protected = ctx.peers.iter().filter(|(_, state)| state.is_protected()).count();
    let dialled: Vec<Peer> = ctx
        .peers
        .iter()
        .filter(|(_, state)| state.is_outbound() && state.has_greeted() && !state.is_protected())
        .map(|(peer, _)| peer)
        .collect();
    for peer in dialled {
        let Some(state) = ctx.peers.get_mut(peer) else { continue };
        if state.advertised_work().is_some_and(|advertised| advertised >= work) {
            state.record_in_sync();
            // Only what our chain has is proved.
            let is_ours = state.advertised_tip().is_some_and(|tip| tip.id == ctx.chain.tip_id());
            if is_ours && protected < CHAIN_SYNC_PROTECTED {
                state.protect();
                protected += 1;
            }
        } else if state.behind_for(work, now) >= CHAIN_SYNC_MS {
            ctx.disconnect(peer, "its chain stays behind ours");
        }
    }
}

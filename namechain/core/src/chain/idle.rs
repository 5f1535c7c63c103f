//! When a block should be made though no operation waits: so that time passes on the chain as it
//! passes outside. A gap in the chain's time is room in which somebody can date blocks afterwards.

use super::Chain;
use crate::{
    params::{Delay, LIVENESS_S},
    types::BlockTime,
};

impl Chain {
    /// Whether a synced node that may mine should make a block at `now` though no operation waits:
    /// one for each interval while a Commit ripens, a name settles, or what was recorded is not
    /// served yet; and one when the tip is 20 minutes old.
    pub fn is_empty_block_due(&self, now: u64) -> bool {
        let age = now.saturating_sub(self.tip_header().time);
        age >= LIVENESS_S
            || age >= self.params.block_interval.max(1) && self.has_maturing_names(now)
    }

    /// Whether something that was recorded waits for blocks.
    pub fn has_maturing_names(&self, now: u64) -> bool {
        let (params, tip) = (self.params, self.tip_time());
        let next = BlockTime { height: tip.height.saturating_add(1), time: now.max(tip.time) };
        // What is served is some blocks old: a name must have settled there.
        let served = self.time_at(tip.height.saturating_sub(params.serve_depth)).unwrap_or(tip);
        let waits = |delay: Delay, at: BlockTime, by: BlockTime| {
            !at.is_past(delay.blocks, delay.seconds, by)
        };
        let recent = self.recent.iter().rev().map_while(|state| {
            let header = &self.headers.get(&state.id)?.header;
            Some((BlockTime { height: header.height, time: header.time }, state.activity))
        });
        // No further back than anything can wait for.
        let longest = params.settle_delay.blocks.max(params.commit_delay.blocks).max(1);
        let recent = recent.take_while(|(at, _)| {
            let blocks = longest.saturating_add(params.serve_depth);
            let seconds = params.settle_delay.seconds.max(params.commit_delay.seconds);
            !at.is_past(blocks, seconds, tip) || at.height >= served.height
        });
        recent.into_iter().any(|(at, activity)| {
            activity.commits && waits(params.commit_delay, at, next)
                || activity.registers && waits(params.settle_delay, at, served)
                || activity.operations && at.height > served.height
        })
    }

    fn tip_time(&self) -> BlockTime {
        let header = self.tip_header();
        BlockTime { height: header.height, time: header.time }
    }

    fn time_at(&self, height: u32) -> Option<BlockTime> {
        let header = &self.headers.get(&self.recent_at(height)?.id)?.header;
        Some(BlockTime { height, time: header.time })
    }
}

//! Holding: a chain of more work that would undo more than a day of what this node followed live is
//! not followed at once (docs/protocol.md, section 9.2).
//!
//! ```text
//! following --a heavier chain departs below more than a day of live blocks--> holding
//!    ^                                                                           |
//!    |-- the heavier chain has led for the hold time: it is followed <-----------|
//!    '-- ours sums as much again, and the lead is used up <----------------------'
//! ```

use super::{
    Chain, ChainError, TipChange,
    following::Hold,
    storage::{Change, StorageError, best_header},
};
use crate::{
    params::{HOLD_AFTER_S, HOLD_LEAD_BLOCKS, MAX_HOLD_S, MIN_HOLD_S},
    types::Hash,
};

/// The most that one look at a held chain counts, in seconds: a clock that jumps, or a machine that
/// slept, brings nothing forward.
const MAX_STEP_S: u64 = 60;
/// How often the timer of a held chain is written down, in seconds.
const SAVED_EVERY_S: u64 = 60;

impl Chain {
    /// The heavier chain that is held back, if there is one.
    pub fn hold(&self) -> Option<&Hold> {
        self.following.hold.as_ref()
    }

    /// Whether the tip was taken within an hour of its own time since the chain was opened.
    pub fn is_live(&self) -> bool {
        self.taken_live && self.following.live_from <= self.tip_header().height
    }

    /// The hold against the kept chain that ends with `target`, if it must be held back: it would
    /// undo more than a day of what was followed live.
    pub(super) fn hold_against(&self, target: &Hash) -> Result<Option<Hold>, StorageError> {
        let Some(fork_height) = self.fork_height(target)? else { return Ok(None) };
        let Some(seconds) = self.hold_seconds(fork_height)? else { return Ok(None) };
        let first = self.ancestor_at(target, fork_height + 1).unwrap_or(*target);
        Ok(Some(Hold { fork_height, first, tip: *target, seconds, led: 0 }))
    }

    /// For how long a chain that departs at `fork_height` is held back, in seconds; `None` if what
    /// it would undo was not followed live for more than a day.
    fn hold_seconds(&self, fork_height: u32) -> Result<Option<u64>, StorageError> {
        let tip = self.tip_header();
        let first_live = self.following.live_from.max(fork_height.saturating_add(1));
        if first_live > tip.height {
            return Ok(None);
        }
        let first = best_header(&*self.storage, first_live)?.header;
        let undone = tip.time.saturating_sub(first.time);
        Ok((undone > HOLD_AFTER_S).then_some(undone.clamp(MIN_HOLD_S, MAX_HOLD_S)))
    }

    /// Holds a chain back from now on, or goes on with it if its branch is held already. One that
    /// sums no more than the held one changes nothing: else it would set the timer back.
    pub(super) fn begin_hold(&mut self, hold: Hold) -> Change {
        let work = |tip: &Hash| self.headers.get(tip).map_or(0, |known| known.work);
        match &mut self.following.hold {
            Some(held) if work(&held.tip) >= work(&hold.tip) => {}
            Some(held) if held.first == hold.first => held.tip = hold.tip,
            held => *held = Some(hold),
        }
        Change::Following(self.following.clone())
    }

    /// After a reorganisation, or when the chain is opened: where the held chain departs from the
    /// one that is followed now. One that is followed, to whichever of its blocks, is held no more.
    pub(super) fn update_hold_fork(&mut self) -> Result<(), StorageError> {
        let Some(hold) = &self.following.hold else { return Ok(()) };
        let height = self.headers.get(&hold.tip).map(|known| known.header.height);
        let (tip, fork_height) = (hold.tip, self.fork_height(&hold.tip)?);
        let hold = match fork_height {
            Some(fork_height) if Some(fork_height) != height => {
                let first = self.ancestor_at(&tip, fork_height + 1).unwrap_or(tip);
                Some(Hold { fork_height, first, ..hold.clone() })
            }
            _ => None,
        };
        if hold == self.following.hold {
            return Ok(());
        }
        self.following.hold = hold;
        self.storage.commit(vec![Change::Following(self.following.clone())], true)
    }

    /// The block of a kept chain at `height`, `id` being at that height or above.
    fn ancestor_at(&self, id: &Hash, height: u32) -> Option<Hash> {
        let mut id = *id;
        loop {
            let header = &self.headers.get(&id)?.header;
            if header.height <= height {
                return Some(id);
            }
            id = header.previous;
        }
    }

    /// Lets time pass for a chain that is held back; `now` is the clock in seconds of Unix time.
    /// While it leads by the work of six blocks like the tip its timer runs, else it runs
    /// backwards. When the timer is at its end the chain is followed. To be called every few
    /// seconds.
    ///
    /// # Errors
    /// The rule that a block of it breaks, which ends the hold: the tip stays. Or the store's.
    pub fn advance_hold(&mut self, now: u64) -> Result<Option<TipChange>, ChainError> {
        let Some(mut hold) = self.following.hold.clone() else {
            self.hold_looked_at = None;
            return Ok(None);
        };
        let before = self.hold_looked_at.replace(now).unwrap_or(now);
        let passed = now.saturating_sub(before).min(MAX_STEP_S);
        let other = self.headers.get(&hold.tip).filter(|other| !other.failed);
        let Some(other) = other else {
            return self.end_hold().map(|()| None);
        };
        let own = self.tip_entry();
        let lead = other.work.saturating_sub(own.work);
        if lead >= own.own_work.saturating_mul(u128::from(HOLD_LEAD_BLOCKS)) {
            hold.led = hold.led.saturating_add(passed);
        } else {
            hold.led = hold.led.saturating_sub(passed);
        }
        let is_preferred = self.is_preferred(other);
        if !is_preferred && lead == 0 && hold.led == 0 {
            return self.end_hold().map(|()| None);
        }
        let is_over = hold.led >= hold.seconds || self.hold_seconds(hold.fork_height)?.is_none();
        if is_preferred && is_over {
            let stored = other.stored(hold.tip);
            // The hold ends with the move, in the same commit.
            return match self.move_tip(hold.tip, stored, now, true) {
                Err(error @ ChainError::Rule { .. }) => self.end_hold().and(Err(error)),
                moved => moved.map(Some),
            };
        }
        let saved = self.following.hold.replace(hold).map_or(0, |hold| hold.led);
        let led = self.following.hold.as_ref().map_or(0, |hold| hold.led);
        if saved / SAVED_EVERY_S != led / SAVED_EVERY_S {
            self.storage.commit(vec![Change::Following(self.following.clone())], false)?;
        }
        Ok(None)
    }

    /// Follows the chain of most work among those that are kept, or begins to hold it back; `now`
    /// is the clock in seconds of Unix time. Has something to do only after blocks were put out of
    /// the choice or back into it.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn follow_best(&mut self, now: u64) -> Result<Option<TipChange>, ChainError> {
        loop {
            let best = self.headers.heaviest_of(|_, other| self.is_preferred(other));
            let Some((id, stored)) = best.map(|(id, other)| (id, other.stored(id))) else {
                return Ok(None);
            };
            if let Some(hold) = self.hold_against(&id)? {
                let held = self.begin_hold(hold);
                self.storage.commit(vec![held], true)?;
                return Ok(None);
            }
            match self.move_tip(id, stored, now, true) {
                // It is marked now, and the next best one's turn.
                Err(ChainError::Rule { .. }) => {}
                moved => return moved.map(Some),
            }
        }
    }

    fn end_hold(&mut self) -> Result<(), ChainError> {
        self.following.hold = None;
        self.hold_looked_at = None;
        Ok(self.storage.commit(vec![Change::Following(self.following.clone())], true)?)
    }
}

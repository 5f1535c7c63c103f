//! Test before evict, as in Bitcoin Core: an address that has answered, and whose place in *tried*
//! is taken, waits in *new* until the one that stands there has been dialled. Whoever fills the
//! address book with his own nodes pushes nobody out who still answers.

use super::{AddrMan, Entry, Known, Place};
use crate::net::random::Random;

/// Addresses that wait for a place in *tried*. One more is passed over: it comes again.
const MAX_COLLISIONS: usize = 10;
/// Whoever has answered within this time keeps its place, in seconds. Within the same time after a
/// failed dial it counts as not answering.
const RECENT_SECONDS: u64 = 4 * 3600;
/// If the one that stands there has not been dialled for so long after the challenger answered, it
/// gives way, in seconds.
const UNDECIDED_SECONDS: u64 = 40 * 60;

/// Who gets a place that two want.
enum Decision {
    Stays,
    Replaced,
    Undecided,
}

impl AddrMan {
    pub(super) fn note_collision(&mut self, challenger: Entry) {
        let is_new = matches!(self.places.get(&challenger), Some(Place::New(_)));
        if is_new
            && self.collisions.len() < MAX_COLLISIONS
            && !self.collisions.contains(&challenger)
        {
            self.collisions.push(challenger);
        }
    }

    /// Decides what can be decided by now about the places in *tried* that two want.
    pub fn resolve_collisions(&mut self, now: u64) {
        for challenger in std::mem::take(&mut self.collisions) {
            let Some(Place::New(at)) = self.places.get(&challenger).copied() else { continue };
            let Some(known) = self.new[at].clone() else { continue };
            match self.decide(&known, now) {
                Decision::Stays => {}
                Decision::Replaced => self.put_tried(known, now),
                Decision::Undecided => self.collisions.push(challenger),
            }
        }
    }

    fn decide(&self, challenger: &Known, now: u64) -> Decision {
        let is_recent = |time: u64| time.saturating_add(RECENT_SECONDS) > now;
        match &self.tried[self.place_in_tried(&challenger.entry)] {
            None => Decision::Replaced,
            Some(old) if is_recent(old.answered) => Decision::Stays,
            Some(old) if old.failures > 0 && is_recent(old.tried) => Decision::Replaced,
            Some(_) if challenger.answered.saturating_add(UNDECIDED_SECONDS) < now => {
                Decision::Replaced
            }
            Some(_) => Decision::Undecided,
        }
    }

    /// One whose place in *tried* another wants: it is to be dialled.
    pub fn pick_collided(
        &self,
        random: &mut Random,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let standing = |challenger: &Entry| {
            self.tried[self.place_in_tried(challenger)].as_ref().map(|old| old.entry)
        };
        let all: Vec<Entry> =
            self.collisions.iter().filter_map(standing).filter(|entry| wanted(entry)).collect();
        (!all.is_empty()).then(|| all[random.below(all.len())])
    }
}

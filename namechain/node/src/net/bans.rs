//! Identities that are refused for some time, because they misbehaved. Never addresses: behind one
//! may be a provider, an office or a cluster. Kept in memory: a restart forgives.

use std::{collections::HashMap, time::Duration};

use libp2p::PeerId;

use super::limits::BANS;

/// Who is refused until when.
#[derive(Debug, Default)]
pub(super) struct Bans {
    peers: HashMap<PeerId, Duration>,
}

impl Bans {
    /// Refuses an identity until then.
    pub fn discourage(&mut self, peer: PeerId, until: Duration) {
        if self.peers.len() >= BANS
            && !self.peers.contains_key(&peer)
            && let Some(first) = self.peers.iter().min_by_key(|(_, until)| **until)
        {
            let first = *first.0;
            self.peers.remove(&first);
        }
        let entry = self.peers.entry(peer).or_default();
        *entry = until.max(*entry);
    }

    /// Forgets what is over.
    pub fn tick(&mut self, now: Duration) {
        self.peers.retain(|_, until| *until > now);
    }

    /// All of them, with the time that is left.
    pub fn iter(&self, now: Duration) -> impl Iterator<Item = (PeerId, Duration)> {
        self.peers.iter().map(move |(peer, until)| (*peer, until.saturating_sub(now)))
    }

    /// Forgives one, or all. Gives how many there were.
    pub fn forgive(&mut self, peer: Option<&PeerId>) -> usize {
        let before = self.peers.len();
        self.peers.retain(|banned, _| peer.is_some_and(|peer| peer != banned));
        before - self.peers.len()
    }

    /// Whether an identity is refused.
    pub fn has_peer(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn an_identity_is_refused_until_the_time_is_over() {
        let (mut bans, peer) = (Bans::default(), PeerId::random());
        bans.discourage(peer, HOUR);
        bans.discourage(peer, Duration::from_secs(1));
        bans.tick(HOUR - Duration::from_secs(1));
        assert!(bans.has_peer(&peer), "a shorter time does not end a longer one");
        bans.tick(HOUR);
        assert!(!bans.has_peer(&peer));
    }

    #[test]
    fn there_is_a_bound_and_the_first_to_end_makes_room() {
        let mut bans = Bans::default();
        let first = PeerId::random();
        bans.discourage(first, HOUR);
        for _ in 0..BANS {
            bans.discourage(PeerId::random(), 2 * HOUR);
        }
        assert_eq!(bans.peers.len(), BANS);
        assert!(!bans.has_peer(&first));
    }
}

//! Peers of our own subnet. They never enter the address book: whoever is on the local network can
//! announce as many as it likes.

use std::time::Duration;

use libp2p::PeerId;

use super::{super::addrman::Entry, pause::again_after};
use crate::net::limits;

/// One that does not answer so often in a row is dropped; multicast DNS finds it again.
const FAILURES: u32 = 8;

#[derive(Debug)]
struct LocalPeer {
    entry: Entry,
    failures: u32,
    next: Duration,
}

/// Peers of our own subnet.
#[derive(Debug, Default)]
pub(super) struct LocalPeers(Vec<LocalPeer>);

impl LocalPeers {
    /// Takes up another one, if there is room.
    pub fn add(&mut self, entry: Entry) {
        if self.0.len() < limits::LOCAL_KNOWN && !self.0.iter().any(|peer| peer.entry == entry) {
            self.0.push(LocalPeer { entry, failures: 0, next: Duration::ZERO });
        }
    }

    pub fn forget(&mut self, entry: &Entry) {
        self.0.retain(|peer| peer.entry != *entry);
    }

    /// One to dial now.
    pub fn pick(&mut self, now: Duration, free: impl Fn(&PeerId) -> bool) -> Option<Entry> {
        self.0.iter().find(|peer| peer.next <= now && free(&peer.entry.0)).map(|peer| peer.entry)
    }

    /// It answers.
    pub fn good(&mut self, id: &PeerId) {
        self.0.iter_mut().filter(|peer| peer.entry.0 == *id).for_each(|peer| peer.failures = 0);
    }

    /// It was dialled: not again before some time, longer each time until it has proved good.
    pub fn record_dial(&mut self, entry: &Entry, now: Duration) {
        if let Some(peer) = self.0.iter_mut().find(|peer| peer.entry == *entry) {
            peer.next = now + again_after(peer.failures);
            peer.failures += 1;
        }
        self.0.retain(|peer| peer.failures < FAILURES);
    }
}

//! Who is connected, and how much each has asked of us lately.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};

use super::{
    dial::Slot,
    limits::{self, Limits},
};
use namechain_core::{sync::Peer, token_bucket::TokenBucket};

/// A connected peer.
#[derive(Debug)]
pub(super) struct ConnectedPeer {
    /// Its number, as long as it is connected.
    pub number: Peer,
    /// Its identity.
    pub id: PeerId,
    /// The connection.
    pub connection: ConnectionId,
    /// Where it is.
    pub address: Multiaddr,
    /// Its IP address.
    pub ip: Option<IpAddr>,
    /// Whether we dialled it.
    pub outbound: bool,
    /// What the connection is for, if we dialled it.
    pub slot: Option<Slot>,
    /// Since when, in seconds of Unix time.
    pub since: u64,
    /// Since when, since the start.
    pub at: Duration,
    /// Whether it has said hello, or answered ours.
    pub greeted: bool,
    /// What it may ask for.
    pub requests: TokenBucket,
    /// Requests over that.
    pub requests_over: u32,
    /// The bytes of answers that it may have, in KiB.
    pub answers: TokenBucket,
    /// The blocks that it may bring, in halves.
    pub blocks: TokenBucket,
    /// The operations that it may bring.
    pub operations: TokenBucket,
    /// Messages over that.
    pub gossip_over: u32,
    /// What it may tell of itself.
    pub signals: TokenBucket,
    /// Shared with each answer to it that is under way.
    pub answering: Arc<()>,
    /// Requests of ours that it has not answered.
    pub asked: usize,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Peers {
    /// What each may have of answers, in KiB: at once, and in a second.
    answer_kib: (u32, u32),
    by_id: HashMap<PeerId, ConnectedPeer>,
    by_number: HashMap<Peer, PeerId>,
    next: u64,
}

/// How a connection begins.
pub(super) struct NewConnection {
    pub id: PeerId,
    pub connection: ConnectionId,
    pub address: Multiaddr,
    pub ip: Option<IpAddr>,
    /// What it is for, if we dialled it.
    pub slot: Option<Slot>,
    pub now: Duration,
    pub unix: u64,
}

impl ConnectedPeer {
    /// Whether the connection carries blocks only.
    pub fn is_block_only(&self) -> bool {
        self.slot == Some(Slot::BlockOnly)
    }
}

impl Peers {
    /// Nobody is connected.
    pub fn new(limits: &Limits) -> Self {
        Peers {
            answer_kib: (limits.answer_kib_at_once, limits.answer_kib_per_second),
            by_id: HashMap::new(),
            by_number: HashMap::new(),
            next: 0,
        }
    }

    fn fresh_answers(&self, now: Duration) -> TokenBucket {
        let (at_once, per_second) = self.answer_kib;
        TokenBucket::new(at_once, per_second, now)
    }

    /// A peer is there, under a number of its own; what it replaces, if it was connected already.
    pub fn arrive(&mut self, new_connection: NewConnection) -> (Peer, Option<ConnectedPeer>) {
        let NewConnection { id, connection, address, ip, slot, now, unix } = new_connection;
        let number = Peer(self.next);
        self.next += 1;
        let connected = ConnectedPeer {
            number,
            id,
            connection,
            address,
            ip,
            outbound: slot.is_some(),
            slot,
            since: unix,
            at: now,
            greeted: false,
            requests: TokenBucket::new(
                limits::REQUEST_TOKENS,
                limits::REQUEST_TOKENS_PER_SECOND,
                now,
            ),
            requests_over: 0,
            answers: self.fresh_answers(now),
            blocks: TokenBucket::new(
                2 * limits::BLOCKS_AT_ONCE,
                limits::BLOCKS_PER_TWO_SECONDS,
                now,
            ),
            operations: TokenBucket::new(
                limits::OPERATIONS_AT_ONCE,
                limits::OPERATIONS_PER_SECOND,
                now,
            ),
            gossip_over: 0,
            signals: TokenBucket::new(limits::SIGNALS_AT_ONCE, limits::SIGNALS_PER_SECOND, now),
            answering: Arc::new(()),
            asked: 0,
        };
        let replaced = self.by_id.insert(id, connected);
        if let Some(old) = &replaced {
            self.by_number.remove(&old.number);
        }
        self.by_number.insert(number, id);
        (number, replaced)
    }

    /// A connection is gone; the peer's, unless that has been replaced.
    pub fn leave(&mut self, id: &PeerId, connection: ConnectionId) -> Option<ConnectedPeer> {
        if self.by_id.get(id)?.connection != connection {
            return None;
        }
        let gone = self.by_id.remove(id)?;
        self.by_number.remove(&gone.number);
        Some(gone)
    }

    /// By identity.
    pub fn get(&mut self, id: &PeerId) -> Option<&mut ConnectedPeer> {
        self.by_id.get_mut(id)
    }

    /// By number.
    pub fn numbered(&mut self, number: Peer) -> Option<&mut ConnectedPeer> {
        self.by_id.get_mut(self.by_number.get(&number)?)
    }

    /// Whether it is connected.
    pub fn has(&self, id: &PeerId) -> bool {
        self.by_id.contains_key(id)
    }

    /// Those that we dialled for `slot` and that have answered, the longest connected first.
    pub fn good_in(&self, slot: Slot) -> Vec<&ConnectedPeer> {
        let is_good = |peer: &&ConnectedPeer| peer.greeted && peer.slot == Some(slot);
        let mut good: Vec<&ConnectedPeer> = self.iter().filter(is_good).collect();
        good.sort_by_key(|peer| peer.at);
        good
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &ConnectedPeer> {
        self.by_id.values()
    }

    /// How many dialled us, and how many we dialled.
    pub fn counts(&self) -> (usize, usize) {
        let outbound = self.iter().filter(|peer| peer.outbound).count();
        (self.by_id.len() - outbound, outbound)
    }
}

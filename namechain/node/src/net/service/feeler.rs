//! The feelers under way.

use std::{collections::HashMap, time::Duration};

use libp2p::{PeerId, request_response::OutboundRequestId, swarm::ConnectionId};

use super::super::addrman::Entry;

/// A short connection that only shows whether somebody answers.
#[derive(Debug)]
pub(super) struct Feeler {
    pub connection: ConnectionId,
    pub entry: Entry,
    /// Our hello.
    pub request: OutboundRequestId,
    /// When it is given up.
    pub until: Duration,
    /// Whether somebody of our network has answered.
    pub answered: bool,
}

/// Those under way, by peer.
#[derive(Debug, Default)]
pub(super) struct Feelers(pub HashMap<PeerId, Feeler>);

impl Feelers {
    /// Whether there is one to a peer.
    pub fn has(&self, peer: &PeerId) -> bool {
        self.0.contains_key(peer)
    }

    /// Whether a request is the hello of one.
    pub fn has_request(&self, request: OutboundRequestId) -> bool {
        self.0.values().any(|feeler| feeler.request == request)
    }
}

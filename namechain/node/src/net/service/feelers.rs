//! Feelers: short connections that only show whether somebody of our network answers at an address.
//! The chain thread does not hear of them.

use std::time::Duration;

use libp2p::{PeerId, swarm::ConnectionId};
use tracing::debug;

use super::{
    super::{
        addrman::Entry,
        clock,
        codec::{Reply, Wanted},
    },
    NetworkService,
    feeler::Feeler,
};
use namechain_core::sync::message::{Request, Response};

impl NetworkService {
    /// A feeler is connected: it says hello.
    pub(super) fn begin_feeler(&mut self, connection: ConnectionId, entry: Entry) {
        let hello = Wanted::Read(Request::Hello(self.requests.server().hello()));
        let request = self.swarm.behaviour_mut().requests.send_request(&entry.0, hello);
        let until = self.clock.elapsed() + self.limits.hello_within;
        let feeler = Feeler { connection, entry, request, until, answered: false };
        self.feelers.0.insert(entry.0, feeler);
    }

    /// Somebody has answered a feeler's hello.
    pub(super) fn on_feeler_answered(&mut self, id: &PeerId, reply: Reply) {
        let genesis = self.requests.server().hello().genesis;
        let is_ours = matches!(
            reply,
            Reply::Received(Response::Hello(hello)) if hello.genesis == genesis
        );
        if let Some(feeler) = self.feelers.0.get_mut(id) {
            feeler.answered = is_ours;
            self.swarm.close_connection(feeler.connection);
        }
    }

    /// Gives up those that have not been answered in time.
    pub(super) fn close_late_feelers(&mut self, now: Duration) {
        for feeler in self.feelers.0.values().filter(|feeler| now >= feeler.until) {
            self.swarm.close_connection(feeler.connection);
        }
    }

    /// A connection is gone. Whether it was a feeler, of which the address book then hears.
    pub(super) fn end_feeler(&mut self, id: &PeerId, connection: ConnectionId) -> bool {
        if self.feelers.0.get(id).is_none_or(|feeler| feeler.connection != connection) {
            return false;
        }
        let Some(feeler) = self.feelers.0.remove(id) else { return false };
        self.discovery.on_closed(id);
        let (entry, unix) = (feeler.entry, clock::unix_now());
        debug!("a feeler to {}: {}", entry.1.multiaddr(), feeler.answered);
        if feeler.answered {
            self.discovery.addrman.good(entry, entry.1.group(), unix);
        } else {
            self.discovery.addrman.failed(&entry, unix);
        }
        true
    }
}

//! Which connections carry gossip: all but those that we dialled for blocks only, and feelers.
//! GossipSub has no such setting, so it does not hear of the others.

use std::{
    collections::HashMap,
    task::{Context, Poll},
};

use either::Either;
use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    gossipsub,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished},
        dummy,
    },
};

use super::gossip;

/// GossipSub, on some of the connections.
pub(super) struct GossipLinks {
    /// GossipSub itself.
    pub engine: gossip::Behaviour,
    /// The connections that it does not hear of, with their peers once they are there.
    hidden: HashMap<ConnectionId, Option<PeerId>>,
}

impl GossipLinks {
    pub fn new(engine: gossip::Behaviour) -> Self {
        GossipLinks { engine, hidden: HashMap::new() }
    }

    /// A connection that is about to be dialled is to carry no gossip.
    pub fn hide(&mut self, connection: ConnectionId) {
        self.hidden.insert(connection, None);
    }

    /// How many connections with a peer are hidden.
    fn hidden_of(&self, peer: &PeerId) -> usize {
        self.hidden.values().filter(|hidden| hidden.as_ref() == Some(peer)).count()
    }
}

impl NetworkBehaviour for GossipLinks {
    type ConnectionHandler = Either<THandler<gossip::Behaviour>, dummy::ConnectionHandler>;
    type ToSwarm = gossipsub::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.engine
            .handle_established_inbound_connection(connection, peer, local, remote)
            .map(Either::Left)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.hidden.contains_key(&connection) {
            return Ok(Either::Right(dummy::ConnectionHandler));
        }
        self.engine
            .handle_established_outbound_connection(connection, peer, address, role, port_use)
            .map(Either::Left)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        let event = match event {
            FromSwarm::ConnectionEstablished(event) => {
                if let Some(hidden) = self.hidden.get_mut(&event.connection_id) {
                    *hidden = Some(event.peer_id);
                    return;
                }
                let hidden = self.hidden_of(&event.peer_id);
                let other_established = event.other_established.saturating_sub(hidden);
                FromSwarm::ConnectionEstablished(ConnectionEstablished {
                    other_established,
                    ..event
                })
            }
            FromSwarm::ConnectionClosed(event) => {
                if self.hidden.remove(&event.connection_id).is_some() {
                    return;
                }
                let hidden = self.hidden_of(&event.peer_id);
                let remaining_established = event.remaining_established.saturating_sub(hidden);
                FromSwarm::ConnectionClosed(ConnectionClosed { remaining_established, ..event })
            }
            FromSwarm::AddressChange(event) if self.hidden.contains_key(&event.connection_id) => {
                return;
            }
            FromSwarm::DialFailure(event) => {
                self.hidden.remove(&event.connection_id);
                FromSwarm::DialFailure(event)
            }
            event => event,
        };
        self.engine.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {
            Either::Left(event) => {
                self.engine.on_connection_handler_event(peer, connection, event);
            }
            Either::Right(never) => match never {},
        }
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ToSwarm<gossipsub::Event, THandlerInEvent<Self>>> {
        self.engine.poll(cx).map(|event| event.map_in(Either::Left))
    }
}

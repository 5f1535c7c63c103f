//! Finding more peers with Kademlia. Nothing is stored in it: only who is near whom is asked. And
//! it never dials: what a peer answers is told with who answered it, for the address book to judge,
//! and the query goes on with those who are connected.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroUsize,
    task::{Context, Poll},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId, StreamProtocol,
    core::{Endpoint, transport::PortUse},
    kad::{self, KadPeer, store::MemoryStore},
    swarm::{
        ConnectionDenied, ConnectionId, DialError, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, behaviour::DialFailure,
    },
};

use super::{connection_limits::Refusal, error::NetError, limits};
use namechain_core::{token_bucket::TokenBucket, types::Network};

/// The most bytes of a Kademlia message: twenty peers with a few addresses each.
const PACKET_BYTES: usize = 8 * 1024;

/// Peers that are taken up of one answer: Kademlia's k.
const PEERS_PER_ANSWER: usize = 20;
/// Peers that were told of and wait to be taken up; what is over is passed over.
const FOUND_WAITING: usize = 512;

/// What the connections tell the behaviour.
type FromHandler = THandlerOutEvent<kad::Behaviour<MemoryStore>>;

/// Somebody of whom a connected peer knows.
#[derive(Debug)]
pub(super) struct Found {
    /// Who told.
    pub teller: PeerId,
    /// Of whom.
    pub peer: PeerId,
    /// Where, as it was told.
    pub addresses: Vec<Multiaddr>,
}

/// The behaviour.
pub(super) struct Kademlia {
    inner: kad::Behaviour<MemoryStore>,
    /// What each connected peer has left of messages that are looked at.
    buckets: HashMap<PeerId, TokenBucket>,
    found: VecDeque<Found>,
    now: Duration,
}

impl Kademlia {
    /// Knows nobody yet.
    pub fn new(us: PeerId, network: Network) -> Result<Self, NetError> {
        let protocol = StreamProtocol::try_from_owned(format!("/namechain/{network}/kad/1"))
            .map_err(|error| NetError::Setup(error.to_string()))?;
        let mut config = kad::Config::new(protocol);
        config
            .set_record_filtering(kad::StoreInserts::FilterBoth)
            .set_kbucket_inserts(kad::BucketInserts::Manual)
            .set_caching(kad::Caching::Disabled)
            .set_periodic_bootstrap_interval(None)
            .set_replication_interval(None)
            .set_publication_interval(None)
            .set_provider_publication_interval(None)
            .set_parallelism(NonZeroUsize::MIN.saturating_add(2))
            .set_max_packet_size(PACKET_BYTES)
            .set_query_timeout(Duration::from_secs(30))
            .set_substreams_timeout(Duration::from_secs(10));
        let store = kad::store::MemoryStoreConfig {
            max_records: 0,
            max_value_bytes: 0,
            max_providers_per_key: 0,
            max_provided_keys: 0,
        };
        let mut inner =
            kad::Behaviour::with_config(us, MemoryStore::with_config(us, store), config);
        inner.set_mode(Some(kad::Mode::Server));
        Ok(Kademlia { inner, buckets: HashMap::new(), found: VecDeque::new(), now: Duration::ZERO })
    }

    /// Tells the time.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
    }

    /// Takes a connected peer into the table from which others are told, under an address that we
    /// believe.
    pub fn add(&mut self, peer: &PeerId, address: Multiaddr) {
        self.inner.add_address(peer, address);
    }

    /// Takes a peer out of it.
    pub fn remove(&mut self, peer: &PeerId) {
        self.inner.remove_peer(peer);
    }

    /// Asks those who are connected for somebody near a random place, unless that is under way.
    pub fn look(&mut self) {
        if self.inner.iter_queries().next().is_none() {
            self.inner.get_closest_peers(PeerId::random());
        }
    }

    /// Instead of a dial: a failure, for the query to go on.
    fn instead_of_dialling(&mut self, peer: PeerId, connection_id: ConnectionId) {
        let error = DialError::Denied { cause: ConnectionDenied::new(Refusal::NotOrdered) };
        let failure = DialFailure { peer_id: Some(peer), error: &error, connection_id };
        self.inner.on_swarm_event(FromSwarm::DialFailure(failure));
    }

    /// A peer has answered a question of ours.
    fn note_answer(&mut self, teller: PeerId, closer: &[KadPeer]) {
        for known in closer.iter().take(PEERS_PER_ANSWER) {
            if self.found.len() < FOUND_WAITING {
                let (peer, addresses) = (known.node_id, known.multiaddrs.clone());
                self.found.push_back(Found { teller, peer, addresses });
            }
        }
    }
}

impl NetworkBehaviour for Kademlia {
    type ConnectionHandler = THandler<kad::Behaviour<MemoryStore>>;
    type ToSwarm = Found;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port_use: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.inner.handle_established_outbound_connection(connection, peer, address, role, port_use)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        if let FromSwarm::ConnectionClosed(closed) = &event
            && closed.remaining_established == 0
        {
            self.buckets.remove(&closed.peer_id);
        }
        self.inner.on_swarm_event(event);
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        let fresh =
            || TokenBucket::new(limits::SEARCHES_AT_ONCE, limits::SEARCHES_PER_SECOND, self.now);
        // One over what it may: its stream waits for an answer that never comes, and it has few
        // streams.
        if self.buckets.entry(peer).or_insert_with(fresh).take(1, self.now) {
            if let FromHandler::FindNodeRes { closer_peers, .. } = &event {
                self.note_answer(peer, closer_peers);
            }
            self.inner.on_connection_handler_event(peer, connection, event);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Found, THandlerInEvent<Self>>> {
        if let Some(found) = self.found.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(found));
        }
        while let Poll::Ready(event) = self.inner.poll(cx) {
            match event {
                ToSwarm::Dial { opts } => {
                    if let Some(peer) = opts.get_peer_id() {
                        self.instead_of_dialling(peer, opts.connection_id());
                    }
                }
                // What its queries come to has been told answer by answer.
                ToSwarm::GenerateEvent(_) => {}
                // Nothing that it is told of others is spread to the other behaviours.
                ToSwarm::NewExternalAddrOfPeer { .. } => {}
                ToSwarm::NotifyHandler { peer_id, handler, event } => {
                    return Poll::Ready(ToSwarm::NotifyHandler { peer_id, handler, event });
                }
                ToSwarm::CloseConnection { peer_id, connection } => {
                    return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
                }
                _ => {}
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Each answer is told with the peer that gave it, and only so many of one.
    #[test]
    fn what_is_found_is_told_with_who_told_it() {
        let mut kad = Kademlia::new(PeerId::random(), Network::Dev).expect("set up");
        let query_id = kad.inner.get_closest_peers(PeerId::random());
        let tellers = [PeerId::random(), PeerId::random()];
        let address: Multiaddr = "/ip4/192.0.2.7/tcp/7379".parse().expect("an address");
        for teller in tellers {
            let known = |_| KadPeer {
                node_id: PeerId::random(),
                multiaddrs: vec![address.clone()],
                connection_ty: kad::ConnectionType::NotConnected,
            };
            let closer_peers = (0..50).map(known).collect();
            let answer = FromHandler::FindNodeRes { closer_peers, query_id };
            kad.on_connection_handler_event(teller, ConnectionId::new_unchecked(1), answer);
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut found = Vec::new();
        while let Poll::Ready(ToSwarm::GenerateEvent(one)) = kad.poll(&mut cx) {
            found.push(one);
        }
        for teller in tellers {
            let of_it = found.iter().filter(|one| one.teller == teller);
            assert_eq!(of_it.count(), PEERS_PER_ANSWER);
        }
        assert!(found.iter().all(|one| one.addresses == [address.clone()]));
    }
}

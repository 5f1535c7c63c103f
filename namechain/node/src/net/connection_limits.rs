//! Who may connect: bounds in all and by group, bans, one connection a peer, and no dial that we
//! have not ordered. The first of the behaviours, so that what it refuses costs nothing further.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    fmt,
    hash::RandomState,
    net::IpAddr,
    task::{Context, Poll, Waker},
    time::Duration,
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm,
        behaviour::{ConnectionClosed, ConnectionEstablished, DialFailure, ListenFailure},
        dummy,
    },
};

use super::{
    address::{self, Group},
    ban_list::{Ban, BanError, BanList, BanTarget},
    bans::Bans,
    eviction::{EvictionCandidate, choose_eviction},
    limits::{self, Limits},
};
use namechain_core::token_bucket::TokenBucket;

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The identity is discouraged, or the operator has banned it or its address.
    Banned,
    /// There are too many of others'.
    Full,
    /// There are too many from its group.
    GroupFull,
    /// Its group comes too often.
    TooOften,
    /// There is one with this peer.
    Duplicate,
    /// Nobody ordered this dial.
    NotOrdered,
}

impl Refusal {
    /// As a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Refusal::Banned => "banned",
            Refusal::Full => "full",
            Refusal::GroupFull => "group_full",
            Refusal::TooOften => "too_often",
            Refusal::Duplicate => "duplicate",
            Refusal::NotOrdered => "not_ordered",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Refusal {}

/// A connection that stands.
#[derive(Clone, Copy, Debug)]
struct Link {
    peer: PeerId,
    ip: Option<IpAddr>,
    group: Option<Group>,
    inbound: bool,
    since: Duration,
    closing: bool,
    /// The shortest ping, and when it last brought a new block and a new operation.
    min_ping: Option<Duration>,
    last_block: Option<Duration>,
    last_operation: Option<Duration>,
}

/// The behaviour.
pub(super) struct ConnectionLimits {
    us: PeerId,
    limits: Limits,
    now: Duration,
    bans: Bans,
    /// What the operator has banned.
    ban_list: BanList,
    ordered: HashSet<ConnectionId>,
    pending: HashMap<ConnectionId, Option<Group>>,
    /// What each group has left of connections that may begin; one that is full again is not kept.
    begin_buckets: HashMap<Group, TokenBucket>,
    links: HashMap<ConnectionId, Link>,
    close: VecDeque<(PeerId, CloseConnection)>,
    waker: Option<Waker>,
    /// Which network groups are protected from eviction.
    secret: RandomState,
}

impl ConnectionLimits {
    /// Nobody is connected.
    pub fn new(us: PeerId, limits: Limits, ban_list: BanList) -> Self {
        ConnectionLimits {
            us,
            limits,
            now: Duration::ZERO,
            bans: Bans::default(),
            ban_list,
            ordered: HashSet::new(),
            pending: HashMap::new(),
            begin_buckets: HashMap::new(),
            links: HashMap::new(),
            close: VecDeque::new(),
            waker: None,
            secret: RandomState::new(),
        }
    }

    /// Tells the time, since the start and in seconds of Unix time. Bans that are over are
    /// forgotten.
    pub fn tick(&mut self, now: Duration, unix: u64) {
        self.now = now;
        self.bans.tick(now);
        self.ban_list.tick(unix);
        self.begin_buckets.retain(|_, bucket| !bucket.is_full(now));
    }

    /// Lets one dial through.
    pub fn order(&mut self, connection: ConnectionId) {
        self.ordered.insert(connection);
    }

    /// Refuses an identity for some time, and disconnects it. Never its address: behind one may be
    /// a whole provider.
    pub fn discourage(&mut self, peer: PeerId, span: Duration) {
        self.bans.discourage(peer, self.now + span);
        self.disconnect(peer, CloseConnection::All);
    }

    /// A peer has answered a ping.
    pub fn record_ping(&mut self, connection: ConnectionId, took: Duration) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.min_ping = Some(link.min_ping.map_or(took, |least| least.min(took)));
        }
    }

    /// A peer was the first to bring a block, or an operation, that was accepted.
    pub fn record_useful(&mut self, peer: &PeerId, is_block: bool) {
        for link in self.links.values_mut().filter(|link| link.peer == *peer) {
            let last = if is_block { &mut link.last_block } else { &mut link.last_operation };
            *last = Some(self.now);
        }
    }

    /// The shortest ping of a connection, and when, since the start, it last brought a new block.
    pub fn usefulness(&self, connection: ConnectionId) -> (Option<Duration>, Option<Duration>) {
        self.links.get(&connection).map_or((None, None), |link| (link.min_ping, link.last_block))
    }

    /// Of these peers, the one that has not brought a new block for the longest; of several, the
    /// one that is connected the shortest.
    pub fn least_useful(&self, among: &[PeerId]) -> Option<PeerId> {
        let links = self.links.values().filter(|link| among.contains(&link.peer) && !link.closing);
        links.min_by_key(|link| (link.last_block, Reverse(link.since))).map(|link| link.peer)
    }

    /// Whether an identity is refused.
    pub fn is_banned(&self, peer: &PeerId) -> bool {
        self.bans.has_peer(peer) || self.ban_list.has_peer(peer)
    }

    fn is_ip_banned(&self, ip: Option<IpAddr>) -> bool {
        ip.is_some_and(|ip| self.ban_list.has_ip(ip))
    }

    /// The operator bans an identity or a subnet, until a time in seconds of Unix time, or for
    /// good. Whoever is connected and meant is disconnected.
    pub fn ban(&mut self, target: BanTarget, until: Option<u64>) -> Result<(), BanError> {
        self.ban_list.add(target, until)?;
        let is_meant = |link: &&Link| match target {
            BanTarget::Peer(peer) => link.peer == peer,
            BanTarget::Subnet(subnet) => link.ip.is_some_and(|ip| subnet.contains(&ip)),
        };
        let meant: Vec<PeerId> =
            self.links.values().filter(is_meant).map(|link| link.peer).collect();
        for peer in meant {
            self.disconnect(peer, CloseConnection::All);
        }
        Ok(())
    }

    /// The operator lifts a ban, or all, those for misbehavior among them. Gives how many.
    pub fn lift_bans(&mut self, target: Option<&BanTarget>) -> Result<usize, BanError> {
        let lifted = self.ban_list.remove(target)?;
        Ok(lifted
            + match target {
                None => self.bans.forgive(None),
                Some(BanTarget::Peer(peer)) => self.bans.forgive(Some(peer)),
                Some(BanTarget::Subnet(_)) => 0,
            })
    }

    /// All bans: the operator's, then those for misbehavior.
    pub fn list_bans(&self, unix: u64) -> Vec<Ban> {
        let discouraged = self.bans.iter(self.now).map(|(peer, left)| Ban {
            target: BanTarget::Peer(peer),
            until: Some(unix.saturating_add(left.as_secs())),
            by_operator: false,
        });
        self.ban_list.iter().chain(discouraged).collect()
    }

    fn disconnect(&mut self, peer: PeerId, connection: CloseConnection) {
        self.close.push_back((peer, connection));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn inbound(&self) -> impl Iterator<Item = (&ConnectionId, &Link)> {
        self.links.iter().filter(|(_, link)| link.inbound && !link.closing)
    }

    fn inbound_of(&self, group: Option<Group>) -> usize {
        self.inbound().filter(|(_, link)| link.group == group).count()
    }

    /// Whether a connection from an address may begin.
    fn check_inbound(&mut self, ip: Option<IpAddr>) -> Result<(), Refusal> {
        if self.is_ip_banned(ip) {
            return Err(Refusal::Banned);
        }
        let group = ip.map(address::group);
        let own = matches!(group, Some(Group::Loopback(_)));
        if let Some(group) = group.filter(|_| !own) {
            let fresh =
                || TokenBucket::new(limits::INBOUND_BURST, limits::INBOUND_PER_SECOND, self.now);
            if !self.begin_buckets.entry(group).or_insert_with(fresh).take(1, self.now) {
                return Err(Refusal::TooOften);
            }
        }
        let pending = self.pending.values().filter(|pending| **pending == group).count();
        let crowded = pending >= self.limits.inbound_pending_per_group
            || self.inbound_of(group) >= self.limits.inbound_per_group;
        if crowded && !own { Err(Refusal::GroupFull) } else { Ok(()) }
    }

    /// Whether a peer that has proved who it is may come in, and who has to leave for it.
    fn enter(&self, peer: PeerId, ip: Option<IpAddr>) -> Result<Option<ConnectionId>, Refusal> {
        if self.is_banned(&peer) || self.is_ip_banned(ip) {
            return Err(Refusal::Banned);
        }
        let group = ip.map(address::group);
        let own = matches!(group, Some(Group::Loopback(_)));
        if self.inbound_of(group) >= self.limits.inbound_per_group && !own {
            return Err(Refusal::GroupFull);
        }
        if self.inbound().count() < self.limits.inbound {
            return Ok(None);
        }
        self.evicted().map(Some).ok_or(Refusal::Full)
    }

    /// The peers whose place somebody else has: they are being disconnected.
    pub(super) fn closing_peers(&self) -> HashSet<PeerId> {
        let stays =
            |peer: &PeerId| self.links.values().any(|link| link.peer == *peer && !link.closing);
        let closing = self.links.values().filter(|link| link.closing).map(|link| link.peer);
        closing.filter(|peer| !stays(peer)).collect()
    }

    /// Who leaves for a newcomer.
    fn evicted(&self) -> Option<ConnectionId> {
        let candidate = |(connection, link): (&ConnectionId, &Link)| EvictionCandidate {
            connection: *connection,
            group: link.group,
            since: link.since,
            min_ping: link.min_ping,
            last_block: link.last_block,
            last_operation: link.last_operation,
        };
        choose_eviction(self.inbound().map(candidate).collect(), &self.secret)
    }

    /// One connection a peer. Dialled by both at once, both keep the one that the lesser identity
    /// dialled; otherwise the new one replaces the old, whose end has not been noticed yet.
    fn replace(&mut self, peer: PeerId, inbound: bool) -> Result<(), Refusal> {
        let Some((id, old)) =
            self.links.iter_mut().find(|(_, link)| link.peer == peer && !link.closing)
        else {
            return Ok(());
        };
        let at_once =
            old.inbound != inbound && self.now.saturating_sub(old.since) < limits::SIMULTANEOUS;
        let keep_inbound = peer < self.us;
        if at_once && old.inbound == keep_inbound {
            return Err(Refusal::Duplicate);
        }
        old.closing = true;
        let id = *id;
        self.disconnect(peer, CloseConnection::One(id));
        Ok(())
    }
}

fn denied(refusal: Refusal) -> ConnectionDenied {
    super::metrics::refused(refusal.as_str());
    ConnectionDenied::new(refusal)
}

impl NetworkBehaviour for ConnectionLimits {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let ip = address::ip_of(remote);
        self.check_inbound(ip).map_err(denied)?;
        self.pending.insert(connection, ip.map(address::group));
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.pending.remove(&connection);
        let leaves = self.enter(peer, address::ip_of(remote)).map_err(denied)?;
        self.replace(peer, true).map_err(denied)?;
        if let Some(id) = leaves
            && let Some(link) = self.links.get_mut(&id)
        {
            link.closing = true;
            let other = link.peer;
            super::metrics::refused("evicted");
            self.disconnect(other, CloseConnection::One(id));
        }
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: Option<PeerId>,
        addresses: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if !self.ordered.remove(&connection) {
            return Err(denied(Refusal::NotOrdered));
        }
        let banned = peer.is_some_and(|peer| self.is_banned(&peer))
            || addresses.iter().any(|address| self.is_ip_banned(address::ip_of(address)));
        if banned { Err(denied(Refusal::Banned)) } else { Ok(Vec::new()) }
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.is_banned(&peer) || self.is_ip_banned(address::ip_of(address)) {
            return Err(denied(Refusal::Banned));
        }
        self.replace(peer, false).map_err(denied)?;
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(ConnectionEstablished {
                peer_id,
                connection_id,
                endpoint,
                ..
            }) => {
                let ip = address::ip_of(endpoint.get_remote_address());
                let group = ip.map(address::group);
                let (inbound, since) = (endpoint.is_listener(), self.now);
                self.links.insert(
                    connection_id,
                    Link {
                        peer: peer_id,
                        ip,
                        group,
                        inbound,
                        since,
                        closing: false,
                        min_ping: None,
                        last_block: None,
                        last_operation: None,
                    },
                );
            }
            FromSwarm::ConnectionClosed(ConnectionClosed { connection_id, .. }) => {
                self.links.remove(&connection_id);
            }
            FromSwarm::ListenFailure(ListenFailure { connection_id, .. }) => {
                self.pending.remove(&connection_id);
            }
            FromSwarm::DialFailure(DialFailure { connection_id, .. }) => {
                self.ordered.remove(&connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        if let Some((peer_id, connection)) = self.close.pop_front() {
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;

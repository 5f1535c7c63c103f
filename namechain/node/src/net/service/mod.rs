//! The task that drives the engine: one loop. What the chain thread has to hear waits here while
//! its channel is full, and as long as much waits, nothing more is taken from peers; actions are
//! taken all the time, so that the two never wait for each other.

mod discovery;
mod feeler;
mod feelers;
mod finding;
mod gossip;
mod names;
mod requests;
mod start;

use std::{collections::VecDeque, sync::Arc, time::Duration};

pub use start::start;

use futures::StreamExt;
use libp2p::{
    PeerId, Swarm,
    core::ConnectedPoint,
    identify,
    swarm::{ConnectionId, SwarmEvent},
};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{debug, info, warn};

use super::{
    address,
    ban_list::{BanError, BanTarget},
    behaviour::{Behaviour, BehaviourEvent},
    clock::{self, Clock},
    dial::{self, Slot, Target},
    gossip::{PendingValidations, Topics},
    handle::{BanChange, Command, PeerInfo, Shared, Traffic},
    limits::{self, Limits},
    metrics,
    peers::{ConnectedPeer, NewConnection, Peers},
    request_table::{Answer, RequestTable},
};
use discovery::Discovery;
use feeler::Feelers;
use namechain_core::{
    codec::Encode,
    sync::{Acceptance, Action, Event, Misbehavior, Peer},
    types::Network,
};
use names::Names;

/// The task.
pub(super) struct NetworkService {
    swarm: Swarm<Behaviour>,
    us: PeerId,
    network: Network,
    topics: Topics,
    limits: Limits,
    clock: Clock,
    commands: mpsc::Receiver<Command>,
    /// What the chain thread has to hear, in order.
    outbox: VecDeque<Event>,
    answers: mpsc::Receiver<Answer>,
    requests: RequestTable,
    peers: Peers,
    feelers: Feelers,
    names: Names,
    validations: PendingValidations,
    discovery: Discovery,
    shared: Arc<Shared>,
}

impl NetworkService {
    /// Runs until it is told to stop, or nobody is left to tell it or to listen to it. False if
    /// nobody listens though nobody has told it to stop.
    pub(super) async fn run<C: From<Event>>(mut self, events: mpsc::Sender<C>) -> bool {
        let mut beat = interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (done, told) = loop {
            let room = self.outbox.len() < limits::EVENTS;
            tokio::select! {
                biased;
                permit = events.reserve(), if !self.outbox.is_empty() => match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(C::from(event)),
                    _ => break (None, false),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Act(action)) => self.act(action),
                    Some(Command::ChangeBans(change, reply)) => {
                        // An error: whoever asked has gone.
                        let _ = reply.send(self.change_bans(change));
                    }
                    Some(Command::ListBans(reply)) => {
                        let limits = &self.swarm.behaviour().connection_limits;
                        let _ = reply.send(limits.list_bans(clock::unix_now()));
                    }
                    Some(Command::Stop(done)) => break (Some(done), true),
                    None => break (None, true),
                },
                Some(looked_up) = self.names.next() => self.on_looked_up(looked_up),
                Some(answer) = self.answers.recv() => self.on_answer_ready(answer),
                _ = beat.tick() => self.tick(),
                event = self.swarm.select_next_some(), if room => self.on_swarm(event),
            }
        };
        self.shutdown().await;
        drop(done);
        told
    }

    /// Keeps the address book and closes what is open, as far as the peers let it in time.
    async fn shutdown(&mut self) {
        self.save(true);
        let all: Vec<PeerId> = self.peers.iter().map(|peer| peer.id).collect();
        for peer in all {
            // An error: it is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.connected_peers().next().is_some() {
                self.swarm.select_next_some().await;
            }
        };
        if timeout(limits::SHUTDOWN_WITHIN, closing).await.is_err() {
            debug!("some peers did not close in time");
        }
    }

    /// The chain thread hears of it as soon as there is room.
    pub(super) fn tell(&mut self, event: Event) {
        self.outbox.push_back(event);
    }

    fn on_swarm(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, &endpoint);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.on_disconnected(&peer_id, connection_id)
            }
            SwarmEvent::OutgoingConnectionError { connection_id, peer_id, error } => {
                self.on_dial_failed(connection_id, peer_id, &error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                self.listening(&address);
                self.share_addresses();
            }
            SwarmEvent::ExpiredListenAddr { .. } => self.share_addresses(),
            SwarmEvent::ListenerClosed { reason: Err(error), .. } => {
                warn!("no longer listening for peers: {error}");
                self.share_addresses();
            }
            SwarmEvent::ListenerError { error, .. } => debug!("listening for peers: {error}"),
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            _ => {}
        }
    }

    fn on_behaviour(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Ping(event) => {
                match event.result {
                    Ok(took) => {
                        let limits = &mut self.swarm.behaviour_mut().connection_limits;
                        limits.record_ping(event.connection, took);
                    }
                    Err(_) => {
                        // Nobody's fault: the line may be down. Whoever is there comes back.
                        debug!("{} does not answer a ping", event.peer);
                        self.swarm.close_connection(event.connection);
                    }
                }
            }
            BehaviourEvent::Identify(event) => {
                if let identify::Event::Received { peer_id, .. } = &event {
                    self.on_signal(*peer_id);
                }
                self.on_identify(event);
            }
            BehaviourEvent::Kad(found) => self.on_kad_peer(found),
            BehaviourEvent::Mdns(event) => self.on_mdns(event),
            BehaviourEvent::Gossip(event) => self.on_gossip(event),
            BehaviourEvent::Requests(event) => self.on_request(event),
            BehaviourEvent::ConnectionLimits(never) => match never {},
        }
    }

    fn on_connected(&mut self, id: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) {
        let address = endpoint.get_remote_address().clone();
        let (ip, now) = (address::ip_of(&address), self.clock.elapsed());
        let dialled = match endpoint.is_dialer() {
            true => self.discovery.on_dialled(connection, id, now),
            false => None,
        };
        if let Some(Target { slot: Slot::Feeler, entry: Some(entry), .. }) = dialled {
            return self.begin_feeler(connection, entry);
        }
        let slot = dialled.map(|target| target.slot);
        let outbound = slot.is_some();
        debug!("connected with {id} at {address}, dialled for {slot:?}");
        let new_connection =
            NewConnection { id, connection, address, ip, slot, now, unix: clock::unix_now() };
        let (peer, replaced) = self.peers.arrive(new_connection);
        if let Some(old) = replaced {
            if old.outbound && !outbound {
                self.discovery.on_closed(&id);
            }
            self.tell(Event::PeerDisconnected { peer: old.number });
        }
        let block_only = slot == Some(Slot::BlockOnly);
        self.tell(Event::PeerConnected { peer, ip, outbound, block_only });
    }

    fn on_disconnected(&mut self, id: &PeerId, connection: ConnectionId) {
        if self.end_feeler(id, connection) {
            return;
        }
        let Some(gone) = self.peers.leave(id, connection) else { return };
        debug!("no longer connected with {id}");
        if gone.outbound {
            self.discovery.on_closed(id);
            if !gone.greeted
                && let Some(entry) = dial::entry_of(*id, &gone.address)
            {
                self.discovery.addrman.failed(&entry, clock::unix_now());
            }
        }
        self.tell(Event::PeerDisconnected { peer: gone.number });
    }

    /// Hangs up.
    pub(super) fn disconnect(&mut self, id: &PeerId) {
        // An error: it is gone already.
        let _ = self.swarm.disconnect_peer_id(*id);
    }

    /// A peer asked for, or brought, far more than anybody needs: it is hung up on here and now,
    /// and not let in for some time. What it means for its standing is the chain thread's to say.
    pub(super) fn on_flood(&mut self, id: &PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        let number = peer.number;
        info!("{id} floods us: it is refused for {} s", limits::FLOOD_REFUSED_SECONDS);
        metrics::refused("flood");
        self.tell(Event::PeerMisbehaved { peer: number, misbehavior: Misbehavior::Flood });
        self.discourage(*id, limits::FLOOD_REFUSED_SECONDS);
    }

    /// A peer told something of itself, which an honest one seldom does.
    fn on_signal(&mut self, id: PeerId) {
        let now = self.clock.elapsed();
        if self.peers.get(&id).is_some_and(|peer| !peer.signals.take(1, now)) {
            self.on_flood(&id);
        }
    }

    /// The operator bans somebody, or lifts bans. Gives how many were lifted.
    fn change_bans(&mut self, change: BanChange) -> Result<usize, BanError> {
        let limits = &mut self.swarm.behaviour_mut().connection_limits;
        match change {
            BanChange::Add(target, until) => {
                limits.ban(target, until)?;
                info!("{target} is banned by the operator");
                if let BanTarget::Peer(peer) = target {
                    self.discovery.forget(&peer);
                    self.swarm.behaviour_mut().kad.remove(&peer);
                }
                Ok(0)
            }
            BanChange::Lift(target) => limits.lift_bans(target.as_ref()),
        }
    }

    pub(super) fn discourage(&mut self, id: PeerId, seconds: u64) {
        self.discovery.forget(&id);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.kad.remove(&id);
        behaviour.connection_limits.discourage(id, Duration::from_secs(seconds));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::SendRequest { peer, id, request } => self.ask(peer, id, request),
            Action::ReportAcceptance { gossip, acceptance } => {
                self.report_acceptance(gossip, acceptance)
            }
            Action::BroadcastBlock(block) => {
                self.publish(self.topics.blocks.hash(), "block", block.to_bytes())
            }
            Action::BroadcastOperation(operation) => {
                self.publish(self.topics.operations.hash(), "operation", operation.to_bytes());
            }
            Action::Disconnect { peer, why } => {
                if let Some(id) = self.peers.numbered(peer).map(|peer| peer.id) {
                    debug!("hanging up on {id}: {why}");
                    metrics::refused("hung_up");
                    self.disconnect(&id);
                }
            }
            Action::DialExtraPeer => self.discovery.dialer.want_extra(),
            Action::Ban { peer, misbehavior, seconds } => {
                if let Some(id) = self.peers.numbered(peer).map(|peer| peer.id) {
                    info!("{id} is refused for {seconds} s: {misbehavior:?}");
                    metrics::refused("banned_now");
                    self.discourage(id, seconds);
                }
            }
            Action::RunJob { .. }
            | Action::ConnectBlock { .. }
            | Action::SubmitOperation(_)
            | Action::ParkChain { .. } => {}
        }
    }

    fn tick(&mut self) {
        let now = self.clock.elapsed();
        let behaviour = self.swarm.behaviour_mut();
        behaviour.connection_limits.tick(now, clock::unix_now());
        behaviour.kad.tick(now);
        while let Some(waiting) = self.validations.overdue(now) {
            metrics::gossip("validation", "overdue");
            self.report(&waiting.message, &waiting.from, Acceptance::Ignore);
        }
        self.disconnect_silent(now);
        self.close_late_feelers(now);
        self.refresh_discovery(now);
        self.dial();
        self.look();
        self.save(false);
        self.share();
    }

    fn disconnect_silent(&mut self, now: Duration) {
        let within = self.limits.hello_within;
        let silent = |peer: &&ConnectedPeer| !peer.greeted && now.saturating_sub(peer.at) > within;
        let silent: Vec<(PeerId, Peer)> =
            self.peers.iter().filter(silent).map(|peer| (peer.id, peer.number)).collect();
        for (id, peer) in silent {
            debug!("{id} has not said hello");
            metrics::refused("silent");
            self.tell(Event::PeerMisbehaved { peer, misbehavior: Misbehavior::Silent });
            self.disconnect(&id);
        }
    }

    /// What others may look at.
    fn share(&self) {
        let gossip = &self.swarm.behaviour().gossip.engine;
        // Who was evicted has no place any more, also while the connection is being closed.
        let closing = self.swarm.behaviour().connection_limits.closing_peers();
        let limits = &self.swarm.behaviour().connection_limits;
        let (now, unix) = (self.clock.elapsed(), clock::unix_now());
        let info = |peer: &ConnectedPeer| {
            let (ping, block) = limits.usefulness(peer.connection);
            PeerInfo {
                peer: peer.number,
                id: peer.id.to_base58(),
                address: peer.address.to_string(),
                ip: peer.ip,
                outbound: peer.outbound,
                since: peer.since,
                block_only: peer.is_block_only(),
                latency_ms: ping.map(|ping| u64::try_from(ping.as_millis()).unwrap_or(u64::MAX)),
                last_block: block
                    .map(|block| unix.saturating_sub(now.saturating_sub(block).as_secs())),
                gossip_score: gossip.peer_score(&peer.id).unwrap_or(0.0),
            }
        };
        let mut list: Vec<PeerInfo> =
            self.peers.iter().filter(|peer| !closing.contains(&peer.id)).map(info).collect();
        list.sort_by_key(|peer| peer.peer);
        let outbound = list.iter().filter(|peer| peer.outbound).count();
        let inbound = list.len() - outbound;
        let traffic = Traffic { inbound, outbound, ..self.shared.traffic() };
        metrics::traffic(traffic);
        self.shared.set_peers(list, inbound, outbound);
    }

    /// Where we listen.
    pub(super) fn share_addresses(&self) {
        let whole = |address: &libp2p::Multiaddr| {
            let address = address.clone();
            address.clone().with_p2p(self.us).unwrap_or(address)
        };
        self.shared.set_addresses(self.swarm.listeners().map(whole).collect());
    }
}

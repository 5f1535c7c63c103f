//! The task that drives the engine: one loop. What the chain thread has to hear waits here while
//! its channel is full, and as long as much waits, nothing more is taken from peers; actions are
//! taken all the time, so that the two never wait for each other.

use std::{collections::VecDeque, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use futures::StreamExt;
use libp2p::{
    PeerId, Swarm,
    core::ConnectedPoint,
    gossipsub, identify,
    swarm::{ConnectionId, SwarmEvent},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{debug, info, warn};

use super::{
    PeerInfo, Shared, Traffic, address,
    addrman::AddrMan,
    behaviour::{Behaviour, BehaviourEvent},
    clock::{self, Clock},
    dial::Dialer,
    gossip::{GossipMessage, PendingValidations, Topics},
    limits::{self, Limits},
    metrics,
    peers::{NewConnection, Peers},
    random::Random,
    requests::{Answer, RequestTable},
};
use namechain_core::{
    codec::Encode,
    sync::{Acceptance, Action, Event, GossipId, Misbehavior, Peer},
    types::Network,
};

/// What a block takes of its bucket, which counts in halves.
const A_BLOCK: u32 = 2;

/// What the task is told.
#[expect(clippy::large_enum_variant, reason = "all but the last are actions")]
pub(super) enum Command {
    /// Carry an action out.
    Act(Action),
    /// Say shutdown; the sender is dropped when it is done.
    Stop(oneshot::Sender<()>),
}

/// The task.
pub(super) struct NetworkService {
    pub swarm: Swarm<Behaviour>,
    pub us: PeerId,
    pub network: Network,
    pub topics: Topics,
    pub limits: Limits,
    pub clock: Clock,
    pub data_dir: PathBuf,
    pub commands: mpsc::Receiver<Command>,
    /// What the chain thread has to hear, in order.
    pub outbox: VecDeque<Event>,
    pub answers: mpsc::Receiver<Answer>,
    pub table: RequestTable,
    pub peers: Peers,
    pub verdicts: PendingValidations,
    pub addrman: AddrMan,
    pub dialer: Dialer,
    pub random: Random,
    pub shared: Arc<Shared>,
    /// When the address book is written next, and when others are asked for peers.
    pub save_at: Duration,
    pub look_at: Duration,
}

impl NetworkService {
    /// Runs until it is told to stop, or nobody is left to tell it or to listen to it.
    pub(super) async fn run<C: From<Event>>(mut self, events: mpsc::Sender<C>) {
        let mut beat = interval(Duration::from_secs(1));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let done = loop {
            let room = self.outbox.len() < limits::EVENTS;
            tokio::select! {
                biased;
                permit = events.reserve(), if !self.outbox.is_empty() => match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(C::from(event)),
                    _ => break None,
                },
                order = self.commands.recv() => match order {
                    Some(Command::Act(action)) => self.act(action),
                    Some(Command::Stop(done)) => break Some(done),
                    None => break None,
                },
                Some(answer) = self.answers.recv() => self.on_answer_ready(answer),
                _ = beat.tick() => self.tick(),
                event = self.swarm.select_next_some(), if room => self.on_swarm(event),
            }
        };
        self.shutdown().await;
        drop(done);
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
            debug!("some peers did not take our shutdown");
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
                if event.result.is_err() {
                    // Nobody's fault: the line may be down. Whoever is there comes back.
                    debug!("{} does not answer a ping", event.peer);
                    self.swarm.close_connection(event.connection);
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
        let (ip, outbound, now) =
            (address::ip_of(&address), endpoint.is_dialer(), self.clock.elapsed());
        if outbound {
            self.dialer.established(connection, id, now);
        }
        debug!(
            "connected with {id} at {address}, {}",
            if outbound { "dialled by us" } else { "dialled by it" }
        );
        let new_connection =
            NewConnection { id, connection, address, ip, outbound, now, unix: clock::unix_now() };
        let (peer, replaced) = self.peers.arrive(new_connection);
        if let Some(old) = replaced {
            if old.outbound && !outbound {
                self.dialer.closed(&id);
            }
            self.tell(Event::PeerDisconnected { peer: old.number });
        }
        self.tell(Event::PeerConnected { peer, ip, outbound });
    }

    fn on_disconnected(&mut self, id: &PeerId, connection: ConnectionId) {
        let Some(gone) = self.peers.leave(id, connection) else { return };
        debug!("no longer connected with {id}");
        if gone.outbound {
            self.dialer.closed(id);
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
        let (number, ip) = (peer.number, peer.ip);
        info!("{id} floods us: it is refused for {} s", limits::FLOOD_REFUSED_SECONDS);
        metrics::refused("flood");
        self.tell(Event::PeerMisbehaved { peer: number, misbehavior: Misbehavior::Flood });
        self.refuse(*id, ip, limits::FLOOD_REFUSED_SECONDS);
    }

    /// A peer told something of itself, which an honest one seldom does.
    fn on_signal(&mut self, id: PeerId) {
        let now = self.clock.elapsed();
        if self.peers.get(&id).is_some_and(|peer| !peer.signals.take(1, now)) {
            self.on_flood(&id);
        }
    }

    pub(super) fn refuse(&mut self, id: PeerId, ip: Option<IpAddr>, seconds: u64) {
        self.addrman.forget(&id);
        let behaviour = self.swarm.behaviour_mut();
        behaviour.kad.remove(&id);
        behaviour.connection_limits.ban(id, ip, Duration::from_secs(seconds));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::SendRequest { peer, id, request } => self.ask(peer, id, request),
            Action::ReportAcceptance { gossip, acceptance } => self.judge(gossip, acceptance),
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
            Action::Ban { peer, misbehavior, seconds } => {
                if let Some((id, ip)) = self.peers.numbered(peer).map(|peer| (peer.id, peer.ip)) {
                    info!("{id} is refused for {seconds} s: {misbehavior:?}");
                    metrics::refused("banned_now");
                    // Behind an address may be a node of each network.
                    let ip = ip.filter(|_| misbehavior != Misbehavior::OtherNetwork);
                    self.refuse(id, ip, seconds);
                }
            }
            Action::RunJob { .. }
            | Action::ConnectBlock { .. }
            | Action::SubmitOperation(_)
            | Action::ParkChain { .. } => {}
        }
    }

    fn publish(&mut self, topic: gossipsub::TopicHash, what: &'static str, data: Vec<u8>) {
        match self.swarm.behaviour_mut().gossip.publish(topic, data) {
            Ok(_) => metrics::gossip(what, "told"),
            // Whoever told us has told others: it goes on with our verdict.
            Err(gossipsub::PublishError::Duplicate) => {}
            Err(gossipsub::PublishError::NoPeersSubscribedToTopic) => {
                metrics::gossip(what, "nobody_there")
            }
            Err(error) => {
                metrics::gossip(what, "not_told");
                debug!("a message to everybody was not sent: {error}");
            }
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        let (from, message_id, message) = match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                (propagation_source, message_id, message)
            }
            gossipsub::Event::Subscribed { peer_id, .. }
            | gossipsub::Event::Unsubscribed { peer_id, .. } => {
                return self.on_signal(peer_id);
            }
            _ => return,
        };
        let now = self.clock.elapsed();
        let is_block = message.topic == self.topics.blocks.hash();
        let what = if is_block { "block" } else { "operation" };
        let Some(peer) = self.peers.get(&from) else {
            return self.report(&message_id, &from, Acceptance::Ignore);
        };
        let number = peer.number;
        let may =
            if is_block { peer.blocks.take(A_BLOCK, now) } else { peer.operations.take(1, now) };
        if !may {
            peer.gossip_over += if is_block { limits::BLOCK_OVER } else { 1 };
            let over = peer.gossip_over;
            metrics::gossip(what, "over");
            self.report(&message_id, &from, Acceptance::Ignore);
            if over >= limits::GOSSIP_OVER {
                self.on_flood(&from);
            }
            return;
        }
        peer.gossip_over = peer.gossip_over.saturating_sub(1);
        let told = match self.topics.read(&message.topic, &message.data) {
            Ok(told) => told,
            Err(_) => {
                metrics::gossip(what, "malformed");
                self.report(&message_id, &from, Acceptance::Reject);
                return self.tell(Event::PeerMisbehaved {
                    peer: number,
                    misbehavior: Misbehavior::Malformed,
                });
            }
        };
        let Some(gossip) = self.verdicts.open(message_id.clone(), from, is_block, now) else {
            metrics::gossip(what, "too_many");
            return self.report(&message_id, &from, Acceptance::Ignore);
        };
        metrics::gossip(what, "heard");
        self.tell(match told {
            GossipMessage::Block(block) => Event::BlockAnnounced { peer: number, gossip, block },
            GossipMessage::Operation(operation) => {
                Event::OperationAnnounced { peer: number, gossip, operation: *operation }
            }
        });
    }

    fn judge(&mut self, gossip: GossipId, verdict: Acceptance) {
        if let Some(waiting) = self.verdicts.close(gossip) {
            // Blocks of our chain may come as fast as they are made.
            if verdict == Acceptance::Accept
                && waiting.is_block
                && let Some(peer) = self.peers.get(&waiting.from)
            {
                peer.blocks.give_back(A_BLOCK);
            }
            self.report(&waiting.message, &waiting.from, verdict);
        }
    }

    fn report(&mut self, message: &gossipsub::MessageId, from: &PeerId, verdict: Acceptance) {
        let (acceptance, outcome) = match verdict {
            Acceptance::Accept => (gossipsub::MessageAcceptance::Accept, "accepted"),
            Acceptance::Ignore => (gossipsub::MessageAcceptance::Ignore, "ignored"),
            Acceptance::Reject => (gossipsub::MessageAcceptance::Reject, "rejected"),
        };
        metrics::gossip("verdict", outcome);
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(message, from, acceptance) {
            debug!("a verdict came too late");
        }
    }

    fn tick(&mut self) {
        let now = self.clock.elapsed();
        let behaviour = self.swarm.behaviour_mut();
        behaviour.connection_limits.tick(now);
        behaviour.kad.tick(now);
        while let Some(waiting) = self.verdicts.overdue(now) {
            metrics::gossip("verdict", "overdue");
            self.report(&waiting.message, &waiting.from, Acceptance::Ignore);
        }
        self.hang_up_on_the_silent(now);
        self.dial();
        self.look();
        self.save(false);
        self.share();
    }

    fn hang_up_on_the_silent(&mut self, now: Duration) {
        let within = self.limits.hello_within;
        let silent = |peer: &&super::peers::ConnectedPeer| {
            !peer.greeted && now.saturating_sub(peer.at) > within
        };
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
        let gossip = &self.swarm.behaviour().gossip;
        let mut list: Vec<PeerInfo> = self
            .peers
            .iter()
            .map(|peer| PeerInfo {
                peer: peer.number,
                id: peer.id.to_base58(),
                address: peer.address.to_string(),
                ip: peer.ip,
                outbound: peer.outbound,
                since: peer.since,
                gossip_score: gossip.peer_score(&peer.id).unwrap_or(0.0),
            })
            .collect();
        list.sort_by_key(|peer| peer.peer);
        let (inbound, outbound) = self.peers.counts();
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

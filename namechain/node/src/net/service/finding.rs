//! Finding peers: what identify and Kademlia tell goes to the address book, as far as we believe
//! it, and from there to the dialler; what multicast DNS tells goes to the dialler alone.

use std::time::Duration;

use libp2p::{
    Multiaddr, PeerId, identify, mdns,
    swarm::{ConnectionId, DialError, dial_opts::DialOpts},
};
use tracing::{debug, info, warn};

use super::{
    super::{
        address::{self, Address},
        addrman::Entry,
        behaviour, clock,
        connection_limits::Refusal,
        dial::{self, Outcome, Slot, Target, View},
        kad::Found,
        limits, metrics,
        peers::ConnectedPeer,
    },
    NetworkService,
    names::{LookedUp, PeerName},
};
use namechain_core::sync::{Event, Misbehavior};

impl NetworkService {
    /// A peer said what it speaks and where it listens. Where it sees us is not believed, and not
    /// looked at.
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        let identify::Event::Received { connection_id, peer_id, info } = event else { return };
        if info.protocol_version != behaviour::protocol_version(self.network) {
            self.on_other_network(&peer_id);
            return;
        }
        let Some(peer) = self.peers.get(&peer_id).filter(|peer| peer.connection == connection_id)
        else {
            return;
        };
        // A connection for blocks only tells nobody of addresses; a peer of our own subnet is of
        // use to nobody else.
        if matches!(peer.slot, Some(Slot::BlockOnly | Slot::Local)) {
            return;
        }
        let (Some(ip), outbound, dialled) = (peer.ip, peer.outbound, peer.address.clone()) else {
            return;
        };
        let unix = clock::unix_now();
        let own = |told: &Multiaddr| {
            Address::read(told).map(|(address, _)| address).filter(|own| own.ip == ip)
        };
        for address in info.listen_addrs.iter().filter_map(own).take(limits::ADDRESSES_PER_PEER) {
            self.discovery.addrman.add((peer_id, address), address::group(ip), unix);
            self.swarm.behaviour_mut().kad.add(&peer_id, address.multiaddr());
        }
        if outbound && let Some((_, address)) = dial::entry_of(peer_id, &dialled) {
            self.swarm.behaviour_mut().kad.add(&peer_id, address.multiaddr());
        }
        // Whom does it know?
        self.discovery.look_at =
            self.discovery.look_at.min(self.clock.elapsed() + limits::LOOK_AFTER);
    }

    /// A connected peer knows of another one.
    pub(super) fn on_kad_peer(&mut self, found: Found) {
        let Found { teller, peer, addresses } = found;
        let Some(ip) = self.peers.get(&teller).and_then(|peer| peer.ip) else { return };
        if peer == self.us || self.swarm.behaviour().connection_limits.is_banned(&peer) {
            return;
        }
        let unix = clock::unix_now();
        let read = addresses.iter().filter_map(Address::read).map(|(address, _)| address);
        for address in read.take(limits::ADDRESSES_PER_PEER) {
            if address.may_come_from(ip) {
                self.discovery.addrman.add((peer, address), address::group(ip), unix);
            }
        }
    }

    /// Somebody on the local network says that it is there, or has not said so for some time. It is
    /// believed about our own subnets, and does not enter the address book.
    pub(super) fn on_mdns(&mut self, event: mdns::Event) {
        self.discovery.local_networks.refresh();
        let (list, is_gone) = match event {
            mdns::Event::Discovered(list) => (list, false),
            mdns::Event::Expired(list) => (list, true),
        };
        for (peer, told) in list.into_iter().take(limits::DISCOVERED_AT_ONCE) {
            let Some((address, _)) = Address::read(&told).filter(|_| peer != self.us) else {
                continue;
            };
            let entry = (peer, address);
            if is_gone {
                self.discovery.dialer.forget_local(&entry);
            } else if self.discovery.local_networks.has_neighbour(address.ip) {
                self.discovery.dialer.add_local(entry);
            }
        }
    }

    /// A peer that we dialled is on our network and answers.
    pub(super) fn on_hello_answered(&mut self, id: &PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        peer.greeted = true;
        self.discovery.dialer.good(id);
        let (slot, address, ip) = (peer.slot, peer.address.clone(), peer.ip);
        if !matches!(slot, None | Some(Slot::Local))
            && let (Some(entry), Some(ip)) = (dial::entry_of(*id, &address), ip)
        {
            self.discovery.addrman.good(entry, address::group(ip), clock::unix_now());
            self.anchor();
            self.discovery.save_soon(self.clock.elapsed());
        }
    }

    /// A peer is on another network: it is not asked again.
    pub(super) fn on_other_network(&mut self, id: &PeerId) {
        let Some(peer) = self.peers.get(id) else { return };
        let number = peer.number;
        info!(
            "{id} is on another network: it is refused for {} s",
            limits::ELSEWHERE_REFUSED_SECONDS
        );
        metrics::refused("other_network");
        self.tell(Event::PeerMisbehaved { peer: number, misbehavior: Misbehavior::OtherNetwork });
        self.discourage(*id, limits::ELSEWHERE_REFUSED_SECONDS);
    }

    /// The anchors of the next run are those whom we dialled for blocks only and know to be good.
    /// While there are none, those of the last run stay.
    fn anchor(&mut self) {
        let good = self.peers.good_in(Slot::BlockOnly);
        let entries: Vec<Entry> =
            good.iter().filter_map(|peer| dial::entry_of(peer.id, &peer.address)).collect();
        if !entries.is_empty() {
            self.discovery.addrman.set_anchors(entries);
        }
    }

    /// What is looked at once in a while: who of the address book is connected, and whether there
    /// are connections for blocks only and no others.
    pub(super) fn refresh_discovery(&mut self, now: Duration) {
        let is_good = |peer: &&ConnectedPeer| peer.outbound && peer.greeted;
        let connected = self.peers.iter().filter(is_good);
        let entries: Vec<Entry> =
            connected.filter_map(|peer| dial::entry_of(peer.id, &peer.address)).collect();
        self.discovery.refresh(entries.into_iter(), now, clock::unix_now());
        self.discovery.local_networks.refresh();
        if let Some(peer) = self.discovery.dialer.surplus_block_only(now) {
            debug!("{peer} is closed: it is needed for more than blocks");
            self.disconnect(&peer);
        }
        let peers = &self.peers;
        let is_ripe = |id: &PeerId| {
            peers.iter().any(|peer| peer.id == *id && now >= peer.at + limits::EXTRA_FOR)
        };
        let surplus = self.discovery.dialer.take_surplus(is_ripe);
        let has_served = |id: &PeerId| {
            peers.iter().any(|peer| peer.id == *id && now >= peer.at + limits::SEED_KEPT)
        };
        let seeds: Vec<PeerId> =
            self.discovery.dialer.seeds_to_leave().into_iter().filter(has_served).collect();
        let limits = &self.swarm.behaviour().connection_limits;
        if let Some(peer) = limits.least_useful(&surplus) {
            debug!("{peer} is closed: there is one connection more than slots");
            self.disconnect(&peer);
        }
        for seed in seeds {
            debug!("{seed} is closed: it is a seed, and there are other connections");
            self.disconnect(&seed);
        }
    }

    /// Dials whom the plan names, as long as it names somebody.
    pub(super) fn dial(&mut self) {
        let (now, unix) = (self.clock.elapsed(), clock::unix_now());
        loop {
            let (peers, us, connection_limits) =
                (&self.peers, self.us, &self.swarm.behaviour().connection_limits);
            let feelers = &self.feelers;
            let taken = |peer: &PeerId| {
                *peer == us
                    || peers.has(peer)
                    || feelers.has(peer)
                    || connection_limits.is_banned(peer)
            };
            let view = View { now, unix, addrman: &self.discovery.addrman, taken: &taken };
            let Some(target) = self.discovery.dialer.next(&view, &mut self.discovery.random) else {
                return;
            };
            match PeerName::of(&target.address) {
                Some(name) => self.names.look_up(name, target),
                None => {
                    let addresses = vec![target.address.clone()];
                    self.dial_target(target, addresses);
                }
            }
        }
    }

    /// A name has been looked up.
    pub(super) fn on_looked_up(&mut self, looked_up: LookedUp) {
        let LookedUp { target, addresses } = looked_up;
        if addresses.is_empty() {
            debug!("the name in {} is not found", target.address);
            self.discovery.dialer.not_found(&target, self.clock.elapsed());
        } else {
            self.dial_target(target, addresses);
        }
    }

    fn dial_target(&mut self, target: Target, addresses: Vec<Multiaddr>) {
        let options = match target.peer {
            Some(peer) => DialOpts::peer_id(peer).addresses(addresses).allocate_new_port().build(),
            None => {
                // Of several one: which, is different each time.
                let at = self.discovery.random.below(addresses.len());
                DialOpts::unknown_peer_id()
                    .address(addresses[at].clone())
                    .allocate_new_port()
                    .build()
            }
        };
        let id = options.connection_id();
        let behaviour = self.swarm.behaviour_mut();
        behaviour.connection_limits.order(id);
        if !target.slot.has_gossip() {
            behaviour.gossip.hide(id);
        }
        self.discovery.dialer.begun(id, target);
        if let Err(error) = self.swarm.dial(options) {
            self.on_dial_failed(id, None, &error);
        }
    }

    /// A dial came to nothing.
    pub(super) fn on_dial_failed(
        &mut self,
        id: ConnectionId,
        peer: Option<PeerId>,
        error: &DialError,
    ) {
        let outcome = match error {
            DialError::LocalPeerId { .. } => Outcome::Ourselves,
            DialError::Denied { cause } if cause.downcast_ref() == Some(&Refusal::Duplicate) => {
                Outcome::Duplicate(peer)
            }
            DialError::DialPeerConditionFalse(_) => Outcome::Duplicate(peer),
            _ => Outcome::Failed,
        };
        let Some(target) = self.discovery.dialer.failed(id, outcome, self.clock.elapsed()) else {
            return;
        };
        let Target { address, entry, .. } = target;
        match (outcome, error) {
            (Outcome::Failed, DialError::WrongPeerId { obtained, .. }) if entry.is_none() => {
                warn!("at {address} there is {obtained}, not who it should be");
            }
            // The error may hold text of whoever answered, so it is not logged.
            (Outcome::Failed, _) => debug!("{address} can't be reached"),
            _ => {}
        }
        if let Some(entry) = entry {
            self.after_dial(&entry, outcome);
        }
    }

    fn after_dial(&mut self, entry: &Entry, outcome: Outcome) {
        match outcome {
            Outcome::Failed => self.discovery.addrman.failed(entry, clock::unix_now()),
            Outcome::Ourselves => self.discovery.addrman.forget(&entry.0),
            Outcome::Duplicate(_) => {}
        }
    }

    /// Writes the address book if it was not written just now, or if it must be.
    pub(super) fn save(&mut self, must: bool) {
        self.discovery.save(self.clock.elapsed(), must);
    }

    /// What is done about peers once in a while.
    pub(super) fn look(&mut self) {
        let now = self.clock.elapsed();
        if now < self.discovery.look_at {
            return;
        }
        let wanted = self.discovery.dialer.wants_more();
        if self.peers.counts() == (0, 0) {
            return;
        }
        self.discovery.look_at =
            now + if wanted { limits::LOOK_EVERY } else { limits::LOOK_SELDOM };
        self.swarm.behaviour_mut().kad.look();
        let (known, tried) = self.discovery.addrman.len();
        debug!(known, tried, "looking for peers");
        metrics::known(known, tried);
    }

    /// Says where we can be reached.
    pub(super) fn listening(&self, address: &Multiaddr) {
        info!("listening for peers on {address}/p2p/{}", self.us);
    }
}

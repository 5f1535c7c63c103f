//! Whom we dial, and when. Pure: the time, chance and the address book are arguments, and dialling
//! itself is somebody else's.
//!
//! Peers that the user named are always tried again. The other slots are filled from the address
//! book, at most one a group of addresses. Two of them carry blocks only, and are the anchors that
//! the next run dials first: nobody can find out by watching operations to whom they go. When
//! nobody is left to dial, a feeler sees every two minutes whether an address answers at all.

mod local;
mod pause;

use std::{collections::HashMap, time::Duration};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};

use super::{
    address::{Address, Group},
    addrman::{AddrMan, Entry},
    limits::{self, Limits},
    random::Random,
};
use local::LocalPeers;
use pause::{AGAIN_MOST, again_after};

/// Dials under way at once.
const DIALS_AT_ONCE: usize = 4;

/// What a connection that we dial is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// A peer that the user named, by its place in the list.
    Named(usize),
    /// Everything.
    Full,
    /// Blocks, and no operations or addresses.
    BlockOnly,
    /// Everything, until there are others: whoever knows nobody asks it for peers.
    Seed,
    /// To see whether somebody answers, and no more.
    Feeler,
    /// A peer of our own subnet, which multicast DNS has found.
    Local,
}

impl Slot {
    /// Whether gossip goes over the connection.
    pub fn has_gossip(self) -> bool {
        !matches!(self, Slot::BlockOnly | Slot::Feeler)
    }
}

/// What is to be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where.
    pub address: Multiaddr,
    /// Who must answer there; `None`: whoever does.
    pub peer: Option<PeerId>,
    /// What it is in the address book.
    pub entry: Option<Entry>,
    /// What for.
    pub slot: Slot,
}

impl Target {
    fn of(entry: Entry, slot: Slot) -> Self {
        Target { address: entry.1.multiaddr(), peer: Some(entry.0), entry: Some(entry), slot }
    }
}

/// What became of a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nobody answered, or somebody else did.
    Failed,
    /// We are connected already with the one who is there.
    Duplicate(Option<PeerId>),
    /// It is us.
    Ourselves,
}

/// A peer that the user named.
#[derive(Clone, Debug)]
struct Named {
    address: Multiaddr,
    /// Who must answer there, as the user said.
    pinned: Option<PeerId>,
    /// Who answered there the last time.
    peer: Option<PeerId>,
    failures: u32,
    next: Duration,
    dialling: bool,
    ourselves: bool,
}

impl Named {
    /// Not again before some time, longer each time until it has proved good.
    fn wait(&mut self, now: Duration) {
        self.next = now + again_after(self.failures);
        self.failures = self.failures.saturating_add(1);
    }
}

/// A connection that we dialled.
#[derive(Clone, Copy, Debug)]
struct Outbound {
    entry: Option<Entry>,
    slot: Slot,
}

/// The plan.
#[derive(Debug)]
pub(super) struct Dialer {
    slots: usize,
    feeler_every: Duration,
    seed_after: Duration,
    seeds: Vec<(Multiaddr, Option<PeerId>)>,
    next_seed: Duration,
    /// Whether a seed is being looked up or dialled.
    seed_dialling: bool,
    named: Vec<Named>,
    anchors: Vec<Entry>,
    local: LocalPeers,
    dialling: HashMap<ConnectionId, Target>,
    outbound: HashMap<PeerId, Outbound>,
    next_feeler: Duration,
    /// Whether there may be one full connection more than slots, for now.
    extra: bool,
    /// Since when there are connections for blocks only and no other.
    only_blocks_since: Option<Duration>,
}

/// What the plan looks at.
pub(super) struct View<'a> {
    /// Since the start.
    pub now: Duration,
    /// In seconds of Unix time.
    pub unix: u64,
    /// The address book.
    pub addrman: &'a AddrMan,
    /// Whether we are connected with a peer, or must not be.
    pub taken: &'a dyn Fn(&PeerId) -> bool,
}

impl Dialer {
    /// A plan for the peers that the user named, the network's seeds and the anchors of the last
    /// run.
    pub fn new(
        named: Vec<(Multiaddr, Option<PeerId>)>,
        seeds: Vec<(Multiaddr, Option<PeerId>)>,
        anchors: Vec<Entry>,
        limits: &Limits,
    ) -> Self {
        let named = named.into_iter().map(|(address, peer)| Named {
            address,
            pinned: peer,
            peer,
            failures: 0,
            next: Duration::ZERO,
            dialling: false,
            ourselves: false,
        });
        Dialer {
            slots: limits.outbound,
            feeler_every: limits.feeler_every,
            seed_after: limits.seed_after,
            seeds,
            next_seed: limits.seed_after,
            seed_dialling: false,
            named: named.collect(),
            anchors,
            local: LocalPeers::default(),
            dialling: HashMap::new(),
            outbound: HashMap::new(),
            next_feeler: limits.feeler_every,
            extra: false,
            only_blocks_since: None,
        }
    }

    /// Whom to dial next; `None`: nobody now. What it says must be followed by [`Dialer::begun`].
    pub fn next(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        if self.dialling.len() >= DIALS_AT_ONCE {
            return None;
        }
        self.next_named(view)
            .or_else(|| self.next_anchor(view))
            .or_else(|| self.next_full(view, random))
            .or_else(|| self.next_block_only(view, random))
            .or_else(|| self.next_local(view))
            .or_else(|| self.next_seed(view, random))
            .or_else(|| self.next_feeler(view, random))
    }

    fn next_named(&mut self, view: &View<'_>) -> Option<Target> {
        let at = self.named.iter().position(|named| {
            let taken =
                named.peer.is_some_and(|peer| (view.taken)(&peer) || self.is_dialling(&peer));
            !taken && !named.dialling && !named.ourselves && named.next <= view.now
        })?;
        let named = &mut self.named[at];
        named.dialling = true;
        Some(Target {
            address: named.address.clone(),
            peer: named.peer,
            entry: None,
            slot: Slot::Named(at),
        })
    }

    fn next_anchor(&mut self, view: &View<'_>) -> Option<Target> {
        while self.count(|slot| slot == Slot::BlockOnly) < limits::BLOCK_ONLY {
            let anchor = self.anchors.pop()?;
            if self.is_free(&anchor, view) && !self.groups().contains(&anchor.1.group()) {
                return Some(Target::of(anchor, Slot::BlockOnly));
            }
        }
        None
    }

    fn next_full(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        let taken = self.count(|slot| matches!(slot, Slot::Full | Slot::Named(_)));
        let slots = self.slots + usize::from(self.extra);
        let entry = (taken < slots).then(|| self.pick(view, random)).flatten()?;
        Some(Target::of(entry, Slot::Full))
    }

    /// Those for blocks only come when there are enough others: a small network needs all it has
    /// for operations.
    fn next_block_only(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        let is_full = self.full() >= self.slots && self.slots > 0;
        let wanted = is_full && self.count(|slot| slot == Slot::BlockOnly) < limits::BLOCK_ONLY;
        let entry = wanted.then(|| self.pick(view, random)).flatten()?;
        Some(Target::of(entry, Slot::BlockOnly))
    }

    fn next_local(&mut self, view: &View<'_>) -> Option<Target> {
        if self.count(|slot| slot == Slot::Local) >= limits::LOCAL {
            return None;
        }
        let busy = self.busy();
        let free = |peer: &PeerId| !(view.taken)(peer) && !busy.contains(peer);
        Some(Target::of(self.local.pick(view.now, free)?, Slot::Local))
    }

    /// A seed is asked when there is no connection and nobody else to dial.
    fn next_seed(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        let connected = self.seed_dialling || self.count(|slot| slot != Slot::Feeler) > 0;
        if connected || view.now < self.next_seed || self.seeds.is_empty() {
            return None;
        }
        self.next_seed = view.now + self.seed_after;
        let (address, peer) = self.seeds[random.below(self.seeds.len())].clone();
        self.seed_dialling = peer.is_none_or(|peer| !(view.taken)(&peer));
        self.seed_dialling.then_some(Target { address, peer, entry: None, slot: Slot::Seed })
    }

    /// A feeler goes to one whose place in *tried* another wants, or to somebody of *new*.
    fn next_feeler(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        if view.now < self.next_feeler || self.count(|slot| slot == Slot::Feeler) > 0 {
            return None;
        }
        // Nobody is to know when.
        let half = self.feeler_every / 2;
        let more = random.below(half.as_millis() as usize * 2) as u64;
        self.next_feeler = view.now + half + Duration::from_millis(more);
        let free = |entry: &Entry| self.is_free(entry, view);
        let collided = view.addrman.pick_collided(random, free);
        let entry = collided.or_else(|| view.addrman.pick_new(random, view.unix, free))?;
        Some(Target::of(entry, Slot::Feeler))
    }

    /// Somebody of the address book in a group that we have no connection to.
    fn pick(&self, view: &View<'_>, random: &mut Random) -> Option<Entry> {
        let groups = self.groups();
        let free = |entry: &Entry| !groups.contains(&entry.1.group()) && self.is_free(entry, view);
        view.addrman.pick(random, view.unix, free)
    }

    /// A peer that is being dialled is not dialled at another of its addresses too: the engine
    /// refuses that at once, and the loop that asks here would never end.
    fn is_free(&self, (peer, _): &Entry, view: &View<'_>) -> bool {
        !(view.taken)(peer) && !self.is_dialling(peer)
    }

    fn is_dialling(&self, peer: &PeerId) -> bool {
        self.dialling.values().any(|target| target.peer == Some(*peer))
    }

    fn busy(&self) -> Vec<PeerId> {
        self.dialling.values().filter_map(|target| target.peer).collect()
    }

    /// How many connections there are, or are about to be, in the slots that `wanted` means.
    fn count(&self, wanted: impl Fn(Slot) -> bool) -> usize {
        let dialling = self.dialling.values().map(|target| target.slot);
        self.outbound
            .values()
            .map(|link| link.slot)
            .chain(dialling)
            .filter(|it| wanted(*it))
            .count()
    }

    /// How many of the full slots are filled.
    fn full(&self) -> usize {
        let is_full = |link: &&Outbound| matches!(link.slot, Slot::Full | Slot::Named(_));
        self.outbound.values().filter(is_full).count()
    }

    /// The groups in which we have a connection that the address book gave us, or are about to.
    fn groups(&self) -> Vec<Group> {
        let dialling = self.dialling.values().filter_map(|target| target.entry);
        let outbound = self.outbound.values().filter_map(|link| link.entry);
        outbound.chain(dialling).map(|(_, address)| address.group()).collect()
    }

    /// A target is being dialled.
    pub fn begun(&mut self, connection: ConnectionId, target: Target) {
        self.dialling.insert(connection, target);
    }

    /// A dial came through. What it was, if it was one of ours.
    pub fn established(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        now: Duration,
    ) -> Option<Target> {
        let target = self.dialling.remove(&connection)?;
        self.seed_dialling &= target.slot != Slot::Seed;
        if let Slot::Named(at) = target.slot
            && let Some(named) = self.named.get_mut(at)
        {
            (named.peer, named.dialling) = (Some(peer), false);
            named.wait(now);
        }
        if let (Slot::Local, Some(entry)) = (target.slot, &target.entry) {
            self.local.record_dial(entry, now);
        }
        self.outbound.insert(peer, Outbound { entry: target.entry, slot: target.slot });
        Some(target)
    }

    /// A peer has answered as one of ours does.
    pub fn good(&mut self, peer: &PeerId) {
        self.named
            .iter_mut()
            .filter(|named| named.peer == Some(*peer))
            .for_each(|named| named.failures = 0);
        self.local.good(peer);
    }

    /// The name of a target is not there: it was not dialled.
    pub fn not_found(&mut self, target: &Target, now: Duration) {
        self.seed_dialling &= target.slot != Slot::Seed;
        if let Slot::Named(at) = target.slot
            && let Some(named) = self.named.get_mut(at)
        {
            named.dialling = false;
            named.wait(now);
        }
    }

    /// The seeds that we are connected with, if there are others too.
    pub fn seeds_to_leave(&self) -> Vec<PeerId> {
        let is_seed = |link: &Outbound| link.slot == Slot::Seed;
        let seeds = self.outbound.iter().filter(|(_, link)| is_seed(link)).map(|(peer, _)| *peer);
        if self.full() > 0 { seeds.collect() } else { Vec::new() }
    }

    /// A dial did not come through: what it was, for the address book.
    pub fn failed(
        &mut self,
        connection: ConnectionId,
        outcome: Outcome,
        now: Duration,
    ) -> Option<Target> {
        let target = self.dialling.remove(&connection)?;
        self.seed_dialling &= target.slot != Slot::Seed;
        match target.slot {
            Slot::Named(at) => {
                let Some(named) = self.named.get_mut(at) else { return Some(target) };
                // Behind a name there may be another one by now.
                (named.dialling, named.peer) = (false, named.pinned);
                named.ourselves |= outcome == Outcome::Ourselves;
                named.wait(now);
                if let Outcome::Duplicate(peer) = outcome {
                    (named.peer, named.next) = (peer.or(named.pinned), now + AGAIN_MOST);
                }
            }
            Slot::Local => {
                if let Some(entry) = &target.entry {
                    self.local.record_dial(entry, now);
                }
            }
            Slot::Full | Slot::BlockOnly | Slot::Feeler | Slot::Seed => {}
        }
        Some(target)
    }

    /// A connection that we dialled is gone.
    pub fn closed(&mut self, peer: &PeerId) {
        self.outbound.remove(peer);
    }

    /// What a connection that we dialled is for.
    #[cfg(test)]
    pub fn slot(&self, peer: &PeerId) -> Option<Slot> {
        self.outbound.get(peer).map(|link| link.slot)
    }

    /// Whether a slot is free: more peers are wanted.
    pub fn wants_more(&self) -> bool {
        self.full() < self.slots
    }

    /// One full connection more may be dialled.
    pub fn want_extra(&mut self) {
        self.extra = self.slots > 0;
    }

    /// If there is one full connection more than slots, which has had its time to show what it has:
    /// those of which one is to be closed. The peers that the user named are not among them.
    pub fn take_surplus(&mut self, is_ripe: impl Fn(&PeerId) -> bool) -> Vec<PeerId> {
        let of_addrman = |link: &Outbound| link.slot == Slot::Full;
        let all: Vec<PeerId> = self
            .outbound
            .iter()
            .filter(|(_, link)| of_addrman(link))
            .map(|(peer, _)| *peer)
            .collect();
        if self.full() <= self.slots || !all.iter().all(&is_ripe) {
            return Vec::new();
        }
        self.extra = false;
        all
    }

    /// Takes up peers of our own subnet that multicast DNS has found.
    pub fn add_local(&mut self, entry: Entry) {
        self.local.add(entry);
    }

    /// Forgets a peer of our own subnet, at one address.
    pub fn forget_local(&mut self, entry: &Entry) {
        self.local.forget(entry);
    }

    /// A peer whose connection for blocks only is to be closed, so that it can be dialled for
    /// everything: for a while there has been no other.
    pub fn surplus_block_only(&mut self, now: Duration) -> Option<PeerId> {
        let block_only =
            self.outbound.iter().find(|(_, link)| link.slot == Slot::BlockOnly).map(|(id, _)| *id);
        if self.full() > 0 || block_only.is_none() {
            self.only_blocks_since = None;
            return None;
        }
        let since = *self.only_blocks_since.get_or_insert(now);
        block_only.filter(|_| now >= since + limits::ONLY_BLOCKS_FOR)
    }
}

/// Where we believe a peer to be that we dialled: what an anchor is made of.
pub(super) fn entry_of(peer: PeerId, address: &Multiaddr) -> Option<Entry> {
    Address::read(address).map(|(address, _)| (peer, address))
}

const _: () = assert!(DIALS_AT_ONCE <= limits::OUTBOUND);

#[cfg(test)]
mod tests;

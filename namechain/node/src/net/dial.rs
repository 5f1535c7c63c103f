//! Whom we dial, and when. Pure: the time, chance and the address book are arguments, and dialling
//! itself is somebody else's.
//!
//! Peers that the user named are always tried again. The other slots are filled from the anchors of
//! the last run, then from the address book, at most one a group of addresses.

use std::{collections::HashMap, time::Duration};

use libp2p::{Multiaddr, PeerId, swarm::ConnectionId};

use super::{
    address::{Address, Group},
    addrman::{AddrMan, Entry},
    limits,
    random::Random,
};

/// The wait before a named peer is dialled again; it doubles with each failure, up to
/// [`AGAIN_MOST`].
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(60);
/// Dials under way at once.
const DIALS_AT_ONCE: usize = 4;

/// What is to be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Where.
    pub address: Multiaddr,
    /// Who must answer there; `None`: whoever does.
    pub peer: Option<PeerId>,
    /// What it is in the address book.
    pub entry: Option<Entry>,
    named: Option<usize>,
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
        self.next = now + AGAIN_MOST.min(AGAIN_FIRST * (1 << self.failures.min(6)));
        self.failures = self.failures.saturating_add(1);
    }
}

/// The plan.
#[derive(Debug)]
pub(super) struct Dialer {
    slots: usize,
    named: Vec<Named>,
    anchors: Vec<Entry>,
    dialling: HashMap<ConnectionId, Target>,
    outbound: HashMap<PeerId, Option<Entry>>,
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
    /// A plan for the peers that the user named and the anchors of the last run.
    pub fn new(named: Vec<(Multiaddr, Option<PeerId>)>, anchors: Vec<Entry>, slots: usize) -> Self {
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
            slots,
            named: named.collect(),
            anchors,
            dialling: HashMap::new(),
            outbound: HashMap::new(),
        }
    }

    /// Whom to dial next; `None`: nobody now. What it says must be followed by [`Dialer::begun`].
    pub fn next(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        if self.dialling.len() >= DIALS_AT_ONCE {
            return None;
        }
        self.next_named(view).or_else(|| self.next_of_addrman(view, random))
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
            named: Some(at),
        })
    }

    fn next_of_addrman(&mut self, view: &View<'_>, random: &mut Random) -> Option<Target> {
        if self.outbound.len() + self.dialling.len() >= self.slots {
            return None;
        }
        let groups = self.groups();
        // A peer that is being dialled is not dialled at another of its addresses too: the engine
        // refuses that at once, and the loop that asks here would never end.
        let busy: Vec<PeerId> = self.dialling.values().filter_map(|target| target.peer).collect();
        let free = |(peer, address): &Entry| {
            !groups.contains(&address.group()) && !(view.taken)(peer) && !busy.contains(peer)
        };
        let anchor = loop {
            match self.anchors.pop() {
                Some(anchor) if free(&anchor) => break Some(anchor),
                Some(_) => {}
                None => break None,
            }
        };
        let entry = anchor.or_else(|| view.addrman.pick(random, view.unix, free))?;
        Some(Target {
            address: entry.1.multiaddr(),
            peer: Some(entry.0),
            entry: Some(entry),
            named: None,
        })
    }

    fn is_dialling(&self, peer: &PeerId) -> bool {
        self.dialling.values().any(|target| target.peer == Some(*peer))
    }

    /// The groups in which we have a connection that the address book gave us, or are about to.
    fn groups(&self) -> Vec<Group> {
        let dialling = self.dialling.values().filter_map(|target| target.entry);
        self.outbound
            .values()
            .copied()
            .flatten()
            .chain(dialling)
            .map(|(_, address)| address.group())
            .collect()
    }

    /// A target is being dialled.
    pub fn begun(&mut self, connection: ConnectionId, target: Target) {
        self.dialling.insert(connection, target);
    }

    /// A dial came through. Whether it was one of ours.
    pub fn established(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        now: Duration,
    ) -> Option<Target> {
        let target = self.dialling.remove(&connection)?;
        if let Some(named) = target.named.and_then(|at| self.named.get_mut(at)) {
            (named.peer, named.dialling) = (Some(peer), false);
            named.wait(now);
        }
        self.outbound.insert(peer, target.entry);
        Some(target)
    }

    /// A peer has answered as one of ours does.
    pub fn good(&mut self, peer: &PeerId) {
        self.named
            .iter_mut()
            .filter(|named| named.peer == Some(*peer))
            .for_each(|named| named.failures = 0);
    }

    /// A dial did not come through: what it was, for the address book.
    pub fn failed(
        &mut self,
        connection: ConnectionId,
        outcome: Outcome,
        now: Duration,
    ) -> Option<Target> {
        let target = self.dialling.remove(&connection)?;
        if let Some(named) = target.named.and_then(|at| self.named.get_mut(at)) {
            // Behind a name there may be another one by now.
            (named.dialling, named.peer) = (false, named.pinned);
            named.ourselves |= outcome == Outcome::Ourselves;
            named.wait(now);
            if let Outcome::Duplicate(peer) = outcome {
                (named.peer, named.next) = (peer.or(named.pinned), now + AGAIN_MOST);
            }
        }
        Some(target)
    }

    /// A connection that we dialled is gone.
    pub fn closed(&mut self, peer: &PeerId) {
        self.outbound.remove(peer);
    }

    /// Whether a slot is free: more peers are wanted.
    pub fn wants_more(&self) -> bool {
        self.outbound.len() < self.slots
    }
}

/// Where we believe a peer to be that we dialled: what an anchor is made of.
pub(super) fn entry_of(peer: PeerId, address: &Multiaddr) -> Option<Entry> {
    Address::read(address).map(|(address, _)| (peer, address))
}

const _: () = assert!(DIALS_AT_ONCE <= limits::OUTBOUND);

#[cfg(test)]
mod tests;

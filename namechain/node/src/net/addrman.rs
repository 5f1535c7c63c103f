//! The address book: whom we could dial. Pure: the time and chance are arguments, the file is
//! bytes.
//!
//! Two tables, as in Bitcoin's address manager. *New* holds what we were told, *tried* those with
//! whom we have spoken. Where an address may stand follows from a secret key, its group (/16 or
//! /32) and, in *new*, the group of whoever told us: nobody can fill more than a small part of
//! either table, however many addresses he has. Nobody is pushed out of *tried* before it has been
//! dialled and has not answered ([`collisions`]).

mod collisions;
mod file;

use std::{collections::HashMap, net::IpAddr};

use blake2::{Blake2b, Digest, digest::consts::U8};
use libp2p::PeerId;

use super::{
    address::{Address, Group},
    random::Random,
};

/// Buckets of *new*, and the places in each.
const NEW_BUCKETS: usize = 128;
const NEW_PLACES: usize = 16;
/// The buckets of *new* that one teller can reach.
const NEW_BUCKETS_PER_TELLER: u64 = 8;
/// Buckets of *tried*, and the places in each.
const TRIED_BUCKETS: usize = 64;
const TRIED_PLACES: usize = 8;
/// The buckets of *tried* that one group can reach.
const TRIED_BUCKETS_PER_GROUP: u64 = 4;
/// Peers that are dialled first after a restart, for blocks only.
pub(super) const ANCHORS: usize = 2;
/// An address in *new* that failed this often is dropped.
const NEW_FAILURES: u8 = 3;
/// An address in *tried* that failed this often is dropped once it has not answered for
/// [`TRIED_AGE`].
const TRIED_FAILURES: u8 = 8;
/// In seconds.
const TRIED_AGE: u64 = 7 * 24 * 3600;
/// An address that nobody has mentioned or reached for this long makes room, in seconds.
const NEW_AGE: u64 = 30 * 24 * 3600;
/// The wait after the first failure, in seconds; each further one doubles it, up to [`RETRY_MOST`].
const RETRY_FIRST: u64 = 60;
const RETRY_MOST: u64 = 12 * 3600;

/// An address with the identity that must answer there.
pub(super) type Entry = (PeerId, Address);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    entry: Entry,
    /// The group of the peer that told us.
    teller: Group,
    /// When it was last told of, in seconds of Unix time.
    heard: u64,
    /// When it was last dialled; 0: never.
    tried: u64,
    /// When it last answered; 0: never.
    answered: u64,
    failures: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    New(usize),
    Tried(usize),
}

/// The address book.
#[derive(Clone, Debug)]
pub(super) struct AddrMan {
    key: [u8; 16],
    new: Vec<Option<Known>>,
    tried: Vec<Option<Known>>,
    places: HashMap<Entry, Place>,
    anchors: Vec<Entry>,
    /// Those that have answered and whose place in *tried* is taken.
    collisions: Vec<Entry>,
}

impl AddrMan {
    /// An empty one with a key of its own.
    pub fn new(random: &mut Random) -> Self {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&random.any().to_be_bytes());
        key[8..].copy_from_slice(&random.any().to_be_bytes());
        AddrMan::with_key(key)
    }

    fn with_key(key: [u8; 16]) -> Self {
        AddrMan {
            key,
            new: vec![None; NEW_BUCKETS * NEW_PLACES],
            tried: vec![None; TRIED_BUCKETS * TRIED_PLACES],
            places: HashMap::new(),
            anchors: Vec::new(),
            collisions: Vec::new(),
        }
    }

    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut hasher = Blake2b::<U8>::new();
        hasher.update(self.key);
        for part in parts {
            hasher.update([part.len() as u8]);
            hasher.update(part);
        }
        u64::from_be_bytes(hasher.finalize().into())
    }

    fn place_in_new(&self, entry: &Entry, teller: Group) -> usize {
        let (group, teller) = (group_bytes(&entry.1.group()), group_bytes(&teller));
        let within = self.hash(&[b"n", &group, &teller]) % NEW_BUCKETS_PER_TELLER;
        let bucket = self.hash(&[b"N", &teller, &within.to_be_bytes()]) as usize % NEW_BUCKETS;
        bucket * NEW_PLACES + self.hash(&[b"p", &entry_bytes(entry)]) as usize % NEW_PLACES
    }

    fn place_in_tried(&self, entry: &Entry) -> usize {
        let (group, bytes) = (group_bytes(&entry.1.group()), entry_bytes(entry));
        let within = self.hash(&[b"t", &bytes]) % TRIED_BUCKETS_PER_GROUP;
        let bucket = self.hash(&[b"T", &group, &within.to_be_bytes()]) as usize % TRIED_BUCKETS;
        bucket * TRIED_PLACES + self.hash(&[b"q", &bytes]) as usize % TRIED_PLACES
    }

    fn at(&mut self, entry: &Entry) -> Option<(&mut Known, Place)> {
        let place = *self.places.get(entry)?;
        let slot = match place {
            Place::New(at) => self.new[at].as_mut(),
            Place::Tried(at) => self.tried[at].as_mut(),
        };
        slot.map(|known| (known, place))
    }

    fn clear(&mut self, place: Place) {
        let slot = match place {
            Place::New(at) => self.new[at].take(),
            Place::Tried(at) => self.tried[at].take(),
        };
        if let Some(known) = slot {
            self.places.remove(&known.entry);
        }
    }

    /// Takes up what a peer in the group `teller` told us, if there is a place for it. `now` in
    /// seconds of Unix time, everywhere here.
    pub fn add(&mut self, entry: Entry, teller: Group, now: u64) {
        if let Some((known, _)) = self.at(&entry) {
            known.heard = now;
            return;
        }
        self.put_new(Known { entry, teller, heard: now, tried: 0, answered: 0, failures: 0 }, now);
    }

    fn put_new(&mut self, known: Known, now: u64) {
        let at = self.place_in_new(&known.entry, known.teller);
        // Whoever stands there keeps his place while he is of use: a flood of addresses pushes
        // nobody out.
        let stays = self.new[at].as_ref().is_some_and(|old| {
            old.failures == 0 && old.heard.max(old.answered).saturating_add(NEW_AGE) > now
        });
        if !stays {
            self.clear(Place::New(at));
            self.places.insert(known.entry, Place::New(at));
            self.new[at] = Some(known);
        }
    }

    /// It answered, and is on our network: it goes to *tried*. If its place there is taken, that
    /// one is dialled first: see [`collisions`].
    pub fn good(&mut self, entry: Entry, teller: Group, now: u64) {
        if let Some((known, Place::Tried(_))) = self.at(&entry) {
            (known.answered, known.tried, known.failures) = (now, now, 0);
            return;
        }
        self.add(entry, teller, now);
        if let Some((known, _)) = self.at(&entry) {
            (known.answered, known.tried, known.failures) = (now, now, 0);
        }
        if self.tried[self.place_in_tried(&entry)].is_some() {
            return self.note_collision(entry);
        }
        let known = Known { entry, teller, heard: now, tried: now, answered: now, failures: 0 };
        self.put_tried(known, now);
    }

    /// Puts one into *tried*; whoever stands in its place goes back to *new*.
    fn put_tried(&mut self, known: Known, now: u64) {
        if let Some(place) = self.places.get(&known.entry).copied() {
            self.clear(place);
        }
        let at = self.place_in_tried(&known.entry);
        self.places.insert(known.entry, Place::Tried(at));
        if let Some(old) = self.tried[at].replace(known) {
            self.places.remove(&old.entry);
            self.put_new(old, now);
        }
    }

    /// It is connected still: that is as good as an answer.
    pub fn record_connected(&mut self, entry: &Entry, now: u64) {
        if let Some((known, Place::Tried(_))) = self.at(entry) {
            (known.answered, known.failures) = (now, 0);
        }
    }

    /// It did not answer.
    pub fn failed(&mut self, entry: &Entry, now: u64) {
        let Some((known, place)) = self.at(entry) else { return };
        known.tried = now;
        known.failures = known.failures.saturating_add(1);
        let gone = match place {
            Place::New(_) => known.failures >= NEW_FAILURES,
            Place::Tried(_) => known.failures >= TRIED_FAILURES && known.answered + TRIED_AGE < now,
        };
        if gone {
            self.clear(place);
        }
    }

    /// Forgets a peer wherever it is.
    pub fn forget(&mut self, peer: &PeerId) {
        let places: Vec<Place> =
            self.places.iter().filter(|((id, _), _)| id == peer).map(|(_, place)| *place).collect();
        places.into_iter().for_each(|place| self.clear(place));
        self.anchors.retain(|(id, _)| id != peer);
        self.collisions.retain(|(id, _)| id != peer);
    }

    /// Somebody to dial now, of those that `wanted` lets through: from either table with the same
    /// chance, so that many in one don't outweigh the other.
    pub fn pick(
        &self,
        random: &mut Random,
        now: u64,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let ready = |known: &&Known| due(known) <= now && wanted(&known.entry);
        let new: Vec<&Known> = self.new.iter().flatten().filter(ready).collect();
        let tried: Vec<&Known> = self.tried.iter().flatten().filter(ready).collect();
        let from = match (new.is_empty(), tried.is_empty()) {
            (true, true) => return None,
            (true, false) => tried,
            (false, true) => new,
            (false, false) if random.below(2) == 0 => new,
            (false, false) => tried,
        };
        Some(from[random.below(from.len())].entry)
    }

    /// Somebody of *new*, to see whether he is there.
    pub fn pick_new(
        &self,
        random: &mut Random,
        now: u64,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Option<Entry> {
        let ready = |known: &&Known| due(known) <= now && wanted(&known.entry);
        let new: Vec<&Known> = self.new.iter().flatten().filter(ready).collect();
        (!new.is_empty()).then(|| new[random.below(new.len())].entry)
    }

    /// Those to dial first after a restart: with whom we are connected now.
    pub fn set_anchors(&mut self, anchors: Vec<Entry>) {
        self.anchors = anchors.into_iter().take(ANCHORS).collect();
    }

    /// Those that the file names.
    pub fn anchors(&self) -> &[Entry] {
        &self.anchors
    }

    /// How many addresses there are, and how many of them have been tried.
    pub fn len(&self) -> (usize, usize) {
        (self.places.len(), self.tried.iter().flatten().count())
    }
}

/// When it may be dialled again.
fn due(known: &Known) -> u64 {
    match known.failures {
        0 => 0,
        failures => {
            let wait = RETRY_FIRST << (failures - 1).min(10);
            known.tried.saturating_add(wait.min(RETRY_MOST))
        }
    }
}

fn group_bytes(group: &Group) -> Vec<u8> {
    match group {
        Group::V4(bytes) => bytes.to_vec(),
        Group::V6(bytes) => bytes.to_vec(),
        Group::Private(ip) => ip.to_string().into_bytes(),
        Group::Loopback(port) => [&b"lo"[..], &port.to_be_bytes()].concat(),
    }
}

fn entry_bytes((peer, address): &Entry) -> Vec<u8> {
    let ip = match address.ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    [&ip[..], &address.port.to_be_bytes(), &[address.carrier as u8], &peer.to_bytes()].concat()
}

#[cfg(test)]
mod tests;

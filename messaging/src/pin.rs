//! Pins: what this user saw of each name, so that a changed key is noticed, and an old one is never
//! believed again.
//!
//! This is the state machine; the room `files` keeps it in a file.

use std::{collections::BTreeMap, fmt};

use namechain_core::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Hash, Name, Network, PublicKey, SignedMessagingRecord},
};
use thiserror::Error;

use crate::{
    bundle::VerifiedBundle,
    record::{KnownRecord, leads_to},
    verify::{Absence, Resolution, VerifiedPeer},
};

/// The most names that are pinned.
pub const MAX_PINS: usize = 65_536;

/// How what the chain says of a name compares with what this user saw before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PinStatus {
    /// The name was never seen.
    First,
    /// The identity key is the one that was seen.
    Same,
    /// The identity key is another one, and the old one vouches for it.
    Rotated,
    /// The identity key is another one, and nothing links it to the old one.
    Unlinked,
    /// The name has another title: it was transferred, recovered or registered anew, and whoever
    /// has it now may be somebody else.
    Transferred,
    /// Another record stands under the same sequence number than the one seen: the chain was
    /// reorganised, or somebody shows another chain.
    Forked,
    /// The record is older than one that was seen, or was withdrawn since.
    Older,
    /// The name is revoked.
    Revoked,
    /// The name has no keys, or nobody has it.
    Gone,
}

impl PinStatus {
    /// Whether the keys can be used without asking anybody.
    pub const fn is_safe(self) -> bool {
        matches!(self, PinStatus::First | PinStatus::Same | PinStatus::Rotated)
    }

    /// Whether the keys can be used if the user says so.
    pub const fn is_acceptable(self) -> bool {
        self.is_safe()
            || matches!(self, PinStatus::Unlinked | PinStatus::Transferred | PinStatus::Forked)
    }

    /// The pin status as a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            PinStatus::First => "first",
            PinStatus::Same => "same",
            PinStatus::Rotated => "rotated",
            PinStatus::Unlinked => "unlinked",
            PinStatus::Transferred => "transferred",
            PinStatus::Forked => "forked",
            PinStatus::Older => "older",
            PinStatus::Revoked => "revoked",
            PinStatus::Gone => "gone",
        }
    }
}

impl fmt::Display for PinStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What to do with keys that are not those seen before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnKeyChange {
    /// Refuse them.
    #[default]
    Refuse,
    /// Take them: the user knows in another way that they are this name's. An older record is
    /// refused all the same.
    Accept,
}

/// Why a name is not pinned.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PinError {
    /// The keys are not those that were seen.
    #[error("the keys of {name} are not to be used as they are: {pin_status}")]
    Refused {
        /// The name.
        name: Name,
        /// Why.
        pin_status: PinStatus,
    },
    /// The bundle is older than one that was seen.
    #[error(
        "the bundle of {name} was made at {found}, and one was seen that was made at {seen} (seconds of Unix time)"
    )]
    OlderBundle {
        /// The name.
        name: Name,
        /// When the newest was made that was seen.
        seen: u64,
        /// When this one was made.
        found: u64,
    },
    /// The keys are of another network.
    #[error("the pins are of {expected}, the keys of {found}")]
    OtherNetwork {
        /// The network of the pins.
        expected: Network,
        /// The network of the keys.
        found: Network,
    },
    /// There is no room for another name.
    #[error("{MAX_PINS} names are pinned, and no more fit")]
    Full,
}

/// What was seen of a name.
///
/// ```text
/// | sequence u32 | record hash 32 | identity 32 | next 32 | owner 32 | title 32 |
/// | recorded u32 | first seen u32 | last seen u32 | bundle made u64 | withdrawn: 0 or 1 |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The sequence number of the record: none below is believed again under the same title.
    pub sequence: u32,
    /// The record.
    pub known: KnownRecord,
    /// The key that owned the name.
    pub owner: PublicKey,
    /// The title of the name. Sequence numbers begin anew with each.
    pub title: Hash,
    /// The height of the block that recorded the record: of two titles the one with the later
    /// record is the newer.
    pub recorded: u32,
    /// The height at which the name was seen first.
    pub first_seen: u32,
    /// The highest height at which it was seen.
    pub last_seen: u32,
    /// When the newest bundle was made that was seen, in seconds of Unix time; zero if none was.
    pub bundle_made: u64,
    /// Whether the record was seen to be withdrawn or revoked: then only a later one is believed.
    pub withdrawn: bool,
}

/// What was seen of every name of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    network: Network,
    pins: BTreeMap<Name, Pin>,
}

impl Pins {
    /// Nothing was seen yet.
    pub fn new(network: Network) -> Self {
        Pins { network, pins: BTreeMap::new() }
    }

    /// The network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// What was seen of a name.
    pub fn get(&self, name: &Name) -> Option<&Pin> {
        self.pins.get(name)
    }

    /// Every name that was seen, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Pin)> {
        self.pins.iter()
    }

    /// Compares what the chain says of a name with what was seen, and changes nothing. `steps` are
    /// the records between the one seen and the present one, in their order, the present one last:
    /// they are needed where more than one lies between, and may be empty.
    pub fn compare(&self, finding: &Resolution, steps: &[SignedMessagingRecord]) -> PinStatus {
        match finding {
            Resolution::Peer(peer) => self.compare_peer(peer, steps),
            Resolution::Absent { why: Absence::Revoked, .. } => PinStatus::Revoked,
            Resolution::Absent { .. } => PinStatus::Gone,
        }
    }

    fn compare_peer(&self, peer: &VerifiedPeer, steps: &[SignedMessagingRecord]) -> PinStatus {
        let Some(pin) = self.pins.get(peer.name()) else { return PinStatus::First };
        let sequence = peer.sequence();
        if peer.title() != pin.title {
            let older = peer.entry().height < pin.recorded;
            return if older { PinStatus::Older } else { PinStatus::Transferred };
        }
        if sequence < pin.sequence || (pin.withdrawn && sequence == pin.sequence) {
            return PinStatus::Older;
        }
        if sequence == pin.sequence {
            return if peer.record_hash() == pin.known.hash {
                PinStatus::Same
            } else {
                PinStatus::Forked
            };
        }
        if peer.identity() == pin.known.identity {
            return PinStatus::Same;
        }
        // The chain says of a record's identity key whether the one before vouches for it; of more
        // it takes the records.
        let next = peer.entry().record.previous == pin.known.hash && peer.entry().linked;
        match next || self.is_led_to(peer, pin, steps) {
            true => PinStatus::Rotated,
            false => PinStatus::Unlinked,
        }
    }

    fn is_led_to(&self, peer: &VerifiedPeer, pin: &Pin, steps: &[SignedMessagingRecord]) -> bool {
        let to = peer.record_hash();
        leads_to(self.network, peer.name(), &pin.title, &pin.known, steps, &to)
    }

    /// Compares the keys of a name with those seen, and remembers them if they are the same, if the
    /// old ones vouch for them, or if the user accepts them. `steps` as in [`Pins::compare`].
    ///
    /// # Errors
    /// [`PinError::Refused`] with the pin status, [`PinError::OtherNetwork`], [`PinError::Full`].
    /// Nothing is changed then.
    pub fn record(
        &mut self,
        peer: &VerifiedPeer,
        steps: &[SignedMessagingRecord],
        accept: OnKeyChange,
    ) -> Result<PinStatus, PinError> {
        if peer.network() != self.network {
            return Err(PinError::OtherNetwork { expected: self.network, found: peer.network() });
        }
        let pin_status = self.compare_peer(peer, steps);
        let accepted = match accept {
            OnKeyChange::Refuse => pin_status.is_safe(),
            OnKeyChange::Accept => pin_status.is_acceptable(),
        };
        if !accepted {
            return Err(PinError::Refused { name: peer.name().clone(), pin_status });
        }
        if pin_status == PinStatus::First && self.pins.len() >= MAX_PINS {
            return Err(PinError::Full);
        }
        let before = self.pins.get(peer.name());
        let bundle =
            before.filter(|pin| pin.sequence == peer.sequence() && pin.known == peer.known());
        let pin = Pin {
            sequence: peer.sequence(),
            known: peer.known(),
            owner: peer.owner(),
            title: peer.title(),
            recorded: peer.entry().height,
            first_seen: before.map_or(peer.height(), |pin| pin.first_seen),
            last_seen: before.map_or(peer.height(), |pin| pin.last_seen.max(peer.height())),
            bundle_made: bundle.map_or(0, |pin| pin.bundle_made),
            withdrawn: false,
        };
        self.pins.insert(peer.name().clone(), pin);
        Ok(pin_status)
    }

    /// Remembers that a name was seen without keys: those that were seen before are believed no
    /// more. What is older than what was seen, and what is only a matter of the lease, changes
    /// nothing.
    pub fn record_absence(&mut self, name: &Name, why: Absence, height: u32) {
        if let Some(pin) = self.pins.get_mut(name)
            && height >= pin.last_seen
        {
            pin.last_seen = height;
            pin.withdrawn |= matches!(why, Absence::Revoked | Absence::NoRecord);
        }
    }

    /// Remembers when a bundle was made. The name must be pinned already, as it is after
    /// [`Pins::record`].
    ///
    /// # Errors
    /// [`PinError::OlderBundle`] if a newer one of the same record was seen, [`PinError::Refused`]
    /// if the record is not the one that is pinned.
    pub fn record_bundle(&mut self, bundle: &VerifiedBundle) -> Result<(), PinError> {
        let bundle = bundle.bundle();
        let name = || bundle.name.clone();
        let pin = self.pins.get_mut(&bundle.name);
        let pin = pin
            .filter(|pin| pin.sequence == bundle.sequence && pin.known.identity == bundle.identity);
        let pin =
            pin.ok_or_else(|| PinError::Refused { name: name(), pin_status: PinStatus::Older })?;
        if bundle.created < pin.bundle_made {
            return Err(PinError::OlderBundle {
                name: name(),
                seen: pin.bundle_made,
                found: bundle.created,
            });
        }
        pin.bundle_made = bundle.created;
        Ok(())
    }

    /// Forgets a name: whatever comes next is the first.
    pub fn forget(&mut self, name: &Name) -> Option<Pin> {
        self.pins.remove(name)
    }
}

impl Encode for Pin {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sequence.to_be_bytes());
        self.known.hash.encode(out);
        self.known.identity.encode(out);
        self.known.next.encode(out);
        self.owner.encode(out);
        self.title.encode(out);
        for height in [self.recorded, self.first_seen, self.last_seen] {
            out.extend_from_slice(&height.to_be_bytes());
        }
        out.extend_from_slice(&self.bundle_made.to_be_bytes());
        out.push(u8::from(self.withdrawn));
    }
}

impl Decode for Pin {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Pin {
            sequence: reader.u32()?,
            known: KnownRecord {
                hash: Hash::decode(reader)?,
                identity: PublicKey::decode(reader)?,
                next: Hash::decode(reader)?,
            },
            owner: PublicKey::decode(reader)?,
            title: Hash::decode(reader)?,
            recorded: reader.u32()?,
            first_seen: reader.u32()?,
            last_seen: reader.u32()?,
            bundle_made: reader.u64()?,
            withdrawn: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return Err(DecodeError::Invalid("a pin is neither withdrawn nor not")),
            },
        })
    }
}

/// The network's magic, a count u32, then each name with its pin, in the order of the names.
impl Encode for Pins {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.network.magic());
        out.extend_from_slice(&(self.pins.len() as u32).to_be_bytes());
        for (name, pin) in &self.pins {
            name.encode(out);
            pin.encode(out);
        }
    }
}

impl Decode for Pins {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let magic = reader.array()?;
        let network = Network::ALL.into_iter().find(|network| network.magic() == magic);
        let mut pins =
            Pins::new(network.ok_or(DecodeError::Invalid("the pins are of no known network"))?);
        let count = reader.u32()? as usize;
        if count > MAX_PINS {
            return Err(DecodeError::OverCap {
                what: "the number of pins",
                found: count,
                cap: MAX_PINS,
            });
        }
        for _ in 0..count {
            let name = Name::decode(reader)?;
            if pins.pins.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(DecodeError::Invalid("the pins are not in order"));
            }
            pins.pins.insert(name, Pin::decode(reader)?);
        }
        Ok(pins)
    }
}

#[cfg(test)]
mod tests;

//! Bundles: the keys of a name that are too large or too short-lived for the chain.
//! `docs/messaging.md` has the format.
//!
//! A bundle is signed by the identity key of the record that it belongs to. It travels by any way;
//! what makes it good is that signature and the record's sequence number, and, where the record has
//! a hash, that it may be the very one.

use std::fmt;

use namechain_core::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, Name, Network, PublicKey, SecretKey, Signature, hash, tag},
};
use thiserror::Error;

use crate::{kem::XWingPublic, verify::VerifiedPeer};

/// The version of bundles.
pub const BUNDLE_VERSION: u8 = 1;
/// How far ahead of the reader's clock the maker's may be, in seconds: 10 minutes.
pub const MAX_BUNDLE_SKEW_SECONDS: u64 = 600;
/// The most one-time prekeys.
pub const MAX_ONE_TIME: usize = 32;
/// The most devices.
pub const MAX_DEVICES: usize = 8;
/// The most bytes of a device's label.
pub const MAX_LABEL_BYTES: usize = 32;
/// The limits that a node checks as well: at most 30 days, and 41 X-Wing keys and the rest, which
/// are 50,311 bytes.
pub use namechain_core::types::{MAX_BUNDLE_BYTES, MAX_BUNDLE_LIFETIME_SECONDS};

/// The keys of a name beside those on the chain.
///
/// ```text
/// | version = 1 | name | sequence u32 | identity 32 | created u64 | expires u64 | last resort 1216 |
/// | one-time prekeys: count u8, 1216 each | devices: count u8, each number u8, label: length u8 and bytes, 1216 |
/// | signature 64 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Whose it is.
    pub name: Name,
    /// The sequence number of the record that it belongs to.
    pub sequence: u32,
    /// The identity key of that record, which signs it.
    pub identity: PublicKey,
    /// When it was made, in seconds of Unix time.
    pub created: u64,
    /// When it is over, in seconds of Unix time: at most [`MAX_BUNDLE_LIFETIME_SECONDS`] later.
    pub expires: u64,
    /// The key that many letters can be sealed to.
    pub last_resort: XWingPublic,
    /// Keys that one letter each is sealed to. Whoever gives the bundle away says which of them is
    /// for whom.
    pub one_time: Vec<XWingPublic>,
    /// Devices with keys of their own, by number.
    pub devices: Vec<Device>,
}

/// A device of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number, by which the bundle's devices are in order.
    pub number: u8,
    /// What its owner calls it: up to [`MAX_LABEL_BYTES`] of printable ASCII.
    pub label: String,
    /// The key that letters for it alone are sealed to.
    pub key: XWingPublic,
}

/// A bundle with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBundle {
    bundle: Bundle,
    signature: Signature,
}

/// A bundle that was checked against a verified name; there is no other way to make one than
/// [`SignedBundle::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedBundle {
    network: Network,
    bundle: Bundle,
    recorded: bool,
}

/// Why a bundle is not made or not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BundleError {
    /// It is longer than any.
    #[error("the bundle has {0} bytes, at most {MAX_BUNDLE_BYTES} are read")]
    TooLong(usize),
    /// The bytes are no bundle.
    #[error("the bundle is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// Of another version.
    #[error("the bundle's version is {0}, known here is {BUNDLE_VERSION}")]
    Version(u8),
    /// Too many keys, or devices out of order.
    #[error(
        "a bundle has at most {MAX_ONE_TIME} one-time prekeys and {MAX_DEVICES} devices, in the order of their numbers"
    )]
    Shape,
    /// The signing key is not the one that it names.
    #[error("the key is not the identity key of the bundle")]
    NotTheIdentity,
    /// Of another name.
    #[error("the bundle is of {0}")]
    OtherName(Name),
    /// Signed by another key than the record's.
    #[error("the bundle is signed by another key than the one in the record")]
    OtherIdentity,
    /// Of another record.
    #[error("the bundle belongs to record {found}, the present one is {expected}")]
    Sequence {
        /// The record's sequence number.
        expected: u32,
        /// The bundle's.
        found: u32,
    },
    /// The signature is wrong.
    #[error("the bundle's signature is wrong")]
    BadSignature,
    /// It ends before it begins, or is good for longer than 30 days.
    #[error("the bundle is good for no time, or for longer than 30 days")]
    Lifetime,
    /// It comes from the future.
    #[error("the bundle was made in the future, at {0} (seconds of Unix time)")]
    FromTheFuture(u64),
    /// Its time is over.
    #[error("the bundle expired at {0} (seconds of Unix time)")]
    Expired(u64),
}

impl Bundle {
    /// Signs the bundle with the identity key that it names.
    ///
    /// # Errors
    /// [`BundleError::Shape`], [`BundleError::Lifetime`], [`BundleError::NotTheIdentity`].
    pub fn sign(self, network: Network, identity: &SecretKey) -> Result<SignedBundle, BundleError> {
        let ordered = self.devices.windows(2).all(|pair| pair[0].number < pair[1].number);
        let labelled = self.devices.iter().all(|device| is_label(device.label.as_bytes()));
        if self.one_time.len() > MAX_ONE_TIME
            || self.devices.len() > MAX_DEVICES
            || !ordered
            || !labelled
        {
            return Err(BundleError::Shape);
        }
        if !self.has_lifetime() {
            return Err(BundleError::Lifetime);
        }
        if identity.public() != self.identity {
            return Err(BundleError::NotTheIdentity);
        }
        let signature = identity.sign(&self.message(network));
        Ok(SignedBundle { bundle: self, signature })
    }

    /// The device of this number.
    pub fn device(&self, number: u8) -> Option<&Device> {
        self.devices.iter().find(|device| device.number == number)
    }

    /// What the identity key signs: the tag, the bundle without its signature.
    fn message(&self, network: Network) -> Vec<u8> {
        let mut message = tag(network, Domain::SignBundle).to_vec();
        self.encode(&mut message);
        message
    }

    fn has_lifetime(&self) -> bool {
        self.expires
            .checked_sub(self.created)
            .is_some_and(|time| (1..=MAX_BUNDLE_LIFETIME_SECONDS).contains(&time))
    }
}

fn is_label(label: &[u8]) -> bool {
    label.len() <= MAX_LABEL_BYTES && label.iter().all(|byte| (b' '..=b'~').contains(byte))
}

impl SignedBundle {
    /// Reads a bundle; nothing of it is believed yet.
    ///
    /// # Errors
    /// [`BundleError::TooLong`], [`BundleError::Version`], [`BundleError::Malformed`].
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            return Err(BundleError::TooLong(bytes.len()));
        }
        match bytes.first() {
            Some(&version) if version != BUNDLE_VERSION => Err(BundleError::Version(version)),
            _ => Ok(SignedBundle::from_bytes(bytes)?),
        }
    }

    /// What is in it, and is not believed yet.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The hash that stands in the record.
    pub fn hash(&self, network: Network) -> Hash {
        hash(network, Domain::Bundle, &[&self.to_bytes()])
    }

    /// Checks the bundle against what the chain says of its name. `now` is in seconds of Unix time.
    ///
    /// # Errors
    /// [`BundleError::OtherName`], [`BundleError::OtherIdentity`], [`BundleError::Sequence`],
    /// [`BundleError::BadSignature`], [`BundleError::Lifetime`], [`BundleError::FromTheFuture`],
    /// [`BundleError::Expired`].
    pub fn verify(self, peer: &VerifiedPeer, now: u64) -> Result<VerifiedBundle, BundleError> {
        let network = peer.network();
        let recorded = self.hash(network) == peer.bundle_hash();
        let SignedBundle { bundle, signature } = self;
        if bundle.name != *peer.name() {
            return Err(BundleError::OtherName(bundle.name));
        }
        if bundle.identity != peer.identity() {
            return Err(BundleError::OtherIdentity);
        }
        if bundle.sequence != peer.sequence() {
            return Err(BundleError::Sequence {
                expected: peer.sequence(),
                found: bundle.sequence,
            });
        }
        if !bundle.identity.verify(&bundle.message(network), &signature) {
            return Err(BundleError::BadSignature);
        }
        if !bundle.has_lifetime() {
            return Err(BundleError::Lifetime);
        }
        if bundle.created > now.saturating_add(MAX_BUNDLE_SKEW_SECONDS) {
            return Err(BundleError::FromTheFuture(bundle.created));
        }
        if bundle.expires <= now {
            return Err(BundleError::Expired(bundle.expires));
        }
        Ok(VerifiedBundle { network, bundle, recorded })
    }
}

impl VerifiedBundle {
    /// What is in it.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Whether it is the very bundle whose hash stands on the chain. One that is not was made later
    /// or earlier under the same record; [`crate::Pins::record_bundle`] sees to it that it is not
    /// earlier than one seen before.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Whether it belongs to this peer's present record.
    pub(crate) fn is_of(&self, peer: &VerifiedPeer) -> bool {
        self.network == peer.network()
            && self.bundle.name == *peer.name()
            && self.bundle.identity == peer.identity()
            && self.bundle.sequence == peer.sequence()
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.label)
    }
}

impl Encode for Device {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.number);
        out.push(self.label.len() as u8);
        out.extend_from_slice(self.label.as_bytes());
        self.key.encode(out);
    }
}

impl Decode for Device {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let number = reader.u8()?;
        let length = usize::from(reader.u8()?);
        let label = reader.take(length)?;
        if !is_label(label) {
            return Err(DecodeError::Invalid(
                "a device's label is too long or not printable ASCII",
            ));
        }
        Ok(Device {
            number,
            label: label.iter().copied().map(char::from).collect(),
            key: XWingPublic::decode(reader)?,
        })
    }
}

impl Encode for Bundle {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(BUNDLE_VERSION);
        self.name.encode(out);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        self.identity.encode(out);
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&self.expires.to_be_bytes());
        self.last_resort.encode(out);
        out.push(self.one_time.len() as u8);
        self.one_time.iter().for_each(|key| key.encode(out));
        out.push(self.devices.len() as u8);
        self.devices.iter().for_each(|device| device.encode(out));
    }
}

/// A count, compared with its cap before anything is read.
fn count(reader: &mut Reader<'_>, what: &'static str, cap: usize) -> Result<usize, DecodeError> {
    let found = usize::from(reader.u8()?);
    if found > cap { Err(DecodeError::OverCap { what, found, cap }) } else { Ok(found) }
}

impl Decode for Bundle {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.u8()? != BUNDLE_VERSION {
            return Err(DecodeError::Invalid("a bundle is of another version"));
        }
        let bundle = Bundle {
            name: Name::decode(reader)?,
            sequence: reader.u32()?,
            identity: PublicKey::decode(reader)?,
            created: reader.u64()?,
            expires: reader.u64()?,
            last_resort: XWingPublic::decode(reader)?,
            one_time: {
                let keys = count(reader, "the number of one-time prekeys", MAX_ONE_TIME)?;
                (0..keys).map(|_| XWingPublic::decode(reader)).collect::<Result<_, _>>()?
            },
            devices: {
                let devices = count(reader, "the number of devices", MAX_DEVICES)?;
                (0..devices).map(|_| Device::decode(reader)).collect::<Result<Vec<_>, _>>()?
            },
        };
        match bundle.devices.windows(2).all(|pair| pair[0].number < pair[1].number) {
            true => Ok(bundle),
            false => Err(DecodeError::Invalid("the devices are not in order")),
        }
    }
}

impl Encode for SignedBundle {
    fn encode(&self, out: &mut Vec<u8>) {
        self.bundle.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedBundle {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SignedBundle { bundle: Bundle::decode(reader)?, signature: Signature::decode(reader)? })
    }
}

#[cfg(test)]
mod tests;

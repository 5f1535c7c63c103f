//! The messaging record of a name: which key speaks for the name, which key will follow it, and
//! where it is reached.
//!
//! Whoever reads a record needs no more than it: the chain has checked that the identity key signed
//! it for this name, and says of a new identity key whether the old one vouched for it.

use thiserror::Error;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, Name, Network, PublicKey, SecretKey, Signature, hash, tag},
};

/// The version of messaging records.
pub const MESSAGING_VERSION: u8 = 1;
/// The most locators of a record.
pub const MAX_LOCATORS: usize = 3;
/// The most bytes of a locator.
pub const MAX_LOCATOR_BYTES: usize = 128;

/// The bit of the policy that allows envelopes without a post-quantum key.
const X25519_ALONE: u8 = 1;

/// A messaging record.
///
/// ```text
/// | version = 1 | flags = 0 | sequence u32 | previous 32 | identity 32 | next 32 | x25519 32 | bundle 32 |
/// | locators: count u8, each a length u8 and that many bytes | policy u8 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingRecord {
    /// One more than that of the last record under the same title; 1 for the first.
    pub sequence: u32,
    /// [`MessagingRecord::hash`] of the record that stands under the name before this one; zeros if
    /// none does.
    pub previous: Hash,
    /// The key that speaks for the name. It signs the record, bundles, and nothing on the chain
    /// else.
    pub identity: PublicKey,
    /// [`next_key_hash`] of the identity key that is to follow; zeros if none is announced.
    pub next: Hash,
    /// The X25519 public key (RFC 7748 §5) that envelopes are sealed to. The chain does not look at
    /// it.
    pub x25519: [u8; 32],
    /// The hash of the bundle off the chain; zeros if there is none. The chain does not look at it.
    pub bundle: Hash,
    /// Where the name is reached, the best first.
    pub locators: Locators,
    /// What its owner lets others do.
    pub policy: MessagingPolicy,
}

/// What the owner of a messaging record lets others do. All other bits of the byte are refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagingPolicy {
    /// Bit 0: envelopes may be sealed with X25519 alone, where the bundle has no post-quantum key.
    pub x25519_alone: bool,
}

/// Up to [`MAX_LOCATORS`] locators, multiaddresses or URLs, of 1 to [`MAX_LOCATOR_BYTES`] bytes
/// each from `!` to `~`. The chain does not look at them otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locators(Vec<String>);

/// Why strings are not locators.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LocatorError {
    /// Too many.
    #[error("there are {0} locators, at most {MAX_LOCATORS} are allowed")]
    TooMany(usize),
    /// Empty or too long.
    #[error("a locator has {0} bytes, 1 to {MAX_LOCATOR_BYTES} are allowed")]
    Length(usize),
    /// A byte that is not from `!` to `~`.
    #[error("a locator is printable ASCII without spaces")]
    Character,
}

/// A messaging record with what proves it to the chain.
///
/// ```text
/// | record | possession 64 | link: 0, or 1, identity 32, signature 64 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedMessagingRecord {
    /// The record.
    pub record: MessagingRecord,
    /// The identity key's signature over [`MessagingRecord::possession_message`].
    pub possession: Signature,
    /// That the identity key before vouches for a new one.
    pub link: Option<MessagingLink>,
}

/// The word of an identity key for the one that follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessagingLink {
    /// The identity key of the record that stands.
    pub identity: PublicKey,
    /// Its signature over [`MessagingRecord::link_message`].
    pub signature: Signature,
}

/// A messaging record as it stands under a name.
///
/// ```text
/// | record | linked: 0 or 1 | height u32 | time u64 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagingEntry {
    /// The record.
    pub record: MessagingRecord,
    /// Whether the identity key was announced and signed by the one that stood before it. Records
    /// that keep the identity key keep this too.
    pub linked: bool,
    /// The height of the block that recorded it.
    pub height: u32,
    /// The time of that block, in seconds of Unix time.
    pub time: u64,
}

/// What a record says of the identity key that is to follow it: `H(next-key, key)`.
pub fn next_key_hash(network: Network, identity: &PublicKey) -> Hash {
    hash(network, Domain::NextKey, &[&identity.0])
}

impl MessagingRecord {
    /// The record's hash, the `previous` of the one that follows it.
    pub fn hash(&self, network: Network) -> Hash {
        hash(network, Domain::Messaging, &[&self.to_bytes()])
    }

    /// What the identity key signs: the tag, the name with its length, the title under which the
    /// record is published, the record. Bound to the title, so a later owner of the name can't
    /// publish it again.
    pub fn possession_message(&self, network: Network, name: &Name, title: &Hash) -> Vec<u8> {
        self.message(network, Domain::Possession, name, title)
    }

    /// What the identity key before signs: as [`MessagingRecord::possession_message`], under
    /// another tag.
    pub fn link_message(&self, network: Network, name: &Name, title: &Hash) -> Vec<u8> {
        self.message(network, Domain::Link, name, title)
    }

    fn message(&self, network: Network, domain: Domain, name: &Name, title: &Hash) -> Vec<u8> {
        let mut message = tag(network, domain).to_vec();
        name.encode(&mut message);
        title.encode(&mut message);
        self.encode(&mut message);
        message
    }
}

impl SignedMessagingRecord {
    /// Signs a record for `name` under `title` with its identity key and, where a new identity key
    /// is to be linked, with the one that stands. That `identity` is the key that the record names
    /// is the caller's matter; the chain refuses it otherwise.
    pub fn sign(
        network: Network,
        name: &Name,
        title: &Hash,
        record: MessagingRecord,
        identity: &SecretKey,
        before: Option<&SecretKey>,
    ) -> Self {
        let possession = identity.sign(&record.possession_message(network, name, title));
        let link = before.map(|key| MessagingLink {
            identity: key.public(),
            signature: key.sign(&record.link_message(network, name, title)),
        });
        SignedMessagingRecord { record, possession, link }
    }

    /// The length of the encoding in bytes: what its price goes by.
    pub fn byte_len(&self) -> usize {
        self.to_bytes().len()
    }
}

impl Locators {
    /// Checks the locators.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn new(locators: Vec<String>) -> Result<Self, LocatorError> {
        if locators.len() > MAX_LOCATORS {
            return Err(LocatorError::TooMany(locators.len()));
        }
        for locator in &locators {
            if !(1..=MAX_LOCATOR_BYTES).contains(&locator.len()) {
                return Err(LocatorError::Length(locator.len()));
            }
            if !locator.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(LocatorError::Character);
            }
        }
        Ok(Locators(locators))
    }

    /// The locators, the best first.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl Encode for Locators {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        for locator in &self.0 {
            out.push(locator.len() as u8);
            out.extend_from_slice(locator.as_bytes());
        }
    }
}

impl Decode for Locators {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = usize::from(reader.u8()?);
        if count > MAX_LOCATORS {
            return Err(DecodeError::OverCap {
                what: "the number of locators",
                found: count,
                cap: MAX_LOCATORS,
            });
        }
        let mut locators = Vec::with_capacity(count);
        for _ in 0..count {
            let length = usize::from(reader.u8()?);
            let text = String::from_utf8(reader.take(length)?.to_vec());
            locators.push(text.map_err(|_| DecodeError::Invalid("a locator is not ASCII"))?);
        }
        Locators::new(locators)
            .map_err(|_| DecodeError::Invalid("a locator is empty, too long or not printable"))
    }
}

impl Encode for MessagingRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[MESSAGING_VERSION, 0]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        self.previous.encode(out);
        self.identity.encode(out);
        self.next.encode(out);
        out.extend_from_slice(&self.x25519);
        self.bundle.encode(out);
        self.locators.encode(out);
        out.push(if self.policy.x25519_alone { X25519_ALONE } else { 0 });
    }
}

impl Decode for MessagingRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.u8()? != MESSAGING_VERSION {
            return Err(DecodeError::Invalid("a messaging record is of another version"));
        }
        if reader.u8()? != 0 {
            return Err(DecodeError::Invalid("a messaging record has unknown flags"));
        }
        Ok(MessagingRecord {
            sequence: reader.u32()?,
            previous: Hash::decode(reader)?,
            identity: PublicKey::decode(reader)?,
            next: Hash::decode(reader)?,
            x25519: reader.array()?,
            bundle: Hash::decode(reader)?,
            locators: Locators::decode(reader)?,
            policy: match reader.u8()? {
                0 => MessagingPolicy { x25519_alone: false },
                X25519_ALONE => MessagingPolicy { x25519_alone: true },
                _ => return Err(DecodeError::Invalid("a messaging record has an unknown policy")),
            },
        })
    }
}

impl Encode for MessagingLink {
    fn encode(&self, out: &mut Vec<u8>) {
        self.identity.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for MessagingLink {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(MessagingLink {
            identity: PublicKey::decode(reader)?,
            signature: Signature::decode(reader)?,
        })
    }
}

impl Encode for SignedMessagingRecord {
    fn encode(&self, out: &mut Vec<u8>) {
        self.record.encode(out);
        self.possession.encode(out);
        self.link.encode(out);
    }
}

impl Decode for SignedMessagingRecord {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(SignedMessagingRecord {
            record: MessagingRecord::decode(reader)?,
            possession: Signature::decode(reader)?,
            link: Option::decode(reader)?,
        })
    }
}

impl Encode for MessagingEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        self.record.encode(out);
        out.push(u8::from(self.linked));
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
    }
}

impl Decode for MessagingEntry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(MessagingEntry {
            record: MessagingRecord::decode(reader)?,
            linked: reader.flag("an identity key is neither linked nor not")?,
            height: reader.u32()?,
            time: reader.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> MessagingRecord {
        MessagingRecord {
            sequence: 1,
            previous: Hash::ZERO,
            identity: SecretKey::from_seed(&[1; 32]).public(),
            next: Hash::ZERO,
            x25519: [2; 32],
            bundle: Hash::ZERO,
            locators: Locators::default(),
            policy: MessagingPolicy::default(),
        }
    }

    #[test]
    fn unknown_versions_flags_and_policies_are_refused() {
        let bytes = record().to_bytes();
        assert_eq!(MessagingRecord::from_bytes(&bytes), Ok(record()));
        for at in [0, 1, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 2;
            assert!(
                matches!(MessagingRecord::from_bytes(&changed), Err(DecodeError::Invalid(_))),
                "byte {at}"
            );
        }
    }

    #[test]
    fn locators_are_few_short_and_printable() {
        let locators =
            |each: &[&str]| Locators::new(each.iter().map(|text| (*text).to_owned()).collect());
        assert!(
            locators(&["/dns4/a.example/udp/7/quic-v1", "https://a.example/~b", &"x".repeat(128)])
                .is_ok()
        );
        assert_eq!(locators(&["a", "b", "c", "d"]), Err(LocatorError::TooMany(4)));
        assert_eq!(locators(&[""]), Err(LocatorError::Length(0)));
        assert_eq!(locators(&[&"x".repeat(129)]), Err(LocatorError::Length(129)));
        for bad in ["a b", "a\u{7f}", "a\u{1b}", "\u{fc}"] {
            assert_eq!(locators(&[bad]), Err(LocatorError::Character), "{bad:?}");
        }
        for bad in [&[4][..], &[1, 0], &[1, 129], &[1, 1, b' '], &[1, 1, 0xff], &[1, 2, b'a']] {
            assert!(Locators::from_bytes(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_signed_is_bound_to_name_title_network_and_purpose() {
        let title = Hash([1; 32]);
        let name = |text| Name::parse(text).unwrap();
        let messages = [
            record().possession_message(Network::Dev, &name("alice"), &title),
            record().link_message(Network::Dev, &name("alice"), &title),
            record().possession_message(Network::Dev, &name("alice"), &Hash([2; 32])),
            record().possession_message(Network::Test, &name("alice"), &title),
            record().possession_message(Network::Dev, &name("bobby"), &title),
            MessagingRecord { sequence: 2, ..record() }.possession_message(
                Network::Dev,
                &name("alice"),
                &title,
            ),
        ];
        for (at, message) in messages.iter().enumerate() {
            assert!(!messages[..at].contains(message), "{at}");
        }
    }
}

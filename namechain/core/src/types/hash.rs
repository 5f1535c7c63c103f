//! BLAKE2b-256 (RFC 7693) with a domain tag before every message.

use std::{fmt, str::FromStr};

use blake2::{Blake2b, Digest, digest::consts::U32};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use thiserror::Error;

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::Network,
};

/// A BLAKE2b-256 digest: 32 bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 32]);

/// A string that is not 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("expected 64 hexadecimal digits")]
pub struct HashError;

/// What a hash, a signature or a work is over. No two uses share a domain, so none can stand in for
/// another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// Header bytes -> block id.
    HeaderId,
    /// Operation bytes -> operation id.
    OperationId,
    /// Operation bytes -> leaf of the operations' tree.
    OpsLeaf,
    /// Two nodes -> inner node of the operations' tree.
    OpsNode,
    /// Nothing -> the root of a block without operations.
    OpsEmpty,
    /// Name, owner, salt -> commitment.
    Commitment,
    /// Name -> key of its entry in the state.
    NameKey,
    /// Commitment -> key of its entry in the state.
    CommitmentKey,
    /// Entry bytes -> value hash in the state's tree.
    Value,
    /// Key and value hash -> leaf of the state's tree.
    TreeLeaf,
    /// Bit number and two nodes -> inner node of the state's tree.
    TreeNode,
    /// Block id and work -> leaf of the history range.
    HistoryLeaf,
    /// Two nodes with their works -> inner node of the history range.
    HistoryNode,
    /// Number of leaves and the peaks -> history root.
    HistoryRoot,
    /// The signed part of an operation -> message to sign.
    SignOperation,
    /// Messaging record bytes -> hash of the record.
    Messaging,
    /// Identity key -> what the messaging record before it announces.
    NextKey,
    /// Name and messaging record -> message that the record's identity key signs.
    Possession,
    /// Name and messaging record -> message that the identity key before signs.
    Link,
    /// The part of an operation that its stamp covers -> subject of the stamp.
    StampSubject,
    /// Subject, anchor, nonce -> password of the stamp's work.
    StampWork,
    /// Header bytes -> password of the header's work.
    HeaderWork,
    /// Block id and operation id -> the operation's short id in a compact block (no rule depends on
    /// it).
    ShortId,
    /// Owner's secret and name -> salt of a commitment (kept by wallets; no rule depends on it).
    Salt,
    /// The info string of an envelope's HPKE (this and the following are those of
    /// `docs/messaging.md`).
    Envelope,
    /// Letter -> message that its sender signs.
    SignLetter,
    /// Name -> recipient tag.
    RecipientTag,
    /// Bundle -> message that its owner signs.
    SignBundle,
    /// Bundle bytes -> the hash in the messaging record.
    Bundle,
    /// Seed and counter -> random bytes.
    Random,
    /// Pins -> the checksum of their file.
    Pins,
    /// Replay cache -> the checksum of its file.
    ReplayCache,
    /// Channel HELLO -> message that its sender signs.
    SignHello,
}

impl Domain {
    /// Every domain.
    pub const ALL: [Domain; 33] = [
        Domain::HeaderId,
        Domain::OperationId,
        Domain::OpsLeaf,
        Domain::OpsNode,
        Domain::OpsEmpty,
        Domain::Commitment,
        Domain::NameKey,
        Domain::CommitmentKey,
        Domain::Value,
        Domain::TreeLeaf,
        Domain::TreeNode,
        Domain::HistoryLeaf,
        Domain::HistoryNode,
        Domain::HistoryRoot,
        Domain::SignOperation,
        Domain::Messaging,
        Domain::NextKey,
        Domain::Possession,
        Domain::Link,
        Domain::StampSubject,
        Domain::StampWork,
        Domain::HeaderWork,
        Domain::ShortId,
        Domain::Salt,
        Domain::Envelope,
        Domain::SignLetter,
        Domain::RecipientTag,
        Domain::SignBundle,
        Domain::Bundle,
        Domain::Random,
        Domain::Pins,
        Domain::ReplayCache,
        Domain::SignHello,
    ];

    const fn text(self) -> &'static str {
        match self {
            Domain::HeaderId => "header-id",
            Domain::OperationId => "op-id",
            Domain::OpsLeaf => "ops-leaf",
            Domain::OpsNode => "ops-node",
            Domain::OpsEmpty => "ops-empty",
            Domain::Commitment => "commitment",
            Domain::NameKey => "name-key",
            Domain::CommitmentKey => "commit-key",
            Domain::Value => "value",
            Domain::TreeLeaf => "tree-leaf",
            Domain::TreeNode => "tree-node",
            Domain::HistoryLeaf => "hist-leaf",
            Domain::HistoryNode => "hist-node",
            Domain::HistoryRoot => "hist-root",
            Domain::SignOperation => "sign-op",
            Domain::Messaging => "messaging",
            Domain::NextKey => "next-key",
            Domain::Possession => "possession",
            Domain::Link => "link",
            Domain::StampSubject => "stamp-op",
            Domain::StampWork => "work-stamp",
            Domain::HeaderWork => "work-header",
            Domain::ShortId => "short-id",
            Domain::Salt => "salt",
            // A colon sets messaging apart: no domain of the chain has one.
            Domain::Envelope => "m:envelope",
            Domain::SignLetter => "m:sign-let",
            Domain::RecipientTag => "m:zone",
            Domain::SignBundle => "m:sign-bun",
            Domain::Bundle => "m:bundle",
            Domain::Random => "m:random",
            Domain::Pins => "m:pins",
            Domain::ReplayCache => "m:seen",
            Domain::SignHello => "m:sign-hel",
        }
    }
}

/// The 16-byte tag of a domain on a network: its text in ASCII, zeros up to 12 bytes, the network's
/// magic.
pub fn tag(network: Network, domain: Domain) -> [u8; 16] {
    let mut tag = [0; 16];
    let text = domain.text().as_bytes();
    tag[..text.len()].copy_from_slice(text);
    tag[12..].copy_from_slice(&network.magic());
    tag
}

/// BLAKE2b-256 of the tag and the parts, one after the other.
pub fn hash(network: Network, domain: Domain, parts: &[&[u8]]) -> Hash {
    let mut hasher = Blake2b::<U32>::new();
    hasher.update(tag(network, domain));
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

impl Hash {
    /// Thirty-two zero bytes: the id before the genesis block, and the root of an empty tree.
    pub const ZERO: Hash = Hash([0; 32]);

    /// Bit `number` of the hash, counted from the most significant bit of the first byte.
    pub fn bit(&self, number: u8) -> bool {
        self.0[usize::from(number / 8)] & (0x80 >> (number % 8)) != 0
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Encode for Hash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for Hash {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Hash(reader.array()?))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Hash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HashError)?;
        Ok(Hash(bytes))
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_text_zeros_and_magic() {
        assert_eq!(&tag(Network::Dev, Domain::OpsLeaf), b"ops-leaf\0\0\0\0NCd1");
    }

    #[test]
    fn no_tag_is_used_twice() {
        let mut tags = std::collections::BTreeSet::new();
        for (index, domain) in Domain::ALL.into_iter().enumerate() {
            assert_eq!(domain as usize, index, "ALL has every domain, in order");
            assert!(domain.text().len() <= 12);
            assert!(Network::ALL.into_iter().all(|network| tags.insert(tag(network, domain))));
        }
        assert_eq!(Domain::ALL.len(), Domain::SignHello as usize + 1);
    }

    #[test]
    fn domains_and_networks_never_share_a_hash() {
        let a = hash(Network::Dev, Domain::OpsLeaf, &[b"x"]);
        assert_ne!(a, hash(Network::Dev, Domain::OpsNode, &[b"x"]));
        assert_ne!(a, hash(Network::Test, Domain::OpsLeaf, &[b"x"]));
    }

    #[test]
    fn bits_count_from_the_most_significant() {
        let mut bytes = [0; 32];
        bytes[1] = 0x40;
        assert!(Hash(bytes).bit(9) && !Hash(bytes).bit(8));
    }
}

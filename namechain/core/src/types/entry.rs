//! The entries of the state: what the tree's values are hashes of.

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, MessagingEntry, Name, Network, PublicKey, RecordSet, hash},
};

const NAME: u8 = 1;
const COMMITMENT: u8 = 2;

/// An entry of the state, under [`Entry::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A name that was registered.
    Name(NameEntry),
    /// A commitment that can still be opened.
    Commitment(CommitmentEntry),
}

/// A registered name.
///
/// ```text
/// | kind = 1 | name | owner 32 | recovery: 0, or 1 and 32 | sequence u32 |
/// | registered u32 | updated u32 | expires u32 | revoked: 0 or 1 |
/// | transfer: 0, or 1, to 32, height u32 | records |
/// | messaging: 0, or 1 and the messaging entry | messaging sequence u32 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameEntry {
    /// The name.
    pub name: Name,
    /// The key that may change it.
    pub owner: PublicKey,
    /// The cold key that outranks the owner, if any.
    pub recovery: Option<PublicKey>,
    /// The sequence number of the last operation on the name.
    pub sequence: u32,
    /// The height at which it was registered.
    pub registered: u32,
    /// The height of the last operation on it.
    pub updated: u32,
    /// The first height at which the lease is over.
    pub expires: u32,
    /// Whether it was revoked: it does not resolve, and is nobody's until the lease is over.
    pub revoked: bool,
    /// A transfer that has not been accepted yet.
    pub transfer: Option<PendingTransfer>,
    /// Its records.
    pub records: RecordSet,
    /// Its messaging record, if one stands.
    pub messaging: Option<Box<MessagingEntry>>,
    /// The sequence number of the last messaging record that was published under the name; 0 if
    /// none ever was. It stays when the record goes, the owner changes or the name is released.
    pub messaging_sequence: u32,
}

/// A transfer that waits for the new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingTransfer {
    /// The key that may accept.
    pub to: PublicKey,
    /// The height that recorded it.
    pub height: u32,
}

/// An open commitment.
///
/// ```text
/// | kind = 2 | commitment 32 | height u32 | work u64 | price u32 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitmentEntry {
    /// The commitment.
    pub commitment: Hash,
    /// The height of the block that recorded it.
    pub height: u32,
    /// The work that its stamp proved, in expected hashes.
    pub work: u64,
    /// The price multiplier that was in force, in 1/1024.
    pub price: u32,
}

impl CommitmentEntry {
    /// The key of the entry of `commitment`.
    pub fn key(network: Network, commitment: &Hash) -> Hash {
        hash(network, Domain::CommitmentKey, &[&commitment.0])
    }
}

impl Entry {
    /// The key under which the entry stands in the tree.
    pub fn key(&self, network: Network) -> Hash {
        match self {
            Entry::Name(entry) => entry.name.key(network),
            Entry::Commitment(entry) => CommitmentEntry::key(network, &entry.commitment),
        }
    }

    /// The hash of an encoded entry, the value in the tree.
    pub fn value_hash(network: Network, bytes: &[u8]) -> Hash {
        hash(network, Domain::Value, &[bytes])
    }
}

impl Encode for PendingTransfer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.to.encode(out);
        out.extend_from_slice(&self.height.to_be_bytes());
    }
}

impl Decode for PendingTransfer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PendingTransfer { to: PublicKey::decode(reader)?, height: reader.u32()? })
    }
}

impl Encode for Entry {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Entry::Name(entry) => {
                out.push(NAME);
                entry.name.encode(out);
                entry.owner.encode(out);
                entry.recovery.encode(out);
                for number in [entry.sequence, entry.registered, entry.updated, entry.expires] {
                    out.extend_from_slice(&number.to_be_bytes());
                }
                out.push(u8::from(entry.revoked));
                entry.transfer.encode(out);
                entry.records.encode(out);
                entry.messaging.encode(out);
                out.extend_from_slice(&entry.messaging_sequence.to_be_bytes());
            }
            Entry::Commitment(entry) => {
                out.push(COMMITMENT);
                entry.commitment.encode(out);
                out.extend_from_slice(&entry.height.to_be_bytes());
                out.extend_from_slice(&entry.work.to_be_bytes());
                out.extend_from_slice(&entry.price.to_be_bytes());
            }
        }
    }
}

impl Decode for Entry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            NAME => Ok(Entry::Name(NameEntry {
                name: Name::decode(reader)?,
                owner: PublicKey::decode(reader)?,
                recovery: Option::decode(reader)?,
                sequence: reader.u32()?,
                registered: reader.u32()?,
                updated: reader.u32()?,
                expires: reader.u32()?,
                revoked: reader.flag("a name is neither revoked nor not")?,
                transfer: Option::decode(reader)?,
                records: RecordSet::decode(reader)?,
                messaging: Option::decode(reader)?,
                messaging_sequence: reader.u32()?,
            })),
            COMMITMENT => Ok(Entry::Commitment(CommitmentEntry {
                commitment: Hash::decode(reader)?,
                height: reader.u32()?,
                work: reader.u64()?,
                price: reader.u32()?,
            })),
            _ => Err(DecodeError::Invalid("an entry is of no known kind")),
        }
    }
}

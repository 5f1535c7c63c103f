//! The entries of the state: what the tree's values are hashes of.

use crate::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Hash, MessagingEntry, Name, Network, PublicKey, RecordSet, hash},
};

const NAME: u8 = 1;
const COMMITMENT: u8 = 2;

/// An entry of the state, under [`Entry::key`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most entries are names")]
pub enum Entry {
    /// A name that was registered.
    Name(NameEntry),
    /// A commitment that can still be opened.
    Commitment(CommitmentEntry),
}

/// A registered name.
///
/// ```text
/// | kind = 1 | name | owner 32 | recovery: 0, or 1 and 32 | title 32 | sequence u32 |
/// | registered: height u32, time u64 | commit: height u32, index u32 |
/// | updated: height u32, time u64 | expires u64 | revoked: 0 or 1 |
/// | rescued: by owner u64, by recovery u64 |
/// | transfer: 0, or 1, to 32, subject 32, height u32, time u64 | records |
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
    /// The subject of the Register, Accept or Recover that made the present owner. Every operation
    /// on the name refers to it, so none can be used again under another owner.
    pub title: Hash,
    /// The sequence number of the last Update, Transfer or Publish under this title; 0 if there was
    /// none.
    pub sequence: u32,
    /// The block that registered it.
    pub registered: BlockTime,
    /// The Commit that it was registered by: an older one displaces it while it settles.
    pub commit: CommitPosition,
    /// The block of the last operation on it.
    pub updated: BlockTime,
    /// The time at which the lease is over, in seconds of Unix time.
    pub expires: u64,
    /// Whether it was revoked: it does not resolve, and only the recovery key can take it back.
    pub revoked: bool,
    /// When each role used the fixed price of a rescue last.
    pub rescued: Rescued,
    /// A transfer that has not been accepted yet.
    pub transfer: Option<PendingTransfer>,
    /// Its records.
    pub records: RecordSet,
    /// Its messaging record, if one stands.
    pub messaging: Option<Box<MessagingEntry>>,
    /// The sequence number of the last messaging record under this title; 0 if there was none. It
    /// stays when the record is withdrawn.
    pub messaging_sequence: u32,
}

/// A block on its branch: `| height u32 | time u64, in seconds of Unix time |`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockTime {
    /// Its height.
    pub height: u32,
    /// Its time.
    pub time: u64,
}

impl BlockTime {
    /// Whether at `now` at least `blocks` blocks and `seconds` have passed since.
    pub fn is_past(self, blocks: u32, seconds: u64, now: BlockTime) -> bool {
        now.height >= self.height.saturating_add(blocks)
            && now.time >= self.time.saturating_add(seconds)
    }
}

/// Where a Commit is recorded: `| height u32 | index u32 |`. The lesser of two is the older one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommitPosition {
    /// The height of its block.
    pub height: u32,
    /// Its place among all operations of the block, from 0.
    pub index: u32,
}

/// When the keys used the fixed price of Cancel, Recover and Revoke last, in seconds of Unix time;
/// 0 for never: `| owner u64 | recovery u64 |`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rescued {
    /// By the owner key.
    pub owner: u64,
    /// By the recovery key.
    pub recovery: u64,
}

/// A transfer that waits for the new owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingTransfer {
    /// The key that may accept.
    pub to: PublicKey,
    /// The subject of the Transfer.
    pub subject: Hash,
    /// The block that recorded it.
    pub offered: BlockTime,
}

/// A Commit that was recorded less than a day ago.
///
/// ```text
/// | kind = 2 | commit id 32 | commitment 32 | height u32 | index u32 | time u64 | work u64 |
/// | price u32 | spent: 0 or 1 |
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitmentEntry {
    /// The operation id of the Commit.
    pub commit_id: Hash,
    /// The commitment.
    pub commitment: Hash,
    /// Where it is recorded.
    pub position: CommitPosition,
    /// The time of its block, in seconds of Unix time.
    pub time: u64,
    /// The work that its stamp proved, in expected hashes.
    pub work: u64,
    /// The multiplier that the registration's price is judged by, in 1/1024.
    pub price: u32,
    /// Whether a name was registered by it.
    pub spent: bool,
}

impl CommitmentEntry {
    /// The key of the entry of the Commit with this operation id.
    pub fn key(network: Network, commit_id: &Hash) -> Hash {
        hash(network, Domain::CommitmentKey, &[&commit_id.0])
    }
}

impl Entry {
    /// The key under which the entry stands in the tree.
    pub fn key(&self, network: Network) -> Hash {
        match self {
            Entry::Name(entry) => entry.name.key(network),
            Entry::Commitment(entry) => CommitmentEntry::key(network, &entry.commit_id),
        }
    }

    /// The hash of an encoded entry, the value in the tree.
    pub fn value_hash(network: Network, bytes: &[u8]) -> Hash {
        hash(network, Domain::Value, &[bytes])
    }
}

impl Encode for BlockTime {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.time.to_be_bytes());
    }
}

impl Decode for BlockTime {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(BlockTime { height: reader.u32()?, time: reader.u64()? })
    }
}

impl Encode for CommitPosition {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.height.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
    }
}

impl Decode for CommitPosition {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(CommitPosition { height: reader.u32()?, index: reader.u32()? })
    }
}

impl Encode for Rescued {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.owner.to_be_bytes());
        out.extend_from_slice(&self.recovery.to_be_bytes());
    }
}

impl Decode for Rescued {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Rescued { owner: reader.u64()?, recovery: reader.u64()? })
    }
}

impl Encode for PendingTransfer {
    fn encode(&self, out: &mut Vec<u8>) {
        self.to.encode(out);
        self.subject.encode(out);
        self.offered.encode(out);
    }
}

impl Decode for PendingTransfer {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(PendingTransfer {
            to: PublicKey::decode(reader)?,
            subject: Hash::decode(reader)?,
            offered: BlockTime::decode(reader)?,
        })
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
                entry.title.encode(out);
                out.extend_from_slice(&entry.sequence.to_be_bytes());
                entry.registered.encode(out);
                entry.commit.encode(out);
                entry.updated.encode(out);
                out.extend_from_slice(&entry.expires.to_be_bytes());
                out.push(u8::from(entry.revoked));
                entry.rescued.encode(out);
                entry.transfer.encode(out);
                entry.records.encode(out);
                entry.messaging.encode(out);
                out.extend_from_slice(&entry.messaging_sequence.to_be_bytes());
            }
            Entry::Commitment(entry) => {
                out.push(COMMITMENT);
                entry.commit_id.encode(out);
                entry.commitment.encode(out);
                entry.position.encode(out);
                out.extend_from_slice(&entry.time.to_be_bytes());
                out.extend_from_slice(&entry.work.to_be_bytes());
                out.extend_from_slice(&entry.price.to_be_bytes());
                out.push(u8::from(entry.spent));
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
                title: Hash::decode(reader)?,
                sequence: reader.u32()?,
                registered: BlockTime::decode(reader)?,
                commit: CommitPosition::decode(reader)?,
                updated: BlockTime::decode(reader)?,
                expires: reader.u64()?,
                revoked: reader.flag("a name is neither revoked nor not")?,
                rescued: Rescued::decode(reader)?,
                transfer: Option::decode(reader)?,
                records: RecordSet::decode(reader)?,
                messaging: Option::decode(reader)?,
                messaging_sequence: reader.u32()?,
            })),
            COMMITMENT => Ok(Entry::Commitment(CommitmentEntry {
                commit_id: Hash::decode(reader)?,
                commitment: Hash::decode(reader)?,
                position: CommitPosition::decode(reader)?,
                time: reader.u64()?,
                work: reader.u64()?,
                price: reader.u32()?,
                spent: reader.flag("a Commit is neither spent nor not")?,
            })),
            _ => Err(DecodeError::Invalid("an entry is of no known kind")),
        }
    }
}

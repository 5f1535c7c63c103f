//! What the HTTP API says, as plain data: shared by the node that serves it and by those who ask.
//!
//! Every field is stable: fields are added, never renamed or given another meaning.

mod admin;
mod bundles;
mod dns;
mod mining;
mod node;
mod trust;

use serde::{Deserialize, Serialize};

pub use admin::{BanInfo, Bans, LiftBans, Lifted, NewBan};
pub use bundles::{BundleInfo, PrekeyInfo, PutBundle};
pub use dns::{Flush, Flushed, Trace, TraceAnswer, TraceAsked, TraceStep};
pub use mining::{MinedBlock, MinedHeader, MiningTemplate};
pub use node::{
    HoldInfo, NextBranch, OtherTip, PeerCounts, PeerInfo, Peers, Price, ProtocolInfo, Status,
    SyncInfo,
};
pub use trust::{TrustAnchor, ZoneAnchor};

use crate::{
    codec::{Decode, DecodeError, Encode},
    params::{COMMIT_LIFETIME_S, Params},
    types::{
        CommitmentEntry, Hash, MessagingEntry, Name, NameEntry, Network, PublicKey, Record,
        Reserved,
    },
};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub enum Standing {
    /// Nobody can register it.
    Reserved,
    /// Nobody has it: it can be registered.
    Available,
    /// It was registered a short time ago: an older commitment can still displace it, and it does
    /// not resolve yet.
    Settling,
    /// It has an owner and resolves.
    Active,
    /// Its lease is over: it does not resolve, and only its keys can renew it.
    Grace,
    /// It was revoked: it does not resolve, and only its recovery key can take it back.
    Revoked,
    /// It was changed after the fork from a heavier chain that is held back: it does not resolve
    /// until it is settled which of them stands.
    Contested,
}

/// `GET /v1/names/{name}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NameInfo {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Name,
    /// Where it stands at `height`.
    pub standing: Standing,
    /// Why it is reserved, if it is.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub reserved: Option<Reserved>,
    /// The height that the answer is for.
    pub height: u32,
    /// The time of the block at that height, in seconds of Unix time: the chain's clock.
    pub time: u64,
    /// The sequence number that the next Update, Transfer or Publish must have.
    pub next_sequence: u32,
    /// Its entry in the state, if it is or was registered.
    pub entry: Option<NameEntryInfo>,
    /// Whether an operation on it waits to be recorded.
    pub pending: bool,
}

/// The entry of a registered name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct NameEntryInfo {
    /// The owner.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub owner: PublicKey,
    /// The recovery key.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub recovery: Option<PublicKey>,
    /// The title: what every operation by the present owner names.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub title: Hash,
    /// The sequence number of the last Update, Transfer or Publish under the title.
    pub sequence: u32,
    /// The height of the block that registered it.
    pub registered_height: u32,
    /// The time of that block. All times are in seconds of Unix time.
    pub registered_time: u64,
    /// The height of the Commit that it was registered by.
    pub commit_height: u32,
    /// The place of that Commit in its block, from 0.
    pub commit_index: u32,
    /// The first height at which it has settled, if the time has come too.
    pub settles_height: u32,
    /// The first time at which it has settled, if the height has come too.
    pub settles_time: u64,
    /// The height of the block of the last operation on it.
    pub updated_height: u32,
    /// The time of that block.
    pub updated_time: u64,
    /// The time at which the lease is over.
    pub expires: u64,
    /// The time at which the grace is over, and the name is released.
    pub grace_ends: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The time at which the owner key last used the fixed price of Cancel and Revoke; 0 for never.
    #[serde(default)]
    pub rescued_owner: u64,
    /// The same of the recovery key, for Cancel, Recover and Revoke.
    #[serde(default)]
    pub rescued_recovery: u64,
    /// A transfer that has not been accepted yet.
    pub transfer: Option<TransferInfo>,
    /// Its records.
    pub records: Vec<RecordInfo>,
    /// Its messaging record, if one stands.
    #[serde(default)]
    pub messaging: Option<MessagingInfo>,
    /// The sequence number of the last messaging record under the title, whether it stands or not;
    /// 0 if there was none.
    #[serde(default)]
    pub messaging_sequence: u32,
}

/// The messaging record of a name (`docs/protocol.md`, "Messaging record").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct MessagingInfo {
    /// Its sequence number.
    pub sequence: u32,
    /// The hash that the record which follows it must name as its previous one.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub hash: Hash,
    /// The identity key, Ed25519.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub identity: PublicKey,
    /// The hash of the identity key that is to follow, if one is announced.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub next: Option<Hash>,
    /// The X25519 public key, in hexadecimal.
    pub x25519: String,
    /// The hash of the bundle off the chain, if there is one.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub bundle: Option<Hash>,
    /// Where the name is reached, the best first: up to three multiaddresses or URLs.
    pub locators: Vec<String>,
    /// Whether envelopes may be sealed with X25519 alone.
    pub x25519_alone: bool,
    /// Whether the identity key was announced and signed by the one that stood before it.
    pub linked: bool,
    /// The height that recorded it.
    pub height: u32,
    /// The time of that block, in seconds of Unix time.
    pub time: u64,
    /// All of this as it stands in the name's entry, encoded, in hexadecimal.
    pub bytes: String,
}

impl MessagingInfo {
    /// What is told of a messaging record.
    pub fn of(network: Network, entry: &MessagingEntry) -> Self {
        let record = &entry.record;
        let unless_zero = |hash: Hash| (hash != Hash::ZERO).then_some(hash);
        MessagingInfo {
            sequence: record.sequence,
            hash: record.hash(network),
            identity: record.identity,
            next: unless_zero(record.next),
            x25519: hex::encode(record.x25519),
            bundle: unless_zero(record.bundle),
            locators: record.locators.as_slice().to_vec(),
            x25519_alone: record.policy.x25519_alone,
            linked: entry.linked,
            height: entry.height,
            time: entry.time,
            bytes: hex::encode(entry.to_bytes()),
        }
    }

    /// The messaging record from its bytes alone, whatever the other fields say.
    ///
    /// # Errors
    /// If they are not the encoding of one.
    pub fn entry(&self) -> Result<MessagingEntry, DecodeError> {
        let bytes =
            hex::decode(&self.bytes).map_err(|_| DecodeError::Invalid("not hexadecimal"))?;
        MessagingEntry::from_bytes(&bytes)
    }
}

/// A transfer that waits for the new owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TransferInfo {
    /// The key that may accept.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub to: PublicKey,
    /// The subject of the Transfer: what Accept and Cancel name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub subject: Hash,
    /// The height that recorded it.
    pub height: u32,
    /// The time of that block, in seconds of Unix time.
    pub time: u64,
    /// The first height of a block that can accept it, if the time has come too.
    pub opens_height: u32,
    /// The first time of a block that can accept it, if the height has come too.
    pub opens_time: u64,
}

impl NameEntryInfo {
    /// What is told of an entry.
    pub fn of(params: &Params, entry: &NameEntry) -> Self {
        NameEntryInfo {
            owner: entry.owner,
            recovery: entry.recovery,
            title: entry.title,
            sequence: entry.sequence,
            registered_height: entry.registered.height,
            registered_time: entry.registered.time,
            commit_height: entry.commit.height,
            commit_index: entry.commit.index,
            settles_height: entry.registered.height.saturating_add(params.settle_delay.blocks),
            settles_time: entry.registered.time.saturating_add(params.settle_delay.seconds),
            updated_height: entry.updated.height,
            updated_time: entry.updated.time,
            expires: entry.expires,
            grace_ends: entry.expires.saturating_add(params.grace),
            revoked: entry.revoked,
            rescued_owner: entry.rescued.owner,
            rescued_recovery: entry.rescued.recovery,
            transfer: entry.transfer.map(|transfer| TransferInfo {
                to: transfer.to,
                subject: transfer.subject,
                height: transfer.offered.height,
                time: transfer.offered.time,
                opens_height: transfer.offered.height.saturating_add(params.transfer_delay.blocks),
                opens_time: transfer.offered.time.saturating_add(params.transfer_delay.seconds),
            }),
            records: entry.records.records().iter().map(RecordInfo::from).collect(),
            messaging: entry
                .messaging
                .as_ref()
                .map(|entry| MessagingInfo::of(params.network, entry)),
            messaging_sequence: entry.messaging_sequence,
        }
    }
}

/// One record in wire form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct RecordInfo {
    /// The relative owner in wire form, hexadecimal.
    pub owner: String,
    /// The type's number.
    #[serde(rename = "type")]
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// The data in wire form, hexadecimal.
    pub rdata: String,
}

impl From<&Record> for RecordInfo {
    fn from(record: &Record) -> Self {
        RecordInfo {
            owner: hex::encode(&record.owner),
            rtype: record.rtype,
            ttl: record.ttl,
            rdata: hex::encode(&record.rdata),
        }
    }
}

impl TryFrom<&RecordInfo> for Record {
    type Error = hex::FromHexError;

    fn try_from(info: &RecordInfo) -> Result<Self, hex::FromHexError> {
        Ok(Record {
            owner: hex::decode(&info.owner)?,
            rtype: info.rtype,
            ttl: info.ttl,
            rdata: hex::decode(&info.rdata)?,
        })
    }
}

/// `GET /v1/names/{name}/proof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ProofInfo {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Name,
    /// The height that the proof is for.
    pub height: u32,
    /// The id of the block there.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub block: Hash,
    /// Its header, in hexadecimal; the state root in it is what the proof leads to.
    pub header: String,
    /// The proof (`docs/protocol.md`, "Proofs"), in hexadecimal.
    pub proof: String,
    /// The encoded entry of the name in hexadecimal; absent if the proof is of absence.
    pub entry: Option<String>,
}

/// `GET /v1/commitments/{commitment}`: the Commit of it that a name can be registered by, the
/// oldest if there are several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CommitmentInfo {
    /// The commitment.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub commitment: Hash,
    /// The height of the tip.
    pub height: u32,
    /// The time of the tip, in seconds of Unix time.
    pub time: u64,
    /// The Commit, if one is recorded.
    pub recorded: Option<CommitInfo>,
    /// All Commits of it that are recorded and have not lapsed, the oldest first. Anybody can copy
    /// a commitment, with less work than its name costs: which of them will do only its maker
    /// knows.
    #[serde(default)]
    pub all: Vec<CommitInfo>,
    /// Whether one waits to be recorded.
    pub pending: bool,
}

/// A Commit that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CommitInfo {
    /// Its operation id: what Register names.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// The height that recorded it.
    pub height: u32,
    /// Its place in that block, from 0.
    pub index: u32,
    /// The time of that block. All times are in seconds of Unix time.
    pub time: u64,
    /// The first height of a block that can open it, if the time has come too.
    pub opens_height: u32,
    /// The first time of a block that can open it, if the height has come too.
    pub opens_time: u64,
    /// The last time of a block that can open it.
    pub lapses: u64,
    /// The work that it proved, in expected hashes.
    pub work: u64,
    /// The multiplier that the registration's price is judged by, in 1/1024.
    pub price: u32,
    /// Whether a name was registered by it.
    pub spent: bool,
}

impl CommitInfo {
    /// What is told of a Commit's entry.
    pub fn of(params: &Params, entry: &CommitmentEntry) -> Self {
        CommitInfo {
            id: entry.commit_id,
            height: entry.position.height,
            index: entry.position.index,
            time: entry.time,
            opens_height: entry.position.height.saturating_add(params.commit_delay.blocks),
            opens_time: entry.time.saturating_add(params.commit_delay.seconds),
            lapses: entry.time.saturating_add(COMMIT_LIFETIME_S),
            work: entry.work,
            price: entry.price,
            spent: entry.spent,
        }
    }
}

/// The body of `POST /v1/ops`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Submit {
    /// The encoded operation, in hexadecimal.
    pub operation: String,
}

/// The answer to `POST /v1/ops`: the operation waits to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Submitted {
    /// The operation's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// The height of the tip when it was taken.
    pub height: u32,
}

/// `GET /v1/blocks/{id or height}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BlockInfo {
    /// The block's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// Its height.
    pub height: u32,
    /// Whether it is on the best chain.
    pub active: bool,
    /// The id of the block before.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub previous: Hash,
    /// The time that its header states, in seconds of Unix time.
    pub time: u64,
    /// The time at which it was due, in seconds of Unix time.
    pub due: u64,
    /// The work that it stands for, in expected hashes, in decimal.
    pub work: String,
    /// The multiplier of names after it, in 1/1024.
    pub name_multiplier: u32,
    /// The multiplier of bytes after it, in 1/1024.
    pub byte_multiplier: u32,
    /// The root of the state after it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub state_root: Hash,
    /// Its operations.
    pub operations: Vec<OperationInfo>,
    /// The encoded block, in hexadecimal.
    pub bytes: String,
}

/// An operation in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct OperationInfo {
    /// The operation's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// What it does: `commit`, `register`, `update`, `renew`, `transfer`, `accept`, `cancel`,
    /// `recover`, `revoke`, `publish`.
    pub kind: String,
    /// The name, unless it is a commit.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub name: Option<Name>,
    /// The sequence number, if it is an update, a transfer or a publish.
    pub sequence: Option<u32>,
    /// The commitment, if it is a commit.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub commitment: Option<Hash>,
    /// The work that its stamp proves, in expected hashes.
    pub work: u64,
}

/// `GET /v1/names/{name}/history`: every operation on a name on the best chain, the first one
/// first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct History {
    /// The name.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub name: Name,
    /// The operations of this page.
    pub operations: Vec<PastOperation>,
    /// The height to go on with as `?from=`, if there is more.
    pub next: Option<u32>,
    /// The height below which operations are missing here, because this node has deleted their
    /// blocks; absent if none is missing.
    #[serde(default)]
    pub pruned_below: Option<u32>,
}

/// An operation on a name that was recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PastOperation {
    /// The height of the block that recorded it.
    pub height: u32,
    /// The time that the block's header states, in seconds of Unix time.
    pub time: u64,
    /// The operation's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: Hash,
    /// What it does: `register`, `update`, `renew`, `transfer`, `accept`, `cancel`, `recover`,
    /// `revoke`, `publish`.
    pub kind: String,
    /// Its sequence number, if it has one.
    pub sequence: Option<u32>,
    /// The title that it names; of a register the id of its commit.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub reference: Hash,
    /// The key that signed it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub signer: PublicKey,
    /// The encoded operation, in hexadecimal.
    pub operation: String,
}

/// `GET /v1/blocks/{id or height}/proof`: that a later block was built on this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct PlaceInfo {
    /// The header, in hexadecimal.
    pub header: String,
    /// The header whose history root the proof leads to, in hexadecimal.
    pub against: String,
    /// The proof (`docs/protocol.md`, "Proof of a header's place"), in hexadecimal.
    pub proof: String,
}

/// What every refusal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Refusal {
    /// A stable code: `bad-request`, `not-found`, `rule`, `conflict`, `full`, `unavailable`,
    /// `too-large`, `forbidden`, `pruned`, `rate-limited`.
    pub code: String,
    /// The id of the consensus rule, if one was broken (`docs/protocol.md`, "Rules").
    pub rule: Option<String>,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do about it, if that is known.
    pub hint: Option<String>,
}

impl Refusal {
    /// Whether the same request may be taken a moment later.
    pub fn is_temporary(&self) -> bool {
        matches!(self.code.as_str(), "rate-limited" | "unavailable" | "full")
    }
}

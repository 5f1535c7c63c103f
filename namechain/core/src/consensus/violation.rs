//! The list of rules: one variant each, nothing is refused for an unnamed reason.

use thiserror::Error;

use super::context::Multipliers;
use crate::{
    codec::DecodeError,
    params::{MAX_COMMITS, MAX_SHARED_BYTES},
    types::{BlockError, BlockTime, Hash, Name, Reserved},
};

/// A broken rule: the fault of whoever made the block or the operation. [`RuleViolation::id`] is
/// the rule's id in `docs/protocol.md`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RuleViolation {
    /// Bytes that are not the one encoding of a block or an operation.
    #[error("not a valid encoding: {0}")]
    Encoding(DecodeError),
    /// A block over the size limit.
    #[error("the block has {0} bytes, over the limit")]
    BlockSize(usize),

    /// More Commits in a block than are allowed.
    #[error("the block has {0} Commits, at most {MAX_COMMITS} are allowed")]
    BlockCommits(usize),
    /// More bytes of operations than their share of a block.
    #[error(
        "the operations that are not renewals and rescues at the fixed price have {0} bytes, at most \
         {MAX_SHARED_BYTES} are allowed"
    )]
    BlockShare(usize),

    /// A header of another version than that of the branch at its time.
    #[error("the header's version is {found}, at its time it must be {expected}")]
    HeaderVersion {
        /// The number of the branch at the header's time.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// The work function's value is over the target.
    #[error("the header's work does not reach its target")]
    HeaderWork,
    /// A height that is not the parent's plus one.
    #[error("the height is {found}, after the parent it must be {expected}")]
    HeaderHeight {
        /// What the parent demands.
        expected: u32,
        /// What the header says.
        found: u32,
    },
    /// A time before the parent's.
    #[error("the time {found} is before {parent}, the time of the parent")]
    HeaderTime {
        /// The parent's, in seconds of Unix time.
        parent: u64,
        /// What the header says.
        found: u64,
    },
    /// Another due time than that which follows from the parent.
    #[error("the due time is {found}, after the parent it must be {expected}")]
    HeaderDue {
        /// What the parent demands, in seconds of Unix time.
        expected: u64,
        /// What the header says.
        found: u64,
    },
    /// A history root that is not that of the headers before.
    #[error("the history root is not that of the headers before")]
    HistoryRoot,

    /// An ops root that is not that of the operations.
    #[error("the ops root is not that of the operations")]
    OpsRoot,
    /// A state root that is not that of the state after the block.
    #[error("the state root is not that of the state after the block")]
    StateRoot,
    /// Multipliers that do not follow from the parent's and the block's operations.
    #[error("the price multipliers are {found:?}, after the parent they must be {expected:?}")]
    Price {
        /// What the parent's and this block's operations demand.
        expected: Multipliers,
        /// What the header says.
        found: Multipliers,
    },

    /// The name is reserved.
    #[error("{name} is reserved: {reserved}")]
    NameReserved {
        /// The name.
        name: Name,
        /// Why.
        reserved: Reserved,
    },
    /// The signature is not the signer's over this operation on this network.
    #[error("the signature is not the signer's")]
    Signature,
    /// The identity key has not signed the messaging record.
    #[error("the messaging record is not signed by its identity key")]
    Possession,
    /// The link of a messaging record is not signed by the key that it names.
    #[error("the link of the messaging record is not signed by the key that it names")]
    LinkSignature,
    /// The stamp's nonce does not have the work that the stamp claims.
    #[error("the stamp does not have the work that it claims")]
    StampWork,
    /// The stamp's anchor is not a recent block before.
    #[error("the stamp's anchor {0} is not one of the last 720 blocks before, or over a day old")]
    StampAnchor(Hash),
    /// The operation is not valid any more, or for too long.
    #[error(
        "the operation is valid until {valid_until}; at {time} it must be valid, and for a day at \
         most"
    )]
    Validity {
        /// The last valid time, in seconds of Unix time.
        valid_until: u64,
        /// The time of the block, in seconds of Unix time.
        time: u64,
    },
    /// The stamp claims less work than the operation costs.
    #[error("the stamp claims {paid} expected hashes of work, the operation costs {price}")]
    Underpaid {
        /// The price, in expected hashes.
        price: u64,
        /// What the stamp claims.
        paid: u64,
    },
    /// The same Commit is recorded already.
    #[error("this Commit is recorded already")]
    CommitRecorded,
    /// The Commit that is named is not recorded, has lapsed, or is to something else.
    #[error("the Commit that is named does not commit to {0} by this key and salt, or has lapsed")]
    CommitmentUnknown(Name),
    /// A name was registered by the Commit before.
    #[error("the Commit of {0} has been used to register it before")]
    CommitmentSpent(Name),
    /// The commitment has not waited long enough.
    #[error("the name can be registered from height {} and time {} on", .0.height, .0.time)]
    CommitmentYoung(BlockTime),
    /// The commitment carries less work than the registration costs.
    #[error(
        "the commitment carries {paid} expected hashes of work, registering this name costs {price}"
    )]
    CommitmentUnderpaid {
        /// The price of the registration when the commitment was recorded, in expected hashes.
        price: u64,
        /// What the commitment carries.
        paid: u64,
    },
    /// Somebody owns the name.
    #[error("{0} is taken")]
    NameTaken(Name),
    /// The name was registered a short time ago, and settles.
    #[error("{0} settles: only an older Commit can register it now")]
    NameSettling(Name),
    /// Nobody owns the name.
    #[error("{0} is not registered")]
    NameUnregistered(Name),
    /// The name's lease is over.
    #[error("the lease of {0} is over: it must be renewed first")]
    NameInGrace(Name),
    /// The name was revoked.
    #[error("{0} was revoked: only its recovery key can take it back")]
    NameRevoked(Name),
    /// The operation is for another owner's time.
    #[error("the operation names another title of {0} than the present one")]
    Title(Name),
    /// The sequence number is not the next one.
    #[error("the sequence number is {found}, the next one is {expected}")]
    Sequence {
        /// The next one.
        expected: u32,
        /// What the operation says.
        found: u32,
    },

    /// The signer is not the owner.
    #[error("the signer does not own {0}")]
    NotOwner(Name),
    /// The signer is neither the owner nor the recovery key.
    #[error("the signer is neither the owner nor the recovery key of {0}")]
    NotKeyholder(Name),
    /// The signer is not the recovery key.
    #[error("the signer is not the recovery key of {0}")]
    NotRecovery(Name),
    /// A renewal of another lease than the present one.
    #[error("the renewal is not of the lease that ends at {0}")]
    RenewExpires(u64),
    /// A renewal before the last quarter of the lease.
    #[error("the name can be renewed from time {0} on")]
    RenewEarly(u64),
    /// A transfer of a name that is offered already.
    #[error("{0} is offered to another key already")]
    TransferPending(Name),
    /// No transfer waits.
    #[error("no transfer of {0} waits")]
    TransferMissing(Name),
    /// Another transfer waits.
    #[error("another transfer of {0} waits than the one that is named")]
    TransferOther(Name),
    /// The transfer has not waited long enough.
    #[error("the transfer can be accepted from height {} and time {} on", .0.height, .0.time)]
    TransferYoung(BlockTime),
    /// The signer is not the one the name is offered to.
    #[error("{0} is not offered to the signer")]
    NotRecipient(Name),
    /// The sequence number of the messaging record is not the next one.
    #[error("the messaging record's sequence number is {found}, the next one is {expected}")]
    MessagingSequence {
        /// The next one.
        expected: u32,
        /// What the record says.
        found: u32,
    },
    /// The messaging record follows another than the one that stands.
    #[error("the messaging record does not follow the one that stands under {0}")]
    MessagingPrevious(Name),
    /// The link is not by the identity key that stands.
    #[error("the link of the messaging record is not by the identity key that stands under {0}")]
    LinkIdentity(Name),
    /// The linked identity key is not the announced one.
    #[error("the linked identity key is not the one that the messaging record of {0} announces")]
    LinkAnnounced(Name),
}

impl RuleViolation {
    /// The id of every rule, in the order of `docs/protocol.md`.
    pub const IDS: [&'static str; 47] = [
        "encoding",
        "block-size",
        "block-commits",
        "block-share",
        "header-version",
        "header-work",
        "header-height",
        "header-time",
        "header-due",
        "history-root",
        "ops-root",
        "state-root",
        "price",
        "name-reserved",
        "signature",
        "possession",
        "link-signature",
        "stamp-work",
        "stamp-anchor",
        "validity",
        "underpaid",
        "commit-recorded",
        "commitment-unknown",
        "commitment-spent",
        "commitment-young",
        "commitment-underpaid",
        "name-taken",
        "name-settling",
        "name-unregistered",
        "name-revoked",
        "name-in-grace",
        "title",
        "sequence",
        "not-owner",
        "not-keyholder",
        "not-recovery",
        "renew-expires",
        "renew-early",
        "transfer-pending",
        "transfer-missing",
        "transfer-other",
        "transfer-young",
        "not-recipient",
        "messaging-sequence",
        "messaging-previous",
        "link-identity",
        "link-announced",
    ];

    /// The rule's id.
    pub fn id(&self) -> &'static str {
        match self {
            RuleViolation::Encoding(_) => "encoding",
            RuleViolation::BlockSize(_) => "block-size",
            RuleViolation::BlockCommits(_) => "block-commits",
            RuleViolation::BlockShare(_) => "block-share",
            RuleViolation::HeaderVersion { .. } => "header-version",
            RuleViolation::HeaderWork => "header-work",
            RuleViolation::HeaderHeight { .. } => "header-height",
            RuleViolation::HeaderTime { .. } => "header-time",
            RuleViolation::HeaderDue { .. } => "header-due",
            RuleViolation::HistoryRoot => "history-root",
            RuleViolation::OpsRoot => "ops-root",
            RuleViolation::StateRoot => "state-root",
            RuleViolation::Price { .. } => "price",
            RuleViolation::NameReserved { .. } => "name-reserved",
            RuleViolation::Signature => "signature",
            RuleViolation::Possession => "possession",
            RuleViolation::LinkSignature => "link-signature",
            RuleViolation::StampWork => "stamp-work",
            RuleViolation::StampAnchor(_) => "stamp-anchor",
            RuleViolation::Validity { .. } => "validity",
            RuleViolation::Underpaid { .. } => "underpaid",
            RuleViolation::CommitRecorded => "commit-recorded",
            RuleViolation::CommitmentUnknown(_) => "commitment-unknown",
            RuleViolation::CommitmentSpent(_) => "commitment-spent",
            RuleViolation::CommitmentYoung(_) => "commitment-young",
            RuleViolation::CommitmentUnderpaid { .. } => "commitment-underpaid",
            RuleViolation::NameTaken(_) => "name-taken",
            RuleViolation::NameSettling(_) => "name-settling",
            RuleViolation::NameUnregistered(_) => "name-unregistered",
            RuleViolation::NameInGrace(_) => "name-in-grace",
            RuleViolation::Sequence { .. } => "sequence",
            RuleViolation::NameRevoked(_) => "name-revoked",
            RuleViolation::Title(_) => "title",
            RuleViolation::NotOwner(_) => "not-owner",
            RuleViolation::NotKeyholder(_) => "not-keyholder",
            RuleViolation::NotRecovery(_) => "not-recovery",
            RuleViolation::RenewExpires(_) => "renew-expires",
            RuleViolation::RenewEarly(_) => "renew-early",
            RuleViolation::TransferPending(_) => "transfer-pending",
            RuleViolation::TransferMissing(_) => "transfer-missing",
            RuleViolation::TransferOther(_) => "transfer-other",
            RuleViolation::TransferYoung(_) => "transfer-young",
            RuleViolation::NotRecipient(_) => "not-recipient",
            RuleViolation::MessagingSequence { .. } => "messaging-sequence",
            RuleViolation::MessagingPrevious(_) => "messaging-previous",
            RuleViolation::LinkIdentity(_) => "link-identity",
            RuleViolation::LinkAnnounced(_) => "link-announced",
        }
    }

    /// What whoever made the operation can do about it; `None` for the rules of blocks, where
    /// nothing can be done.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            RuleViolation::NameReserved { .. } => "choose another name",
            RuleViolation::Signature => {
                "sign again with the key that the operation names, for this network"
            }
            RuleViolation::Possession => {
                "sign the record with its identity key, for this name and network"
            }
            RuleViolation::LinkSignature => "sign the link with the identity key that it names",
            RuleViolation::StampWork => "work the stamp again over exactly these bytes",
            RuleViolation::StampAnchor(_) => "work a new stamp anchored to the tip",
            RuleViolation::Underpaid { .. } => {
                "work a new stamp for the price that /v1/price gives"
            }
            RuleViolation::Validity { .. } => "sign again with a last valid time within a day",
            RuleViolation::CommitRecorded => "use the Commit that is recorded: register",
            RuleViolation::CommitmentUnknown(_) => "commit first, and register within a day",
            RuleViolation::CommitmentSpent(_) => "commit again: a Commit registers one name once",
            RuleViolation::CommitmentYoung(_) => "wait until the Commit is old enough",
            RuleViolation::CommitmentUnderpaid { .. } => {
                "commit again with the whole price of this name's length"
            }
            RuleViolation::NameTaken(_) => {
                "choose another name, or wait for its lease and grace to end"
            }
            RuleViolation::NameSettling(_) => "wait until it has settled",
            RuleViolation::NameUnregistered(_) => "register it first",
            RuleViolation::NameInGrace(_) => "renew it with its owner or recovery key",
            RuleViolation::Sequence { .. } => {
                "ask the node for the name again and use its next sequence number"
            }
            RuleViolation::NameRevoked(_) => "recover it with its recovery key",
            RuleViolation::Title(_) => "ask the node for the name again and sign under its title",
            RuleViolation::NotOwner(_) => "sign with the owner's key",
            RuleViolation::NotKeyholder(_) => "sign with the owner's or the recovery key",
            RuleViolation::NotRecovery(_) => "sign with the recovery key",
            RuleViolation::RenewExpires(_) => "ask the node for the end of the present lease",
            RuleViolation::RenewEarly(_) => "renew in the last quarter of the lease",
            RuleViolation::TransferPending(_) => "cancel the transfer that waits first",
            RuleViolation::TransferMissing(_) => {
                "ask the owner to transfer the name to your key first"
            }
            RuleViolation::TransferOther(_) => "ask the node for the transfer that waits",
            RuleViolation::TransferYoung(_) => "wait until the transfer is old enough",
            RuleViolation::NotRecipient(_) => "accept with the key that the name is offered to",
            RuleViolation::MessagingSequence { .. } | RuleViolation::MessagingPrevious(_) => {
                "ask the node for the name again and follow the messaging record that stands"
            }
            RuleViolation::LinkIdentity(_) => {
                "link with the identity key that stands, or publish without a link"
            }
            RuleViolation::LinkAnnounced(_) => "use the announced key, or publish without a link",
            _ => return None,
        })
    }
}

impl From<BlockError> for RuleViolation {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::TooLarge(bytes) => RuleViolation::BlockSize(bytes),
            BlockError::Encoding(error) => RuleViolation::Encoding(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule has its row in the table of the protocol's page, in the same order, and every row
    /// its rule.
    #[test]
    fn the_protocol_page_lists_the_rules() {
        let page = include_str!("../../../../docs/protocol.md");
        let (_, rules) = page.split_once("## 7. Rules").unwrap();
        let (rules, _) = rules.split_once("## 8.").unwrap();
        let rows: Vec<&str> = rules
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(id, _)| id)
            .collect();
        assert_eq!(rows, RuleViolation::IDS);
    }
}

//! The list of rules: one variant each, nothing is refused for an unnamed reason.

use thiserror::Error;

use crate::{
    codec::DecodeError,
    types::{BlockError, Hash, Name, Reserved},
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

    /// A header of another version.
    #[error("the header's version is {0}")]
    HeaderVersion(u32),
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
    /// A time not after the median of the last eleven.
    #[error("the time {found} is not after {median}, the median of the headers before")]
    HeaderTime {
        /// The median, in seconds of Unix time.
        median: u64,
        /// What the header says.
        found: u64,
    },
    /// A target other than the schedule's.
    #[error("the target is {found:#010x}, the schedule demands {expected:#010x}")]
    HeaderTarget {
        /// What the schedule demands, compact.
        expected: u32,
        /// What the header says, compact.
        found: u32,
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
    /// A price that does not follow from the parent's and the number of commitments.
    #[error("the price multiplier is {found}, after the parent it must be {expected}")]
    Price {
        /// What the parent's price and this block's commitments demand.
        expected: u32,
        /// What the header says.
        found: u32,
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
    /// The stamp's anchor is not one of the last 720 blocks before.
    #[error("the stamp's anchor {0} is not one of the last 720 blocks before")]
    StampAnchor(Hash),
    /// The stamp claims less work than the operation costs.
    #[error("the stamp claims {paid} expected hashes of work, the operation costs {price}")]
    Underpaid {
        /// The price, in expected hashes.
        price: u64,
        /// What the stamp claims.
        paid: u64,
    },
    /// The commitment is open already.
    #[error("the commitment is open already")]
    CommitmentOpen,
    /// There is no open commitment to this name by this key with this salt.
    #[error("there is no open commitment to {0} by this key and salt")]
    CommitmentUnknown(Name),
    /// The commitment has not waited long enough.
    #[error("the commitment can be opened from height {0}")]
    CommitmentYoung(u32),
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
    /// Nobody owns the name.
    #[error("{0} is not registered")]
    NameUnregistered(Name),
    /// The name's lease is over.
    #[error("the lease of {0} is over: it must be renewed first")]
    NameInGrace(Name),
    /// The sequence number is not the next one.
    #[error("the sequence number is {found}, the next one is {expected}")]
    Sequence {
        /// The next one.
        expected: u32,
        /// What the operation says.
        found: u32,
    },
    /// The name was revoked.
    #[error("{0} was revoked: it is nobody's until its lease ends")]
    NameRevoked(Name),
    /// The signer is not the owner.
    #[error("the signer does not own {0}")]
    NotOwner(Name),
    /// The signer is neither the owner nor the recovery key.
    #[error("the signer is neither the owner nor the recovery key of {0}")]
    NotKeyholder(Name),
    /// The signer is not the recovery key.
    #[error("the signer is not the recovery key of {0}")]
    NotRecovery(Name),
    /// A renewal before the last quarter of the lease.
    #[error("the name can be renewed from height {0}")]
    RenewEarly(u32),
    /// A transfer of a name that is offered already.
    #[error("{0} is offered to another key already")]
    TransferPending(Name),
    /// No transfer waits.
    #[error("no transfer of {0} waits")]
    TransferMissing(Name),
    /// The transfer has not waited long enough.
    #[error("the transfer can be accepted from height {0}")]
    TransferYoung(u32),
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
    pub const IDS: [&'static str; 39] = [
        "encoding",
        "block-size",
        "header-version",
        "header-work",
        "header-height",
        "header-time",
        "header-target",
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
        "underpaid",
        "commitment-open",
        "commitment-unknown",
        "commitment-young",
        "commitment-underpaid",
        "name-taken",
        "name-unregistered",
        "name-in-grace",
        "sequence",
        "name-revoked",
        "not-owner",
        "not-keyholder",
        "not-recovery",
        "renew-early",
        "transfer-pending",
        "transfer-missing",
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
            RuleViolation::HeaderVersion(_) => "header-version",
            RuleViolation::HeaderWork => "header-work",
            RuleViolation::HeaderHeight { .. } => "header-height",
            RuleViolation::HeaderTime { .. } => "header-time",
            RuleViolation::HeaderTarget { .. } => "header-target",
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
            RuleViolation::Underpaid { .. } => "underpaid",
            RuleViolation::CommitmentOpen => "commitment-open",
            RuleViolation::CommitmentUnknown(_) => "commitment-unknown",
            RuleViolation::CommitmentYoung(_) => "commitment-young",
            RuleViolation::CommitmentUnderpaid { .. } => "commitment-underpaid",
            RuleViolation::NameTaken(_) => "name-taken",
            RuleViolation::NameUnregistered(_) => "name-unregistered",
            RuleViolation::NameInGrace(_) => "name-in-grace",
            RuleViolation::Sequence { .. } => "sequence",
            RuleViolation::NameRevoked(_) => "name-revoked",
            RuleViolation::NotOwner(_) => "not-owner",
            RuleViolation::NotKeyholder(_) => "not-keyholder",
            RuleViolation::NotRecovery(_) => "not-recovery",
            RuleViolation::RenewEarly(_) => "renew-early",
            RuleViolation::TransferPending(_) => "transfer-pending",
            RuleViolation::TransferMissing(_) => "transfer-missing",
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
            RuleViolation::CommitmentOpen => "use the open commitment: register",
            RuleViolation::CommitmentUnknown(_) => {
                "commit first, and register before 720 blocks have passed"
            }
            RuleViolation::CommitmentYoung(_) => "wait for the block that it can be opened in",
            RuleViolation::CommitmentUnderpaid { .. } => {
                "commit again with the whole price of this name's length"
            }
            RuleViolation::NameTaken(_) => {
                "choose another name, or wait for its lease and grace to end"
            }
            RuleViolation::NameUnregistered(_) => "register it first",
            RuleViolation::NameInGrace(_) => "renew it with its owner or recovery key",
            RuleViolation::Sequence { .. } => {
                "ask the node for the name again and use its next sequence number"
            }
            RuleViolation::NameRevoked(_) => "nothing can be done with it before its lease ends",
            RuleViolation::NotOwner(_) => "sign with the owner's key",
            RuleViolation::NotKeyholder(_) => "sign with the owner's or the recovery key",
            RuleViolation::NotRecovery(_) => "sign with the recovery key",
            RuleViolation::RenewEarly(_) => "renew in the last quarter of the lease",
            RuleViolation::TransferPending(_) => "cancel the transfer that waits first",
            RuleViolation::TransferMissing(_) => {
                "ask the owner to transfer the name to your key first"
            }
            RuleViolation::TransferYoung(_) => "wait for the block that it can be accepted in",
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

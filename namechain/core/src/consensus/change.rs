//! The rules of operations on a name that somebody has, and what they make of its entry.

use super::{
    RuleViolation,
    context::{BlockContext, earliest},
    messaging,
    operation_price::{Role, check_paid, price_of_change, rescue_role},
    status::{NameStatus, name_status},
};
use crate::{
    params::Params,
    types::{
        Action, BlockTime, Hash, NameEntry, PendingTransfer, PublicKey, RecordSet, SignedOperation,
    },
};

/// What an operation counts for, once it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    /// One Commit; its bytes count for the shared part of the block.
    Name,
    /// Its bytes count for the byte price and the shared part.
    Bytes,
    /// Nothing: a Renew, or a rescue at its fixed price.
    Nothing,
}

/// Judges an operation on a name, with its entry if it has one. Returns what the operation counts
/// for, and the entry after it.
///
/// # Errors
/// The rule that it breaks.
pub(super) fn change(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    entry: Option<NameEntry>,
) -> Result<(Charge, NameEntry), RuleViolation> {
    let name = &named.name;
    let Some(entry) = entry else {
        return Err(RuleViolation::NameUnregistered(name.clone()));
    };
    check_changeable(params, context.now, &named.action, &entry)?;
    if named.reference != entry.title {
        return Err(RuleViolation::Title(name.clone()));
    }
    check_transfer(named, &entry)?;
    check_signer(named, &entry)?;
    check_sequence(named, &entry)?;
    check_paid(price_of_change(params, context, named, &entry), named.stamp.work)?;
    let charge = match &named.action {
        Action::Renew { .. } => Charge::Nothing,
        _ if rescue_role(named, &entry, context.now).is_some() => Charge::Nothing,
        _ => Charge::Bytes,
    };
    Ok((charge, changed(params, context.now, named, entry)?))
}

/// A name can be changed while it is active. In the grace its keys can still renew it, recover it,
/// revoke it, and withdraw an offer. Once revoked it can be recovered.
fn check_changeable(
    params: &Params,
    now: BlockTime,
    action: &Action,
    entry: &NameEntry,
) -> Result<(), RuleViolation> {
    let in_grace = matches!(
        action,
        Action::Renew { .. } | Action::Cancel { .. } | Action::Recover { .. } | Action::Revoke
    );
    let name = || entry.name.clone();
    match name_status(params, entry, now) {
        NameStatus::Active => Ok(()),
        NameStatus::Settling => Err(RuleViolation::NameSettling(name())),
        NameStatus::Grace if in_grace => Ok(()),
        NameStatus::Grace => Err(RuleViolation::NameInGrace(name())),
        NameStatus::Revoked if matches!(action, Action::Recover { .. }) => Ok(()),
        NameStatus::Revoked => Err(RuleViolation::NameRevoked(name())),
        NameStatus::Released => Err(RuleViolation::NameUnregistered(name())),
    }
}

/// What is accepted or cancelled is the transfer that waits, and no later one.
fn check_transfer(named: &SignedOperation, entry: &NameEntry) -> Result<(), RuleViolation> {
    let (Action::Accept { transfer, .. } | Action::Cancel { transfer }) = &named.action else {
        return Ok(());
    };
    match &entry.transfer {
        None => Err(RuleViolation::TransferMissing(entry.name.clone())),
        Some(pending) if pending.subject != *transfer => {
            Err(RuleViolation::TransferOther(entry.name.clone()))
        }
        Some(_) => Ok(()),
    }
}

/// Who must have signed an operation on a name that is somebody's.
fn check_signer(named: &SignedOperation, entry: &NameEntry) -> Result<(), RuleViolation> {
    let is_owner = named.signer == entry.owner;
    let is_recovery = entry.recovery == Some(named.signer);
    let name = || entry.name.clone();
    match &named.action {
        Action::Update { .. } | Action::Transfer { .. } | Action::Publish { .. } if !is_owner => {
            Err(RuleViolation::NotOwner(name()))
        }
        Action::Renew { .. } | Action::Cancel { .. } | Action::Revoke
            if !is_owner && !is_recovery =>
        {
            Err(RuleViolation::NotKeyholder(name()))
        }
        Action::Recover { .. } if !is_recovery => Err(RuleViolation::NotRecovery(name())),
        Action::Accept { .. }
            if entry.transfer.is_none_or(|pending| pending.to != named.signer) =>
        {
            Err(RuleViolation::NotRecipient(name()))
        }
        _ => Ok(()),
    }
}

/// The entry after an operation that its signer may make, if the name is in the right phase for it.
fn changed(
    params: &Params,
    now: BlockTime,
    named: &SignedOperation,
    before: NameEntry,
) -> Result<NameEntry, RuleViolation> {
    let role = rescue_role(named, &before, now);
    let mut entry = NameEntry { updated: now, ..before };
    if let Some(sequence) = named.action.sequence() {
        entry.sequence = sequence;
    }
    match role {
        Some(Role::Owner) => entry.rescued.owner = now.time,
        Some(Role::Recovery) => entry.rescued.recovery = now.time,
        None => {}
    }
    match &named.action {
        Action::Register { .. } => return Err(RuleViolation::NameTaken(entry.name)),
        Action::Update { records, .. } => entry.records = records.clone(),
        Action::Renew { expires } => {
            if *expires != entry.expires {
                return Err(RuleViolation::RenewExpires(entry.expires));
            }
            let from = params.renewable_from(entry.expires);
            if now.time < from {
                return Err(RuleViolation::RenewEarly(from));
            }
            entry.expires = entry.expires.saturating_add(params.lease);
        }
        Action::Transfer { .. } if entry.transfer.is_some() => {
            return Err(RuleViolation::TransferPending(entry.name));
        }
        Action::Transfer { to, .. } => {
            let subject = named.subject(params.network);
            entry.transfer = Some(PendingTransfer { to: *to, subject, offered: now })
        }
        Action::Accept { recovery, .. } => {
            let offered = entry.transfer.map_or(now, |pending| pending.offered);
            let delay = params.transfer_delay;
            if !offered.is_past(delay.blocks, delay.seconds, now) {
                return Err(RuleViolation::TransferYoung(earliest(offered, delay)));
            }
            // A buyer never inherits what the seller published.
            take_title(&mut entry, named.subject(params.network), named.signer, *recovery);
            entry.records = RecordSet::default();
        }
        Action::Cancel { .. } => entry.transfer = None,
        Action::Recover { owner, recovery } => {
            // Whoever had the owner's key may have published what speaks for the name, and may
            // have revoked it.
            take_title(&mut entry, named.subject(params.network), *owner, *recovery);
            entry.revoked = false;
        }
        Action::Revoke => {
            (entry.revoked, entry.transfer) = (true, None);
            (entry.records, entry.messaging) = (RecordSet::default(), None);
        }
        Action::Publish { record: None, .. } => entry.messaging = None,
        Action::Publish { record: Some(signed), .. } => {
            let published = messaging::published(params.network, now, &entry, signed)?;
            entry.messaging_sequence = published.record.sequence;
            entry.messaging = Some(Box::new(published));
        }
    }
    Ok(entry)
}

/// Gives the name to an owner under a new title: nothing signed under the old one holds any more.
fn take_title(entry: &mut NameEntry, title: Hash, owner: PublicKey, recovery: Option<PublicKey>) {
    (entry.owner, entry.recovery, entry.title) = (owner, recovery, title);
    (entry.sequence, entry.transfer) = (0, None);
    (entry.messaging, entry.messaging_sequence) = (None, 0);
}

/// Update, Transfer and Publish carry the next sequence number under the title. Recover and Revoke
/// carry none: nothing that the owner's key signs may keep them out. After the last number that
/// fits there is no next one.
fn check_sequence(named: &SignedOperation, entry: &NameEntry) -> Result<(), RuleViolation> {
    let Some(found) = named.action.sequence() else { return Ok(()) };
    match entry.sequence.checked_add(1) {
        Some(expected) if found == expected => Ok(()),
        _ => Err(RuleViolation::Sequence { expected: entry.sequence.saturating_add(1), found }),
    }
}

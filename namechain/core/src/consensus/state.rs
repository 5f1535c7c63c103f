//! The rules of operations against the state, and what they do to it.

use super::{RuleViolation, messaging, price};
use crate::{
    params::Params,
    types::{
        Action, CommitmentEntry, Entry, Hash, Header, Name, NameEntry, Operation, PendingTransfer,
        PublicKey, RecordSet, SignedOperation, commitment,
    },
};

/// The state as an operation sees it, and changes it.
pub trait State {
    /// Why the state could not be read. Never a broken rule.
    type Error;
    /// The entry under `key`.
    fn get(&self, key: &Hash) -> Result<Option<Entry>, Self::Error>;
    /// Sets or removes the entry under `key`.
    fn set(&mut self, key: Hash, entry: Option<Entry>);
}

/// Why something could not be applied: a rule, or the state.
#[derive(Debug)]
pub enum ApplyError<E> {
    /// It breaks a rule.
    Rule(RuleViolation),
    /// The state can't be read.
    State(E),
}

impl<E> From<RuleViolation> for ApplyError<E> {
    fn from(violation: RuleViolation) -> Self {
        ApplyError::Rule(violation)
    }
}

/// How a registered name stands at a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// It resolves, and its owner can change it.
    Active,
    /// Its lease is over; only its keys can renew it.
    Grace,
    /// It was revoked, and its lease is not over: nobody can do anything with it.
    Revoked,
    /// Lease and grace are over, or the lease of a revoked name is: it can be registered again.
    Released,
}

/// How the name with this entry stands at `height`.
pub fn name_status(params: &Params, entry: &NameEntry, height: u32) -> NameStatus {
    if height < entry.expires {
        if entry.revoked { NameStatus::Revoked } else { NameStatus::Active }
    } else if entry.revoked {
        NameStatus::Released
    } else if height < entry.expires.saturating_add(params.grace) {
        NameStatus::Grace
    } else {
        NameStatus::Released
    }
}

/// Where an operation is recorded: the height of its block, and the price multiplier of the block
/// before.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext {
    /// The height of the block.
    pub height: u32,
    /// The multiplier in force, in 1/1024.
    pub price: u32,
}

impl BlockContext {
    /// The context of the block after `parent`.
    pub fn after(parent: &Header) -> Self {
        BlockContext { height: parent.height + 1, price: parent.price }
    }
}

/// Applies a block's operations in their order, after the commitments in `lapsing` (those that the
/// block [`lapsing_height`] recorded) are gone. Returns the price multiplier after the block.
pub fn apply_block<S: State>(
    params: &Params,
    context: BlockContext,
    lapsing: &[Hash],
    operations: &[Operation],
    state: &mut S,
) -> Result<u32, ApplyError<S::Error>> {
    lapse_commitments(params, context.height, lapsing, state).map_err(ApplyError::State)?;
    for operation in operations {
        apply_operation(params, context, operation, state)?;
    }
    let commits = operations.iter().filter(|op| matches!(op, Operation::Commit { .. })).count();
    Ok(price::next_multiplier(context.price, commits))
}

/// What a header must say of the state after its block.
pub fn check_block_outcome(
    header: &Header,
    state_root: Hash,
    price: u32,
) -> Result<(), RuleViolation> {
    if header.price != price {
        return Err(RuleViolation::Price { expected: price, found: header.price });
    }
    if header.state_root != state_root {
        return Err(RuleViolation::StateRoot);
    }
    Ok(())
}

/// The height of the block whose commitments lapse in the block at `height`, if there is one.
pub fn lapsing_height(params: &Params, height: u32) -> Option<u32> {
    height.checked_sub(params.commit_max_age + 1)
}

/// Removes the commitments that were recorded at [`lapsing_height`] and are still open.
pub fn lapse_commitments<S: State>(
    params: &Params,
    height: u32,
    lapsing: &[Hash],
    state: &mut S,
) -> Result<(), S::Error> {
    for commitment in lapsing {
        let key = CommitmentEntry::key(params.network, commitment);
        // It may have been opened, and even recorded anew, since.
        if let Some(Entry::Commitment(entry)) = state.get(&key)?
            && Some(entry.height) == lapsing_height(params, height)
        {
            state.set(key, None);
        }
    }
    Ok(())
}

/// Applies one operation that is fine by itself. Nothing changes unless all of its rules hold.
pub fn apply_operation<S: State>(
    params: &Params,
    context: BlockContext,
    operation: &Operation,
    state: &mut S,
) -> Result<(), ApplyError<S::Error>> {
    match operation {
        Operation::Commit { commitment, stamp } => {
            commit(params, context, commitment, stamp.work, state)
        }
        Operation::Named(named) => match &named.action {
            Action::Register { recovery, salt, records } => {
                register(params, context, named, *recovery, salt, records, state)
            }
            _ => change(params, context, named, state),
        },
    }
}

fn commit<S: State>(
    params: &Params,
    context: BlockContext,
    commitment: &Hash,
    work: u64,
    state: &mut S,
) -> Result<(), ApplyError<S::Error>> {
    check_paid(price::commitment(params, context.price), work)?;
    let key = CommitmentEntry::key(params.network, commitment);
    if state.get(&key).map_err(ApplyError::State)?.is_some() {
        return Err(RuleViolation::CommitmentOpen.into());
    }
    let entry = CommitmentEntry {
        commitment: *commitment,
        height: context.height,
        work,
        price: context.price,
    };
    state.set(key, Some(Entry::Commitment(entry)));
    Ok(())
}

fn register<S: State>(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    recovery: Option<PublicKey>,
    salt: &[u8; 32],
    records: &RecordSet,
    state: &mut S,
) -> Result<(), ApplyError<S::Error>> {
    let name = &named.name;
    let before = name_entry(params, name, state)?;
    if let Some(entry) = &before
        && name_status(params, entry, context.height) != NameStatus::Released
    {
        return Err(RuleViolation::NameTaken(name.clone()).into());
    }
    check_sequence(named, before.as_ref())?;
    let key = CommitmentEntry::key(
        params.network,
        &commitment(params.network, name, &named.signer, salt),
    );
    let Some(Entry::Commitment(opened)) = state.get(&key).map_err(ApplyError::State)? else {
        return Err(RuleViolation::CommitmentUnknown(name.clone()).into());
    };
    let opens = opened.height.saturating_add(params.commit_min_age);
    if context.height < opens {
        return Err(RuleViolation::CommitmentYoung(opens).into());
    }
    let price = price::registration(params, name, opened.price);
    if opened.work < price {
        return Err(RuleViolation::CommitmentUnderpaid { price, paid: opened.work }.into());
    }
    check_paid(price::records(params, records.byte_len(), context.price), named.stamp.work)?;
    state.set(key, None);
    let entry = NameEntry {
        name: name.clone(),
        owner: named.signer,
        recovery,
        sequence: named.sequence,
        registered: context.height,
        updated: context.height,
        expires: context.height.saturating_add(params.lease),
        revoked: false,
        transfer: None,
        records: records.clone(),
        messaging: None,
        messaging_sequence: before.map_or(0, |entry| entry.messaging_sequence),
    };
    state.set(name.key(params.network), Some(Entry::Name(entry)));
    Ok(())
}

/// Applies an operation to a name that is somebody's.
fn change<S: State>(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    state: &mut S,
) -> Result<(), ApplyError<S::Error>> {
    let name = &named.name;
    let Some(entry) = name_entry(params, name, state)? else {
        return Err(RuleViolation::NameUnregistered(name.clone()).into());
    };
    check_changeable(params, context, &named.action, &entry)?;
    check_sequence(named, Some(&entry))?;
    check_signer(named, &entry)?;
    check_paid(named_price(params, context, named), named.stamp.work)?;
    let entry = changed(params, context, named, entry)?;
    state.set(name.key(params.network), Some(Entry::Name(entry)));
    Ok(())
}

/// A name can be changed while it is active. In the grace its keys can still renew it, recover it,
/// revoke it, and withdraw an offer.
fn check_changeable(
    params: &Params,
    context: BlockContext,
    action: &Action,
    entry: &NameEntry,
) -> Result<(), RuleViolation> {
    let in_grace =
        matches!(action, Action::Renew | Action::Cancel | Action::Recover { .. } | Action::Revoke);
    match name_status(params, entry, context.height) {
        NameStatus::Active => Ok(()),
        NameStatus::Grace if in_grace => Ok(()),
        NameStatus::Grace => Err(RuleViolation::NameInGrace(entry.name.clone())),
        NameStatus::Revoked => Err(RuleViolation::NameRevoked(entry.name.clone())),
        NameStatus::Released => Err(RuleViolation::NameUnregistered(entry.name.clone())),
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
        Action::Renew | Action::Cancel | Action::Revoke if !is_owner && !is_recovery => {
            Err(RuleViolation::NotKeyholder(name()))
        }
        Action::Recover { .. } if !is_recovery => Err(RuleViolation::NotRecovery(name())),
        Action::Accept { .. } => match &entry.transfer {
            None => Err(RuleViolation::TransferMissing(name())),
            Some(transfer) if transfer.to != named.signer => {
                Err(RuleViolation::NotRecipient(name()))
            }
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// Whether an operation's stamp claims what the operation costs at least, as far as the operation
/// itself tells. Cheap: look at this before the stamp's work.
///
/// # Errors
/// [`RuleViolation::Underpaid`].
pub fn check_price(
    params: &Params,
    context: BlockContext,
    operation: &Operation,
) -> Result<(), RuleViolation> {
    check_paid(operation_price(params, context, operation), operation.stamp().work)
}

/// The least work that an operation's stamp must have in a block, as far as the operation itself
/// tells: a registration's commitment may have had to carry more.
pub fn operation_price(params: &Params, context: BlockContext, operation: &Operation) -> u64 {
    match operation {
        Operation::Commit { .. } => price::commitment(params, context.price),
        Operation::Named(named) => named_price(params, context, named),
    }
}

fn named_price(params: &Params, context: BlockContext, named: &SignedOperation) -> u64 {
    match &named.action {
        Action::Register { records, .. } | Action::Update { records } => {
            price::records(params, records.byte_len(), context.price)
        }
        Action::Publish { record } => {
            let bytes = record.as_ref().map_or(0, |record| record.byte_len());
            price::records(params, bytes, context.price)
        }
        Action::Renew => price::renewal(params, &named.name, context.price),
        Action::Transfer { .. } | Action::Accept { .. } => price::transfer(params, context.price),
        Action::Cancel | Action::Recover { .. } | Action::Revoke => {
            price::rescue(params, context.price)
        }
    }
}

/// The entry after an operation that its signer may make, if the name is in the right phase for it.
fn changed(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    before: NameEntry,
) -> Result<NameEntry, RuleViolation> {
    let mut entry = NameEntry { sequence: named.sequence, updated: context.height, ..before };
    match &named.action {
        Action::Register { .. } => return Err(RuleViolation::NameTaken(entry.name)),
        Action::Update { records } => entry.records = records.clone(),
        Action::Renew => {
            let from = entry.expires.saturating_sub(params.lease / 4);
            if context.height < from {
                return Err(RuleViolation::RenewEarly(from));
            }
            entry.expires = entry.expires.saturating_add(params.lease);
        }
        Action::Transfer { .. } if entry.transfer.is_some() => {
            return Err(RuleViolation::TransferPending(entry.name));
        }
        Action::Transfer { to } => {
            entry.transfer = Some(PendingTransfer { to: *to, height: context.height })
        }
        Action::Accept { recovery } => {
            let offered = entry.transfer.map_or(context.height, |transfer| transfer.height);
            let from = offered.saturating_add(params.transfer_delay);
            if context.height < from {
                return Err(RuleViolation::TransferYoung(from));
            }
            // A buyer never inherits what the seller published.
            (entry.owner, entry.recovery, entry.transfer) = (named.signer, *recovery, None);
            (entry.records, entry.messaging) = (RecordSet::default(), None);
        }
        Action::Cancel if entry.transfer.is_none() => {
            return Err(RuleViolation::TransferMissing(entry.name));
        }
        Action::Cancel => entry.transfer = None,
        Action::Recover { owner, recovery } => {
            (entry.owner, entry.recovery, entry.transfer) = (*owner, *recovery, None);
            // Whoever had the owner's key may have published it.
            entry.messaging = None;
        }
        Action::Revoke => {
            (entry.revoked, entry.transfer) = (true, None);
            (entry.records, entry.messaging) = (RecordSet::default(), None);
        }
        Action::Publish { record: None } => entry.messaging = None,
        Action::Publish { record: Some(signed) } => {
            let published = messaging::published(params.network, context.height, &entry, signed)?;
            entry.messaging_sequence = published.record.sequence;
            entry.messaging = Some(Box::new(published));
        }
    }
    Ok(entry)
}

fn name_entry<S: State>(
    params: &Params,
    name: &Name,
    state: &S,
) -> Result<Option<NameEntry>, ApplyError<S::Error>> {
    Ok(match state.get(&name.key(params.network)).map_err(ApplyError::State)? {
        Some(Entry::Name(entry)) => Some(entry),
        _ => None,
    })
}

/// The sequence number of a name never goes back, not even when it is released: an old operation
/// can't be replayed. After the last number that fits there is no next one.
fn check_sequence(
    named: &SignedOperation,
    before: Option<&NameEntry>,
) -> Result<(), RuleViolation> {
    let expected = next_sequence(before);
    let is_next =
        before.is_none_or(|entry| entry.sequence < u32::MAX) && named.sequence == expected;
    if is_next { Ok(()) } else { Err(RuleViolation::Sequence { expected, found: named.sequence }) }
}

/// The sequence number that the next operation on a name must have: 0 if it was never registered.
pub fn next_sequence(entry: Option<&NameEntry>) -> u32 {
    entry.map_or(0, |entry| entry.sequence.saturating_add(1))
}

fn check_paid(price: u64, paid: u64) -> Result<(), RuleViolation> {
    if paid >= price { Ok(()) } else { Err(RuleViolation::Underpaid { price, paid }) }
}

#[cfg(test)]
mod tests;

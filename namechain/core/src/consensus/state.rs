//! The rules of operations against the state, and what they do to it.

use super::{
    RuleViolation,
    block::Anchor,
    change::{Charge, change},
    context::{BlockContext, Multipliers, earliest},
    operation_price::check_paid,
    price,
    status::{EntryKind, NameStatus, name_status},
};
use crate::{
    params::{
        ANCHOR_PRICE_BLOCKS, COMMIT_LIFETIME_S, MAX_REMOVED, MAX_SHARED_BYTES, Params,
        TARGET_BYTES, TARGET_COMMITS,
    },
    types::{
        Action, BlockTime, CommitPosition, CommitmentEntry, Entry, Hash, Header, Name, NameEntry,
        Operation, PublicKey, RecordSet, Rescued, SignedOperation, commitment,
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
    /// The keys of at most `limit` entries of `kind` whose [`end`](super::status::end) is at or
    /// before `time`, those with the smallest (end, key).
    fn ended(&self, kind: EntryKind, time: u64, limit: usize) -> Result<Vec<Hash>, Self::Error>;
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

/// Applies a block's operations in their order, each with the anchor of its stamp, after the
/// entries that have ended are removed. Returns the multipliers after the block.
///
/// # Errors
/// The rule that is broken, or that the state can't be read; the state is then half changed.
pub fn apply_block<S: State>(
    params: &Params,
    context: BlockContext,
    operations: &[(&Operation, Anchor)],
    state: &mut S,
) -> Result<Multipliers, ApplyError<S::Error>> {
    remove_ended(context.now, state).map_err(ApplyError::State)?;
    let mut tally = Tally::default();
    for (index, (operation, anchor)) in operations.iter().enumerate() {
        tally.apply(params, context, operation, index as u32, *anchor, state)?;
    }
    Ok(tally.multipliers(params, context))
}

/// What the operations of a block come to, one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    commits: u64,
    priced_bytes: u64,
    shared_bytes: usize,
}

impl Tally {
    /// Applies the operation at `index` of a block, if it is fine by itself. Nothing changes unless
    /// all of its rules hold.
    ///
    /// # Errors
    /// The rule that it breaks, or that the state can't be read.
    pub fn apply<S: State>(
        &mut self,
        params: &Params,
        context: BlockContext,
        operation: &Operation,
        index: u32,
        anchor: Anchor,
        state: &mut S,
    ) -> Result<(), ApplyError<S::Error>> {
        let (charge, changes) = judge(params, context, operation, index, anchor, state)?;
        let mut next = *self;
        let bytes = operation.byte_len();
        if charge != Charge::Nothing {
            next.shared_bytes += bytes;
            if next.shared_bytes > MAX_SHARED_BYTES {
                return Err(RuleViolation::BlockShare(next.shared_bytes).into());
            }
        }
        match charge {
            Charge::Name => next.commits += 1,
            Charge::Bytes => next.priced_bytes += bytes as u64,
            Charge::Nothing => {}
        }
        for (key, entry) in changes.into_iter().flatten() {
            state.set(key, Some(entry));
        }
        *self = next;
        Ok(())
    }

    /// The multipliers after a block with these operations.
    pub fn multipliers(&self, params: &Params, context: BlockContext) -> Multipliers {
        let elapsed = context.now.time.saturating_sub(context.parent_time);
        let next = |multiplier, count, target| {
            price::next_multiplier(params, multiplier, count, target, elapsed)
        };
        Multipliers {
            names: next(context.price.names, self.commits, TARGET_COMMITS),
            bytes: next(context.price.bytes, self.priced_bytes, TARGET_BYTES),
        }
    }
}

/// What a header must say of the state after its block.
///
/// # Errors
/// The rule that it breaks.
pub fn check_block_outcome(
    header: &Header,
    state_root: Hash,
    expected: Multipliers,
) -> Result<(), RuleViolation> {
    let found = Multipliers::of(header);
    if found != expected {
        return Err(RuleViolation::Price { expected, found });
    }
    if header.state_root != state_root {
        return Err(RuleViolation::StateRoot);
    }
    Ok(())
}

/// Removes the entries that have ended at the start of a block: at most 512 of each kind, so that
/// no silence makes one block dear. Those that are left count as gone all the same.
pub fn remove_ended<S: State>(now: BlockTime, state: &mut S) -> Result<(), S::Error> {
    let mut keys = state.ended(EntryKind::Name, now.time, MAX_REMOVED)?;
    // A Commit can still be opened at its end.
    if let Some(before) = now.time.checked_sub(1) {
        keys.extend(state.ended(EntryKind::Commitment, before, MAX_REMOVED)?);
    }
    for key in keys {
        state.set(key, None);
    }
    Ok(())
}

/// What an operation sets, at most two entries.
type Changes = [Option<(Hash, Entry)>; 2];

/// Judges an operation and says what it sets.
fn judge<S: State>(
    params: &Params,
    context: BlockContext,
    operation: &Operation,
    index: u32,
    anchor: Anchor,
    state: &S,
) -> Result<(Charge, Changes), ApplyError<S::Error>> {
    match operation {
        Operation::Commit { commitment, stamp } => {
            check_paid(price::commitment(params, context.price.names), stamp.work)?;
            let commit_id = operation.id(params.network);
            let key = CommitmentEntry::key(params.network, &commit_id);
            if state.get(&key).map_err(ApplyError::State)?.is_some() {
                return Err(RuleViolation::CommitRecorded.into());
            }
            let now = context.now;
            let entry = CommitmentEntry {
                commit_id,
                commitment: *commitment,
                position: CommitPosition { height: now.height, index },
                time: now.time,
                work: stamp.work,
                price: registration_multiplier(context, anchor),
                spent: false,
            };
            Ok((Charge::Name, [Some((key, Entry::Commitment(entry))), None]))
        }
        Operation::Named(named) => match &named.action {
            Action::Register { recovery, salt, records } => {
                let changes = register(params, context, named, *recovery, salt, records, state)?;
                Ok((Charge::Bytes, changes))
            }
            _ => {
                let key = named.name.key(params.network);
                let entry = name_entry(params, &named.name, state)?;
                let (charge, entry) = change(params, context, named, entry)?;
                Ok((charge, [Some((key, Entry::Name(entry))), None]))
            }
        },
    }
}

/// The multiplier that a registration's price is judged by: that of the anchor's time, unless it is
/// long ago, so that a rise between stamping and recording costs nobody hours of work.
fn registration_multiplier(context: BlockContext, anchor: Anchor) -> u32 {
    match context.now.height.saturating_sub(anchor.at.height) {
        ..=ANCHOR_PRICE_BLOCKS => anchor.name_price,
        _ => context.price.names,
    }
}

fn register<S: State>(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    recovery: Option<PublicKey>,
    salt: &[u8; 32],
    records: &RecordSet,
    state: &S,
) -> Result<Changes, ApplyError<S::Error>> {
    let (name, now) = (&named.name, context.now);
    let key = CommitmentEntry::key(params.network, &named.reference);
    let mut opened = match state.get(&key).map_err(ApplyError::State)? {
        Some(Entry::Commitment(opened)) => opened,
        _ => return Err(RuleViolation::CommitmentUnknown(name.clone()).into()),
    };
    check_commitment(params, named, salt, &opened, now)?;
    if let Some(before) = name_entry(params, name, state)? {
        match name_status(params, &before, now) {
            NameStatus::Released => {}
            NameStatus::Settling if opened.position < before.commit => {}
            NameStatus::Settling => return Err(RuleViolation::NameSettling(name.clone()).into()),
            _ => return Err(RuleViolation::NameTaken(name.clone()).into()),
        }
    }
    let price = price::records(params, records.byte_len(), context.price.bytes);
    check_paid(price, named.stamp.work)?;
    let entry = NameEntry {
        name: name.clone(),
        owner: named.signer,
        recovery,
        title: named.subject(params.network),
        sequence: 0,
        registered: now,
        commit: opened.position,
        updated: now,
        expires: now.time.saturating_add(params.lease),
        revoked: false,
        rescued: Rescued::default(),
        transfer: None,
        records: records.clone(),
        messaging: None,
        messaging_sequence: 0,
    };
    // It stays until it lapses: the same bytes can't be recorded again meanwhile.
    opened.spent = true;
    Ok([
        Some((key, Entry::Commitment(opened))),
        Some((name.key(params.network), Entry::Name(entry))),
    ])
}

/// What the Commit must be that a Register names.
fn check_commitment(
    params: &Params,
    named: &SignedOperation,
    salt: &[u8; 32],
    opened: &CommitmentEntry,
    now: BlockTime,
) -> Result<(), RuleViolation> {
    let name = &named.name;
    let lapsed = opened.time.saturating_add(COMMIT_LIFETIME_S) < now.time;
    if lapsed || opened.commitment != commitment(params.network, name, &named.signer, salt) {
        return Err(RuleViolation::CommitmentUnknown(name.clone()));
    }
    if opened.spent {
        return Err(RuleViolation::CommitmentSpent(name.clone()));
    }
    let recorded = BlockTime { height: opened.position.height, time: opened.time };
    let delay = params.commit_delay;
    if !recorded.is_past(delay.blocks, delay.seconds, now) {
        return Err(RuleViolation::CommitmentYoung(earliest(recorded, delay)));
    }
    let price = price::registration(params, name, opened.price);
    if opened.work < price {
        return Err(RuleViolation::CommitmentUnderpaid { price, paid: opened.work });
    }
    Ok(())
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

#[cfg(test)]
mod tests;

//! The rules of operations against the state, and what they do to it.

use super::{RuleViolation, block::Anchor, messaging, price};
use crate::{
    params::{
        ANCHOR_PRICE_BLOCKS, COMMIT_LIFETIME_S, Delay, MAX_REMOVED, MAX_SHARED_BYTES, Params,
        RESCUE_PERIOD_S, TARGET_BYTES, TARGET_COMMITS,
    },
    types::{
        Action, BlockTime, CommitPosition, CommitmentEntry, Entry, Hash, Header, Name, NameEntry,
        Operation, PendingTransfer, PublicKey, RecordSet, Rescued, SignedOperation, commitment,
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
    /// The keys of at most `limit` entries of `kind` whose [`end`] is at or before `time`, those
    /// with the smallest (end, key).
    fn ended(&self, kind: EntryKind, time: u64, limit: usize) -> Result<Vec<Hash>, Self::Error>;
}

/// The kinds of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// A name.
    Name,
    /// A Commit.
    Commitment,
}

impl EntryKind {
    /// The kind of `entry`.
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::Name(_) => EntryKind::Name,
            Entry::Commitment(_) => EntryKind::Commitment,
        }
    }
}

/// The time at which an entry ends, in seconds of Unix time. A name is released at its end; a
/// Commit lapses after it.
pub fn end(params: &Params, entry: &Entry) -> u64 {
    match entry {
        Entry::Name(entry) => entry.expires.saturating_add(params.grace),
        Entry::Commitment(entry) => entry.time.saturating_add(COMMIT_LIFETIME_S),
    }
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

/// The status of a registered name in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameStatus {
    /// It was registered a short time ago: an older Commit can still displace it. It does not
    /// resolve.
    Settling,
    /// It resolves, and its owner can change it.
    Active,
    /// Its lease is over; only its keys can renew it.
    Grace,
    /// It was revoked: only the recovery key can do something with it.
    Revoked,
    /// Lease and grace are over: it can be registered again, as if nobody had ever had it.
    Released,
}

/// The status of the name with this entry in a block at `now`.
pub fn name_status(params: &Params, entry: &NameEntry, now: BlockTime) -> NameStatus {
    let settle = params.settle_delay;
    if now.time >= entry.expires.saturating_add(params.grace) {
        NameStatus::Released
    } else if entry.revoked {
        NameStatus::Revoked
    } else if now.time >= entry.expires {
        NameStatus::Grace
    } else if entry.registered.is_past(settle.blocks, settle.seconds, now) {
        NameStatus::Active
    } else {
        NameStatus::Settling
    }
}

/// The multipliers of prices, in 1/1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multipliers {
    /// That of names.
    pub names: u32,
    /// That of bytes.
    pub bytes: u32,
}

impl Multipliers {
    /// Those in `header`, which the next block's operations pay.
    pub fn of(header: &Header) -> Self {
        Multipliers { names: header.name_price, bytes: header.byte_price }
    }
}

/// The block that operations are applied in.
#[derive(Clone, Copy, Debug)]
pub struct BlockContext {
    /// Its height and time.
    pub now: BlockTime,
    /// The time of its parent, in seconds of Unix time.
    pub parent_time: u64,
    /// The multipliers in force: those in the parent's header.
    pub price: Multipliers,
}

impl BlockContext {
    /// A block after `parent` with this time.
    pub fn after(parent: &Header, time: u64) -> Self {
        BlockContext {
            now: BlockTime { height: parent.height.saturating_add(1), time },
            parent_time: parent.time,
            price: Multipliers::of(parent),
        }
    }
}

/// What an operation counts for, once it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    /// One Commit; its bytes count for the shared part of the block.
    Name,
    /// Its bytes count for the byte price and the shared part.
    Bytes,
    /// Nothing: a Renew, or a rescue at its fixed price.
    Nothing,
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
                let (charge, entry) = change(params, context, named, state)?;
                let key = named.name.key(params.network);
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

fn earliest(from: BlockTime, delay: Delay) -> BlockTime {
    BlockTime {
        height: from.height.saturating_add(delay.blocks),
        time: from.time.saturating_add(delay.seconds),
    }
}

/// Judges an operation on a name that is somebody's, and gives the entry after it.
fn change<S: State>(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    state: &S,
) -> Result<(Charge, NameEntry), ApplyError<S::Error>> {
    let name = &named.name;
    let Some(entry) = name_entry(params, name, state)? else {
        return Err(RuleViolation::NameUnregistered(name.clone()).into());
    };
    check_changeable(params, context.now, &named.action, &entry)?;
    if named.reference != entry.title {
        return Err(RuleViolation::Title(name.clone()).into());
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

/// A key of a name that can rescue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Owner,
    Recovery,
}

/// The role whose fixed price an operation uses, if it is a rescue and the role has not used it
/// within a day. Rescues beyond that pay by their bytes: else a few cores fill every block.
fn rescue_role(named: &SignedOperation, entry: &NameEntry, now: BlockTime) -> Option<Role> {
    let role = match &named.action {
        Action::Recover { .. } => Role::Recovery,
        Action::Cancel { .. } | Action::Revoke if named.signer == entry.owner => Role::Owner,
        Action::Cancel { .. } | Action::Revoke => Role::Recovery,
        _ => return None,
    };
    let last = match role {
        Role::Owner => entry.rescued.owner,
        Role::Recovery => entry.rescued.recovery,
    };
    (last == 0 || now.time >= last.saturating_add(RESCUE_PERIOD_S)).then_some(role)
}

/// The least work that an operation's stamp must have in a block, where `entry` is the name's if it
/// has one: a registration's Commit may have had to carry more.
pub fn operation_price(
    params: &Params,
    context: BlockContext,
    operation: &Operation,
    entry: Option<&NameEntry>,
) -> u64 {
    match (operation, entry) {
        (Operation::Commit { .. }, _) => price::commitment(params, context.price.names),
        (Operation::Named(named), Some(entry)) => price_of_change(params, context, named, entry),
        (Operation::Named(named), None) => price_by_bytes(params, context, named),
    }
}

/// The least that an operation can cost whatever the state is.
pub fn least_price(params: &Params, context: BlockContext, operation: &Operation) -> u64 {
    match operation {
        Operation::Commit { .. } => price::commitment(params, context.price.names),
        Operation::Named(named) => match &named.action {
            Action::Cancel { .. } | Action::Recover { .. } | Action::Revoke => {
                price::rescue(params).min(price_by_bytes(params, context, named))
            }
            _ => price_by_bytes(params, context, named),
        },
    }
}

fn price_of_change(
    params: &Params,
    context: BlockContext,
    named: &SignedOperation,
    entry: &NameEntry,
) -> u64 {
    if rescue_role(named, entry, context.now).is_some() {
        return price::rescue(params);
    }
    price_by_bytes(params, context, named)
}

fn price_by_bytes(params: &Params, context: BlockContext, named: &SignedOperation) -> u64 {
    let multiplier = context.price.bytes;
    match &named.action {
        Action::Register { records, .. } | Action::Update { records, .. } => {
            price::records(params, records.byte_len(), multiplier)
        }
        Action::Publish { record, .. } => {
            let bytes = record.as_ref().map_or(0, |record| record.byte_len());
            price::records(params, bytes, multiplier)
        }
        Action::Renew { .. } => price::renewal(params, &named.name),
        Action::Transfer { .. } | Action::Accept { .. } => price::transfer(params, multiplier),
        Action::Cancel { .. } | Action::Recover { .. } | Action::Revoke => {
            price::records(params, 0, multiplier)
        }
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
            let from = entry.expires.saturating_sub(params.lease / 4);
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

fn check_paid(price: u64, paid: u64) -> Result<(), RuleViolation> {
    if paid >= price { Ok(()) } else { Err(RuleViolation::Underpaid { price, paid }) }
}

#[cfg(test)]
mod tests;

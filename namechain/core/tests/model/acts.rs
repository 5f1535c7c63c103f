//! What an operation makes of the entry of a name that somebody has: docs/protocol.md, section 6.4,
//! in its order.

use namechain_core::types::{
    Action, BlockTime, Hash, MessagingEntry, NameEntry, Network, PendingTransfer, PublicKey,
    RecordSet, SignedMessagingRecord, SignedOperation, next_key_hash,
};

use crate::prices::{Role, Rules};

/// How a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Settling,
    Active,
    Grace,
    Revoked,
    Released,
}

/// The block that records an operation.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub network: Network,
    pub height: u32,
    pub time: u64,
    /// The multipliers in force: of names, of bytes.
    pub prices: (u32, u32),
}

impl Now {
    fn block(&self) -> BlockTime {
        BlockTime { height: self.height, time: self.time }
    }
}

pub fn status(rules: &Rules, entry: &NameEntry, now: &Now) -> Status {
    if now.time >= entry.expires + rules.grace {
        return Status::Released;
    }
    if entry.revoked {
        return Status::Revoked;
    }
    if now.time >= entry.expires {
        return Status::Grace;
    }
    let (blocks, seconds) = rules.settle;
    if now.height < entry.registered.height + blocks || now.time < entry.registered.time + seconds {
        return Status::Settling;
    }
    Status::Active
}

fn need(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

/// The entry after an operation, and whether it counts for nothing in its block: a Renew, or a
/// rescue at the fixed price.
pub fn change(
    rules: &Rules,
    now: &Now,
    op: &SignedOperation,
    work: u64,
    price: u64,
    entry: Option<&NameEntry>,
) -> Result<(NameEntry, bool), &'static str> {
    let e = entry.ok_or("name-unregistered")?;
    check_status(rules, now, op, e)?;
    need(op.reference == e.title, "title")?;
    if let Action::Accept { transfer, .. } | Action::Cancel { transfer } = &op.action {
        let pending = e.transfer.as_ref().ok_or("transfer-missing")?;
        need(pending.subject == *transfer, "transfer-other")?;
    }
    check_signer(op, e)?;
    if let Some(sequence) = op.action.sequence() {
        need(e.sequence < u32::MAX && sequence == e.sequence + 1, "sequence")?;
    }
    need(work >= price, "underpaid")?;
    let mut after = e.clone();
    set(rules, now, op, e, &mut after)?;
    after.updated = now.block();
    if let Some(sequence) = op.action.sequence() {
        after.sequence = sequence;
    }
    let fixed = rules.fixed_role(op, e, now.time);
    match fixed {
        Some(Role::Owner) => after.rescued.owner = now.time,
        Some(Role::Recovery) => after.rescued.recovery = now.time,
        None => {}
    }
    let counts_for_nothing = fixed.is_some() || matches!(op.action, Action::Renew { .. });
    Ok((after, counts_for_nothing))
}

fn check_status(
    rules: &Rules,
    now: &Now,
    op: &SignedOperation,
    e: &NameEntry,
) -> Result<(), &'static str> {
    let status = status(rules, e, now);
    need(status != Status::Released, "name-unregistered")?;
    need(status != Status::Settling, "name-settling")?;
    let recovers = matches!(op.action, Action::Recover { .. });
    need(status != Status::Revoked || recovers, "name-revoked")?;
    let in_grace = recovers
        || matches!(op.action, Action::Renew { .. } | Action::Cancel { .. } | Action::Revoke);
    need(status != Status::Grace || in_grace, "name-in-grace")
}

fn check_signer(op: &SignedOperation, e: &NameEntry) -> Result<(), &'static str> {
    let is_owner = op.signer == e.owner;
    let is_recovery = e.recovery == Some(op.signer);
    match &op.action {
        Action::Update { .. } | Action::Transfer { .. } | Action::Publish { .. } => {
            need(is_owner, "not-owner")
        }
        Action::Renew { .. } | Action::Cancel { .. } | Action::Revoke => {
            need(is_owner || is_recovery, "not-keyholder")
        }
        Action::Recover { .. } => need(is_recovery, "not-recovery"),
        Action::Accept { .. } => {
            need(e.transfer.is_some_and(|pending| pending.to == op.signer), "not-recipient")
        }
        Action::Register { .. } => unreachable!("a Register changes no entry"),
    }
}

/// The table of section 6.4: the checks of a kind, and what it sets.
fn set(
    rules: &Rules,
    now: &Now,
    op: &SignedOperation,
    before: &NameEntry,
    e: &mut NameEntry,
) -> Result<(), &'static str> {
    match &op.action {
        Action::Update { records, .. } => e.records = records.clone(),
        Action::Renew { expires } => {
            need(*expires == before.expires, "renew-expires")?;
            need(now.time >= before.expires - rules.lease / 4, "renew-early")?;
            e.expires = before.expires + rules.lease;
        }
        Action::Transfer { to, .. } => {
            need(before.transfer.is_none(), "transfer-pending")?;
            let subject = op.subject(now.network);
            e.transfer = Some(PendingTransfer { to: *to, subject, offered: now.block() });
        }
        Action::Accept { recovery, .. } => {
            let offered = before.transfer.ok_or("transfer-missing")?.offered;
            let (blocks, seconds) = rules.transfer;
            let old = now.height >= offered.height + blocks && now.time >= offered.time + seconds;
            need(old, "transfer-young")?;
            begin_title(e, op.subject(now.network), op.signer, *recovery);
            e.records = RecordSet::default();
        }
        Action::Cancel { .. } => e.transfer = None,
        Action::Recover { owner, recovery } => {
            begin_title(e, op.subject(now.network), *owner, *recovery);
            e.revoked = false;
        }
        Action::Revoke => {
            e.revoked = true;
            e.transfer = None;
            e.records = RecordSet::default();
            e.messaging = None;
        }
        Action::Publish { record: None, .. } => e.messaging = None,
        Action::Publish { record: Some(signed), .. } => {
            e.messaging = Some(Box::new(published(now, signed, before)?));
            e.messaging_sequence = signed.record.sequence;
        }
        Action::Register { .. } => unreachable!("a Register changes no entry"),
    }
    Ok(())
}

fn begin_title(e: &mut NameEntry, title: Hash, owner: PublicKey, recovery: Option<PublicKey>) {
    e.owner = owner;
    e.recovery = recovery;
    e.title = title;
    e.sequence = 0;
    e.transfer = None;
    e.messaging = None;
    e.messaging_sequence = 0;
}

fn published(
    now: &Now,
    signed: &SignedMessagingRecord,
    e: &NameEntry,
) -> Result<MessagingEntry, &'static str> {
    let (record, stands) = (&signed.record, e.messaging.as_deref());
    let is_next = e.messaging_sequence < u32::MAX && record.sequence == e.messaging_sequence + 1;
    need(is_next, "messaging-sequence")?;
    let previous = stands.map_or(Hash::ZERO, |stands| stands.record.hash(now.network));
    need(record.previous == previous, "messaging-previous")?;
    if let Some(link) = &signed.link {
        let stands = stands.filter(|stands| stands.record.identity == link.identity);
        let stands = stands.ok_or("link-identity")?;
        let announced = stands.record.next == next_key_hash(now.network, &record.identity);
        need(announced, "link-announced")?;
    }
    let same = stands.filter(|stands| stands.record.identity == record.identity);
    Ok(MessagingEntry {
        record: record.clone(),
        linked: same.map_or(signed.link.is_some(), |same| same.linked),
        height: now.height,
        time: now.time,
    })
}

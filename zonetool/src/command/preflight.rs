//! What the next block would say to an operation: the core's own rules, applied to the name as the
//! node gives it. So no work is spent on what would be refused.

use std::convert::Infallible;

use namechain_core::{
    api_types::{NameInfo, Standing},
    consensus::{
        RuleViolation,
        block::Anchor,
        context::BlockContext,
        state::{self, ApplyError, Tally},
        status::EntryKind,
    },
    params::Params,
    types::{
        BlockTime, CommitPosition, Entry, Hash, NameEntry, Operation, PendingTransfer, PublicKey,
        Rescued, SignedOperation,
    },
};

use super::{
    draft::Draft,
    query::{messaging_of, records_of},
    submit::Submitter,
};
use crate::error::CommandError;

/// A state of one name.
struct OneName {
    key: Hash,
    entry: Option<Entry>,
}

impl state::State for OneName {
    type Error = Infallible;

    fn get(&self, key: &Hash) -> Result<Option<Entry>, Infallible> {
        Ok(self.entry.clone().filter(|_| *key == self.key))
    }

    fn set(&mut self, key: Hash, entry: Option<Entry>) {
        if key == self.key {
            self.entry = entry;
        }
    }

    /// Nothing ends here: an entry that is over counts as released all the same.
    fn ended(&self, _: EntryKind, _: u64, _: usize) -> Result<Vec<Hash>, Infallible> {
        Ok(Vec::new())
    }
}

/// An operation that the next block would record, without its signature and the stamp's nonce.
pub struct Checked {
    /// The operation; its stamp claims exactly the price.
    pub named: SignedOperation,
    /// The name's entry after it.
    pub after: NameEntry,
    /// The next block.
    pub context: BlockContext,
}

/// Checks an operation by the rules of the next block, before any work.
pub fn check(
    submitter: &Submitter,
    draft: &Draft,
    before: &NameEntry,
    signer: PublicKey,
) -> Result<Checked, CommandError> {
    let (_, context) = submitter.next_block()?;
    let named = submitter.unsigned(signer, draft, context);
    match preflight(submitter.params(), context, before, &named) {
        Ok(after) => Ok(Checked { named, after, context }),
        Err(violation) => Err(explain_violation(violation, before, signer)),
    }
}

/// The error of a broken rule; where another key is needed, it says which.
fn explain_violation(violation: RuleViolation, entry: &NameEntry, ours: PublicKey) -> CommandError {
    let (name, rule) = (entry.name.clone(), violation.id());
    match (&violation, entry.transfer) {
        (RuleViolation::NotOwner(_) | RuleViolation::NotKeyholder(_), _) => {
            CommandError::NotOwner { name, owner: entry.owner, ours, rule }
        }
        (RuleViolation::NotRecipient(_), Some(transfer)) => {
            CommandError::NotRecipient { name, to: transfer.to, ours }
        }
        _ => CommandError::Rule { name, violation: Box::new(violation) },
    }
}

/// The name's entry after `named` in the block of `context`, or the rule that refuses it.
/// Signature, anchor and nonce are not checked; the work that the stamp claims is.
fn preflight(
    params: &Params,
    context: BlockContext,
    before: &NameEntry,
    named: &SignedOperation,
) -> Result<NameEntry, RuleViolation> {
    let key = before.name.key(params.network);
    let mut state = OneName { key, entry: Some(Entry::Name(before.clone())) };
    let parent =
        BlockTime { height: context.now.height.saturating_sub(1), time: context.parent_time };
    let anchor = Anchor { at: parent, name_price: context.price.names };
    let operation = Operation::Named(named.clone());
    match Tally::default().apply(params, context, &operation, 0, anchor, &mut state) {
        Ok(()) => {}
        Err(ApplyError::Rule(violation)) => return Err(violation),
        Err(ApplyError::State(never)) => match never {},
    }
    match state.entry {
        Some(Entry::Name(entry)) => Ok(entry),
        // No operation on a name removes it.
        _ => Err(RuleViolation::NameUnregistered(before.name.clone())),
    }
}

/// The entry of a registered name, as the node gives it.
pub fn entry_of(info: &NameInfo) -> Result<NameEntry, CommandError> {
    let name = info.name.clone();
    let Some(entry) = &info.entry else { return Err(CommandError::NotRegistered(name)) };
    match (info.standing, info.reserved) {
        (Standing::Available, _) => return Err(CommandError::NotRegistered(name)),
        (Standing::Reserved, Some(why)) => return Err(CommandError::Reserved(name, why)),
        (Standing::Reserved, None) => return Err(CommandError::NotRegistered(name)),
        _ => {}
    }
    Ok(NameEntry {
        name,
        owner: entry.owner,
        recovery: entry.recovery,
        title: entry.title,
        sequence: entry.sequence,
        registered: BlockTime { height: entry.registered_height, time: entry.registered_time },
        commit: CommitPosition { height: entry.commit_height, index: entry.commit_index },
        updated: BlockTime { height: entry.updated_height, time: entry.updated_time },
        expires: entry.expires,
        revoked: entry.revoked,
        rescued: Rescued { owner: entry.rescued_owner, recovery: entry.rescued_recovery },
        transfer: entry.transfer.as_ref().map(|transfer| PendingTransfer {
            to: transfer.to,
            subject: transfer.subject,
            offered: BlockTime { height: transfer.height, time: transfer.time },
        }),
        records: records_of(info)?,
        messaging: messaging_of(entry)?.map(Box::new),
        messaging_sequence: entry.messaging_sequence,
    })
}

#[cfg(test)]
mod tests {
    use namechain_core::{
        consensus::{context::Multipliers, operation_price::operation_price},
        params::PRICE_UNIT,
        types::{Action, Name, Network, RecordSet, Signature, Stamp},
    };

    use super::*;
    use crate::command::draft::UNWORKED;

    const OWNER: PublicKey = PublicKey([1; 32]);
    const RECOVERY: PublicKey = PublicKey([2; 32]);
    const BUYER: PublicKey = PublicKey([3; 32]);
    const TRANSFER: Hash = Hash([5; 32]);
    const DAY_SECONDS: u64 = 86_400;
    /// When it was registered.
    const START: u64 = 1_800_000_000;
    const EXPIRES: u64 = START + 365 * DAY_SECONDS;

    fn entry() -> NameEntry {
        NameEntry {
            name: Name::parse("alice").unwrap(),
            owner: OWNER,
            recovery: Some(RECOVERY),
            title: Hash([4; 32]),
            sequence: 4,
            registered: BlockTime { height: 10, time: START },
            commit: CommitPosition { height: 0, index: 0 },
            updated: BlockTime { height: 20, time: START },
            expires: EXPIRES,
            revoked: false,
            rescued: Rescued::default(),
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
        }
    }

    fn offered() -> NameEntry {
        let offered = BlockTime { height: 100, time: START + 7_200 };
        let transfer = PendingTransfer { to: BUYER, subject: TRANSFER, offered };
        NameEntry { transfer: Some(transfer), ..entry() }
    }

    /// `action` in a block some seconds after the registration.
    fn next(
        before: &NameEntry,
        seconds: u64,
        signer: PublicKey,
        action: Action,
    ) -> Result<NameEntry, &'static str> {
        let params = Network::Main.params();
        let now = BlockTime { height: 1_000, time: START + seconds };
        let price = Multipliers { names: PRICE_UNIT, bytes: PRICE_UNIT };
        let context = BlockContext { now, parent_time: now.time, price };
        let named = |work| SignedOperation {
            name: before.name.clone(),
            reference: before.title,
            valid_until: now.time,
            signer,
            action: action.clone(),
            signature: Signature([0; 64]),
            stamp: Stamp { work, ..UNWORKED },
        };
        let price = operation_price(params, context, &Operation::Named(named(1)), Some(before));
        let found = |work| preflight(params, context, before, &named(work));
        let result = found(price).map_err(|violation| violation.id());
        if result.is_ok() {
            // What it costs is what it is taken for, and no less.
            assert_eq!(found(price - 1).unwrap_err().id(), "underpaid", "{action:?}");
        }
        result
    }

    #[test]
    fn what_the_next_block_takes() {
        let accept = || Action::Accept { transfer: TRANSFER, recovery: None };
        let recover = || Action::Recover { owner: BUYER, recovery: None };
        let day = 2 * DAY_SECONDS;
        let taken =
            next(&entry(), day, OWNER, Action::Transfer { sequence: 5, to: BUYER }).unwrap();
        assert_eq!(taken.transfer.map(|transfer| transfer.to), Some(BUYER));
        let accepted = next(&offered(), 7_200 + DAY_SECONDS, BUYER, accept()).unwrap();
        assert_eq!(accepted.owner, BUYER);
        for signer in [OWNER, RECOVERY] {
            let cancel = Action::Cancel { transfer: TRANSFER };
            assert_eq!(next(&offered(), day, signer, cancel).unwrap().transfer, None);
            assert!(next(&entry(), day, signer, Action::Revoke).unwrap().revoked);
            let renew = Action::Renew { expires: EXPIRES };
            let renewed = next(&entry(), 300 * DAY_SECONDS, signer, renew).unwrap();
            assert_eq!(renewed.expires, EXPIRES + 365 * DAY_SECONDS);
        }
        let after = next(&offered(), day, RECOVERY, recover()).unwrap();
        assert_eq!((after.owner, after.recovery, after.transfer), (BUYER, None, None));
        let revoked = NameEntry { revoked: true, ..entry() };
        assert!(!next(&revoked, day, RECOVERY, recover()).unwrap().revoked);
    }

    #[test]
    fn what_the_next_block_refuses() {
        let accept = || Action::Accept { transfer: TRANSFER, recovery: None };
        let cancel = |transfer| Action::Cancel { transfer };
        let recover = || Action::Recover { owner: BUYER, recovery: None };
        let transfer = |sequence| Action::Transfer { sequence, to: BUYER };
        let renew = |expires| Action::Renew { expires };
        let revoked = NameEntry { revoked: true, ..entry() };
        let (day, late) = (2 * DAY_SECONDS, 300 * DAY_SECONDS);
        let grace = 365 * DAY_SECONDS;
        for (before, seconds, signer, action, rule) in [
            (entry(), 3_599, OWNER, transfer(5), "name-settling"),
            (entry(), 273 * DAY_SECONDS, OWNER, renew(EXPIRES), "renew-early"),
            (entry(), late, OWNER, renew(EXPIRES + 1), "renew-expires"),
            (entry(), late, BUYER, renew(EXPIRES), "not-keyholder"),
            (entry(), day, RECOVERY, transfer(5), "not-owner"),
            (entry(), day, OWNER, transfer(6), "sequence"),
            (offered(), day, OWNER, transfer(5), "transfer-pending"),
            (offered(), 7_199 + DAY_SECONDS, BUYER, accept(), "transfer-young"),
            (offered(), day, OWNER, accept(), "not-recipient"),
            (offered(), day, OWNER, cancel(Hash([6; 32])), "transfer-other"),
            (entry(), day, BUYER, accept(), "transfer-missing"),
            (entry(), day, OWNER, cancel(TRANSFER), "transfer-missing"),
            (entry(), day, OWNER, recover(), "not-recovery"),
            (entry(), grace, OWNER, transfer(5), "name-in-grace"),
            (revoked.clone(), day, OWNER, Action::Revoke, "name-revoked"),
            (revoked, grace + 30 * DAY_SECONDS, RECOVERY, recover(), "name-unregistered"),
            (entry(), grace + 30 * DAY_SECONDS, OWNER, renew(EXPIRES), "name-unregistered"),
        ] {
            let label = action.label();
            let found = next(&before, seconds, signer, action).err();
            assert_eq!(found, Some(rule), "{label} after {seconds} s");
        }
    }

    /// Once a day a rescue has a fixed price; further ones pay by their bytes.
    #[test]
    fn the_price_of_a_rescue_follows_from_when_it_was_used() {
        let params = Network::Main.params();
        let now = BlockTime { height: 1_000, time: START + 10 * DAY_SECONDS };
        let price = Multipliers { names: PRICE_UNIT, bytes: 8 * PRICE_UNIT };
        let context = BlockContext { now, parent_time: now.time, price };
        let named = SignedOperation {
            name: entry().name,
            reference: entry().title,
            valid_until: now.time,
            signer: OWNER,
            action: Action::Revoke,
            signature: Signature([0; 64]),
            stamp: UNWORKED,
        };
        let operation = Operation::Named(named);
        let used = |time| {
            let rescued = Rescued { owner: time, recovery: 0 };
            operation_price(params, context, &operation, Some(&NameEntry { rescued, ..entry() }))
        };
        assert_eq!(used(0), params.base_price / 64);
        assert_eq!(used(now.time - DAY_SECONDS), params.base_price / 64);
        assert_eq!(used(now.time - DAY_SECONDS + 1), params.base_price / 32 * 8);
    }
}

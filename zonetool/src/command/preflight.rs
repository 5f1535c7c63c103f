//! What the next block would say to an operation: the core's own rules, applied to what the node
//! says of the name. So no work is spent on what would be refused.

use std::convert::Infallible;

use namechain_core::{
    api_types::{NameInfo, Standing},
    consensus::{
        RuleViolation,
        state::{self, ApplyError, BlockContext},
    },
    params::Params,
    types::{Entry, Hash, NameEntry, Operation, PendingTransfer, SignedOperation},
};

use super::query::{messaging_of, records_of};
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
}

/// The name's entry after `named` at `place`, or the rule that refuses it. Signature and stamp are
/// not looked at, but for the work that the stamp claims.
pub fn preflight(
    params: &Params,
    place: BlockContext,
    before: &NameEntry,
    named: &SignedOperation,
) -> Result<NameEntry, RuleViolation> {
    let key = before.name.key(params.network);
    let mut state = OneName { key, entry: Some(Entry::Name(before.clone())) };
    match state::apply_operation(params, place, &Operation::Named(named.clone()), &mut state) {
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

/// The entry that a node tells of a name that is somebody's.
pub fn entry_of(info: &NameInfo) -> Result<NameEntry, CommandError> {
    let name = info.name.clone();
    let Some(entry) = &info.entry else { return Err(CommandError::NotRegistered(name)) };
    match (info.standing, info.reserved) {
        (Standing::Active | Standing::Grace | Standing::Revoked, _) => {}
        (Standing::Reserved, Some(why)) => return Err(CommandError::Reserved(name, why)),
        _ => return Err(CommandError::NotRegistered(name)),
    }
    Ok(NameEntry {
        name,
        owner: entry.owner,
        recovery: entry.recovery,
        sequence: entry.sequence,
        registered: entry.registered,
        updated: entry.updated,
        expires: entry.expires,
        revoked: info.standing == Standing::Revoked,
        transfer: entry
            .transfer
            .as_ref()
            .map(|transfer| PendingTransfer { to: transfer.to, height: transfer.height }),
        records: records_of(info)?,
        messaging: messaging_of(entry)?.map(Box::new),
        messaging_sequence: entry.messaging_sequence,
    })
}

#[cfg(test)]
mod tests {
    use namechain_core::{
        params::PRICE_UNIT,
        types::{Action, Name, Network, PublicKey, RecordSet, Signature},
    };

    use super::*;
    use crate::command::submit::{UNWORKED, cost_of};

    const OWNER: PublicKey = PublicKey([1; 32]);
    const RECOVERY: PublicKey = PublicKey([2; 32]);
    const BUYER: PublicKey = PublicKey([3; 32]);

    fn entry() -> NameEntry {
        NameEntry {
            name: Name::parse("alice").unwrap(),
            owner: OWNER,
            recovery: Some(RECOVERY),
            sequence: 4,
            registered: 10,
            updated: 20,
            expires: 300_000,
            revoked: false,
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
        }
    }

    fn offered() -> NameEntry {
        NameEntry { transfer: Some(PendingTransfer { to: BUYER, height: 100 }), ..entry() }
    }

    fn next(
        before: &NameEntry,
        height: u32,
        signer: PublicKey,
        action: Action,
    ) -> Result<NameEntry, &'static str> {
        let params = Network::Main.params();
        let work = cost_of(params, &before.name, &action, PRICE_UNIT);
        let named = SignedOperation {
            name: before.name.clone(),
            sequence: before.sequence + 1,
            signer,
            action,
            signature: Signature([0; 64]),
            stamp: namechain_core::types::Stamp { work, ..UNWORKED },
        };
        let at = BlockContext { height, price: PRICE_UNIT };
        // What it costs is what it is taken for, and no less.
        let short = SignedOperation {
            stamp: namechain_core::types::Stamp { work: work - 1, ..UNWORKED },
            ..named.clone()
        };
        let result = preflight(params, at, before, &named).map_err(|violation| violation.id());
        if result.is_ok() {
            let violation = preflight(params, at, before, &short).unwrap_err();
            assert_eq!(violation.id(), "underpaid", "{:?}", named.action);
        }
        result
    }

    #[test]
    fn what_the_next_block_takes() {
        let accept = || Action::Accept { recovery: None };
        let recover = || Action::Recover { owner: BUYER, recovery: None };
        let taken = next(&entry(), 200, OWNER, Action::Transfer { to: BUYER }).unwrap();
        assert_eq!(taken.transfer, Some(PendingTransfer { to: BUYER, height: 200 }));
        assert_eq!(next(&offered(), 820, BUYER, accept()).unwrap().owner, BUYER);
        for signer in [OWNER, RECOVERY] {
            assert_eq!(next(&offered(), 200, signer, Action::Cancel).unwrap().transfer, None);
            assert!(next(&entry(), 200, signer, Action::Revoke).unwrap().revoked);
            assert_eq!(next(&entry(), 234_300, signer, Action::Renew).unwrap().expires, 562_800);
        }
        let after = next(&offered(), 200, RECOVERY, recover()).unwrap();
        assert_eq!((after.owner, after.recovery, after.transfer), (BUYER, None, None));
    }

    #[test]
    fn what_the_next_block_refuses() {
        let accept = || Action::Accept { recovery: None };
        let recover = || Action::Recover { owner: BUYER, recovery: None };
        let transfer = || Action::Transfer { to: BUYER };
        let revoked = NameEntry { revoked: true, ..entry() };
        for (before, height, signer, action, rule) in [
            (entry(), 234_299, OWNER, Action::Renew, "renew-early"),
            (entry(), 234_300, BUYER, Action::Renew, "not-keyholder"),
            (entry(), 200, RECOVERY, transfer(), "not-owner"),
            (offered(), 200, OWNER, transfer(), "transfer-pending"),
            (offered(), 819, BUYER, accept(), "transfer-young"),
            (offered(), 820, OWNER, accept(), "not-recipient"),
            (entry(), 820, BUYER, accept(), "transfer-missing"),
            (entry(), 200, OWNER, Action::Cancel, "transfer-missing"),
            (entry(), 200, OWNER, recover(), "not-recovery"),
            (entry(), 300_000, OWNER, transfer(), "name-in-grace"),
            (revoked.clone(), 200, OWNER, Action::Revoke, "name-revoked"),
            // Its lease ends with this block: nobody's from there on.
            (revoked, 300_000, OWNER, Action::Renew, "name-unregistered"),
            (entry(), 321_600, OWNER, Action::Renew, "name-unregistered"),
        ] {
            let label = action.label();
            assert_eq!(
                next(&before, height, signer, action).err(),
                Some(rule),
                "{label} at {height}"
            );
        }
    }
}

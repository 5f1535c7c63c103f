//! What the next block would say to an operation: the core's own rules, applied to what the node says of the name. So no
//! work is spent on what would be refused.

use std::convert::Infallible;

use namechain::{
    consensus::{
        RuleViolation,
        state::{self, Failure, Place},
    },
    params::Params,
    rpc::{NameInfo, Standing},
    types::{Entry, Hash, NameEntry, Named, Operation, PendingTransfer},
};

use super::{CommandError, records_of};

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

/// The name's entry after `named` at `place`, or the rule that refuses it. Signature and stamp are not looked at, but for
/// the work that the stamp claims.
pub fn foresee(
    params: &Params,
    place: Place,
    before: &NameEntry,
    named: &Named,
) -> Result<NameEntry, RuleViolation> {
    let key = before.name.key(params.network);
    let mut state = OneName { key, entry: Some(Entry::Name(before.clone())) };
    match state::apply_operation(params, place, &Operation::Named(named.clone()), &mut state) {
        Ok(()) => {}
        Err(Failure::Rule(violation)) => return Err(violation),
        Err(Failure::State(never)) => match never {},
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
    })
}

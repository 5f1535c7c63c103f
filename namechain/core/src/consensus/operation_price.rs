//! What an operation costs: the work that its stamp must have at least.

use super::{RuleViolation, context::BlockContext, price};
use crate::{
    params::{Params, RESCUE_PERIOD_S},
    types::{Action, BlockTime, NameEntry, Operation, SignedOperation},
};

/// A key of a name that can rescue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Owner,
    Recovery,
}

/// The role whose fixed price an operation uses, if it is a rescue and the role has not used it
/// within a day. Rescues beyond that pay by their bytes: else a few cores fill every block.
pub(super) fn rescue_role(
    named: &SignedOperation,
    entry: &NameEntry,
    now: BlockTime,
) -> Option<Role> {
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

pub(super) fn price_of_change(
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

pub(super) fn check_paid(price: u64, paid: u64) -> Result<(), RuleViolation> {
    if paid >= price { Ok(()) } else { Err(RuleViolation::Underpaid { price, paid }) }
}

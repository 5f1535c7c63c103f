//! What operations are about: which can't both wait, and which must come before which.

use crate::types::{Action, Hash, Name, Network, Operation, SignedOperation};

/// What two operations can't both do. Sorts by name, then in the order in which a block records
/// them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    /// A Commit, by its operation id.
    Commit(Hash),
    /// An operation on a name.
    Name(Name, Lane),
}

/// What an operation does with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Registers it by the Commit with this id.
    Register(Hash),
    /// Recovers, revokes, renews or accepts it, or withdraws a transfer. These depend on the title
    /// alone and on no sequence: nothing that an owner's key signs keeps a Recover out.
    Title(TitleAct, Hash),
    /// Changes it in turn: title and sequence number.
    Sequence(Hash, u32),
}

/// What an operation that has no sequence number does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TitleAct {
    Recover,
    Cancel,
    Renew,
    Accept,
    Revoke,
}

impl Slot {
    pub fn of(network: Network, operation: &Operation) -> Slot {
        match operation {
            Operation::Commit { .. } => Slot::Commit(operation.id(network)),
            Operation::Named(named) => Slot::Name(named.name.clone(), Lane::of(named)),
        }
    }

    /// The name that it is about.
    pub fn name(&self) -> Option<&Name> {
        match self {
            Slot::Commit(_) => None,
            Slot::Name(name, _) => Some(name),
        }
    }

    /// Whether `self`, which sorts after `other`, can be recorded only after it.
    pub fn follows(&self, other: &Slot) -> bool {
        match (other, self) {
            (
                Slot::Name(a, Lane::Sequence(title, before)),
                Slot::Name(b, Lane::Sequence(other, after)),
            ) => a == b && title == other && before < after,
            _ => false,
        }
    }
}

impl Lane {
    fn of(named: &SignedOperation) -> Lane {
        let reference = named.reference;
        match &named.action {
            Action::Register { .. } => Lane::Register(reference),
            Action::Update { sequence, .. }
            | Action::Transfer { sequence, .. }
            | Action::Publish { sequence, .. } => Lane::Sequence(reference, *sequence),
            Action::Recover { .. } => Lane::Title(TitleAct::Recover, reference),
            Action::Cancel { .. } => Lane::Title(TitleAct::Cancel, reference),
            Action::Renew { .. } => Lane::Title(TitleAct::Renew, reference),
            Action::Accept { .. } => Lane::Title(TitleAct::Accept, reference),
            Action::Revoke => Lane::Title(TitleAct::Revoke, reference),
        }
    }
}

//! Which operations can't both be recorded, and which come one after the other.

use namechain_core::types::{Hash, Operation};

/// The turn of an operation with a sequence number: name, title and number.
pub fn turn(op: &Operation) -> Option<(&str, Hash, u32)> {
    let Operation::Named(named) = op else { return None };
    Some((named.name.as_str(), named.reference, named.action.sequence()?))
}

/// Whether an operation's turn comes after the other's.
pub fn follows(op: &Operation, other: &Operation) -> bool {
    match (turn(op), turn(other)) {
        (Some((name, title, sequence)), Some((other_name, other_title, earlier))) => {
            name == other_name && title == other_title && earlier < sequence
        }
        _ => false,
    }
}

/// Whether only one of two operations can be recorded: the same turn, or the same act under the
/// same title.
pub fn is_rival(op: &Operation, other: &Operation) -> bool {
    if let (Some(turn), Some(other)) = (turn(op), turn(other)) {
        return turn == other;
    }
    match (op, other) {
        (Operation::Named(a), Operation::Named(b)) => {
            (a.name == b.name && a.reference == b.reference)
                && std::mem::discriminant(&a.action) == std::mem::discriminant(&b.action)
        }
        _ => false,
    }
}

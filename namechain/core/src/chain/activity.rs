//! What of a block waits for more blocks.

use crate::types::{Action, Block, Operation};

/// What a block recorded that waits for more blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// A Commit, which must wait before it is opened.
    pub commits: bool,
    /// A Register, whose name settles.
    pub registers: bool,
    /// Anything: it is served some blocks later.
    pub operations: bool,
}

impl Activity {
    pub fn of(block: &Block) -> Self {
        let registers = |operation: &Operation| matches!(operation, Operation::Named(named) if matches!(named.action, Action::Register { .. }));
        Activity {
            commits: block.operations.iter().any(|op| matches!(op, Operation::Commit { .. })),
            registers: block.operations.iter().any(registers),
            operations: !block.operations.is_empty(),
        }
    }
}

//! The rules.

/// x
pub struct HistoryNode;

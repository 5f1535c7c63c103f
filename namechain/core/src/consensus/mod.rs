//! The rules: plain functions named by what they may look at.
//!
//! ```text
//! bytes                      Block::parse
//! a header alone             header::check_header_alone
//! a header and its ancestors header::check_header_with_ancestors
//! a block alone              block::check_block_alone
//! an operation alone         block::check_operation_alone   (signature and work: most of the time goes here)
//! a messaging record alone   messaging::check_signatures      (part of the operation alone)
//! a block and its ancestors  block::check_anchor
//! a block and the state      state::apply_block, then state::check_block_outcome
//! ```
//!
//! No peers, disk, clock, DNS library or configuration: time and everything else are arguments.
//! Numbers are integers, arithmetic is checked or saturates where the text says so.
//! `docs/protocol.md` has every rule with its id.

pub mod block;
mod change;
pub mod context;
pub mod difficulty;
pub mod header;
pub mod history;
pub mod messaging;
pub mod operation_price;
pub mod price;
pub mod state;
pub mod status;
mod violation;
pub mod work;

pub use history::{History, HistoryNode, HistoryProof, HistoryProofError};
pub use status::{NameStatus, name_status};
pub use violation::RuleViolation;

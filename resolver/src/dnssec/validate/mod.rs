//! DNSSEC validation of legacy DNS (RFC 4033, 4034, 4035, 5155, 6840).
//!
//! ```text
//! message -> rrset -> answer -- each set ---------> chain -> trust: anchor | DS, DNSKEY | proof of none
//!                            '- what is not there -> denial: nsec | nsec3      keys, canonical, algorithm: one signature
//!         -> Verdict -> rewrite: what the client gets
//! ```
//!
//! The module does no IO. The time is an argument. A [`ValidationSession`] returns the queries that
//! it needs; the caller sends them and adds the replies, until the session is done. The cost of an
//! answer is bounded ([`budget`]).

mod algorithm;
mod anchors;
mod answer;
pub mod budget;
mod chain;
mod denial;
mod keys;
mod nsec;
mod nsec3;
pub mod rewrite;
mod rrset;
mod session;
mod signed_data;
#[cfg(test)]
pub(crate) mod tests;
mod trust;
mod verdict;

pub use crate::dns::name::Name;
pub use anchors::{AnchorError, Anchors, MAX_ANCHORS};
pub use answer::Validated;
pub use chain::RecordQuery;
pub use keys::key_tag;
pub use session::{Progress, ValidationSession, Validator, ValidatorStats};
pub use verdict::Verdict;

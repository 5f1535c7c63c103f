//! Zone files: RFC 1035 master files to the records that a name holds, and back.
//!
//! `rewrite` (by `types`, `data`, `svcb`) `-> read -> RecordSet`, `write -> master file`. The
//! `domain` library reads the common types. This module adds the other registered types, SVCB and
//! HTTPS, TTLs with units, the zone's origin, the limits of a name, and line numbers in errors.

mod check;
mod data;
mod diff;
mod error;
mod fields;
mod layout;
mod lines;
mod names;
mod read;
mod rewrite;
mod special;
mod svcb;
#[cfg(any(test, fuzzing))]
pub mod testing;
#[cfg(test)]
mod tests;
mod token;
mod types;
mod write;

pub use check::warnings;
pub use diff::diff;
pub use error::ZoneError;
pub use read::load;
pub use write::{master_file, record_texts, with_presentation};

/// The suffix under which every name also resolves (RFC 9476 §2).
pub const ALTERNATIVE_SUFFIX: &str = "namechain.alt.";

/// SOA: not stored, the server generates it.
const SOA: u16 = 6;
/// CNAME: alone at its owner (RFC 1034 §3.6.2).
const CNAME: u16 = 5;

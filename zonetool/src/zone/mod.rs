//! Zone files: RFC 1035 master files to the records that a name holds, and back.
//!
//! `read -> lines, names -> RecordSet`, `write -> master file`. The text form of records is that of
//! the `domain` library; what is ours is where the zone lies, what a name can hold, and which line
//! is to blame.

mod check;
mod diff;
mod lines;
mod names;
mod read;
#[cfg(any(test, fuzzing))]
pub mod testing;
#[cfg(test)]
mod tests;
mod types;
mod write;

pub use check::warnings;
pub use diff::diff;
pub use read::{ZoneError, load};
pub use write::{master_file, record_texts};

/// Where every name also stands, below its own label (RFC 9476 §2).
pub const ALTERNATIVE_SUFFIX: &str = "namechain.alt.";

/// SOA: not carried, whoever serves the zone makes it.
const SOA: u16 = 6;
/// CNAME: alone at its owner (RFC 1034 §3.6.2).
const CNAME: u16 = 5;

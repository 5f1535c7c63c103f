//! Why a file is not a zone that a name can hold.

use namechain_core::types::{MAX_RECORDS_BYTES, RecordError};
use thiserror::Error;

/// The largest zone file that is read, in bytes: with comments a hundred times what a name can
/// hold.
pub const MAX_ZONE_FILE_BYTES: u64 = 512 * 1024;

/// Why a file is not a zone that a name can hold.
#[derive(Debug, Error)]
pub enum ZoneError {
    /// The file can't be read.
    #[error("{path}: {source}")]
    File {
        /// The path as it was given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is over [`MAX_ZONE_FILE_BYTES`].
    #[error("{0} is larger than {MAX_ZONE_FILE_BYTES} bytes: too large for the zone of one name")]
    FileTooLarge(String),
    /// Something is wrong with a line.
    #[error("line {line}: {what}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What is wrong and what to do.
        what: String,
    },
    /// The records are too large together.
    #[error(
        "the zone has {0} bytes of records, a name holds at most {MAX_RECORDS_BYTES}: \
         leave some out, or delegate the name to a server of your own with NS records"
    )]
    TooLarge(usize),
    /// The records can't be held, for a reason that concerns no single line.
    #[error(transparent)]
    Records(#[from] RecordError),
}

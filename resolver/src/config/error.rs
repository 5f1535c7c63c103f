//! Why a configuration is invalid.

use std::path::PathBuf;

use thiserror::Error;

/// Why the configuration is invalid.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {0} can't be read: {1}")]
    Unreadable(PathBuf, String),
    /// The file is not valid.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// A value is not valid.
    #[error("{place}: '{value}' {why}")]
    Value {
        /// An environment variable, or a key of the file.
        place: String,
        /// The value.
        value: String,
        /// What is expected.
        why: String,
    },
    /// Settings that exclude each other.
    #[error("{0}")]
    Conflict(&'static str),
    /// There is no home directory for the data.
    #[error("there is no home directory for the chain's data: set a directory with --data-dir DIR")]
    NoHome,
}

//! Why answers are not signed.

use std::{io, path::PathBuf};

use thiserror::Error;

use super::algorithm::Algorithm;

/// Why the key can't be used, or an answer can't be signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The file can't be read.
    #[error("the DNSSEC key {0} can't be read: {1}")]
    Read(PathBuf, io::Error),
    /// The file can't be made.
    #[error(
        "the DNSSEC key {0} can't be written: {1}; set another path with [sign] key = PATH, or turn signing off with enabled = false"
    )]
    Write(PathBuf, io::Error),
    /// Other users can read the file.
    #[error(
        "the DNSSEC key {0} is not secret: other users may read or write it (mode {1:o}); if nobody has, run chmod 600 on it"
    )]
    Permissions(PathBuf, u32),
    /// The file has no valid key.
    #[error("the DNSSEC key {0} can't be used: {1}")]
    Malformed(PathBuf, &'static str),
    /// The key is for another algorithm than configured.
    #[error(
        "the DNSSEC key {path} is for {found}, and [sign] algorithm asks for {asked}: set another path, or move this file away"
    )]
    Algorithm {
        /// The file.
        path: PathBuf,
        /// The key's algorithm.
        found: Algorithm,
        /// The configured algorithm.
        asked: Algorithm,
    },
    /// A record can't be encoded.
    #[error("a record can't be encoded")]
    Unsignable,
    /// Generating a key failed.
    #[error("generating a key failed")]
    Generate,
    /// The operating system gave no random bytes.
    #[error("the system has no random bytes")]
    Random,
}

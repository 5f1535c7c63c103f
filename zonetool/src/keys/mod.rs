//! Keys: the 24 words, the keys derived from them, and the files that hold them.
//!
//! The words (BIP39, English, no passphrase of BIP39's own) make a seed, the seed makes keys by
//! SLIP-10 for Ed25519, on paths of which every step is hardened:
//!
//! ```text
//! m / 7380' / 0' / 0'    the owner key: signs registrations and updates, stored in a file
//! m / 7380' / 1' / 0'    the recovery key: outranks the owner key, only in the words
//! m / 7380' / 2' / N'    the identity keys of messaging, those in use stored in files
//! m / 7380' / 3' / N'    the X25519 keys beside them, in the same files
//! ```
//!
//! Hardened derivation goes one way: whoever steals a file learns nothing about the recovery key or
//! the next identity key. That is why no file holds the words.

mod file;
mod identity;
mod mnemonic;
mod passphrase;
mod prekeys;
mod sealed;

use std::{io, path::PathBuf};

use thiserror::Error;

pub use file::{KEY_FILE, KeyFile, PreparedKey, load, prepare};
pub use identity::{IdentityFile, load_all as identities};
pub use mnemonic::{IdentityBranch, Keys, Mnemonic};
pub use passphrase::Passphrases;
pub use prekeys::{
    BundleKeys, Prekeys, load_bundle, lock as lock_prekeys, names as prekey_names, store_bundle,
};
pub use sealed::{Protection, create_directory, write_durably};

/// How many identity keys of the same words are used, at most.
pub const MAX_IDENTITIES: u32 = 256;

/// Why a key can't be used, stored or made.
#[derive(Debug, Error)]
pub enum KeyError {
    /// There is no key file.
    #[error("there is no key in {}", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Others can read the file.
    #[error("{} can be read or written by others (mode {mode:04o})", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others can write into the directory.
    #[error("the directory {} can be written by others (mode {mode:04o})", path.display())]
    ExposedDirectory {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a valid key file.
    #[error("{} is not a key file: {why}", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The passphrase is wrong.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// Encrypting or decrypting failed.
    #[error("the key can't be encrypted or decrypted: {0}")]
    Cipher(String),
    /// There is no terminal to ask for a passphrase on.
    #[error("a passphrase is needed, and there is no terminal to ask on")]
    NoTerminal,
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The two entries differ.
    #[error("the two passphrases differ")]
    DifferentPassphrases,
    /// The words are not a valid mnemonic.
    #[error("{0}")]
    InvalidMnemonic(String),
    /// The words are needed, and there is nowhere to read them from.
    #[error("the 24 words are needed, and standard input is neither a terminal nor has them")]
    NoWords,
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
    /// The directory of keys is unknown.
    #[error("neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            KeyError::Missing(_) => {
                "make a key with: zonetool key new; or restore one with key restore, or give --keys DIR".into()
            }
            KeyError::Exists(_) => {
                "use that key, give another --keys DIR, or add --replace (the old file is kept)"
                    .into()
            }
            KeyError::Exposed { path, .. } => {
                format!("restrict it to you: chmod 600 {}", path.display())
            }
            KeyError::ExposedDirectory { path, .. } => {
                format!("restrict it to you: chmod 700 {}", path.display())
            }
            KeyError::WrongPassphrase => {
                "if the passphrase is lost, restore the key from the 24 words: zonetool key restore --replace".into()
            }
            KeyError::NoTerminal | KeyError::EmptyPassphrase => {
                "give --passphrase-file FILE, or make a key with --no-passphrase".into()
            }
            KeyError::NoWords => {
                "give a file that has them: --words-file FILE; or write them to standard input".into()
            }
            KeyError::InvalidMnemonic(_) => "type the 24 words in their order, separated by spaces".into(),
            KeyError::NoHome => "give --keys DIR".into(),
            KeyError::Malformed { .. } => {
                "restore it from the 24 words: zonetool key restore --replace".into()
            }
            _ => return None,
        })
    }
}

/// Where keys are kept unless `--keys` says otherwise (XDG Base Directory Specification).
pub fn default_directory() -> Result<PathBuf, KeyError> {
    Ok(data_directory()?.join("keys"))
}

/// The user's data directory: it holds the keys, the pins and the journal of registrations.
pub fn data_directory() -> Result<PathBuf, KeyError> {
    user_directory("XDG_DATA_HOME", ".local/share").ok_or(KeyError::NoHome)
}

/// The user's state directory: that of a resolver without a node.
pub fn state_directory() -> Option<PathBuf> {
    user_directory("XDG_STATE_HOME", ".local/state")
}

/// A directory of the XDG Base Directory Specification: where `variable` says, or `below` the home.
fn user_directory(variable: &str, below: &str) -> Option<PathBuf> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable)
        .or_else(|| absolute("HOME").map(|home| home.join(below)))
        .map(|base| base.join("namechain"))
}

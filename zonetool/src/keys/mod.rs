//! Keys: 24 words, the owner's and the recovery key that they make, and the file that the owner's
//! is kept in.
//!
//! The words (BIP39, English, no passphrase of BIP39's own) make a seed, the seed makes keys by
//! SLIP-10 for Ed25519, on paths of which every step is hardened:
//!
//! ```text
//! m / 7380' / 0' / 0'    the owner's key: signs registrations and updates, kept in the file
//! m / 7380' / 1' / 0'    the recovery key: outranks the owner's, kept nowhere but in the words
//! m / 7380' / 2' / N'    the identity keys, one after the other: speak for names, the one in use kept in a file
//! m / 7380' / 3' / N'    the X25519 keys beside them: kept in the same files
//! ```
//!
//! Hardened steps lead only downward: whoever steals the file has the owner's key and learns
//! nothing about the recovery key, nor about the identity key that is to follow. That is why no
//! file holds the words.

mod file;
mod identity;
mod mnemonic;
mod passphrase;
mod prekeys;
mod sealed;

use std::{io, path::PathBuf};

use thiserror::Error;

pub use file::{KEY_FILE, KeyFile, PreparedKey, load, prepare};
pub use identity::{IdentityFile, MAX_IDENTITIES, load_all as identities};
pub use mnemonic::{IdentityBranch, Keys, Mnemonic};
pub use passphrase::Passphrases;
pub use prekeys::{
    BundleKeys, Prekeys, load_bundle, lock as lock_prekeys, names as prekey_names, store_bundle,
};
pub use sealed::Protection;

/// What can go wrong with keys.
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
    /// The file is not one that this program wrote.
    #[error("{} is not a key file: {why}", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The passphrase does not open it.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// age failed otherwise.
    #[error("the key can't be encrypted or decrypted: {0}")]
    Cipher(String),
    /// Nobody to ask for a passphrase.
    #[error("a passphrase is needed, and there is no terminal to ask for it on")]
    NoTerminal,
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The two entries differ.
    #[error("the two passphrases differ")]
    DifferentPassphrases,
    /// The words are no mnemonic.
    #[error("{0}")]
    Mnemonic(String),
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
    /// No place for keys is known.
    #[error("neither XDG_DATA_HOME nor HOME is set")]
    NoHome,
    /// A file can't be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl KeyError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            KeyError::Missing(_) => {
                "make one with: zonetool key new (or key restore, or give --keys DIR)".into()
            }
            KeyError::Exists(_) => {
                "use it, give another --keys DIR, or add --replace: the old file is kept beside it"
                    .into()
            }
            KeyError::Exposed { path, .. } => {
                format!("make it yours alone: chmod 600 {}", path.display())
            }
            KeyError::ExposedDirectory { path, .. } => {
                format!("make it yours alone: chmod 700 {}", path.display())
            }
            KeyError::WrongPassphrase => {
                "if it is lost: zonetool key restore --replace, with the 24 words".into()
            }
            KeyError::NoTerminal | KeyError::EmptyPassphrase => {
                "give --passphrase-file FILE, or make a key with --no-passphrase".into()
            }
            KeyError::Mnemonic(_) => "type the 24 words in their order, separated by spaces".into(),
            KeyError::NoHome => "give --keys DIR".into(),
            KeyError::Malformed { .. } => {
                "write it anew from the 24 words: zonetool key restore --replace".into()
            }
            _ => return None,
        })
    }
}

/// Where keys are kept unless `--keys` says otherwise (XDG Base Directory Specification).
pub fn default_directory() -> Result<PathBuf, KeyError> {
    Ok(data_directory()?.join("keys"))
}

/// The user's directory of data: that of keys is in it, and what was seen of other names.
pub fn data_directory() -> Result<PathBuf, KeyError> {
    let absolute =
        |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
        .map(|data| data.join("namechain"))
        .ok_or(KeyError::NoHome)
}

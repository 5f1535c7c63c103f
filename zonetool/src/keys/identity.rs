//! The files of identity keys: `identity-N.key` in the directory of keys, mode 0600, N being the
//! key's index on its path.
//!
//! ```text
//! {
//!   "format": 1,
//!   "index": 0,
//!   "identity": "<public key>",
//!   "next": "<public key of the identity key that is to follow>",
//!   "x25519": "<public key>",
//!   "secret": "<identity's seed and the X25519 key, 64 bytes in hex>"     without a passphrase, or
//!   "encrypted": "-----BEGIN AGE ENCRYPTED FILE-----..."                    the same, by age's scrypt
//! }
//! ```
//!
//! The secret of the key that is to follow is in no file: whoever steals one can't rotate to a key
//! that others take for ours. Files of keys that were rotated away stay: what was sealed to them
//! can still be opened.

use std::path::{Path, PathBuf};

use namechain_core::types::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    KeyError, MAX_IDENTITIES, Passphrases,
    mnemonic::IdentityBranch,
    sealed::{self, MAX_FILE_BYTES, Protection, Sealed, create_directory, write_durably},
};

const FORMAT: u32 = 1;

/// An identity key's file as it is read: the secret may still be encrypted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFile {
    format: u32,
    /// Which key of the words it is, counted from 0.
    pub index: u32,
    /// The identity key's public half.
    pub identity: PublicKey,
    /// That of the one that is to follow.
    pub next: PublicKey,
    /// The public half of the X25519 key, in hexadecimal.
    #[serde(with = "hex::serde")]
    pub x25519: [u8; 32],
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

fn path_of(directory: &Path, index: u32) -> PathBuf {
    directory.join(format!("identity-{index}.key"))
}

impl IdentityFile {
    /// The key at `index` of the words, not written yet.
    pub fn of(
        directory: &Path,
        branch: &IdentityBranch,
        index: u32,
        protection: &Protection,
    ) -> Result<Self, KeyError> {
        let (seed, x25519) = (branch.seed(index), branch.x25519(index));
        let plain = Zeroizing::new([seed.as_slice(), x25519.as_slice()].concat());
        let Sealed { secret, encrypted } = Sealed::new(&plain, protection)?;
        Ok(IdentityFile {
            format: FORMAT,
            index,
            identity: SecretKey::from_seed(&seed).public(),
            next: branch.key(index + 1).public(),
            x25519: x25519_public(&x25519),
            secret,
            encrypted,
            path: path_of(directory, index),
        })
    }

    /// Writes it, unless the same key is there already.
    pub fn store(&self, directory: &Path) -> Result<(), KeyError> {
        create_directory(directory)?;
        match load_one(directory, self.index)? {
            Some(there) if there.identity == self.identity => return Ok(()),
            Some(_) => return Err(KeyError::Exists(self.path.clone())),
            None => {}
        }
        let file_error = |source| KeyError::File { path: self.path.clone(), source };
        let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize));
        serde_json::to_writer_pretty(&mut *text, self).map_err(|error| file_error(error.into()))?;
        text.push(b'\n');
        write_durably(&self.path, &text).map_err(file_error)
    }

    /// The identity key; asks for the passphrase if it takes one.
    pub fn unlock(&self, passphrases: &Passphrases) -> Result<SecretKey, KeyError> {
        self.unlock_both(passphrases).map(|(identity, _)| identity)
    }

    /// The identity key, and the secret half of the X25519 key; asks for the passphrase if it takes
    /// one.
    pub fn unlock_both(
        &self,
        passphrases: &Passphrases,
    ) -> Result<(SecretKey, Zeroizing<[u8; 32]>), KeyError> {
        let plain =
            sealed::open(&self.path, self.secret.as_ref(), self.encrypted.as_ref(), passphrases)?;
        let halves = plain
            .split_first_chunk::<32>()
            .and_then(|(seed, x25519)| Some((seed, x25519.first_chunk()?)));
        let Some((seed, x25519)) = halves.filter(|_| plain.len() == 64) else {
            return Err(self.malformed("its secret has the wrong length"));
        };
        let key = SecretKey::from_seed(seed);
        if key.public() != self.identity || x25519_public(x25519) != self.x25519 {
            return Err(self.malformed("its secret does not belong to its public keys"));
        }
        Ok((key, Zeroizing::new(*x25519)))
    }

    fn malformed(&self, why: &str) -> KeyError {
        KeyError::Malformed { path: self.path.clone(), why: why.into() }
    }
}

/// The identity keys in `directory`, by their index.
pub fn load_all(directory: &Path) -> Result<Vec<IdentityFile>, KeyError> {
    (0..MAX_IDENTITIES).filter_map(|index| load_one(directory, index).transpose()).collect()
}

fn load_one(directory: &Path, index: u32) -> Result<Option<IdentityFile>, KeyError> {
    let path = path_of(directory, index);
    let Some(text) = sealed::read(&path)? else { return Ok(None) };
    let malformed = |why: String| KeyError::Malformed { path: path.clone(), why };
    let file: IdentityFile = serde_json::from_slice(&text)
        // serde's message could repeat the secret.
        .map_err(|error| {
            malformed(format!("line {} is not in the format of a key file", error.line()))
        })?;
    if file.format != FORMAT || file.index != index {
        return Err(malformed(format!(
            "its format is {} and its index {}",
            file.format, file.index
        )));
    }
    Ok(Some(IdentityFile { path, ..file }))
}

fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*secret)).to_bytes()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use age::secrecy::SecretString;

    use super::*;
    use crate::{keys::Mnemonic, ui::Ui};

    fn passphrases(file: Option<PathBuf>) -> Passphrases {
        Passphrases::new(file, Ui::new(false))
    }

    #[test]
    fn identity_keys_are_stored_once_and_loaded_by_index() {
        let base = tempfile::tempdir().unwrap();
        assert!(load_all(&base.path().join("none")).unwrap().is_empty());
        let branch = Mnemonic::random().unwrap().identities();
        for index in [3, 0] {
            let file = IdentityFile::of(base.path(), &branch, index, &Protection::None).unwrap();
            file.store(base.path()).unwrap();
            file.store(base.path()).unwrap();
        }
        let files = load_all(base.path()).unwrap();
        assert_eq!(files.iter().map(|file| file.index).collect::<Vec<_>>(), [0, 3]);
        for file in &files {
            assert_eq!(
                file.unlock(&passphrases(None)).unwrap().public(),
                branch.key(file.index).public()
            );
            assert_eq!(file.next, branch.key(file.index + 1).public());
        }
        let other = Mnemonic::random().unwrap().identities();
        let other = IdentityFile::of(base.path(), &other, 3, &Protection::None).unwrap();
        assert!(
            matches!(other.store(base.path()), Err(KeyError::Exists(_))),
            "nothing is overwritten"
        );
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_was_encrypted_changed_or_renamed() {
        let base = tempfile::tempdir().unwrap();
        let branch = Mnemonic::random().unwrap().identities();
        let phrase = base.path().join("phrase");
        fs::write(&phrase, "correct horse\n").unwrap();
        let protection = Protection::Passphrase(SecretString::from("correct horse".to_owned()));
        let file = IdentityFile::of(base.path(), &branch, 0, &protection).unwrap();
        file.store(base.path()).unwrap();
        let path = base.path().join("identity-0.key");
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&hex::encode(branch.seed(0).as_slice())));
        let loaded = || load_all(base.path()).map(|mut files| files.remove(0));
        assert!(loaded().unwrap().unlock(&passphrases(Some(phrase.clone()))).is_ok());
        let swapped = text.replace(&file.identity.to_string(), &file.next.to_string());
        fs::write(&path, swapped).unwrap();
        let refused = loaded().unwrap().unlock(&passphrases(Some(phrase)));
        assert!(matches!(refused, Err(KeyError::Malformed { .. })));
        for bad in ["", "{}", &text.replace("\"index\": 0", "\"index\": 1")] {
            fs::write(&path, bad).unwrap();
            assert!(matches!(loaded(), Err(KeyError::Malformed { .. })), "{bad}");
        }
    }
}

//! The key file: `owner.key` in the directory of keys, mode 0600.
//!
//! ```text
//! {
//!   "format": 1,
//!   "owner": "<public key>",
//!   "recovery": "<public key>",
//!   "secret": "<owner's seed and the recovery key's public half, 64 bytes in hex>"     without a passphrase, or
//!   "encrypted": "-----BEGIN AGE ENCRYPTED FILE-----..."                               the same, by age's scrypt
//! }
//! ```
//!
//! What is outside of the encryption can be shown without the passphrase; it is compared with what
//! is inside before anything is signed.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use namechain_core::types::{PublicKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    KeyError, Keys, Passphrases,
    sealed::{self, MAX_FILE_BYTES, PreparedFile, Protection, Sealed, create_directory},
};

/// The key file's name in the directory of keys.
pub const KEY_FILE: &str = "owner.key";

const FORMAT: u32 = 1;
/// How many replaced key files are kept beside the key file.
const MAX_OLD_FILES: u32 = 1_000;

/// A key file as it is read: the secret may still be encrypted.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    format: u32,
    /// The owner's public key.
    pub owner: PublicKey,
    /// The recovery key's public half.
    pub recovery: PublicKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Zeroizing<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile(of {})", self.owner)
    }
}

impl KeyFile {
    fn seal(keys: &Keys, protection: &Protection, path: PathBuf) -> Result<Self, KeyError> {
        let plain = Zeroizing::new([keys.owner_seed.as_slice(), &keys.recovery.0].concat());
        let Sealed { secret, encrypted } = Sealed::new(&plain, protection)?;
        let owner = keys.owner().public();
        Ok(KeyFile { format: FORMAT, owner, recovery: keys.recovery, secret, encrypted, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it takes a passphrase to use it.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted.is_some()
    }

    /// How another secret beside it is kept: as this one is. Asks for the passphrase if it takes
    /// one.
    pub fn protection(&self, passphrases: &Passphrases) -> Result<Protection, KeyError> {
        Ok(if self.is_encrypted() {
            Protection::Passphrase(passphrases.known()?)
        } else {
            Protection::None
        })
    }

    /// The owner's key; asks for the passphrase if it takes one.
    pub fn unlock(&self, passphrases: &Passphrases) -> Result<SecretKey, KeyError> {
        let malformed =
            |why: &str| KeyError::Malformed { path: self.path.clone(), why: why.into() };
        let plain =
            sealed::open(&self.path, self.secret.as_ref(), self.encrypted.as_ref(), passphrases)?;
        let (seed, recovery) =
            plain.split_first_chunk::<32>().ok_or_else(|| malformed("its secret is too short"))?;
        let key = SecretKey::from_seed(seed);
        if key.public() != self.owner || recovery != self.recovery.0 {
            return Err(malformed("its secret does not belong to its public keys"));
        }
        Ok(key)
    }
}

/// Reads the key file of `directory`, refusing one that others can read or write.
pub fn load(directory: &Path) -> Result<KeyFile, KeyError> {
    let path = directory.join(KEY_FILE);
    let text = sealed::read(&path)?.ok_or_else(|| KeyError::Missing(directory.to_owned()))?;
    let malformed = |why: String| KeyError::Malformed { path: path.clone(), why };
    let key: KeyFile = serde_json::from_slice(&text)
        // serde's message could repeat the secret.
        .map_err(|error| {
            malformed(format!("line {} is not in the format of a key file", error.line()))
        })?;
    if key.format != FORMAT {
        return Err(malformed(format!(
            "its format is {}, this program reads format {FORMAT}",
            key.format
        )));
    }
    Ok(KeyFile { path, ..key })
}

/// A key file that is written and not in its place yet: first the words that bring it back are
/// shown. Dropped, nothing is kept.
#[derive(Debug)]
pub struct PreparedKey {
    /// The file as it will be.
    pub file: KeyFile,
    prepared: PreparedFile,
    replaces: bool,
}

/// Writes the key file of `directory` beside its place. With `replace`, a file that is there is
/// kept under another name; without, it is an error.
pub fn prepare(
    directory: &Path,
    keys: &Keys,
    protection: &Protection,
    replace: bool,
) -> Result<PreparedKey, KeyError> {
    let path = directory.join(KEY_FILE);
    create_directory(directory)?;
    let replaces = path.symlink_metadata().is_ok();
    if replaces && !replace {
        return Err(KeyError::Exists(path));
    }
    let file = KeyFile::seal(keys, protection, path)?;
    let file_error = |source| KeyError::File { path: file.path.clone(), source };
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize));
    serde_json::to_writer_pretty(&mut *text, &file).map_err(|error| file_error(error.into()))?;
    text.push(b'\n');
    let prepared = PreparedFile::write(&file.path, &text).map_err(file_error)?;
    Ok(PreparedKey { file, prepared, replaces })
}

impl PreparedKey {
    /// Puts the file in its place, synced.
    pub fn commit(self) -> Result<KeyFile, KeyError> {
        let PreparedKey { file, prepared, replaces } = self;
        let kept = if replaces { keep_old(&file.path) } else { Ok(()) };
        let file_error = |source| KeyError::File { path: file.path.clone(), source };
        kept.and_then(|()| prepared.commit()).map_err(file_error)?;
        Ok(file)
    }
}

fn keep_old(path: &Path) -> io::Result<()> {
    for number in 1..=MAX_OLD_FILES {
        match fs::hard_link(path, path.with_extension(format!("key.old-{number}"))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
    Err(io::Error::other("there are too many old key files in the directory"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::Permissions,
        os::unix::fs::{MetadataExt, PermissionsExt},
    };

    use age::secrecy::SecretString;

    use super::*;
    use crate::{keys::Mnemonic, ui::Ui};

    fn store(
        directory: &Path,
        keys: &Keys,
        protection: &Protection,
        replace: bool,
    ) -> Result<KeyFile, KeyError> {
        prepare(directory, keys, protection, replace)?.commit()
    }

    fn passphrases(file: Option<PathBuf>) -> Passphrases {
        Passphrases::new(file, Ui::new(false))
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().mode() & 0o777
    }

    #[test]
    fn a_key_is_stored_for_its_owner_alone_and_loaded() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("a/keys");
        let keys = Mnemonic::random().unwrap().keys();
        store(&directory, &keys, &Protection::None, false).unwrap();
        assert_eq!((mode(&directory), mode(&directory.join(KEY_FILE))), (0o700, 0o600));
        let file = load(&directory).unwrap();
        assert_eq!(file.unlock(&passphrases(None)).unwrap().public(), keys.owner().public());
        assert_eq!((file.owner, file.recovery), (keys.owner().public(), keys.recovery));
        assert!(!file.is_encrypted());
    }

    #[test]
    fn a_passphrase_is_asked_for_and_checked() {
        let base = tempfile::tempdir().unwrap();
        let keys = Mnemonic::random().unwrap().keys();
        let protection = Protection::Passphrase(SecretString::from("correct horse".to_owned()));
        store(base.path(), &keys, &protection, false).unwrap();
        let text = fs::read_to_string(base.path().join(KEY_FILE)).unwrap();
        assert!(!text.contains(&hex::encode(*keys.owner_seed)));
        let file = load(base.path()).unwrap();
        let unlock = |passphrase: &str| {
            let path = base.path().join("passphrase");
            fs::write(&path, passphrase).unwrap();
            file.unlock(&passphrases(Some(path)))
        };
        assert_eq!(unlock("correct horse\nsecond line\n").unwrap().public(), keys.owner().public());
        assert!(matches!(unlock("wrong horse"), Err(KeyError::WrongPassphrase)));
        assert!(matches!(unlock("\n"), Err(KeyError::EmptyPassphrase)));
    }

    #[test]
    fn a_key_is_replaced_only_when_told_and_the_old_one_kept() {
        let base = tempfile::tempdir().unwrap();
        let [first, second, third] = [(); 3].map(|()| Mnemonic::random().unwrap().keys());
        store(base.path(), &first, &Protection::None, false).unwrap();
        assert!(matches!(
            store(base.path(), &second, &Protection::None, false),
            Err(KeyError::Exists(_))
        ));
        assert_eq!(load(base.path()).unwrap().owner, first.owner().public());
        store(base.path(), &second, &Protection::None, true).unwrap();
        store(base.path(), &third, &Protection::None, true).unwrap();
        assert_eq!(load(base.path()).unwrap().owner, third.owner().public());
        for (name, keys) in [("owner.key.old-1", first), ("owner.key.old-2", second)] {
            let text = fs::read_to_string(base.path().join(name)).unwrap();
            assert!(text.contains(&keys.owner().public().to_string()), "{name}");
        }
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 3, "no temporary file is left");
    }

    #[test]
    fn what_is_open_to_others_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let keys = Mnemonic::random().unwrap().keys();
        store(base.path(), &keys, &Protection::None, false).unwrap();
        let path = base.path().join(KEY_FILE);
        for bits in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
            assert!(
                matches!(load(base.path()), Err(KeyError::Exposed { mode, .. }) if mode == bits)
            );
        }
        fs::set_permissions(base.path(), Permissions::from_mode(0o777)).unwrap();
        let refused = store(base.path(), &keys, &Protection::None, true);
        assert!(matches!(refused, Err(KeyError::ExposedDirectory { mode: 0o777, .. })));
    }

    #[test]
    fn a_file_that_was_changed_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let keys = Mnemonic::random().unwrap().keys();
        store(base.path(), &keys, &Protection::None, false).unwrap();
        let path = base.path().join(KEY_FILE);
        let text = fs::read_to_string(&path).unwrap();
        let other = Mnemonic::random().unwrap().keys();
        for (from, to) in [
            (keys.owner().public().to_string(), other.owner().public().to_string()),
            (hex::encode(keys.recovery.0), hex::encode(other.recovery.0)),
        ] {
            fs::write(&path, text.replacen(&from, &to, 1)).unwrap();
            let refused = load(base.path()).unwrap().unlock(&passphrases(None));
            assert!(matches!(refused, Err(KeyError::Malformed { .. })), "{from}");
        }
        for bad in [
            "",
            "{}",
            &text.replace("\"format\": 1", "\"format\": 2"),
            &text.replace("secret", "secrets"),
        ] {
            fs::write(&path, bad).unwrap();
            let error = load(base.path()).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{error}");
            assert!(!error.to_string().contains(&hex::encode(*keys.owner_seed)));
        }
        assert!(matches!(load(&base.path().join("none")), Err(KeyError::Missing(_))));
    }
}

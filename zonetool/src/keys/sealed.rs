//! Secrets in files of their own: mode 0600, encrypted with a passphrase or not, and written so
//! that a crash leaves the old file or the new one.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use age::{DecryptError, scrypt, secrecy::SecretString};
use zeroize::Zeroizing;

use super::{KeyError, Passphrases};

/// A key file is about a kilobyte.
pub(super) const MAX_FILE_BYTES: u64 = 16 * 1024;

/// How a secret is kept.
pub enum Protection {
    /// Encrypted with a passphrase.
    Passphrase(SecretString),
    /// As it is: whoever reads the file has it.
    None,
}

/// A secret as it stands in a file: one of the two.
pub(super) struct Sealed {
    /// In hexadecimal.
    pub(super) secret: Option<Zeroizing<String>>,
    /// By age's scrypt, armored.
    pub(super) encrypted: Option<String>,
}

impl Sealed {
    pub(super) fn new(plain: &[u8], protection: &Protection) -> Result<Self, KeyError> {
        Ok(match protection {
            Protection::None => {
                Sealed { secret: Some(Zeroizing::new(hex::encode(plain))), encrypted: None }
            }
            Protection::Passphrase(passphrase) => {
                let recipient = scrypt::Recipient::new(passphrase.clone());
                let sealed = age::encrypt_and_armor(&recipient, plain)
                    .map_err(|error| KeyError::Cipher(error.to_string()))?;
                Sealed { secret: None, encrypted: Some(sealed) }
            }
        })
    }
}

/// The secret of the file at `path`; asks for the passphrase if it takes one.
pub(super) fn open(
    path: &Path,
    secret: Option<&Zeroizing<String>>,
    encrypted: Option<&String>,
    passphrases: &Passphrases,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let malformed = |why: &str| KeyError::Malformed { path: path.to_owned(), why: why.into() };
    match (secret, encrypted) {
        (Some(secret), None) => hex::decode(secret.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| malformed("its secret is not hexadecimal")),
        (None, Some(sealed)) => decrypt(sealed, passphrases.known()?),
        _ => Err(malformed("it must have either a secret or an encrypted secret")),
    }
}

fn decrypt(sealed: &str, passphrase: SecretString) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    age::decrypt(&scrypt::Identity::new(passphrase), sealed.as_bytes()).map(Zeroizing::new).map_err(
        |error| match error {
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys => KeyError::WrongPassphrase,
            other => KeyError::Cipher(other.to_string()),
        },
    )
}

/// Reads the file at `path`, refusing one that others can read or write; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let file_error = |source: io::Error| KeyError::File { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file_error(error)),
    };
    let mode = file.metadata().map_err(file_error)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(MAX_FILE_BYTES).read_to_end(&mut text).map_err(file_error)?;
    Ok(Some(text))
}

/// Creates a directory that only the user can read, or refuses one that others can write to.
pub fn create_directory(directory: &Path) -> Result<(), KeyError> {
    let file_error = |source| KeyError::File { path: directory.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(file_error)?;
    let mode = directory.metadata().map_err(file_error)?.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(KeyError::ExposedDirectory { path: directory.to_owned(), mode });
    }
    Ok(())
}

/// Writes a file for its owner alone: created beside it, synced, renamed over it, the directory
/// synced.
pub fn write_durably(path: &Path, text: &[u8]) -> io::Result<()> {
    PreparedFile::write(path, text)?.commit()
}

/// A file that is written and synced beside its place, and not there yet. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct PreparedFile {
    temporary: PathBuf,
    path: PathBuf,
}

impl PreparedFile {
    pub fn write(path: &Path, text: &[u8]) -> io::Result<Self> {
        let temporary = path.with_extension(format!("key.new-{}", std::process::id()));
        let prepared = PreparedFile { temporary, path: path.to_owned() };
        write_new(&prepared.temporary, text)?;
        Ok(prepared)
    }

    /// Puts it in its place.
    pub fn commit(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for PreparedFile {
    fn drop(&mut self) {
        // After a commit there is nothing to remove.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // Whatever the umask took away.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    file.sync_all()
}

//! The key file: made at the first start, readable by its owner only.
//!
//! ```text
//! # The private key with which this resolver signs names of the chain. ...
//! namechain.alt. IN DNSKEY 257 3 13 <the public key in base64>
//! -----BEGIN PRIVATE KEY-----                 PKCS#8 (RFC 5958), as OpenSSL reads and writes it
//! ```

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use data_encoding::BASE64;
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};

use super::{algorithm::Algorithm, anchor::TrustAnchor, error::SignError, key::SigningKey};
use crate::chain::mount::Suffix;

/// The longest file that is read, in bytes: a key has some hundreds.
const MAX_FILE_BYTES: u64 = 16 << 10;
/// Characters in a line of PEM (RFC 7468 §2).
const PEM_LINE_CHARS: usize = 64;
const ABOUT: &str = "# The private key with which this resolver signs names of the chain. Who has it can forge answers for everyone\n\
                     # who trusts the public key below: keep it secret. If this file is lost, a new key is made and has to be trusted anew.\n";

/// The DNSKEY record in the file: that of the canonical suffix, whichever are on.
fn dnskey_line(key: &SigningKey) -> String {
    TrustAnchor::from_key(key, &Suffix::CANONICAL.name()).dnskey
}

/// The key in the file at `path`; if there is no file, a new key and the file.
///
/// # Errors
/// [`SignError`], if the file can't be read or made, if other users can read it, or if its key is
/// not for `algorithm`, if that is given.
pub fn load_or_make(path: &Path, algorithm: Option<Algorithm>) -> Result<SigningKey, SignError> {
    if let Some(key) = load(path, algorithm)? {
        return Ok(key);
    }
    match make(path, algorithm.unwrap_or_default()) {
        // Another resolver was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|error| SignError::Write(path.to_owned(), error))?,
    }
    tracing::info!(path = %path.display(), "made a DNSSEC key for namechain.alt.");
    load(path, algorithm)?
        .ok_or_else(|| SignError::Malformed(path.to_owned(), "it was removed again"))
}

fn load(path: &Path, algorithm: Option<Algorithm>) -> Result<Option<SigningKey>, SignError> {
    let unreadable = |error| SignError::Read(path.to_owned(), error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let malformed = |why| SignError::Malformed(path.to_owned(), why);
    // The metadata of the open file, not of one that has replaced it since.
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(malformed("it is not a regular file"));
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SignError::Permissions(path.to_owned(), mode));
    }
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(malformed("it is too long"));
    }
    let document = PrivatePkcs8KeyDer::from_pem_slice(&text)
        .map_err(|_| malformed("it has no valid '-----BEGIN PRIVATE KEY-----' block"))?;
    let key = SigningKey::from_pkcs8(document.secret_pkcs8_der())
        .ok_or_else(|| malformed("its key is neither for ECDSA on P-256 nor for Ed25519"))?;
    let said = String::from_utf8_lossy(&text);
    if said
        .lines()
        .filter(|line| !line.starts_with('#'))
        .any(|line| line.contains(" DNSKEY ") && line != dnskey_line(&key))
    {
        return Err(malformed("its DNSKEY line does not match its private key"));
    }
    match algorithm.filter(|asked| *asked != key.algorithm()) {
        Some(asked) => {
            Err(SignError::Algorithm { path: path.to_owned(), found: key.algorithm(), asked })
        }
        None => Ok(Some(key)),
    }
}

/// Makes a key and its file: completely or not at all, and never over an existing file.
fn make(path: &Path, algorithm: Algorithm) -> io::Result<()> {
    let document = SigningKey::generate(algorithm).map_err(io::Error::other)?;
    let key = SigningKey::from_pkcs8(&document)
        .ok_or_else(|| io::Error::other("the new key can't be read"))?;
    let mut text = format!("{ABOUT}{}\n-----BEGIN PRIVATE KEY-----\n", dnskey_line(&key));
    for line in BASE64.encode(&document).as_bytes().chunks(PEM_LINE_CHARS) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text.push_str("-----END PRIVATE KEY-----\n");
    let directory =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    // Left over by a process with the same number that was stopped.
    let _ = fs::remove_file(&temporary);
    let placed = write_new(&temporary, text.as_bytes()).and_then(|()| place(&temporary, path));
    let _ = fs::remove_file(&temporary);
    placed?;
    File::open(directory)?.sync_all()
}

/// Moves the file to its name, if that is free. File systems without hard links get a rename.
fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(temporary, path),
        linked => linked,
    }
}

fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    // The umask may have removed permissions.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_kept_for_nobody_else() {
        for algorithm in [None, Some(Algorithm::EcdsaP256), Some(Algorithm::Ed25519)] {
            let home = tempfile::tempdir().unwrap();
            let path = home.path().join("state").join("dnssec.key");
            let made = load_or_make(&path, algorithm).unwrap();
            assert_eq!(made.algorithm(), algorithm.unwrap_or_default());
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let again = load_or_make(&path, algorithm).unwrap();
            assert_eq!(made.dnskey(), again.dnskey());
            assert!(load_or_make(&path, None).is_ok(), "what it is needs not be said");
            assert_eq!(
                fs::read_dir(path.parent().unwrap()).unwrap().count(),
                1,
                "nothing is left over"
            );
        }
    }

    #[test]
    fn a_file_that_is_there_is_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("dnssec.key");
        fs::write(&path, "mine").unwrap();
        assert_eq!(
            make(&path, Algorithm::Ed25519).unwrap_err().kind(),
            io::ErrorKind::AlreadyExists
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("dnssec.key");
        load_or_make(&path, None).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let why = |text: &str, mode: u32, algorithm| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            load_or_make(&path, algorithm).unwrap_err().to_string()
        };
        let cut = &good[..good.len() - 60];
        let other = good.replace(" 257 3 13 ", " 257 3 13 A");
        for (text, mode, algorithm, expected) in [
            (good.as_str(), 0o640, None, "other users may read or write it"),
            (&good, 0o602, None, "other users may read or write it"),
            (&good, 0o600, Some(Algorithm::Ed25519), "ECDSAP256SHA256"),
            ("", 0o600, None, "BEGIN PRIVATE KEY"),
            (cut, 0o600, None, "BEGIN PRIVATE KEY"),
            (&other, 0o600, None, "DNSKEY line"),
            (&"x".repeat(20_000), 0o600, None, "too long"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                0o600,
                None,
                "neither",
            ),
        ] {
            let said = why(text, mode, algorithm);
            assert!(said.contains(expected), "{said}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        assert!(load_or_make(&path, None).unwrap_err().to_string().contains("not a regular file"));
    }
}

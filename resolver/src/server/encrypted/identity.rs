//! The identity of this server for clients: a certificate, or a raw public key.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{ClientHello, ParsedCertificate, ResolvesServerCert},
    sign::CertifiedKey,
};
use thiserror::Error;

use crate::upstream::sha256;

/// Where the identity is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityFrom {
    /// A certificate with its intermediates, and its key, each a PEM file.
    Certificate {
        /// The certificates.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// A raw public key (RFC 7250), made if the file does not exist.
    RawKey(PathBuf),
}

/// Why encrypted DNS can't be served.
#[derive(Debug, Error)]
pub enum EncryptedError {
    /// A file can't be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// The key does not match the certificate.
    #[error("the key in {0} does not match the certificate")]
    OtherKey(PathBuf),
    /// TLS can't be configured.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
}

/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// The PKCS#8 header before the 32 bytes of an Ed25519 key (RFC 8410 §7).
const ED25519: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// The identity, which can be reloaded while it is used.
#[derive(Debug)]
pub struct Identity {
    from: IdentityFrom,
    key: RwLock<Arc<CertifiedKey>>,
}

impl Identity {
    /// Loads it; makes a raw key that does not exist.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn load(from: &IdentityFrom) -> Result<Self, EncryptedError> {
        Ok(Identity { from: from.clone(), key: RwLock::new(Arc::new(read(from)?)) })
    }

    /// Reloads it: new handshakes use the new files.
    ///
    /// # Errors
    /// What is wrong with the files; then the old identity stays.
    pub fn reload(&self) -> Result<(), EncryptedError> {
        let key = Arc::new(read(&self.from)?);
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = key;
        Ok(())
    }

    /// The SHA-256 of the public key (SPKI) in hexadecimal: the value for a client's `pin=` (RFC
    /// 7858 §4.2), and for a TLSA record `3 1 1` (RFC 6698 §2.1).
    pub fn pin(&self) -> Option<String> {
        let key = self.current();
        let spki = match self.from {
            IdentityFrom::RawKey(_) => key.cert.first()?.to_vec(),
            IdentityFrom::Certificate { .. } => {
                let certificate = ParsedCertificate::try_from(key.cert.first()?).ok()?;
                certificate.subject_public_key_info().to_vec()
            }
        };
        sha256(&spki).map(hex::encode)
    }

    /// The first name in the certificate that is not a wildcard.
    pub fn dns_name(&self) -> Option<String> {
        match self.from {
            IdentityFrom::RawKey(_) => None,
            IdentityFrom::Certificate { .. } => dns_name(self.current().cert.first()?),
        }
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.key.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn only_raw_public_keys(&self) -> bool {
        matches!(self.from, IdentityFrom::RawKey(_))
    }
}

/// The first DNS name that is not a wildcard in the extension subjectAltName of a certificate in
/// DER (RFC 5280 §4.2.1.6), which is ours and well-formed.
fn dns_name(certificate: &[u8]) -> Option<String> {
    const SUBJECT_ALT_NAME: [u8; 5] = [0x06, 3, 0x55, 0x1d, 0x11];
    const CRITICAL: [u8; 3] = [0x01, 1, 0xff];
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    const DNS_NAME: u8 = 0x82;
    let mut places = certificate.windows(SUBJECT_ALT_NAME.len());
    let at = places.position(|bytes| bytes == SUBJECT_ALT_NAME)?;
    let after = &certificate[at + SUBJECT_ALT_NAME.len()..];
    let after = after.strip_prefix(&CRITICAL).unwrap_or(after);
    let (value, _) = der_value(after, OCTET_STRING)?;
    let (mut names, _) = der_value(value, SEQUENCE)?;
    while let Some(tag) = names.first() {
        let (value, rest) = der_value(names, *tag)?;
        let name = std::str::from_utf8(value).unwrap_or_default();
        if *tag == DNS_NAME && !name.is_empty() && !name.starts_with('*') {
            return Some(name.to_owned());
        }
        names = rest;
    }
    None
}

/// The value with this tag at the start of `bytes` (X.690 §8.1), and what follows it.
fn der_value(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    match bytes {
        [first, length @ 0..=0x7f, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length))
        }
        [first, 0x81, length, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(*length))
        }
        [first, 0x82, high, low, rest @ ..] if *first == tag => {
            rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

fn read(from: &IdentityFrom) -> Result<CertifiedKey, EncryptedError> {
    match from {
        IdentityFrom::Certificate { certificate, key } => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(&read_file(certificate)?).collect();
            let chain = chain.map_err(|error| wrong(certificate, &error))?;
            if chain.is_empty() {
                return Err(wrong(certificate, &"there is no certificate in PEM form in it"));
            }
            let certified = CertifiedKey::new(chain, signing_key(key, &read_file(key)?)?);
            match certified.keys_match() {
                Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                    Err(EncryptedError::OtherKey(key.clone()))
                }
                Err(rustls::Error::InconsistentKeys(_)) | Ok(()) => Ok(certified),
                Err(error) => Err(wrong(certificate, &error)),
            }
        }
        IdentityFrom::RawKey(file) => {
            if !file.exists() {
                make(file)?;
            }
            let key = signing_key(file, &read_file(file)?)?;
            let spki = key
                .public_key()
                .ok_or_else(|| wrong(file, &"a key of this kind has no raw form"))?;
            Ok(CertifiedKey::new(vec![CertificateDer::from(spki.to_vec())], key))
        }
    }
}

fn signing_key(
    file: &Path,
    pem: &[u8],
) -> Result<Arc<dyn rustls::sign::SigningKey>, EncryptedError> {
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| wrong(file, &error))?;
    ring::sign::any_supported_type(&key).map_err(|error| wrong(file, &error))
}

fn read_file(file: &Path) -> Result<Vec<u8>, EncryptedError> {
    let mut bytes = Vec::new();
    let opened = fs::File::open(file).map_err(|error| wrong(file, &error))?;
    opened.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(|error| wrong(file, &error))?;
    Ok(bytes)
}

/// Makes a key that only this user can read. A key that another process has made meanwhile is kept.
fn make(file: &Path) -> Result<(), EncryptedError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| wrong(file, &error))?;
    let der = PrivatePkcs8KeyDer::from([&ED25519[..], &seed].concat());
    let mut text = String::from("-----BEGIN PRIVATE KEY-----\n");
    text += &data_encoding::BASE64.encode(der.secret_pkcs8_der());
    text += "\n-----END PRIVATE KEY-----\n";
    let opened = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    let mut opened = match opened {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        opened => opened.map_err(|error| wrong(file, &error))?,
    };
    let written = opened.write_all(text.as_bytes()).and_then(|()| opened.sync_all());
    written.map_err(|error| wrong(file, &error))
}

fn wrong(file: &Path, why: &impl ToString) -> EncryptedError {
    EncryptedError::File(file.to_owned(), why.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn certificate(dir: &Path, name: &str) -> IdentityFrom {
        let signed = rcgen::generate_simple_self_signed(vec!["dns.example".to_owned()]).unwrap();
        let (certificate, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        fs::write(&certificate, signed.cert.pem()).unwrap();
        fs::write(&key, signed.key_pair.serialize_pem()).unwrap();
        IdentityFrom::Certificate { certificate, key }
    }

    #[test]
    fn a_raw_key_is_made_once_and_is_the_users_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tls.key");
        let from = IdentityFrom::RawKey(file.clone());
        let pin = Identity::load(&from).unwrap().pin().unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Identity::load(&from).unwrap();
        assert_eq!((again.pin(), again.only_raw_public_keys()), (Some(pin.clone()), true));
        assert_eq!(again.dns_name(), None);
        assert_eq!(pin.len(), 64);
        fs::remove_file(&file).unwrap();
        again.reload().unwrap();
        assert_ne!(again.pin(), Some(pin));
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let from = certificate(dir.path(), "one");
        let identity = Identity::load(&from).unwrap();
        let before = identity.pin().unwrap();
        assert_eq!(identity.dns_name().as_deref(), Some("dns.example"));
        certificate(dir.path(), "one");
        identity.reload().unwrap();
        let after = identity.pin().unwrap();
        assert_ne!(before, after);
        let IdentityFrom::Certificate { certificate: file, key } = from else { unreachable!() };
        let other = certificate(dir.path(), "two");
        let IdentityFrom::Certificate { certificate: theirs, .. } = other else { unreachable!() };
        let mixed = IdentityFrom::Certificate { certificate: theirs, key };
        assert!(matches!(Identity::load(&mixed), Err(EncryptedError::OtherKey(_))));
        for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            fs::write(&file, text).unwrap();
            let why = identity.reload().unwrap_err().to_string();
            assert!(why.contains("one.pem") || text.is_empty(), "{why}");
            assert_eq!(identity.pin(), Some(after.clone()));
        }
    }
}

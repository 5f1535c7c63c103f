//! The signing key and its public part.

use std::fmt;

use ring::{
    digest,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair},
};

use super::{algorithm::Algorithm, error::SignError};
use crate::dnssec::validate::key_tag;

/// Zone Key and Secure Entry Point: the only key of its zone (RFC 4034 §2.1.1).
const FLAGS: u16 = 257;
/// The only protocol (RFC 4034 §2.1.2).
const PROTOCOL: u8 = 3;

enum RingKeyPair {
    EcdsaP256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A signing key.
pub struct SigningKey {
    pair: RingKeyPair,
    random: SystemRandom,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, tag {})", self.algorithm(), self.tag())
    }
}

impl SigningKey {
    /// A new key as PKCS#8 (RFC 5958).
    pub fn generate(algorithm: Algorithm) -> Result<Vec<u8>, SignError> {
        let random = SystemRandom::new();
        let made = match algorithm {
            Algorithm::EcdsaP256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            Algorithm::Ed25519 => Ed25519KeyPair::generate_pkcs8(&random),
        };
        made.map(|document| document.as_ref().to_vec()).map_err(|_| SignError::Generate)
    }

    /// The key in a PKCS#8 document; `None` if its algorithm is not supported.
    pub fn from_pkcs8(document: &[u8]) -> Option<Self> {
        let random = SystemRandom::new();
        let ecdsa = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document, &random);
        let pair = match ecdsa {
            Ok(pair) => RingKeyPair::EcdsaP256(pair),
            // Other programs write the key without its public half.
            Err(_) => {
                RingKeyPair::Ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(document).ok()?)
            }
        };
        Some(SigningKey { pair, random })
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match &self.pair {
            RingKeyPair::EcdsaP256(_) => Algorithm::EcdsaP256,
            RingKeyPair::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public key as in a DNSKEY: both coordinates (RFC 6605 §4), or the point (RFC 8080 §3).
    pub fn public(&self) -> &[u8] {
        match &self.pair {
            // ring adds a byte in front that says that the point is not compressed.
            RingKeyPair::EcdsaP256(pair) => &pair.public_key().as_ref()[1..],
            RingKeyPair::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    /// The data of its DNSKEY record (RFC 4034 §2.1).
    pub fn dnskey(&self) -> Vec<u8> {
        let mut data = FLAGS.to_be_bytes().to_vec();
        data.extend_from_slice(&[PROTOCOL, self.algorithm().number()]);
        data.extend_from_slice(self.public());
        data
    }

    /// Its tag (RFC 4034 appendix B).
    pub fn tag(&self) -> u16 {
        key_tag(&self.dnskey())
    }

    /// The signature over some bytes, 64 bytes for either algorithm.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = match &self.pair {
            RingKeyPair::EcdsaP256(pair) => {
                pair.sign(&self.random, bytes).map_err(|_| SignError::Random)?
            }
            RingKeyPair::Ed25519(pair) => pair.sign(bytes),
        };
        Ok(signature.as_ref().to_vec())
    }
}

/// The data of the DS record of a DNSKEY (RFC 4034 §5.1), its digest by SHA-256 (RFC 4509). The
/// owner is in wire form and lower case.
pub fn ds_record_data(owner: &[u8], dnskey: &[u8]) -> Vec<u8> {
    const SHA256: u8 = 2;
    let mut data = key_tag(dnskey).to_be_bytes().to_vec();
    data.extend_from_slice(&[dnskey.get(3).copied().unwrap_or_default(), SHA256]);
    data.extend_from_slice(&sha256(&[owner, dnskey].concat()));
    data
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, UnparsedPublicKey};

    use super::*;

    #[test]
    fn each_algorithm_signs_and_is_known_again() {
        for algorithm in [Algorithm::EcdsaP256, Algorithm::Ed25519] {
            let document = SigningKey::generate(algorithm).unwrap();
            let key = SigningKey::from_pkcs8(&document).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            assert_eq!(Algorithm::from_number(algorithm.number()), Some(algorithm));
            let signature = key.sign(b"bytes").unwrap();
            assert_eq!(signature.len(), 64);
            let public = match algorithm {
                Algorithm::EcdsaP256 => {
                    let point = [&[4], key.public()].concat();
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                        .verify(b"bytes", &signature)
                }
                Algorithm::Ed25519 => {
                    UnparsedPublicKey::new(&ED25519, key.public()).verify(b"bytes", &signature)
                }
            };
            assert!(public.is_ok(), "{algorithm}");
            assert!(!format!("{key:?}").contains(&hex::encode(&document[40..60])));
        }
        assert!(
            SigningKey::from_pkcs8(b"garbage").is_none() && SigningKey::from_pkcs8(b"").is_none()
        );
    }

    /// The keys of RFC 8080 §6.1 and RFC 6605 §6.1, with the tags and DS records given there.
    #[test]
    fn tags_and_digests_are_those_of_the_standards() {
        for (owner, dnskey, tag, ds) in [
            (
                &b"\x07example\x03com\0"[..],
                "0101030f974d96a22d224bc01adb915091477d44ccd91c9a41a11430010117d52c59240e",
                3_613,
                "0e1d0f023aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b",
            ),
            (
                b"\x07example\x03net\0",
                "0101030d1a88c88615d437fbb8bf9e1942a1929f28562706ae6c2bd399e7b1bfb6d1e9e75b92b4aa42917ae1c61b701ef035c3fe\
                 7be3009cbafe5a2f71316c902dcf0d00",
                55_648,
                "d9600d02b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17",
            ),
        ] {
            let dnskey = hex::decode(dnskey).unwrap();
            assert_eq!(key_tag(&dnskey), tag);
            assert_eq!(hex::encode(ds_record_data(owner, &dnskey)), ds);
        }
    }
}

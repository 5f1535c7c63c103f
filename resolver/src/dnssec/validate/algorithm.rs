//! Signature and digest algorithms. The cryptography is ring's.
//!
//! SHA-1 (algorithms 5 and 7, digest 1) must not be used for new signatures, and is validated as
//! long as zones use it (RFC 9905 §2, RFC 8624 §3.1): that is safer than no validation.

use ring::digest::{self, digest};
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

/// RSA/SHA-1 (RFC 3110), the same with NSEC3 (RFC 5155 §2), RSA/SHA-256 and RSA/SHA-512 (RFC 5702),
/// ECDSA (RFC 6605), Ed25519 (RFC 8080). Not DSA, GOST and Ed448.
pub fn is_supported(algorithm: u8) -> bool {
    matches!(algorithm, 5 | 7 | 8 | 10 | 13 | 14 | 15)
}

/// SHA-1 (RFC 4034 §5.1.3), SHA-256 (RFC 4509), SHA-384 (RFC 6605 §2).
pub fn is_supported_digest(kind: u8) -> bool {
    matches!(kind, 1 | 2 | 4)
}

/// Whether the signature over `data` verifies with the key. A malformed key verifies nothing.
pub fn verifies(algorithm: u8, key: &[u8], data: &[u8], bytes: &[u8]) -> bool {
    match algorithm {
        5 | 7 => rsa(&signature::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, key, data, bytes),
        8 => rsa(&signature::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, key, data, bytes),
        10 => rsa(&signature::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY, key, data, bytes),
        // DNSSEC leaves out the byte that says that the point is not compressed (RFC 6605 §4).
        13 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, [&[4], key].concat())
            .verify(data, bytes)
            .is_ok(),
        14 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, [&[4], key].concat())
            .verify(data, bytes)
            .is_ok(),
        15 => UnparsedPublicKey::new(&ED25519, key).verify(data, bytes).is_ok(),
        _ => false,
    }
}

fn rsa(parameters: &'static RsaParameters, key: &[u8], data: &[u8], bytes: &[u8]) -> bool {
    let Some((e, n)) = rsa_parts(key) else { return false };
    RsaPublicKeyComponents { n, e }.verify(parameters, data, bytes).is_ok()
}

/// Exponent and modulus of an RSA key (RFC 3110 §2): the exponent's length in one byte, or in two
/// after a zero byte; exponent; modulus.
fn rsa_parts(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (exponent, modulus) = match key {
        [0, high, low, rest @ ..] => {
            rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?
        }
        [length, rest @ ..] => rest.split_at_checked(usize::from(*length))?,
        [] => return None,
    };
    Some((without_zeros(exponent), without_zeros(modulus)))
}

/// The fewest bits of an RSA key whose signatures are verified.
const MIN_RSA_BITS: usize = 1024;

/// Whether a key is an RSA key that is too short to be verified with.
pub fn is_too_short(algorithm: u8, key: &[u8]) -> bool {
    let modulus = rsa_parts(key).map_or(&[][..], |(_, modulus)| modulus);
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    matches!(algorithm, 5 | 7 | 8 | 10)
        && !modulus.is_empty()
        && modulus.len() * 8 - leading < MIN_RSA_BITS
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}

/// Whether the digest of the concatenated `parts` is `expected`.
pub fn is_digest(kind: u8, parts: &[&[u8]], expected: &[u8]) -> bool {
    let algorithm = match kind {
        1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        2 => &digest::SHA256,
        4 => &digest::SHA384,
        _ => return false,
    };
    digest(algorithm, &parts.concat()).as_ref() == expected
}

/// The NSEC3 hash (RFC 5155 §5): SHA-1 of name and salt, then `iterations` times SHA-1 of the
/// result and salt.
pub fn nsec3_hash(name: &[u8], salt: &[u8], iterations: u16) -> [u8; 20] {
    let once = |input: &[u8]| {
        let mut hash = [0; 20];
        let digest = digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &[input, salt].concat());
        // SHA-1 has 20 bytes.
        hash.copy_from_slice(&digest.as_ref()[..20]);
        hash
    };
    (0..iterations).fold(once(name), |hash, _| once(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::Name;

    /// RFC 5155 Appendix A.
    #[test]
    fn rfc5155_appendix_a_hashes() {
        let salt = hex::decode("aabbccdd").unwrap();
        for (name, expected) in [
            ("example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
            ("a.example", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
            ("ai.example", "gjeqe526plbf1g8mklp59enfd789njgi"),
            ("ns1.example", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
            ("*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
            ("x.y.w.example", "2vptu5timamqttgl4luu9kg21e0aor3s"),
        ] {
            let hash = nsec3_hash(Name::from_text(name).unwrap().wire(), &salt, 12);
            let text = data_encoding::BASE32HEX_NOPAD.encode(&hash).to_lowercase();
            assert_eq!(text, expected, "{name}");
        }
    }

    #[test]
    fn what_is_no_key_signs_nothing() {
        for algorithm in 0..=255 {
            for key in [&[][..], &[0], &[0, 1], &[3, 1], &[1, 3, 0, 0], &[0xff; 64], &[0; 97]] {
                assert!(!verifies(algorithm, key, b"data", &[0; 64]), "{algorithm} {key:?}");
            }
        }
    }
}

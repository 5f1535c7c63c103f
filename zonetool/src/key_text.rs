//! Public keys as text with a checksum: Bech32m (BIP350) with a prefix for each kind of key.
//!
//! 64 hexadecimal digits are understood as well; they have no checksum and no kind. Either way the
//! key must be a point on the curve that something can be signed with.

use bech32::{FromBase32, ToBase32, Variant};
use ed25519_dalek::VerifyingKey;
use namechain_core::types::PublicKey;
use thiserror::Error;

/// How many hexadecimal digits a key has.
const HEX_DIGITS: usize = 64;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// It owns names.
    Owner,
    /// It recovers names.
    Recovery,
    /// It is the messaging key of a name.
    Identity,
}

/// Why a text is not a key of the kind that is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyTextError {
    /// Neither form.
    #[error("expected {} or 64 hexadecimal digits", .0.form())]
    Form(KeyKind),
    /// The checksum does not fit.
    #[error("a character of this key is wrong, missing or too many: its checksum does not fit")]
    Checksum,
    /// A key of another kind.
    #[error("this is {}, and {} is needed", .found.with_article(), .needed.with_article())]
    OtherKind {
        /// The kind of the key.
        found: KeyKind,
        /// The kind that is needed.
        needed: KeyKind,
    },
    /// The bytes are no point of the curve, or one of small order.
    #[error("this is not a public key of Ed25519: nobody can sign with it")]
    NotAKey,
}

impl KeyKind {
    const ALL: [KeyKind; 3] = [KeyKind::Owner, KeyKind::Recovery, KeyKind::Identity];

    /// The human-readable part of its keys.
    pub const fn prefix(self) -> &'static str {
        match self {
            KeyKind::Owner => "ncowner",
            KeyKind::Recovery => "ncrecovery",
            KeyKind::Identity => "ncidentity",
        }
    }

    /// How its keys look.
    const fn form(self) -> &'static str {
        match self {
            KeyKind::Owner => "an owner key (ncowner1...)",
            KeyKind::Recovery => "a recovery key (ncrecovery1...)",
            KeyKind::Identity => "an identity key (ncidentity1...)",
        }
    }

    const fn with_article(self) -> &'static str {
        match self {
            KeyKind::Owner => "an owner key",
            KeyKind::Recovery => "a recovery key",
            KeyKind::Identity => "an identity key",
        }
    }
}

/// The text of a key.
pub fn encode(kind: KeyKind, key: &PublicKey) -> String {
    // The prefix is one of ours, so that this does not fail; hexadecimal is a form of it as well.
    bech32::encode(kind.prefix(), key.0.to_base32(), Variant::Bech32m)
        .unwrap_or_else(|_| key.to_string())
}

/// The text of an owner key.
pub fn owner(key: &PublicKey) -> String {
    encode(KeyKind::Owner, key)
}

/// The text of a recovery key, or `none`.
pub fn recovery(key: Option<&PublicKey>) -> String {
    key.map_or_else(|| "none".to_owned(), |key| encode(KeyKind::Recovery, key))
}

/// The text of an identity key.
pub fn identity(key: &PublicKey) -> String {
    encode(KeyKind::Identity, key)
}

/// Whether `text` is meant as a key: it begins as one of them does, or has the length of one in
/// hexadecimal. Where a key or a name is given, a name that begins so is not understood.
pub fn is_key(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let is_bech32 = KeyKind::ALL
        .iter()
        .any(|kind| lower.strip_prefix(kind.prefix()).is_some_and(|rest| rest.starts_with('1')));
    is_bech32 || (text.len() == HEX_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The key in `text`.
///
/// # Errors
/// If it is no key of this kind.
pub fn decode(kind: KeyKind, text: &str) -> Result<PublicKey, KeyTextError> {
    if !is_key(text) {
        return Err(KeyTextError::Form(kind));
    }
    let key = match text.parse::<PublicKey>() {
        Ok(key) => key,
        Err(_) => {
            let (prefix, data, variant) =
                bech32::decode(text).map_err(|_| KeyTextError::Checksum)?;
            let bytes = Vec::<u8>::from_base32(&data).map_err(|_| KeyTextError::Checksum)?;
            let found = KeyKind::ALL.into_iter().find(|kind| kind.prefix() == prefix);
            let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| KeyTextError::Checksum)?;
            match found {
                _ if variant != Variant::Bech32m => return Err(KeyTextError::Checksum),
                Some(found) if found == kind => PublicKey(bytes),
                Some(found) => return Err(KeyTextError::OtherKind { found, needed: kind }),
                None => return Err(KeyTextError::Form(kind)),
            }
        }
    };
    match VerifyingKey::from_bytes(&key.0) {
        Ok(point) if !point.is_weak() => Ok(key),
        _ => Err(KeyTextError::NotAKey),
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::types::SecretKey;

    use super::*;

    fn key(byte: u8) -> PublicKey {
        SecretKey::from_seed(&[byte; 32]).public()
    }

    #[test]
    fn a_key_leads_back_from_both_forms() {
        for kind in KeyKind::ALL {
            for byte in 0..20 {
                let (key, text) = (key(byte), encode(kind, &key(byte)));
                assert!(
                    text.starts_with(&format!("{}1", kind.prefix())) && text.len() < 70,
                    "{text}"
                );
                assert_eq!(decode(kind, &text), Ok(key));
                assert_eq!(decode(kind, &text.to_ascii_uppercase()), Ok(key));
                assert_eq!(decode(kind, &key.to_string()), Ok(key));
            }
        }
    }

    /// Every single character that is wrong, and every one that is left out.
    #[test]
    fn a_mistyped_key_is_refused() {
        let text = encode(KeyKind::Owner, &key(1));
        for at in 0..text.len() {
            for c in "qpzry9x8gf2tvdw0s3jn54khce6mua7l".chars() {
                let mut other: Vec<char> = text.chars().collect();
                if std::mem::replace(&mut other[at], c) == c {
                    continue;
                }
                let other: String = other.into_iter().collect();
                assert!(decode(KeyKind::Owner, &other).is_err(), "{other}");
            }
            let mut shorter = text.clone();
            shorter.remove(at);
            assert!(decode(KeyKind::Owner, &shorter).is_err(), "{shorter}");
        }
    }

    #[test]
    fn what_is_no_key_says_why() {
        let recovery = encode(KeyKind::Recovery, &key(1));
        let other = KeyTextError::OtherKind { found: KeyKind::Recovery, needed: KeyKind::Owner };
        assert_eq!(decode(KeyKind::Owner, &recovery), Err(other));
        assert_eq!(decode(KeyKind::Owner, "alice"), Err(KeyTextError::Form(KeyKind::Owner)));
        let bech32 = bech32::encode("ncowner", key(1).0.to_base32(), Variant::Bech32).unwrap();
        assert_eq!(decode(KeyKind::Owner, &bech32), Err(KeyTextError::Checksum));
        let short = bech32::encode("ncowner", [1; 31].to_base32(), Variant::Bech32m).unwrap();
        assert_eq!(decode(KeyKind::Owner, &short), Err(KeyTextError::Checksum));
        // No point; the neutral element; a point of order 8.
        for hex in [
            "02".to_owned() + &"00".repeat(31),
            "01".to_owned() + &"00".repeat(31),
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa".to_owned(),
        ] {
            assert_eq!(decode(KeyKind::Owner, &hex), Err(KeyTextError::NotAKey), "{hex}");
        }
    }
}

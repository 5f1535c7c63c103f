//! The 24 words, and the keys that they make.

use bip39::Language;
use namechain_core::types::{PublicKey, SecretKey};
use slip10_ed25519::derive_ed25519_private_key;
use zeroize::Zeroizing;

use super::{KeyError, MAX_IDENTITIES};

/// How many words: 256 bits and a checksum (BIP39).
pub const WORD_COUNT: usize = 24;

/// The first step of every path: the project's own purpose (BIP43), the number of its API's port.
const PURPOSE: u32 = 7_380;
/// The owner's key. slip10_ed25519 hardens every step.
const OWNER_PATH: [u32; 3] = [PURPOSE, 0, 0];
/// The recovery key.
const RECOVERY_PATH: [u32; 3] = [PURPOSE, 1, 0];
/// The identity keys, by their index.
const IDENTITY: u32 = 2;
/// The X25519 keys, by the index of the identity key that they stand beside.
const X25519: u32 = 3;

/// The 24 words.
pub struct Mnemonic(bip39::Mnemonic);

/// What the file keeps of the words: the owner's key, and the public half of the recovery key.
pub struct Keys {
    /// The owner's seed (RFC 8032 §5.1.5), which [`SecretKey::from_seed`] takes.
    pub owner_seed: Zeroizing<[u8; 32]>,
    /// The public half of the recovery key.
    pub recovery: PublicKey,
}

impl Mnemonic {
    /// New ones, from the operating system's randomness.
    pub fn random() -> Result<Self, KeyError> {
        let mut entropy = Zeroizing::new([0; 32]);
        getrandom::fill(entropy.as_mut_slice())
            .map_err(|error| KeyError::Random(error.to_string()))?;
        Self::of_entropy(&entropy)
    }

    fn of_entropy(entropy: &[u8; 32]) -> Result<Self, KeyError> {
        bip39::Mnemonic::from_entropy_in(Language::English, entropy)
            .map(Mnemonic)
            .map_err(|error| KeyError::InvalidMnemonic(error.to_string()))
    }

    /// Reads words separated by any white space. An error tells the place of a wrong word, never
    /// the word.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let words: Zeroizing<Vec<String>> =
            Zeroizing::new(text.split_whitespace().map(str::to_ascii_lowercase).collect());
        if words.len() != WORD_COUNT {
            return Err(KeyError::InvalidMnemonic(format!(
                "expected {WORD_COUNT} words, found {}",
                words.len()
            )));
        }
        let text = Zeroizing::new(words.join(" "));
        bip39::Mnemonic::parse_in_normalized(Language::English, &text).map(Mnemonic).map_err(
            |error| {
                KeyError::InvalidMnemonic(match error {
                    bip39::Error::UnknownWord(at) => {
                        format!("word {} is not in the English word list of BIP39", at + 1)
                    }
                    bip39::Error::InvalidChecksum => {
                        "the checksum is wrong: a word is wrong, or the order is".into()
                    }
                    other => other.to_string(),
                })
            },
        )
    }

    /// The words, in their order.
    pub fn list(&self) -> Vec<&'static str> {
        self.0.words().collect()
    }

    /// The keys.
    pub fn keys(&self) -> Keys {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        let owner_seed = Zeroizing::new(derive_ed25519_private_key(seed.as_slice(), &OWNER_PATH));
        Keys { owner_seed, recovery: self.recovery().public() }
    }

    /// The recovery key, whose secret is kept nowhere: for one signature.
    pub fn recovery(&self) -> SecretKey {
        let seed = Zeroizing::new(self.0.to_seed_normalized(""));
        SecretKey::from_seed(&Zeroizing::new(derive_ed25519_private_key(
            seed.as_slice(),
            &RECOVERY_PATH,
        )))
    }

    /// The identity keys.
    pub fn identities(&self) -> IdentityBranch {
        IdentityBranch(Zeroizing::new(self.0.to_seed_normalized("")))
    }
}

/// The identity keys of the words, and the X25519 keys beside them.
pub struct IdentityBranch(Zeroizing<[u8; 64]>);

impl IdentityBranch {
    /// The seed of the identity key at `index` (RFC 8032 §5.1.5).
    pub fn seed(&self, index: u32) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive_ed25519_private_key(self.0.as_slice(), &[PURPOSE, IDENTITY, index]))
    }

    /// The identity key at `index`.
    pub fn key(&self, index: u32) -> SecretKey {
        SecretKey::from_seed(&self.seed(index))
    }

    /// The X25519 key at `index`: SLIP-10's 32 bytes as they are, clamped when they are used (RFC
    /// 7748 §5).
    pub fn x25519(&self, index: u32) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(derive_ed25519_private_key(self.0.as_slice(), &[PURPOSE, X25519, index]))
    }

    /// The index of an identity key, if it is one of these.
    pub fn find(&self, identity: &PublicKey) -> Option<u32> {
        (0..MAX_IDENTITIES).find(|index| self.key(*index).public() == *identity)
    }
}

impl Keys {
    /// The owner's key.
    pub fn owner(&self) -> SecretKey {
        SecretKey::from_seed(&self.owner_seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
        abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

    /// Made with Python's hashlib and hmac from the text of BIP39, SLIP-10 and RFC 8032.
    #[test]
    fn the_paths_are_pinned() {
        let keys = Mnemonic::parse(ABANDON).unwrap().keys();
        assert_eq!(
            hex::encode(*keys.owner_seed),
            "eb2e9d6768849cc32738ea4977ad0f29bcce88b790abcc215862ff200b5b0a69"
        );
        assert_eq!(
            keys.owner().public().to_string(),
            "8893274de866ac3cb0a1e8093c5b3950e5ad260698c2fd0629278bfe82b1dae6"
        );
        assert_eq!(
            keys.recovery.to_string(),
            "7ae91178b6520774301d0037608658e62fa7ed559c72ce8a7a860c825461d850"
        );
    }

    /// As above.
    #[test]
    fn the_paths_of_identity_keys_are_pinned() {
        let branch = Mnemonic::parse(ABANDON).unwrap().identities();
        assert_eq!(
            hex::encode(*branch.seed(0)),
            "36a785f3b451e7f2060e9397c6bbdd10d409acc2114ccdcd11ec6db4a747aeb6"
        );
        assert_eq!(
            hex::encode(*branch.seed(1)),
            "9dafa49195b8346710616db9d7a88f741cf3d7d27a1aadecb81c2d32923703a4"
        );
        assert_eq!(
            branch.key(0).public().to_string(),
            "4312be088d6229c8488d1bcd9d0f1ef5c2dec2279ec3900a7abb20d13ccc6761"
        );
        assert_eq!(
            hex::encode(*branch.x25519(0)),
            "127049e51c543f84a65a57c28432bb411c3d9ef799786e65e6abc38cd8c10eb4"
        );
        assert_eq!(branch.find(&branch.key(17).public()), Some(17));
        assert_eq!(branch.find(&PublicKey([1; 32])), None);
    }

    #[test]
    fn words_lead_back_to_themselves() {
        let words = Mnemonic::random().unwrap();
        assert_eq!(words.list().len(), WORD_COUNT);
        let again =
            Mnemonic::parse(&format!("  {}\n", words.list().join("  ").to_uppercase())).unwrap();
        assert_eq!(again.list(), words.list());
        assert_eq!(*again.keys().owner_seed, *words.keys().owner_seed);
        assert_ne!(Mnemonic::random().unwrap().list(), words.list());
    }

    #[test]
    fn wrong_words_are_told_apart_without_repeating_them() {
        for (text, expected) in [
            ("abandon art".to_owned(), "expected 24 words, found 2"),
            (
                ABANDON.replace(" art", " hunter2"),
                "word 24 is not in the English word list of BIP39",
            ),
            (
                ABANDON.replace(" art", " zoo"),
                "the checksum is wrong: a word is wrong, or the order is",
            ),
        ] {
            assert_eq!(Mnemonic::parse(&text).err().unwrap().to_string(), expected);
        }
    }
}

//! The keys that letters to a name are opened with.

use namechain_core::types::{Name, Network, PublicKey};
use thiserror::Error;

use crate::kem::{Kem, Secret, X25519Secret, XWingSecret};

/// How many keys an inbox holds at most, of both kinds: so many are tried on an envelope.
pub const MAX_INBOX_KEYS: usize = 64;

/// What the caller calls a key by.
pub type KeyLabel = u32;

/// The secret keys of one name and one identity key: what [`Inbox::open`] tries.
///
/// The outside of an envelope does not tell which key opens it, so that it tells nothing of the
/// recipient either.
#[derive(Debug)]
pub struct Inbox {
    pub(super) network: Network,
    pub(super) name: Name,
    pub(super) identity: PublicKey,
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    label: KeyLabel,
    once: bool,
    secret: AnySecret,
}

#[derive(Debug)]
enum AnySecret {
    X25519(X25519Secret),
    XWing(XWingSecret),
}

/// Why a key is not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InboxError {
    /// There are too many.
    #[error("an inbox holds at most {MAX_INBOX_KEYS} keys")]
    TooMany,
    /// There is one of this label.
    #[error("there is a key with the label {0} already")]
    Label(KeyLabel),
}

impl Inbox {
    /// Without a key yet. `identity` is the identity key that letters must be written to: after a
    /// rotation, the letters to the old one want an inbox of their own.
    pub fn new(network: Network, name: Name, identity: PublicKey) -> Self {
        Inbox { network, name, identity, keys: Vec::new() }
    }

    /// Whose it is.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Adds the X25519 key of the record. Leave it out if the record's policy does not allow
    /// letters that are sealed to it alone: then none of them is opened.
    ///
    /// # Errors
    /// If there are too many keys, or one of this label.
    pub fn add_x25519(&mut self, label: KeyLabel, secret: X25519Secret) -> Result<(), InboxError> {
        self.add(Key { label, once: false, secret: AnySecret::X25519(secret) })
    }

    /// Adds an X-Wing key that can be used again: the one of last resort, or a device's.
    ///
    /// # Errors
    /// If there are too many keys, or one of this label.
    pub fn add_xwing(&mut self, label: KeyLabel, secret: XWingSecret) -> Result<(), InboxError> {
        self.add(Key { label, once: false, secret: AnySecret::XWing(secret) })
    }

    /// Adds a one-time prekey: the first letter that is verified with it removes it from here. Its
    /// secret must then be deleted wherever else it is kept; [`super::Letter::used`] tells its
    /// label.
    ///
    /// # Errors
    /// If there are too many keys, or one of this label.
    pub fn add_one_time(&mut self, label: KeyLabel, secret: XWingSecret) -> Result<(), InboxError> {
        self.add(Key { label, once: true, secret: AnySecret::XWing(secret) })
    }

    fn add(&mut self, key: Key) -> Result<(), InboxError> {
        if self.keys.iter().any(|other| other.label == key.label) {
            return Err(InboxError::Label(key.label));
        }
        if self.keys.len() >= MAX_INBOX_KEYS {
            return Err(InboxError::TooMany);
        }
        self.keys.push(key);
        Ok(())
    }

    /// The keys of a kind with their labels.
    pub(super) fn keys(&self, kem: Kem) -> impl Iterator<Item = (KeyLabel, Secret<'_>)> {
        self.keys.iter().filter_map(move |key| match (&key.secret, kem) {
            (AnySecret::X25519(secret), Kem::X25519) => Some((key.label, Secret::X25519(secret))),
            (AnySecret::XWing(secret), Kem::XWing) => Some((key.label, Secret::XWing(secret))),
            _ => None,
        })
    }

    /// Whether there is a key of this label.
    pub fn holds(&self, label: KeyLabel) -> bool {
        self.keys.iter().any(|key| key.label == label)
    }

    /// Removes the key of this label if it is to be used once. Whether it was.
    pub(super) fn spend(&mut self, label: KeyLabel) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.label != label || !key.once);
        self.keys.len() < before
    }
}

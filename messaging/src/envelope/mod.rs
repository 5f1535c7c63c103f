//! Envelopes: a letter is signed, then sealed. `docs/messaging.md` has the format, byte by byte.
//!
//! The header has a version, the kind of key, the size class and 16 bits of a hash of the
//! recipient's name, which a relay can sort by. All else is inside: who sent it, to whom, which
//! letter it is, until when it is good, the text.
//!
//! Opening goes in two steps, because the sender's keys must be asked for in between:
//! [`Inbox::open`] says who claims to have sent the letter; [`UnverifiedLetter::verify`] takes what
//! the chain says of that name, and only then gives the text away.

mod inbox;
mod letter;
mod open;
mod replay;
mod seal;

use namechain_core::{
    codec::DecodeError,
    types::{Domain, Name, Network, hash},
};
use thiserror::Error;

pub use inbox::{Inbox, InboxError, KeyLabel, MAX_INBOX_KEYS};
pub use open::{Letter, UnverifiedLetter};
pub use replay::{
    LetterId, MAX_LETTERS, MAX_LETTERS_PER_SENDER, ReplayCache, ReplayError, ReplayGuard,
};
pub use seal::{Draft, Prekey, Recipient, SealError, Sender, capacity, seal};

use crate::kem::{Kem, TAG_BYTES};

/// The version of envelopes.
pub const ENVELOPE_VERSION: u8 = 1;
/// The length of what stands outside, in bytes.
pub const ENVELOPE_HEADER_BYTES: usize = 5;
/// The longest time that a letter can be good for, in seconds: 30 days.
pub const MAX_LETTER_LIFETIME_SECONDS: u64 = 30 * 24 * 3_600;
/// How far ahead of the reader's clock the sender's may be, in seconds: 10 minutes.
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 600;

/// How long an envelope is: every envelope of a class has the same length to the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SizeClass {
    /// 2,048 bytes.
    Kib2,
    /// 4,096 bytes.
    Kib4,
    /// 16,384 bytes.
    Kib16,
    /// 65,536 bytes.
    Kib64,
}

impl SizeClass {
    /// Every class, the smallest first.
    pub const ALL: [SizeClass; 4] =
        [SizeClass::Kib2, SizeClass::Kib4, SizeClass::Kib16, SizeClass::Kib64];

    /// The length of an envelope of the class, all in all, in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            SizeClass::Kib2 => 2_048,
            SizeClass::Kib4 => 4_096,
            SizeClass::Kib16 => 16_384,
            SizeClass::Kib64 => 65_536,
        }
    }

    /// The byte that stands for it.
    pub const fn code(self) -> u8 {
        self as u8
    }

    const fn from_code(code: u8) -> Option<SizeClass> {
        match code {
            0 => Some(SizeClass::Kib2),
            1 => Some(SizeClass::Kib4),
            2 => Some(SizeClass::Kib16),
            3 => Some(SizeClass::Kib64),
            _ => None,
        }
    }

    /// How many bytes are left for the letter and its padding.
    pub(crate) const fn plain_bytes(self, kem: Kem) -> usize {
        self.bytes() - ENVELOPE_HEADER_BYTES - kem.enc_bytes() - TAG_BYTES
    }
}

/// What everybody can read of an envelope.
///
/// ```text
/// | version = 1 | key: 1 X25519, 2 X-Wing | class: 0 to 3 | recipient tag 2 |
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeHeader {
    /// The kind of key that it is sealed to.
    pub kem: Kem,
    /// How long it is.
    pub class: SizeClass,
    /// [`recipient_tag`] of the recipient's name.
    pub recipient_tag: [u8; 2],
}

/// The first 16 bits of a hash of the name: enough to sort by, too little to tell a name among
/// many.
pub fn recipient_tag(network: Network, name: &Name) -> [u8; 2] {
    let hash = hash(network, Domain::RecipientTag, &[name.as_str().as_bytes()]);
    [hash.0[0], hash.0[1]]
}

impl EnvelopeHeader {
    /// Reads the outside of an envelope and checks its length: all that a relay can check.
    ///
    /// # Errors
    /// [`OpenError::Version`], [`OpenError::Kem`], [`OpenError::Class`], [`OpenError::Truncated`],
    /// [`OpenError::TooLong`].
    pub fn read(envelope: &[u8]) -> Result<EnvelopeHeader, OpenError> {
        let truncated = |expected| OpenError::Truncated { expected, found: envelope.len() };
        if let Some(&version) = envelope.first()
            && version != ENVELOPE_VERSION
        {
            return Err(OpenError::Version(version));
        }
        let header = envelope
            .first_chunk::<ENVELOPE_HEADER_BYTES>()
            .ok_or(truncated(ENVELOPE_HEADER_BYTES))?;
        let [_, kem, class, recipient_tag @ ..] = *header;
        let kem = Kem::from_code(kem).ok_or(OpenError::Kem(kem))?;
        let class = SizeClass::from_code(class).ok_or(OpenError::Class(class))?;
        match envelope.len() {
            found if found < class.bytes() => Err(truncated(class.bytes())),
            found if found > class.bytes() => {
                Err(OpenError::TooLong { expected: class.bytes(), found })
            }
            _ => Ok(EnvelopeHeader { kem, class, recipient_tag }),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; ENVELOPE_HEADER_BYTES] {
        [
            ENVELOPE_VERSION,
            self.kem.code(),
            self.class.code(),
            self.recipient_tag[0],
            self.recipient_tag[1],
        ]
    }
}

/// Why an envelope is not opened, or its letter not believed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// It ends before its end.
    #[error("the envelope is cut off: it has {found} bytes of {expected}")]
    Truncated {
        /// The bytes that it must have.
        expected: usize,
        /// The bytes that there are.
        found: usize,
    },
    /// Something hangs on it.
    #[error("the envelope is too long: it has {found} bytes, not {expected}")]
    TooLong {
        /// The bytes that it must have.
        expected: usize,
        /// The bytes that there are.
        found: usize,
    },
    /// Of another version, or no envelope at all.
    #[error("this is no envelope, or one of a version that is not known here: {0}")]
    Version(u8),
    /// Sealed to an unknown kind of key.
    #[error("the envelope is sealed to a kind of key that is not known here: {0}")]
    Kem(u8),
    /// Of an unknown size.
    #[error("the envelope is of a size that is not known here: {0}")]
    Class(u8),
    /// What stands outside is not of this name.
    #[error("the envelope is addressed to another name")]
    OtherRecipient,
    /// No key opens it.
    #[error(
        "no key here opens the envelope: it is for somebody else, for a key that was used up, or it was changed"
    )]
    NotForUs,
    /// The letter inside is damaged; whoever made it did not follow the format.
    #[error("the letter is malformed: {0}")]
    Malformed(#[from] DecodeError),
    /// The padding is not zeros.
    #[error("the letter's padding is not empty")]
    Padding,
    /// Its sender wrote it to somebody else, and somebody sealed it anew.
    #[error("the letter was written to {0} and passed on in another envelope")]
    Readdressed(Name),
    /// It was written to another key of this name.
    #[error("the letter was written to another identity key of this name")]
    OtherIdentity,
    /// The sender's key did not sign it.
    #[error("the letter's signature is wrong")]
    BadSignature,
    /// It ends before it begins, or is good for longer than 30 days.
    #[error("the letter is good for no time, or for longer than 30 days")]
    Lifetime,
    /// It comes from the future.
    #[error("the letter was written in the future, at {created} (seconds of Unix time)")]
    FromTheFuture {
        /// When, as its sender says.
        created: u64,
    },
    /// Its time is over.
    #[error("the letter expired at {expired} (seconds of Unix time)")]
    Expired {
        /// When.
        expired: u64,
    },
    /// The chain gives no keys for the sender's name.
    #[error("the sender {0} is unknown: the chain has no key for this name")]
    UnknownSender(Name),
    /// The keys that were given are another name's.
    #[error(
        "the letter is from {claimed}, and the keys given to check it with are those of {given}"
    )]
    OtherSender {
        /// The name in the letter.
        claimed: Name,
        /// The name of the keys.
        given: Name,
    },
    /// Signed by a key that was the sender's before.
    #[error("the letter is signed with a key that {0} has replaced since")]
    ReplacedKey(Name),
    /// Signed by a key of a record that is newer than the one known.
    #[error(
        "the letter is signed with a newer key of {0} than the one known here: look the name up again"
    )]
    NewerKey(Name),
    /// Signed by a key that is not the sender's.
    #[error("the letter is signed with a key that is not that of {0}")]
    WrongKey(Name),
    /// It came before.
    #[error("the letter was opened before")]
    Replayed,
    /// There is no room to remember it.
    #[error("there is no room to remember another letter of this sender: it is not accepted")]
    NoRoom,
    /// It could not be written down that it was opened.
    #[error("it can't be written down that the letter was opened: it is not accepted")]
    NotStored,
}

#[cfg(test)]
mod tests;

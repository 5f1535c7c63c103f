//! Opening: first the seal, then the letter, then its sender.

use std::{fmt, ops::Range};

use namechain_core::types::{Domain, Name, Network, PublicKey, tag};
use zeroize::Zeroizing;

use super::{
    EnvelopeHeader, Inbox, KeyLabel, LetterId, MAX_CLOCK_SKEW_SECONDS, MAX_LETTER_LIFETIME_SECONDS,
    OpenError, ReplayError, ReplayGuard,
    letter::{Binding, LetterFields, Read, split},
    recipient_tag,
};
use crate::{
    kem::{self, Kem, Public, Secret},
    verify::VerifiedPeer,
};

/// A letter that was opened: its signature is that of the key which it names, and it was written to
/// this inbox. Whether that key is the sender's, the chain must say: [`UnverifiedLetter::verify`].
/// Until then nobody sees the text.
pub struct UnverifiedLetter {
    network: Network,
    recipient: Name,
    sender: Name,
    identity: PublicKey,
    sequence: u32,
    id: [u8; 16],
    created: u64,
    expires: u64,
    plain: Zeroizing<Vec<u8>>,
    body: Range<usize>,
    kem: Kem,
    used: KeyLabel,
    now: u64,
}

/// A letter from the name that it says it is from.
pub struct Letter {
    /// Who sent it.
    pub sender: Name,
    /// The key that signed it: the sender's identity key, as the chain says.
    pub identity: PublicKey,
    /// Which letter it is.
    pub id: [u8; 16],
    /// When it was written, as the sender says, in seconds of Unix time.
    pub created: u64,
    /// Until when it is good, in seconds of Unix time.
    pub expires: u64,
    /// The kind of key that it was sealed to.
    pub kem: Kem,
    /// The label of the key that opened it.
    pub used: KeyLabel,
    /// Whether that key was a one-time prekey: the inbox has it no more, and its secret must be
    /// deleted wherever it is kept.
    pub spent: bool,
    plain: Zeroizing<Vec<u8>>,
    body: Range<usize>,
}

impl Letter {
    /// The text, wiped from memory when the letter is dropped.
    pub fn body(&self) -> &[u8] {
        &self.plain[self.body.clone()]
    }
}

/// Without the text, which is nobody's before the letter is verified.
impl fmt::Debug for UnverifiedLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "UnverifiedLetter({} bytes, not verified to be from {})",
            self.body.len(),
            self.sender
        )
    }
}

/// Without the text: it is for its reader, not for a log.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Letter({} bytes from {})", self.body.len(), self.sender)
    }
}

impl Inbox {
    /// Opens an envelope: at most [`super::MAX_INBOX_KEYS`] keys are tried. `now` is in seconds of
    /// Unix time.
    ///
    /// # Errors
    /// All of [`OpenError`] that need nothing of the sender but the letter.
    pub fn open(&self, envelope: &[u8], now: u64) -> Result<UnverifiedLetter, OpenError> {
        let outside = EnvelopeHeader::read(envelope)?;
        if outside.recipient_tag != recipient_tag(self.network, &self.name) {
            return Err(OpenError::OtherRecipient);
        }
        // The length was checked: it splits.
        let (header, enc, sealed) = split(outside, envelope).ok_or(OpenError::NotForUs)?;
        let info = tag(self.network, Domain::Envelope);
        let opened = self.keys(outside.kem).find_map(|(label, secret)| {
            Some((label, secret, kem::open(secret, enc, &info, header, sealed)?))
        });
        let (used, secret, plain) = opened.ok_or(OpenError::NotForUs)?;
        let letter = Read::new(&plain)?;
        self.is_recipient(&letter.parts)?;
        let signed = match secret {
            Secret::X25519(key) => {
                let to = Public::X25519(key.public());
                letter.is_signed(&Binding { network: self.network, outside: header, to, enc })
            }
            Secret::XWing(key) => {
                let to = key.public();
                letter.is_signed(&Binding {
                    network: self.network,
                    outside: header,
                    to: Public::XWing(&to),
                    enc,
                })
            }
        };
        if !signed {
            return Err(OpenError::BadSignature);
        }
        in_time(&letter.parts, now)?;
        let LetterFields {
            sender,
            sender_identity,
            sender_sequence,
            id,
            created,
            expires,
            body,
            ..
        } = letter.parts;
        let start = body.as_ptr().addr() - plain.as_ptr().addr();
        let body = start..start + body.len();
        Ok(UnverifiedLetter {
            network: self.network,
            recipient: self.name.clone(),
            sender,
            identity: sender_identity,
            sequence: sender_sequence,
            id,
            created,
            expires,
            body,
            plain,
            kem: outside.kem,
            used,
            now,
        })
    }

    /// Whether the letter was written to this name and this identity key: the sender signed both.
    fn is_recipient(&self, letter: &LetterFields<'_>) -> Result<(), OpenError> {
        match () {
            () if letter.recipient != self.name => {
                Err(OpenError::Readdressed(letter.recipient.clone()))
            }
            () if letter.recipient_identity != self.identity => Err(OpenError::OtherIdentity),
            () => Ok(()),
        }
    }
}

fn in_time(letter: &LetterFields<'_>, now: u64) -> Result<(), OpenError> {
    let LetterFields { created, expires, .. } = *letter;
    match expires.checked_sub(created) {
        Some(1..=MAX_LETTER_LIFETIME_SECONDS) => {}
        _ => return Err(OpenError::Lifetime),
    }
    if created > now.saturating_add(MAX_CLOCK_SKEW_SECONDS) {
        return Err(OpenError::FromTheFuture { created });
    }
    if expires <= now {
        return Err(OpenError::Expired { expired: expires });
    }
    Ok(())
}

impl UnverifiedLetter {
    /// Who claims to have sent it: the name to look up.
    pub fn claimed_sender(&self) -> &Name {
        &self.sender
    }

    /// Checks that the letter is from whom it says, and comes for the first time. `sender` is what
    /// the chain says of [`UnverifiedLetter::claimed_sender`], `None` if it has no key for the
    /// name. A one-time prekey that opened it leaves `inbox`.
    ///
    /// Store `replays` (and the inbox, if a key was spent) before the text is shown: what is not
    /// stored happens twice.
    ///
    /// # Errors
    /// [`OpenError::UnknownSender`], [`OpenError::OtherSender`], [`OpenError::ReplacedKey`],
    /// [`OpenError::NewerKey`], [`OpenError::WrongKey`], [`OpenError::Replayed`],
    /// [`OpenError::NoRoom`], [`OpenError::NotStored`]; [`OpenError::NotForUs`] if `inbox` is not
    /// the one that opened it, or another letter has used up its one-time prekey since.
    pub fn verify(
        self,
        sender: Option<&VerifiedPeer>,
        inbox: &mut Inbox,
        replays: &mut impl ReplayGuard,
    ) -> Result<Letter, OpenError> {
        let sender = sender.ok_or_else(|| OpenError::UnknownSender(self.sender.clone()))?;
        self.is_from(sender)?;
        if inbox.network != self.network || inbox.name != self.recipient || !inbox.holds(self.used)
        {
            return Err(OpenError::NotForUs);
        }
        let letter = LetterId { sender: self.identity, id: self.id };
        replays.record(letter, self.expires, self.now).map_err(|error| match error {
            ReplayError::Replayed => OpenError::Replayed,
            ReplayError::NoRoom => OpenError::NoRoom,
            ReplayError::NotStored => OpenError::NotStored,
        })?;
        Ok(Letter {
            sender: self.sender,
            identity: self.identity,
            id: self.id,
            created: self.created,
            expires: self.expires,
            kem: self.kem,
            used: self.used,
            spent: inbox.spend(self.used),
            plain: self.plain,
            body: self.body,
        })
    }

    fn is_from(&self, sender: &VerifiedPeer) -> Result<(), OpenError> {
        let claimed = || self.sender.clone();
        if *sender.name() != self.sender || sender.network() != self.network {
            return Err(OpenError::OtherSender {
                claimed: claimed(),
                given: sender.name().clone(),
            });
        }
        if sender.identity() == self.identity {
            // Under the same key a record may be newer or older: it still speaks for the name.
            return Ok(());
        }
        Err(match self.sequence.cmp(&sender.sequence()) {
            std::cmp::Ordering::Less => OpenError::ReplacedKey(claimed()),
            std::cmp::Ordering::Greater => OpenError::NewerKey(claimed()),
            std::cmp::Ordering::Equal => OpenError::WrongKey(claimed()),
        })
    }
}

//! Opening: first the seal, then the letter, then its sender.

use std::{fmt, ops::Range};

use namechain_core::types::{Name, Network, PublicKey};
use zeroize::Zeroizing;

use super::{
    Inbox, Label, LetterId, MAX_CLOCK_SKEW, MAX_LIFETIME, OpenError, Outside, ReplayError, Replays,
    letter::{Binding, Parts, Read, split},
    zone,
};
use crate::{
    discover::VerifiedPeer,
    kem::{self, Kem, Public, Secret},
    tag::{Use, tag},
};

/// A letter that was opened: its signature is that of the key which it names, and it was written to
/// this inbox. Whether that key is the sender's, the chain must say: [`Opened::verify`]. Until then
/// nobody sees the text.
pub struct Opened {
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
    used: Label,
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
    pub used: Label,
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
impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opened({} bytes, not verified to be from {})", self.body.len(), self.sender)
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
    pub fn open(&self, envelope: &[u8], now: u64) -> Result<Opened, OpenError> {
        let outside = Outside::read(envelope)?;
        if outside.zone != zone(self.network, &self.name) {
            return Err(OpenError::OtherZone);
        }
        // The length was checked: it splits.
        let (header, enc, sealed) = split(outside, envelope).ok_or(OpenError::NotForUs)?;
        let info = tag(self.network, Use::Envelope);
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
            Secret::Wing(key) => {
                let to = key.public();
                letter.is_signed(&Binding {
                    network: self.network,
                    outside: header,
                    to: Public::Wing(&to),
                    enc,
                })
            }
        };
        if !signed {
            return Err(OpenError::BadSignature);
        }
        in_time(&letter.parts, now)?;
        let Parts { sender, sender_identity, sender_sequence, id, created, expires, body, .. } =
            letter.parts;
        let start = body.as_ptr().addr() - plain.as_ptr().addr();
        let body = start..start + body.len();
        Ok(Opened {
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
    fn is_recipient(&self, letter: &Parts<'_>) -> Result<(), OpenError> {
        match () {
            () if letter.recipient != self.name => {
                Err(OpenError::Readdressed(letter.recipient.clone()))
            }
            () if letter.recipient_identity != self.identity => Err(OpenError::OtherIdentity),
            () => Ok(()),
        }
    }
}

fn in_time(letter: &Parts<'_>, now: u64) -> Result<(), OpenError> {
    let Parts { created, expires, .. } = *letter;
    match expires.checked_sub(created) {
        Some(1..=MAX_LIFETIME) => {}
        _ => return Err(OpenError::Lifetime),
    }
    if created > now.saturating_add(MAX_CLOCK_SKEW) {
        return Err(OpenError::FromTheFuture { created });
    }
    if expires <= now {
        return Err(OpenError::Expired { expired: expires });
    }
    Ok(())
}

impl Opened {
    /// Who claims to have sent it: the name to look up.
    pub fn claimed_sender(&self) -> &Name {
        &self.sender
    }

    /// Checks that the letter is from whom it says, and comes for the first time. `sender` is what
    /// the chain says of [`Opened::claimed_sender`], `None` if it has no key for the name. A
    /// one-time prekey that opened it leaves `inbox`.
    ///
    /// Store `replays` (and the inbox, if a key was spent) before the text is shown: what is not
    /// stored happens twice.
    ///
    /// # Errors
    /// [`OpenError::UnknownSender`], [`OpenError::OtherSender`], [`OpenError::ReplacedKey`],
    /// [`OpenError::NewerKey`], [`OpenError::WrongKey`], [`OpenError::Replayed`],
    /// [`OpenError::NoRoom`], [`OpenError::NotKept`]; [`OpenError::NotForUs`] if `inbox` is not the
    /// one that opened it, or another letter has used up its one-time prekey since.
    pub fn verify(
        self,
        sender: Option<&VerifiedPeer>,
        inbox: &mut Inbox,
        replays: &mut impl Replays,
    ) -> Result<Letter, OpenError> {
        let sender = sender.ok_or_else(|| OpenError::UnknownSender(self.sender.clone()))?;
        self.is_from(sender)?;
        if inbox.network != self.network || inbox.name != self.recipient || !inbox.holds(self.used)
        {
            return Err(OpenError::NotForUs);
        }
        let letter = LetterId { sender: self.identity, id: self.id };
        replays.note(letter, self.expires, self.now).map_err(|error| match error {
            ReplayError::Seen => OpenError::Replayed,
            ReplayError::NoRoom => OpenError::NoRoom,
            ReplayError::NotKept => OpenError::NotKept,
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

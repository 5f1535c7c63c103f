//! Sealing: first the signature, then the seal.

use std::fmt;

use namechain_core::types::{Domain, Name, Network, PublicKey, SecretKey, tag};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    EnvelopeHeader, MAX_LETTER_LIFETIME_SECONDS, SizeClass,
    letter::{Binding, FIXED_BYTES, LetterFields},
    recipient_tag,
};
use crate::{
    bundle::VerifiedBundle,
    kem::{self, Kem, Public, X25519Public},
    random::Randomness,
    verify::VerifiedPeer,
};

/// Who writes: a name, its identity key, and the sequence number of the record that the key stands
/// in.
#[derive(Clone, Debug)]
pub struct Sender<'a> {
    /// The sender's name.
    pub name: &'a Name,
    /// Its identity key.
    pub identity: &'a SecretKey,
    /// The sequence number of its record.
    pub sequence: u32,
}

/// What is written.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The text: any bytes.
    pub body: &'a [u8],
    /// Now, in seconds of Unix time.
    pub created: u64,
    /// Until when it is good, in seconds of Unix time: at most [`MAX_LETTER_LIFETIME_SECONDS`]
    /// later.
    pub expires: u64,
}

/// Which of a bundle's keys a letter is sealed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prekey {
    /// The key of last resort, which many letters can be sealed to.
    #[default]
    LastResort,
    /// The one-time prekey at this place, from zero. Only for who was given it for himself: of two
    /// letters that are sealed to it the second can't be opened.
    OneTime(usize),
    /// The key of the device with this number.
    Device(u8),
}

/// Whom a letter is for: a verified name, and a key of it.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    network: Network,
    name: &'a Name,
    identity: PublicKey,
    key: Public<'a>,
    /// When the key is over, in seconds of Unix time.
    until: Option<u64>,
}

/// Why a letter is not sealed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// There is no bundle, and the recipient does not want letters without a post-quantum key.
    #[error(
        "{0} takes no letters that are sealed to X25519 alone: it takes the bundle of this name"
    )]
    NeedsBundle(Name),
    /// The bundle is not of the recipient's present record.
    #[error("the bundle is not of the record of {0} that is known here")]
    OtherBundle(Name),
    /// The bundle has no such key.
    #[error("the bundle has no such prekey or device")]
    NoSuchKey,
    /// The bundle's time is over.
    #[error("the bundle expired at {0} (seconds of Unix time)")]
    BundleExpired(u64),
    /// The recipient's key is none that anything can be sealed to.
    #[error("the key of {0} can't be sealed to")]
    WeakKey(Name),
    /// The text is too long.
    #[error("the text has {found} bytes, at most {most} fit")]
    TooLong {
        /// The bytes that there are.
        found: usize,
        /// The bytes that fit.
        most: usize,
    },
    /// It would be good for no time, or for too long.
    #[error("a letter is good for 1 second to 30 days")]
    Lifetime,
}

/// Without the text.
impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Draft({} bytes, from {} to {})", self.body.len(), self.created, self.expires)
    }
}

impl<'a> Recipient<'a> {
    /// The recipient, with a key of the bundle; without a bundle with the X25519 key of the record,
    /// if the record's policy allows letters that are sealed to it alone.
    ///
    /// # Errors
    /// [`SealError::NeedsBundle`], [`SealError::OtherBundle`], [`SealError::NoSuchKey`].
    pub fn new(
        peer: &'a VerifiedPeer,
        bundle: Option<&'a VerifiedBundle>,
        prekey: Prekey,
    ) -> Result<Self, SealError> {
        let to = |key, until| Recipient {
            network: peer.network(),
            name: peer.name(),
            identity: peer.identity(),
            key,
            until,
        };
        let Some(bundle) = bundle else {
            return match peer.allows_x25519_alone() {
                true => Ok(to(Public::X25519(X25519Public(peer.x25519())), None)),
                false => Err(SealError::NeedsBundle(peer.name().clone())),
            };
        };
        if !bundle.is_of(peer) {
            return Err(SealError::OtherBundle(peer.name().clone()));
        }
        let bundle = bundle.bundle();
        let key = match prekey {
            Prekey::LastResort => Some(&bundle.last_resort),
            Prekey::OneTime(at) => bundle.one_time.get(at),
            Prekey::Device(number) => bundle.device(number).map(|device| &device.key),
        };
        Ok(to(Public::XWing(key.ok_or(SealError::NoSuchKey)?), Some(bundle.expires)))
    }

    /// The kind of key that letters to this recipient are sealed to.
    pub fn kem(&self) -> Kem {
        self.key.kem()
    }
}

/// How many bytes of text fit into an envelope of a class, between these names.
pub fn capacity(class: SizeClass, kem: Kem, sender: &Name, recipient: &Name) -> usize {
    class.plain_bytes(kem) - FIXED_BYTES - sender.as_str().len() - recipient.as_str().len()
}

/// Signs and seals a letter; the envelope is of the smallest class that it fits in.
///
/// # Errors
/// [`SealError::Lifetime`], [`SealError::BundleExpired`], [`SealError::TooLong`],
/// [`SealError::WeakKey`].
pub fn seal(
    from: &Sender<'_>,
    to: &Recipient<'_>,
    draft: &Draft<'_>,
    randomness: Randomness,
) -> Result<Vec<u8>, SealError> {
    match draft.expires.checked_sub(draft.created) {
        Some(1..=MAX_LETTER_LIFETIME_SECONDS) => {}
        _ => return Err(SealError::Lifetime),
    }
    if let Some(until) = to.until.filter(|until| draft.created >= *until) {
        return Err(SealError::BundleExpired(until));
    }
    let fits =
        |class: &SizeClass| draft.body.len() <= capacity(*class, to.kem(), from.name, to.name);
    let class = SizeClass::ALL.into_iter().find(fits).ok_or_else(|| SealError::TooLong {
        found: draft.body.len(),
        most: capacity(SizeClass::Kib64, to.kem(), from.name, to.name),
    })?;
    let mut random = randomness.stream(to.network);
    let mut id = [0; 16];
    random.fill(&mut id);
    let letter = LetterFields {
        sender: from.name.clone(),
        sender_identity: from.identity.public(),
        sender_sequence: from.sequence,
        recipient: to.name.clone(),
        recipient_identity: to.identity,
        id,
        created: draft.created,
        expires: draft.expires,
        body: draft.body,
    };
    let outside =
        EnvelopeHeader { kem: to.kem(), class, recipient_tag: recipient_tag(to.network, to.name) };
    seal_letter(&letter, from.identity, to, outside, &mut random)
}

fn seal_letter(
    letter: &LetterFields<'_>,
    key: &SecretKey,
    to: &Recipient<'_>,
    outside: EnvelopeHeader,
    random: &mut crate::random::Stream,
) -> Result<Vec<u8>, SealError> {
    let header = outside.to_bytes();
    let plain = |enc: &[u8]| -> Zeroizing<Vec<u8>> {
        let binding = Binding { network: to.network, outside: &header, to: to.key, enc };
        letter.sign_and_pad(key, &binding, outside.class.plain_bytes(to.kem()))
    };
    let info = tag(to.network, Domain::Envelope);
    let (enc, sealed) = kem::seal(to.key, &info, &header, random, plain)
        .map_err(|kem::WeakKey| SealError::WeakKey(to.name.clone()))?;
    Ok([header.as_slice(), &enc, &sealed].concat())
}

//! What is inside of an envelope.

use namechain_core::{
    codec::{Decode, DecodeError, Encode, Reader},
    types::{Domain, Name, Network, PublicKey, SecretKey, Signature, tag},
};
use zeroize::Zeroizing;

use super::{ENVELOPE_HEADER_BYTES, EnvelopeHeader, OpenError};
use crate::kem::Public;

/// The parts of a letter, borrowed. On the wire:
///
/// ```text
/// | sender name | sender's identity 32 | sender's sequence u32 |
/// | recipient name | recipient's identity 32 |
/// | id 16 | created u64 | expires u64 | body: length u16, bytes | signature 64 |
/// ```
#[derive(Clone)]
pub(super) struct LetterFields<'a> {
    pub sender: Name,
    pub sender_identity: PublicKey,
    pub sender_sequence: u32,
    pub recipient: Name,
    pub recipient_identity: PublicKey,
    pub id: [u8; 16],
    pub created: u64,
    pub expires: u64,
    pub body: &'a [u8],
}

/// The bytes of a letter without its two names and its body.
pub(super) const FIXED_BYTES: usize = 1 + 32 + 4 + 1 + 32 + 16 + 8 + 8 + 2 + SIGNATURE_BYTES;
const SIGNATURE_BYTES: usize = 64;

/// What a letter's signature is bound to beside the letter: its envelope.
pub(super) struct Binding<'a> {
    pub network: Network,
    pub outside: &'a [u8; ENVELOPE_HEADER_BYTES],
    /// The public key that it is sealed to.
    pub to: Public<'a>,
    /// The encapsulated key.
    pub enc: &'a [u8],
}

impl Binding<'_> {
    /// `tag | outside | public key | encapsulated key | letter without its signature`: the outside
    /// says how long the keys are.
    fn message(&self, letter: &[u8]) -> Zeroizing<Vec<u8>> {
        let tag = tag(self.network, Domain::SignLetter);
        Zeroizing::new(
            [&tag, self.outside.as_slice(), self.to.as_bytes(), self.enc, letter].concat(),
        )
    }
}

impl LetterFields<'_> {
    /// The letter with its signature, followed by zeros up to `length` bytes.
    pub fn sign_and_pad(
        &self,
        key: &SecretKey,
        binding: &Binding<'_>,
        length: usize,
    ) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(length));
        self.sender.encode(&mut out);
        self.sender_identity.encode(&mut out);
        out.extend_from_slice(&self.sender_sequence.to_be_bytes());
        self.recipient.encode(&mut out);
        self.recipient_identity.encode(&mut out);
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.created.to_be_bytes());
        out.extend_from_slice(&self.expires.to_be_bytes());
        // The class was chosen so that it fits: at most 64 KiB in all.
        out.extend_from_slice(&(self.body.len() as u16).to_be_bytes());
        out.extend_from_slice(self.body);
        let signature = key.sign(&binding.message(&out));
        signature.encode(&mut out);
        out.resize(length, 0);
        out
    }
}

/// A letter as it is read: nothing of it is believed yet.
pub(super) struct Read<'a> {
    pub parts: LetterFields<'a>,
    signed: &'a [u8],
    signature: Signature,
}

impl<'a> Read<'a> {
    /// Reads a letter and the zeros behind it.
    pub fn new(plain: &'a [u8]) -> Result<Self, OpenError> {
        let mut reader = Reader::new(plain);
        let parts = read_parts(&mut reader)?;
        let signed = reader.since(0);
        let signature = Signature::decode(&mut reader)?;
        let padding = reader.take(plain.len() - reader.offset())?;
        match padding.iter().all(|byte| *byte == 0) {
            true => Ok(Read { parts, signed, signature }),
            false => Err(OpenError::Padding),
        }
    }

    /// Whether the key that the letter names as its sender's signed it for this envelope.
    pub fn is_signed(&self, binding: &Binding<'_>) -> bool {
        self.parts.sender_identity.verify(&binding.message(self.signed), &self.signature)
    }
}

fn read_parts<'a>(reader: &mut Reader<'a>) -> Result<LetterFields<'a>, DecodeError> {
    Ok(LetterFields {
        sender: Name::decode(reader)?,
        sender_identity: PublicKey::decode(reader)?,
        sender_sequence: reader.u32()?,
        recipient: Name::decode(reader)?,
        recipient_identity: PublicKey::decode(reader)?,
        id: reader.array()?,
        created: reader.u64()?,
        expires: reader.u64()?,
        body: {
            let length = usize::from(reader.u16()?);
            reader.take(length)?
        },
    })
}

/// The outside, the encapsulated key and the ciphertext of an envelope whose length was checked.
pub(super) fn split(
    outside: EnvelopeHeader,
    envelope: &[u8],
) -> Option<(&[u8; ENVELOPE_HEADER_BYTES], &[u8], &[u8])> {
    let (header, rest) = envelope.split_first_chunk::<ENVELOPE_HEADER_BYTES>()?;
    let (enc, sealed) = rest.split_at_checked(outside.kem.enc_bytes())?;
    Some((header, enc, sealed))
}

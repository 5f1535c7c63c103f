//! What both sides say first: frames, what is signed, and the judgement. Pure: bytes in, bytes out.
//!
//! ```text
//! | length u16 <= 255, of what follows | version u8 = 1 | kind u8 |
//!   kind 1, the dialler's HELLO; kind 2, the listener's:
//!     | network's magic 4 | own name | the other's name | sequence u32 | signature 64 |
//!   kind 3, instead of a HELLO:
//!     | refusal u8 |
//! ```

use namechain_core::{
    codec::{Decode, Encode, Reader},
    types::{Domain, Name, Network, PublicKey, SecretKey, Signature, next_key_hash, tag},
};

use super::error::Refusal;
use crate::verify::VerifiedPeer;

/// The most bytes that are read before a side is known: a frame without its length.
pub const MAX_FRAME_BYTES: usize = 255;
const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Dialler,
    Listener,
}

const KIND_REFUSAL: u8 = 3;

impl Role {
    fn kind(self) -> u8 {
        match self {
            Role::Dialler => 1,
            Role::Listener => 2,
        }
    }
}

/// What a HELLO is signed for: this connection, and in the answer the HELLO that it answers.
pub(super) struct Binding<'a> {
    pub network: Network,
    /// The keying material that TLS exports for this connection and no other.
    pub exporter: &'a [u8; 32],
    /// The dialler's frame, if this is the listener's answer to it.
    pub answers: &'a [u8],
}

/// What a HELLO says of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub from: Name,
    pub to: Name,
    pub sequence: u32,
}

/// What came first.
pub(super) enum Said {
    Hello(Signed),
    Refusal(Refusal),
}

/// A HELLO whose signature was not checked yet.
pub(super) struct Signed {
    pub hello: Hello,
    signed: Vec<u8>,
    signature: Signature,
}

impl Binding<'_> {
    fn message(&self, unsigned: &[u8]) -> Vec<u8> {
        let tag = tag(self.network, Domain::SignHello);
        [tag.as_slice(), self.exporter, self.answers, unsigned].concat()
    }
}

/// The frame of a HELLO.
pub(super) fn write(
    role: Role,
    binding: &Binding<'_>,
    hello: &Hello,
    identity: &SecretKey,
) -> Vec<u8> {
    let mut body = vec![VERSION, role.kind()];
    body.extend_from_slice(&binding.network.magic());
    hello.from.encode(&mut body);
    hello.to.encode(&mut body);
    body.extend_from_slice(&hello.sequence.to_be_bytes());
    identity.sign(&binding.message(&body)).encode(&mut body);
    framed(body)
}

/// The frame of a refusal.
pub(super) fn write_refusal(refusal: Refusal) -> Vec<u8> {
    framed(vec![VERSION, KIND_REFUSAL, refusal.code()])
}

fn framed(body: Vec<u8>) -> Vec<u8> {
    // Two names of at most 63 bytes and 74 bytes around them.
    let mut frame = (body.len() as u16).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

/// How many bytes follow the two at the start of a frame.
pub(super) fn length(first: [u8; 2]) -> Result<usize, Refusal> {
    let length = usize::from(u16::from_be_bytes(first));
    if (1..=MAX_FRAME_BYTES).contains(&length) { Ok(length) } else { Err(Refusal::Malformed) }
}

/// Takes a frame apart, without its length, that `role` is to have sent on `network`.
pub(super) fn read(role: Role, network: Network, body: &[u8]) -> Result<Said, Refusal> {
    let malformed = |_| Refusal::Malformed;
    let mut reader = Reader::new(body);
    if reader.u8().map_err(malformed)? != VERSION {
        return Err(Refusal::Version);
    }
    let kind = reader.u8().map_err(malformed)?;
    if kind == KIND_REFUSAL {
        let refusal =
            Refusal::from_code(reader.u8().map_err(malformed)?).ok_or(Refusal::Malformed)?;
        reader.finish().map_err(malformed)?;
        return Ok(Said::Refusal(refusal));
    }
    if kind != role.kind() {
        return Err(Refusal::Malformed);
    }
    let magic: [u8; 4] = reader.array().map_err(malformed)?;
    let from = Name::decode(&mut reader).map_err(malformed)?;
    let to = Name::decode(&mut reader).map_err(malformed)?;
    let sequence = reader.u32().map_err(malformed)?;
    let signature = Signature::decode(&mut reader).map_err(malformed)?;
    reader.finish().map_err(malformed)?;
    if magic != network.magic() {
        return Err(Refusal::OtherNetwork);
    }
    let signed = body[..body.len() - SIGNATURE_BYTES].to_vec();
    Ok(Said::Hello(Signed { hello: Hello { from, to, sequence }, signed, signature }))
}

impl Signed {
    /// What it says, if it was said to `me` by who holds `key` for this connection.
    pub(super) fn verify(
        self,
        me: &Name,
        key: &PublicKey,
        binding: &Binding<'_>,
    ) -> Result<Hello, Refusal> {
        if self.hello.to != *me {
            return Err(Refusal::OtherName);
        }
        match key.verify(&binding.message(&self.signed), &self.signature) {
            true => Ok(self.hello),
            false => Err(Refusal::BadSignature),
        }
    }
}

/// Whether `key` speaks for the name that the chain proves `peer` to be; `sequence` is that of the
/// record which the key is said to be of.
pub(super) fn check_peer(
    peer: &VerifiedPeer,
    key: &PublicKey,
    sequence: u32,
) -> Result<(), Refusal> {
    if peer.identity() == *key {
        return Ok(());
    }
    Err(match sequence.cmp(&peer.sequence()) {
        std::cmp::Ordering::Less => Refusal::ReplacedKey,
        std::cmp::Ordering::Greater => Refusal::NewerKey,
        std::cmp::Ordering::Equal => Refusal::WrongKey,
    })
}

/// Whether `key` is the one that `peer` announced as its next.
pub(super) fn is_next(peer: &VerifiedPeer, key: &PublicKey) -> bool {
    peer.entry().record.next == next_key_hash(peer.network(), key)
}

//! Keys that letters are sealed to, and HPKE (RFC 9180) in its base mode over them: the only room
//! that names the crate `hpke`.
//!
//! Two suites, both with HKDF-SHA256 and ChaCha20Poly1305: DHKEM(X25519, HKDF-SHA256) of RFC 9180
//! section 7.1, and X-Wing (draft-connolly-cfrg-xwing-kem; ML-KEM-768 and X25519 together), KEM
//! 0x647a of draft-ietf-hpke-pq.

use std::{convert::Infallible, fmt};

use hpke::{
    Deserializable, HpkeError, Kem as KemTrait, OpModeR, OpModeS, Serializable,
    aead::{AeadCtxS, ChaCha20Poly1305},
    kdf::HkdfSha256,
    kem::{X25519HkdfSha256, XWing},
    rand_core::{TryCryptoRng, TryRng},
    setup_receiver, setup_sender_with_rng,
};
use namechain_core::codec::{Decode, DecodeError, Encode, Reader};
use zeroize::Zeroizing;

use crate::random::Stream;

/// The length of an X25519 public key, in bytes.
pub const X25519_PUBLIC_BYTES: usize = 32;
/// The length of an X-Wing public key, in bytes.
pub const XWING_PUBLIC_BYTES: usize = 1216;
/// The length of the tag that ChaCha20Poly1305 adds, in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// The kind of key that a letter is sealed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kem {
    /// X25519 alone: what is recorded today can be read by a quantum computer some day.
    X25519,
    /// X-Wing: ML-KEM-768 and X25519, safe as long as either is.
    XWing,
}

impl Kem {
    /// The byte that stands for it in an envelope.
    pub const fn code(self) -> u8 {
        match self {
            Kem::X25519 => 1,
            Kem::XWing => 2,
        }
    }

    /// The kind that a byte of an envelope stands for.
    pub const fn from_code(code: u8) -> Option<Kem> {
        match code {
            1 => Some(Kem::X25519),
            2 => Some(Kem::XWing),
            _ => None,
        }
    }

    /// The length of an encapsulated key, in bytes.
    pub const fn enc_bytes(self) -> usize {
        match self {
            Kem::X25519 => 32,
            Kem::XWing => 1120,
        }
    }
}

impl fmt::Display for Kem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kem::X25519 => "X25519",
            Kem::XWing => "X-Wing",
        })
    }
}

/// An X25519 public key (RFC 7748).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct X25519Public(pub [u8; X25519_PUBLIC_BYTES]);

/// An X-Wing public key whose part of ML-KEM is well-formed (the modulus check of FIPS 203 section
/// 7.2).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct XWingPublic(Box<[u8]>);

/// An X25519 secret key, wiped from memory when dropped.
#[derive(Clone)]
pub struct X25519Secret(<X25519HkdfSha256 as KemTrait>::PrivateKey);

/// An X-Wing secret key, wiped from memory when dropped.
#[derive(Clone)]
pub struct XWingSecret(Box<<XWing as KemTrait>::PrivateKey>);

impl X25519Secret {
    /// The key of these 32 bytes; they are clamped (RFC 7748 section 5).
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        // The only error is another length.
        Self::parse(bytes).unwrap_or_else(|_| unreachable!("32 bytes are an X25519 key"))
    }

    fn parse(bytes: &[u8]) -> Result<Self, HpkeError> {
        Deserializable::from_bytes(bytes).map(X25519Secret)
    }

    /// The public half.
    pub fn public(&self) -> X25519Public {
        X25519Public(X25519HkdfSha256::sk_to_pk(&self.0).to_bytes().into())
    }
}

impl XWingSecret {
    /// The key of this seed.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        // The only error is another length.
        Self::parse(seed).unwrap_or_else(|_| unreachable!("32 bytes are an X-Wing key"))
    }

    fn parse(seed: &[u8]) -> Result<Self, HpkeError> {
        Deserializable::from_bytes(seed).map(|key| XWingSecret(Box::new(key)))
    }

    /// The public half.
    pub fn public(&self) -> XWingPublic {
        XWingPublic(XWing::sk_to_pk(&self.0).to_bytes().as_slice().into())
    }
}

impl XWingPublic {
    /// Checks the bytes of a public key; `None` if they are none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let key = <XWing as KemTrait>::PublicKey::from_bytes(bytes).ok()?;
        // One encoding a key: what is read is what would be written.
        (key.to_bytes().as_slice() == bytes).then(|| XWingPublic(bytes.into()))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for X25519Public {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for XWingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(8).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("...")
    }
}

impl fmt::Debug for X25519Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "X25519Secret(of {:?})", self.public())
    }
}

impl fmt::Debug for XWingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "XWingSecret(of {:?})", self.public())
    }
}

impl Encode for XWingPublic {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
    }
}

impl Decode for XWingPublic {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        XWingPublic::parse(reader.take(XWING_PUBLIC_BYTES)?)
            .ok_or(DecodeError::Invalid("an X-Wing key is not one"))
    }
}

/// A public key of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Public<'a> {
    X25519(X25519Public),
    XWing(&'a XWingPublic),
}

/// A secret key of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Secret<'a> {
    X25519(&'a X25519Secret),
    XWing(&'a XWingSecret),
}

impl Public<'_> {
    pub(crate) fn kem(&self) -> Kem {
        match self {
            Public::X25519(_) => Kem::X25519,
            Public::XWing(_) => Kem::XWing,
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Public::X25519(key) => &key.0,
            Public::XWing(key) => key.as_bytes(),
        }
    }
}

/// A key that nothing can be sealed to: its shared secrets would be zero (RFC 9180 section 7.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WeakKey;

/// Seals to `to`: `plain` is told the encapsulated key and says what to seal. Returns that key and
/// the ciphertext.
pub(crate) fn seal(
    to: Public<'_>,
    info: &[u8],
    aad: &[u8],
    random: &mut Stream,
    plain: impl FnOnce(&[u8]) -> Zeroizing<Vec<u8>>,
) -> Result<(Vec<u8>, Vec<u8>), WeakKey> {
    match to {
        Public::X25519(key) => seal_with::<X25519HkdfSha256>(&key.0, info, aad, random, plain),
        Public::XWing(key) => seal_with::<XWing>(key.as_bytes(), info, aad, random, plain),
    }
}

fn seal_with<K: KemTrait>(
    to: &[u8],
    info: &[u8],
    aad: &[u8],
    random: &mut Stream,
    plain: impl FnOnce(&[u8]) -> Zeroizing<Vec<u8>>,
) -> Result<(Vec<u8>, Vec<u8>), WeakKey> {
    let to = K::PublicKey::from_bytes(to).map_err(|_| WeakKey)?;
    let (enc, mut context): (K::EncappedKey, AeadCtxS<ChaCha20Poly1305, HkdfSha256, K>) =
        setup_sender_with_rng(&OpModeS::Base, &to, info, &mut Source(random))
            .map_err(|_| WeakKey)?;
    let enc = enc.to_bytes().to_vec();
    let sealed = context.seal(&plain(&enc), aad).map_err(|_| WeakKey)?;
    Ok((enc, sealed))
}

/// Opens what was sealed to the public half of `secret`; `None` if it was not, or anything of it
/// was changed.
pub(crate) fn open(
    secret: Secret<'_>,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    match secret {
        Secret::X25519(key) => open_with::<X25519HkdfSha256>(&key.0, enc, info, aad, sealed),
        Secret::XWing(key) => open_with::<XWing>(&key.0, enc, info, aad, sealed),
    }
}

fn open_with<K: KemTrait>(
    secret: &K::PrivateKey,
    enc: &[u8],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let enc = K::EncappedKey::from_bytes(enc).ok()?;
    let mut context =
        setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeR::Base, secret, &enc, info)
            .ok()?;
    context.open(sealed, aad).ok().map(Zeroizing::new)
}

/// The stream as the generator that `hpke` asks for.
struct Source<'a>(&'a mut Stream);

impl TryRng for Source<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_> {}

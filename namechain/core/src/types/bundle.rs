//! What a node looks at of a messaging bundle before it keeps one for others. The keys in it are
//! not its concern; the format is `docs/messaging.md` section 3.

use super::{Domain, Name, Network, PublicKey, Signature, tag};
use crate::codec::{Decode, DecodeError, Reader};

/// The most bytes of a bundle.
pub const MAX_BUNDLE_BYTES: usize = 51_200;
/// The longest time that a bundle is good for, in seconds: 30 days.
pub const MAX_BUNDLE_LIFETIME_SECONDS: u64 = 30 * 24 * 3_600;

const VERSION: u8 = 1;
/// The length of an X-Wing public key.
const KEY_BYTES: usize = 1_216;
const SIGNATURE_BYTES: usize = 64;

/// The beginning of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleHead {
    /// Whose it is.
    pub name: Name,
    /// The sequence number of the record that it belongs to.
    pub sequence: u32,
    /// The identity key of that record, which signs it.
    pub identity: PublicKey,
    /// When it was made, in seconds of Unix time.
    pub created: u64,
    /// When it is over, in seconds of Unix time.
    pub expires: u64,
    /// How many one-time prekeys it has.
    pub one_time: u8,
}

impl BundleHead {
    /// Reads the beginning of a bundle whose signature, at its end, is that of the identity key
    /// which it names. Whether that key speaks for the name is another question.
    ///
    /// # Errors
    /// If it is no bundle, is good for no time or more than [`MAX_BUNDLE_LIFETIME_SECONDS`], or is
    /// not signed.
    pub fn read(network: Network, bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_BUNDLE_BYTES {
            let what = "a bundle's length";
            return Err(DecodeError::OverCap { what, found: bytes.len(), cap: MAX_BUNDLE_BYTES });
        }
        let (body, signature) = bytes
            .split_last_chunk::<SIGNATURE_BYTES>()
            .ok_or(DecodeError::Invalid("a bundle ends before its signature"))?;
        let mut reader = Reader::new(body);
        if reader.u8()? != VERSION {
            return Err(DecodeError::Invalid("a bundle is of another version"));
        }
        let (name, sequence) = (Name::decode(&mut reader)?, reader.u32()?);
        let identity = PublicKey::decode(&mut reader)?;
        let (created, expires) = (reader.u64()?, reader.u64()?);
        if !expires
            .checked_sub(created)
            .is_some_and(|time| (1..=MAX_BUNDLE_LIFETIME_SECONDS).contains(&time))
        {
            return Err(DecodeError::Invalid(
                "a bundle is good for no time, or for longer than 30 days",
            ));
        }
        reader.take(KEY_BYTES)?;
        let one_time = reader.u8()?;
        reader.take(usize::from(one_time) * KEY_BYTES)?;
        let tag = tag(network, Domain::SignBundle);
        if !identity.verify(&[tag.as_slice(), body].concat(), &Signature(*signature)) {
            return Err(DecodeError::Invalid("a bundle's signature is wrong"));
        }
        Ok(BundleHead { name, sequence, identity, created, expires, one_time })
    }
}

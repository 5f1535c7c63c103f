//! Domain tags: what a hash, a signature or a seal of this crate is over. They have the shape of
//! the chain's own (`docs/protocol.md` section 1), and a colon that none of those has.

use blake2::{Blake2b, Digest, digest::consts::U32};
use namechain_core::types::{Hash, Network};

/// What bytes are for. No two uses share a tag, so that none can stand in for another.
#[cfg_attr(
    not(all(feature = "std-files", unix)),
    allow(dead_code, reason = "two are those of files")
)]
#[cfg_attr(not(feature = "channel"), allow(dead_code, reason = "one is that of the channel"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// The info string of an envelope's HPKE.
    Envelope,
    /// What a letter's sender signs.
    SignLetter,
    /// Name -> zone prefix.
    Zone,
    /// What a bundle's owner signs.
    SignBundle,
    /// Bundle bytes -> the hash that stands in the record.
    Bundle,
    /// Seed and counter -> random bytes.
    Random,
    /// Pins -> the checksum of their file.
    Pins,
    /// Letters seen -> the checksum of their file.
    Seen,
    /// What both ends of a channel sign.
    SignHello,
}

impl Use {
    const fn text(self) -> &'static str {
        match self {
            Use::Envelope => "m:envelope",
            Use::SignLetter => "m:sign-let",
            Use::Zone => "m:zone",
            Use::SignBundle => "m:sign-bun",
            Use::Bundle => "m:bundle",
            Use::Random => "m:random",
            Use::Pins => "m:pins",
            Use::Seen => "m:seen",
            Use::SignHello => "m:sign-hel",
        }
    }
}

/// The 16-byte tag: the text in ASCII, zeros up to 12 bytes, the network's magic.
pub(crate) fn tag(network: Network, what: Use) -> [u8; 16] {
    let mut tag = [0; 16];
    let text = what.text().as_bytes();
    tag[..text.len()].copy_from_slice(text);
    tag[12..].copy_from_slice(&network.magic());
    tag
}

/// BLAKE2b-256 of the tag and the parts, one after the other.
pub(crate) fn hash(network: Network, what: Use, parts: &[&[u8]]) -> Hash {
    let mut hasher = Blake2b::<U32>::new();
    hasher.update(tag(network, what));
    for part in parts {
        hasher.update(part);
    }
    Hash(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_tag_is_used_twice() {
        let uses = [
            Use::Envelope,
            Use::SignLetter,
            Use::Zone,
            Use::SignBundle,
            Use::Bundle,
            Use::Random,
            Use::Pins,
            Use::Seen,
            Use::SignHello,
        ];
        let mut tags = BTreeSet::new();
        for network in Network::ALL {
            for what in uses {
                assert!(what.text().len() <= 12 && what.text().starts_with("m:"));
                assert!(tags.insert(tag(network, what)), "{what:?} on {network}");
            }
        }
        let core = include_str!("../../namechain/core/src/types/hash.rs");
        assert!(!core.contains("\"m:"), "the chain's own tags have no colon");
    }
}

//! The algorithms of signing keys.

use std::fmt;

/// A signing algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSAP256SHA256, 13 (RFC 6605): what every validator must know (RFC 8624 §3.1).
    #[default]
    EcdsaP256,
    /// ED25519, 15 (RFC 8080).
    Ed25519,
}

impl Algorithm {
    /// The DNSSEC algorithm number.
    pub fn number(self) -> u8 {
        match self {
            Algorithm::EcdsaP256 => 13,
            Algorithm::Ed25519 => 15,
        }
    }

    /// The algorithm with this DNSSEC number, if it is supported.
    pub fn from_number(number: u8) -> Option<Self> {
        [Algorithm::EcdsaP256, Algorithm::Ed25519]
            .into_iter()
            .find(|known| known.number() == number)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::EcdsaP256 => "ECDSAP256SHA256",
            Algorithm::Ed25519 => "ED25519",
        })
    }
}

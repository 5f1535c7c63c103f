//! What can be wrong with the other side, as the other side is told it, and why there is no
//! channel.

use std::{io, time::Duration};

use namechain_core::types::{Name, PublicKey};
use thiserror::Error;

use crate::verify::Absence;

/// Why one side will not speak with the other. It is told to the other side as one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// What came first was no HELLO.
    #[error("what was said first is no HELLO")]
    Malformed,
    /// A HELLO of another version.
    #[error("the HELLO is of another version")]
    Version,
    /// A HELLO of another network.
    #[error("the HELLO is of another network")]
    OtherNetwork,
    /// The call was for another name.
    #[error("the call is for another name")]
    OtherName,
    /// The HELLO is not signed with the key of this connection, or not for this connection.
    #[error("the HELLO is not signed for this connection")]
    BadSignature,
    /// The chain has no keys for the caller's name.
    #[error("the caller has no keys: {0}")]
    Absent(#[from] Absence),
    /// Nobody can tell at present what the chain says.
    #[error("the caller's keys can't be looked up")]
    Unresolved,
    /// The key was the name's and is no longer, as the record's sequence number tells.
    #[error("the key was replaced by another since")]
    ReplacedKey,
    /// The key is of a record that the chain, as far as it is known, does not have yet.
    #[error("the key is newer than what the chain is known to say")]
    NewerKey,
    /// The key is not the one that speaks for the name.
    #[error("the key is not the one that speaks for the name")]
    WrongKey,
    /// The name is who it says, and is not wanted.
    #[error("the name is not wanted here")]
    Unwanted,
    /// There are as many channels as there may be.
    #[error("there are as many channels as there may be")]
    Busy,
}

/// All refusals with their bytes.
const CODES: [(u8, Refusal); 16] = [
    (1, Refusal::Malformed),
    (2, Refusal::Version),
    (3, Refusal::OtherNetwork),
    (4, Refusal::OtherName),
    (5, Refusal::BadSignature),
    (6, Refusal::Absent(Absence::Unregistered)),
    (7, Refusal::Absent(Absence::NoRecord)),
    (8, Refusal::Absent(Absence::Grace)),
    (9, Refusal::Absent(Absence::Revoked)),
    (10, Refusal::Absent(Absence::Released)),
    (11, Refusal::Unresolved),
    (12, Refusal::ReplacedKey),
    (13, Refusal::NewerKey),
    (14, Refusal::WrongKey),
    (15, Refusal::Unwanted),
    (16, Refusal::Busy),
];

impl Refusal {
    /// The byte that says it.
    pub fn code(self) -> u8 {
        // Every refusal is in the list, as a test shows.
        CODES.iter().find(|(_, refusal)| *refusal == self).map_or(1, |(code, _)| *code)
    }

    /// What a byte says.
    pub fn from_code(code: u8) -> Option<Self> {
        CODES.iter().find(|(known, _)| *known == code).map(|(_, refusal)| *refusal)
    }
}

/// Why there is no channel.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// Nobody answers at the address, or the connection broke.
    #[error("no connection: {0}")]
    Io(#[from] io::Error),
    /// It took longer than it may.
    #[error("nothing came of it within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// The other side does not speak TLS 1.3 with raw public keys, or not this protocol.
    #[error("the handshake failed: {0}")]
    Tls(String),
    /// Who answers has another key than the one that speaks for the name. It has learned nothing of
    /// us.
    #[error("who answers is not {name}: it holds the key {found}")]
    OtherKey {
        /// Who was called.
        name: Name,
        /// The key that answered.
        found: PublicKey,
    },
    /// Who answers has the key that the name announced to use next: either it was rotated and we do
    /// not know yet, or the record was not published.
    #[error(
        "who answers holds the key {found} that {name} announced as its next: the chain, as far as it is known here, does not have it yet"
    )]
    NextKey {
        /// Who was called.
        name: Name,
        /// The key that answered.
        found: PublicKey,
    },
    /// We refuse the other side.
    #[error("refused: {0}")]
    Refuse(Refusal),
    /// The other side, which is who it should be, refuses us.
    #[error("the other side refuses: {0}")]
    Refused(Refusal),
    /// The two are not on the same network.
    #[error("the keys are of another network")]
    Network,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_byte() {
        for (code, refusal) in CODES {
            assert_eq!((refusal.code(), Refusal::from_code(code)), (code, Some(refusal)));
        }
        for code in [0, 17, 255] {
            assert_eq!(Refusal::from_code(code), None);
        }
    }
}

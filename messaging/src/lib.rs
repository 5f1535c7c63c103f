//! From a name to a person: keys that the chain proves, pins, bundles, and sealed letters.
#![doc = "(filled in later)"]

pub mod bundle;
pub mod discover;
pub mod envelope;
#[cfg(all(feature = "std-files", unix))]
pub mod files;
pub mod kem;
pub mod pin;
pub mod record;

mod random;
mod tag;

#[cfg(test)]
mod testing;

pub use bundle::{Bundle, BundleError, Device, SignedBundle, VerifiedBundle};
pub use discover::{
    Absence, Anchor, Evidence, Finding, PeerError, ProofError, VerifiedPeer, examine, resolve_peer,
};
pub use envelope::{
    Draft, Inbox, Letter, OpenError, Opened, Prekey, Recipient, Replays, SealError, Seen, Sender, seal,
};
pub use kem::{Kem, WingPublic, WingSecret, X25519Public, X25519Secret};
pub use pin::{Accept, Pin, PinError, Pins, Verdict};
pub use random::Randomness;

//! From a name to a person: keys that the chain proves, pins, bundles, and sealed letters.
#![doc = "(filled in later)"]

pub mod bundle;
pub mod discover;
pub mod kem;
pub mod pin;
pub mod record;

mod random;
mod tag;


pub use bundle::{Bundle, BundleError, Device, SignedBundle, VerifiedBundle};
pub use discover::{
    Absence, Anchor, Evidence, Finding, PeerError, ProofError, VerifiedPeer, examine, resolve_peer,
};
pub use kem::{Kem, WingPublic, WingSecret, X25519Public, X25519Secret};
pub use pin::{Accept, Pin, PinError, Pins, Verdict};
pub use random::Randomness;

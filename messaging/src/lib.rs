//! From a name to a person: keys that the chain proves, pins, bundles, and sealed letters.

pub mod kem;

mod random;
mod tag;

pub use kem::{Kem, WingPublic, WingSecret, X25519Public, X25519Secret};
pub use random::Randomness;

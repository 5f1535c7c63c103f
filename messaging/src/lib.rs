//! From a name to a person: keys that the chain proves, pins, bundles, and sealed letters.
//!
//! The chain says which keys speak for a name; this crate checks that it does, and makes use of it.
//! Nobody else is trusted: no directory, no certificate authority, no server. It reads no clock and
//! opens no socket; time and randomness are arguments. The formats are written down, byte by byte,
//! in `docs/messaging.md`.
//!
//! # From a name to its keys
//!
//! [`resolve_peer`] takes a header that you trust (a [`TrustedHeader`]: of your own node, or held
//! from elsewhere) and what anybody says of the name (a [`NameProof`]: of a node's API, or from a
//! file). It gives a [`VerifiedPeer`], which can't be made in any other way, or says why there is
//! none.
//!
//! ```
//! use messaging::{OnKeyChange, TrustedHeader, NameProof, Pins, PinStatus, resolve_peer};
//! use namechain_core::{codec::Decode, types::Network};
//!
//! # let own = |file: &str| std::fs::read(format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR")));
//! # let (header, name_proof) = (own("header.bin")?, own("bob.proof")?);
//! let trusted = TrustedHeader::from_bytes(Network::Dev, &header)?;
//! let bob = resolve_peer(&trusted, &"bob".parse()?, &NameProof::from_bytes(&name_proof)?)?;
//! println!("{} speaks for {}", bob.identity(), bob.name());
//!
//! // What you saw before decides whether to believe a change.
//! let mut pins = Pins::new(Network::Dev);
//! assert_eq!(pins.record(&bob, &[], OnKeyChange::Refuse)?, PinStatus::First);
//! assert_eq!(pins.record(&bob, &[], OnKeyChange::Refuse)?, PinStatus::Same);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A letter to a name
//!
//! [`seal`] signs a text with the sender's identity key and seals it to a key of the recipient: to
//! the X-Wing key of the [`SignedBundle`], or to the X25519 key on the chain, if the recipient
//! allows that.
//!
//! ```
//! # use messaging::{TrustedHeader, NameProof, resolve_peer};
//! use messaging::{Draft, Prekey, Randomness, Recipient, Sender, SignedBundle, seal};
//! use namechain_core::types::{Name, SecretKey};
//!
//! # use namechain_core::{codec::Decode, types::Network};
//! # let own = |file: &str| std::fs::read(format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR")));
//! # let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")?)?;
//! # let bob = resolve_peer(&trusted, &"bob".parse()?, &NameProof::from_bytes(&own("bob.proof")?)?)?;
//! # let bundle = own("bob.bundle")?;
//! # let (now, identity) = (1_800_000_000, SecretKey::from_seed(&[7; 32]));
//! let alice: Name = "alice".parse()?;
//! let from = Sender { name: &alice, identity: &identity, sequence: 1 };
//! let bundle = SignedBundle::read(&bundle)?.verify(&bob, now)?;
//! let to = Recipient::new(&bob, Some(&bundle), Prekey::LastResort)?;
//! let draft = Draft { body: b"Come at dusk.", created: now, expires: now + 7 * 24 * 3_600 };
//! let envelope = seal(&from, &to, &draft, Randomness::from_bytes([/* fresh! */ 9; 32]))?;
//! assert_eq!(envelope.len(), 2_048);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # A letter from a name
//!
//! [`Inbox::open`] finds the key that opens the envelope and says who claims to have written it.
//! You look that name up, and [`UnverifiedLetter::verify`] compares it with the letter. Only then
//! can the text be read. [`ReplayCache`] refuses what comes twice.
//!
//! ```
//! # use messaging::{TrustedHeader, NameProof, resolve_peer};
//! use messaging::{Inbox, ReplayCache, XWingSecret};
//! # use namechain_core::{codec::Decode, types::{Network, SecretKey}};
//!
//! # let own = |file: &str| std::fs::read(format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR")));
//! # let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")?)?;
//! # let (now, envelope, proof_of_alice) = (1_800_000_000, own("x-wing.ncm")?, own("alice.proof")?);
//! # let mut seeds = [[2; 32], [5; 32]];
//! # seeds.iter_mut().for_each(|seed| seed[0] = 2);
//! # let [identity, wing] = seeds;
//! # let identity = SecretKey::from_seed(&identity);
//! let mut inbox = Inbox::new(Network::Dev, "bob".parse()?, identity.public());
//! inbox.add_xwing(0, XWingSecret::from_seed(&wing))?;
//! let mut seen = ReplayCache::new();
//!
//! let opened = inbox.open(&envelope, now)?;
//! let sender = resolve_peer(&trusted, opened.claimed_sender(), &NameProof::from_bytes(&proof_of_alice)?)?;
//! let letter = opened.verify(Some(&sender), &mut inbox, &mut seen)?;
//! assert_eq!((letter.sender.as_str(), letter.body()), ("alice", b"Sealed to X-Wing.".as_slice()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `getrandom` | `Randomness::fresh`, from the operating system |
//! | `std-files` | the room `files`: pins and letters seen in files, 0600, under a lock (Unix) |
//! | `channel` | the room `channel`: a connection that two names authenticate to each other (with tokio, quinn and rustls) |
//!
//! The first two are on by default. Without any the crate is arithmetic on bytes, and so are the
//! parts of `namechain` that it uses.

pub mod bundle;
#[cfg(feature = "channel")]
pub mod channel;
pub mod envelope;
#[cfg(all(feature = "std-files", unix))]
pub mod files;
pub mod kem;
pub mod pin;
pub mod record;
pub mod verify;

mod random;

#[cfg(test)]
mod testing;

pub use bundle::{Bundle, BundleError, Device, SignedBundle, VerifiedBundle};
pub use envelope::{
    Draft, Inbox, Letter, OpenError, Prekey, Recipient, ReplayCache, ReplayGuard, SealError,
    Sender, UnverifiedLetter, seal,
};
pub use kem::{Kem, X25519Public, X25519Secret, XWingPublic, XWingSecret};
pub use pin::{OnKeyChange, Pin, PinError, PinStatus, Pins};
pub use random::Randomness;
pub use verify::{
    Absence, NameProof, PeerError, ProofError, Resolution, TrustedHeader, VerifiedPeer,
    resolve_peer, verify_name,
};

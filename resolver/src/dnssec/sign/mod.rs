//! Online signing of answers from the chain: `namechain.alt.` is one signed zone with one key, made
//! by this resolver.
//!
//! ```text
//! records -> canonical form -> signature -> RRSIG          nothing -> denial: NSEC -> RRSIG
//! ```
//!
//! A signature states what this resolver read on the chain. Clients that trust the key trust that.

mod algorithm;
mod anchor;
mod denial;
mod error;
mod file;
mod key;
mod period;
mod rrsig;
mod signer;

pub use algorithm::Algorithm;
pub use anchor::TrustAnchor;
pub use denial::Denial;
pub use error::SignError;
pub use key::{SigningKey, ds_record_data};
pub use period::Period;
pub use rrsig::{RrsigFields, signed_data};
pub use signer::{Signer, Signing};

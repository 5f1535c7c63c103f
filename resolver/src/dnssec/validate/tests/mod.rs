//! Answers and their verdicts: the examples of the RFCs, and answers that only an attacker makes.

mod rfc;
pub(crate) mod signer;
mod spoilt;

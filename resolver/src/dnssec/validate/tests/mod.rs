//! Answers and what is to be said of them: those of the RFCs, and those that only somebody makes
//! who means ill.

mod rfc;
mod signer;
mod spoilt;

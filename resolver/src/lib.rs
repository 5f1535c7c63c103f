//! A DNS server for localhost: names on the chain are answered from the chain, everything else from
//! legacy DNS.
//!
//! ```text
//! UDP (Linux) -> server/fast (cache hits, as bytes) -> reply
//!                   | misses
//! UDP, TCP, TLS, HTTPS, QUIC -> server/responder -> resolve -> special | chain | upstream -> reply
//! ```

pub mod cache;
pub mod chain;
pub mod config;
pub mod control;
pub mod dns;
pub mod dnssec;
pub mod doctor;
pub mod os;
pub mod resolve;
pub mod server;
pub mod telemetry;
#[cfg(any(test, fuzzing))]
pub mod testing;
pub mod upstream;

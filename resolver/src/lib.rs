//! A DNS server for localhost: names on the chain are answered from the chain, everything else from legacy DNS.
//!
//! ```text
//! UDP -> listen -> fast (what is known, as bytes) -> reply
//!                 | what is not
//! UDP, TCP -> listen, serve, tcp -> query -> pipeline -> route -> special | chain + zone | forward -> answer
//! ```

pub mod answer;
pub mod basis;
pub mod cache;
pub mod chain;
pub mod config;
pub mod current;
pub mod dnssec;
pub mod ede;
#[cfg(target_os = "linux")]
mod fast;
pub mod flush;
pub mod forward;
pub mod listen;
pub mod mount;
pub mod os;
pub mod pipeline;
pub mod query;
mod random;
pub mod respond;
pub mod route;
mod serve;
pub mod special;
pub mod start;
pub mod systemd;
mod tcp;
pub mod wire;
pub mod zone;

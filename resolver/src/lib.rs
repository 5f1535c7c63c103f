//! A DNS server for localhost: names on the chain are answered from the chain, everything else from
//! legacy DNS.
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
pub mod control;
pub mod cookie;
pub mod current;
pub mod dnssec;
pub mod doctor;
pub mod ede;
pub mod encrypted;
#[cfg(target_os = "linux")]
mod fast;
pub mod forward;
pub mod listen;
pub mod mount;
pub mod notes;
pub mod os;
pub mod pipeline;
pub mod query;
mod random;
pub mod respond;
pub mod route;
pub mod seen;
mod serve;
pub mod sign;
pub mod special;
pub mod start;
pub mod systemd;
mod tcp;
#[cfg(any(test, fuzzing))]
pub mod testing;
pub mod wall;
pub mod wire;
pub mod zone;

//! The naming chain: a proof-of-work chain without a coin, on which the first to commit to a name owns it.
//!
//! The crate has two rings. The core (always built) is synchronous, reads no clock and does no IO:
//! `codec -> types -> tree -> consensus -> chain -> mempool, miner`. The shell (feature `node`) puts a store, an
//! HTTP API and a thread around it. The rules are written down, byte by byte, in `docs/protocol.md`.

pub mod chain;
pub mod codec;
pub mod consensus;
pub mod mempool;
pub mod miner;
pub mod params;
pub mod rpc;
pub mod sync;
pub mod tree;
pub mod types;

#[cfg(feature = "node")]
pub mod api;
#[cfg(feature = "node")]
pub mod net;
#[cfg(feature = "node")]
pub mod node;
#[cfg(feature = "node")]
pub mod store;

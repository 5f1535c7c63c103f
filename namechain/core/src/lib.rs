//! The naming chain: a proof-of-work chain without a coin, on which the first to commit to a name
//! owns it.
//!
//! This crate is pure: it is synchronous, starts no threads, reads no clock and does no IO. Its
//! modules use each other in one direction: `codec -> types -> params, tree -> consensus -> chain
//! -> mempool, miner, sync -> api_types`. `namechain-node` puts a store, peers, an HTTP API and
//! threads around it. `docs/protocol.md` has the rules, byte by byte.

// The tests of whole chains share their miner with those in `tests/`.
#[cfg(test)]
extern crate self as namechain_core;

pub mod api_types;
pub mod chain;
pub mod codec;
pub mod consensus;
pub mod mempool;
pub mod miner;
pub mod params;
pub mod sync;
pub mod token_bucket;
pub mod tree;
pub mod types;

//! A full node of the naming chain: the shell around `namechain-core`.
//!
//! `store` keeps blocks and the index over them, `net` talks to peers over libp2p, `api` serves
//! HTTP, and `node` owns the threads that join them.

pub mod api;
pub mod net;
pub mod node;
pub mod store;

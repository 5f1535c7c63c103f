//! What a dishonest peer can try, and what comes of it: each bound of `sync/limits.rs` that the
//! machine itself holds.

#[path = "../common/mod.rs"]
mod common;

mod bench;
mod blocks;
mod gossip;
mod headers;
mod manners;

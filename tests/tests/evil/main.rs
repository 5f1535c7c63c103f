//! Peers that speak the protocol and mean no good, against the real node. Each test says what the
//! evil peer does, what becomes of it, and that the node's memory stayed within its bound
//! meanwhile.

mod connections;
mod frames;
mod gossip;
mod lies;
mod peer;
mod requests;
mod victim;

//! Whole networks on loopback: real sockets, a fake chain behind them.

mod bans;
mod common;
mod deaf;
mod finding;
mod hidden;
mod quic;
mod talking;

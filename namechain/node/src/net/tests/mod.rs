//! Whole networks on loopback: real sockets, a fake chain behind them.

mod common;
mod deaf;
mod finding;
mod talking;

//! `regex-lite` under the name of `regex`: by the same authors, with the same interface for text,
//! and a tenth of the time to build. libp2p's gossip has one filter of topics that uses it, which
//! nothing here does.

pub use regex_lite::*;

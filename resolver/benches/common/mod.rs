//! What the benchmarks share: processes with what they cost, a server that answers everything
//! alike, chains of many names.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod clock;
pub mod load;
pub mod process;
pub mod responder;
pub mod servers;
/// States of many names, as namechain's own benchmarks have them.
#[path = "../../../namechain/core/benches/common/state.rs"]
pub mod state;

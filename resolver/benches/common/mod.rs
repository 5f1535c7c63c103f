//! What the benchmarks share: processes and their costs, a server with a constant answer, chains of
//! many names.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod clock;
pub mod load;
pub mod process;
pub mod responder;
pub mod servers;
/// Chain states of many names, shared with namechain's benchmarks.
#[path = "../../../namechain/core/benches/common/state.rs"]
pub mod state;

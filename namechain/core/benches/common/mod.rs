//! What the benchmarks share: clocks, and states of many names.

pub mod long;
pub mod measure;
pub mod state;

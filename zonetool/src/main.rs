//! z
mod zone;
fn main() {}

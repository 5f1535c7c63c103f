//! z
mod clock;
mod keys;
mod ui;
mod zone;
fn main() {}

//! z
fn main(){}

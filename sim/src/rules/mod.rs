//! The rules that are simulated: what the core has is called there, what is only proposed stands
//! here.

pub mod fork;
pub mod history;
pub mod hold;
pub mod price;
pub mod target;

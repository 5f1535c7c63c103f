//! placeholder
pub mod cache;
pub mod forward;
pub mod os;

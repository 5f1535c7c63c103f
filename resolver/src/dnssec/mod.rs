//! DNSSEC: `validate` checks what others signed, `sign` signs what the chain says.

pub mod sign;
pub mod validate;

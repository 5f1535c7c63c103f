//! DNSSEC: `validate` validates answers of legacy DNS, `sign` signs answers from the chain.

pub mod sign;
pub mod validate;

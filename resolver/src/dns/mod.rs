//! DNS on the wire: messages, names, RDATA, extended errors, cookies, and queries.

pub mod cookie;
pub mod ede;
pub mod message;
pub(crate) mod name;
pub mod names;
pub mod options;
pub mod query;
pub mod rdata;
pub mod rtype;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "the tests use the rest"))]
pub(crate) mod testing;

//! The state of names on the chain, from a node in this process or from a remote node.
//!
//! "Not registered" is a result. Any failure to read the state is an error, and an error is never
//! treated as "not registered".

mod date;
mod embedded;
mod error;
pub mod marks;
pub mod mount;
mod name_state;
mod remote;
pub(crate) mod soa;
mod source;
pub mod validity;
pub mod zone;
mod zone_cache;

pub use embedded::{Embedded, Served};
pub use error::{ChainError, RemoteError};
pub use name_state::{Inactive, NameState};
pub use remote::Remote;
pub use source::ChainSource;
pub use zone_cache::ZoneCache;

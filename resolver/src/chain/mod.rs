//! The state of a name on the chain: from the node in this process, or from another over its API.
//!
//! "Nobody has registered it" is a result. Everything that keeps us from that result is an error,
//! and an error is never taken for it.

mod embedded;
mod error;
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
pub use name_state::{Lapse, NameState};
pub use remote::Remote;
pub use source::ChainSource;
pub use zone_cache::ZoneCache;

//! The best chain: the tree of headers, fork choice, connecting and undoing blocks.

mod snapshot;
mod storage;

pub use snapshot::{NameStatus, ReadError, Snapshot};
pub use storage::{BlockAt, Change, Storage, StorageError, StoredHeader};

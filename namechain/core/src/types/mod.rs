//! What the chain is made of: names, keys, records, operations, headers, blocks, and the entries of
//! the state.

mod block;
mod bundle;
mod entry;
mod hash;
mod header;
mod key;
mod messaging;
mod name;
mod network;
mod operation;
mod records;
mod reserved;
mod stamp;

pub use block::{Block, BlockError, MAX_BLOCK_BYTES, MIN_OPERATION_BYTES, ops_root};
pub use bundle::{BundleHead, MAX_BUNDLE_BYTES, MAX_BUNDLE_LIFETIME_SECONDS};
pub use entry::{
    BlockTime, CommitPosition, CommitmentEntry, Entry, NameEntry, PendingTransfer, Rescued,
};
pub use hash::{Domain, Hash, HashError, hash, tag};
pub use header::{HEADER_BYTES, Header, Target};
pub use key::{KeyError, PublicKey, SecretKey, Signature};
pub use messaging::{
    LocatorError, Locators, MAX_LOCATOR_BYTES, MAX_LOCATORS, MESSAGING_VERSION, MessagingEntry,
    MessagingLink, MessagingPolicy, MessagingRecord, SignedMessagingRecord, next_key_hash,
};
pub use name::{MAX_NAME_BYTES, MIN_NAME_BYTES, Name, NameError};
pub use network::{Network, UnknownNetwork};
pub use operation::{Action, Operation, SignedOperation, SigningContext, commitment};
pub use records::{
    MAX_OWNER_BYTES, MAX_RECORDS_BYTES, REFUSED_TYPES, Record, RecordError, RecordSet,
};
pub use reserved::{RESERVED_AS_OF, Reserved};
pub use stamp::{STAMP_BYTES, Stamp};

#[cfg(test)]
mod tests;

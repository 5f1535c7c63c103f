//! What is to be signed about a name, before it is signed and worked.

use namechain_core::types::{Action, Hash, Name, NameEntry, Stamp};

/// A stamp that is still to be worked.
pub const UNWORKED: Stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };

/// What is to be signed about a name.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The name.
    pub name: Name,
    /// Of a Register the id of its Commit, of all others the title of the name's entry.
    pub reference: Hash,
    /// What is done.
    pub action: Action,
    /// The name's entry; none for a Register.
    pub entry: Option<NameEntry>,
}

//! What the API asks of the node.

use std::sync::Arc;

use namechain_core::{
    api_types,
    chain::{Snapshot, StorageError, StoredHeader},
    consensus::HistoryProof,
    types::{Block, Hash, Header, Name, Operation},
};

/// What the API asks of the node. Every call but [`Backend::health`] may block for a moment: none
/// is made on a thread that serves others.
pub trait Backend: Send + Sync + 'static {
    /// Whether the node works; if not, why. Never blocks.
    fn health(&self) -> Result<(), String>;
    /// How the node is.
    fn status(&self) -> api_types::Status;
    /// The peers that are connected.
    fn peers(&self) -> api_types::Peers;
    /// Who is banned.
    fn bans(&self) -> api_types::Bans;
    /// Bans a peer or a subnet.
    fn ban(&self, ban: api_types::NewBan) -> Result<api_types::BanInfo, api_types::Refusal>;
    /// Lifts a ban, or all.
    fn lift_bans(&self, what: api_types::LiftBans)
    -> Result<api_types::Lifted, api_types::Refusal>;
    /// What has come and gone between this node and its peers since it started.
    fn traffic(&self) -> Traffic;
    /// What to work for.
    fn price(&self) -> api_types::Price;
    /// The state at the tip.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The state at the depth that names are served from.
    fn served(&self) -> Arc<Snapshot>;
    /// The state after the best chain's block at a height, if it is kept.
    fn snapshot_at(&self, height: u32) -> Option<Arc<Snapshot>>;
    /// Whether an operation on the name waits.
    fn pending_name(&self, name: &Name) -> bool;
    /// Whether the commitment waits.
    fn pending_commitment(&self, commitment: &Hash) -> bool;
    /// The block with an id, and whether it is on the best chain.
    fn block(&self, id: &Hash) -> Result<Option<(StoredHeader, Block, bool)>, StorageError>;
    /// The best chain's block at a height.
    fn block_at(&self, height: u32) -> Result<Option<(StoredHeader, Block, bool)>, StorageError>;
    /// The best chain's header at a height: it is there though its block is pruned.
    fn header_at(&self, height: u32) -> Result<Option<StoredHeader>, StorageError>;
    /// The header with an id, and whether it is on the best chain: it is there though its block is
    /// pruned.
    fn header(&self, id: &Hash) -> Result<Option<(StoredHeader, bool)>, StorageError>;
    /// The height from which on all blocks of the best chain are there: 0 unless old ones are
    /// pruned.
    fn first_block(&self) -> Result<u32, StorageError>;
    /// The heights of the best chain's blocks that have operations on the name, or Commits of the
    /// commitment, with this key, in order.
    fn history_heights(&self, key: &Hash) -> Result<Vec<u32>, StorageError>;
    /// The proof that the best chain's block at `against` was built on that at `height`, which must
    /// be lower.
    fn place(&self, height: u32, against: u32) -> Result<Option<HistoryProof>, StorageError>;
    /// Takes an operation.
    fn submit(&self, operation: Operation) -> Result<api_types::Submitted, api_types::Refusal>;
    /// The block to mine now.
    fn template(&self) -> Result<api_types::MiningTemplate, api_types::Refusal>;
    /// Takes the header of a template with its work.
    fn mined(&self, header: Header) -> Result<api_types::MinedBlock, api_types::Refusal>;
    /// The messaging bundle of a name, if one is kept.
    fn bundle(&self, _name: &Name) -> Result<api_types::BundleInfo, api_types::Refusal> {
        Err(no_bundle())
    }
    /// Takes an encoded messaging bundle of a name, and says whether its one-time prekeys are given
    /// away here.
    fn put_bundle(
        &self,
        _name: &Name,
        _bundle: Vec<u8>,
        _gives_one_time: bool,
    ) -> Result<api_types::BundleInfo, api_types::Refusal> {
        Err(no_bundle())
    }
    /// Gives away a one-time prekey of the bundle of a name.
    fn take_prekey(&self, _name: &Name) -> Result<api_types::PrekeyInfo, api_types::Refusal> {
        Err(no_bundle())
    }
}

/// Bytes between a node and its peers since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// The refusal where there is no bundle.
pub fn no_bundle() -> api_types::Refusal {
    api_types::Refusal {
        code: "not-found".into(),
        rule: None,
        message: "there is no bundle of this name here".into(),
        hint: Some("its owner hands it in: zonetool peer bundle put NAME".into()),
    }
}

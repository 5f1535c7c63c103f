//! What the chain thread is asked.

use tokio::sync::oneshot;

use namechain_core::{
    api_types::{MinedBlock, MiningTemplate, Refusal},
    chain::Snapshot,
    mempool::MempoolError,
    sync::Event,
    types::{Block, Hash, Header, Name, Operation},
};

/// The commands that may wait for the chain thread before those who send wait too.
pub(super) const COMMANDS: usize = 256;
/// What the chain thread is asked.
pub(super) enum Command {
    /// Take an operation whose signature and work have been checked.
    Submit(Box<Operation>, oneshot::Sender<Result<Hash, MempoolError>>),
    /// A block that the miner found.
    Mined(Box<Block>),
    /// A snapshot of an earlier height.
    SnapshotAt(u32, oneshot::Sender<Option<Snapshot>>),
    /// Whether an operation on a name waits.
    NamePending(Name, oneshot::Sender<bool>),
    /// Whether a commit waits.
    CommitmentPending(Hash, oneshot::Sender<bool>),
    /// A block to mine outside.
    Template(oneshot::Sender<Result<MiningTemplate, Refusal>>),
    /// A header that was mined outside.
    MinedOutside(Box<Header>, oneshot::Sender<Result<MinedBlock, Refusal>>),
    /// Something happened in the network.
    OnEvent(Box<Event>),
    /// Time has passed.
    Tick,
    /// Do nothing until the sender is gone: a thread that is stuck.
    #[cfg(test)]
    Block(std::sync::mpsc::Receiver<()>),
    /// End.
    Stop,
}

impl From<Event> for Command {
    fn from(event: Event) -> Self {
        Command::OnEvent(Box::new(event))
    }
}

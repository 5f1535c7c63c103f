//! The chain thread: one loop that owns the chain and the mempool.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{
    MineMode, NodeConfig, NodeError, NodeHandle,
    clock::{self, Since},
    handle::Published,
    mining::{self, Workshop},
};
use crate::{
    chain::{Accepted, Chain, ChainError, Change, Snapshot, Storage, StorageError, TipChange},
    codec::Encode,
    mempool::{Mempool, MempoolError},
    types::{Block, Hash, Name, Operation},
};

/// The commands that may wait for the chain thread before those who send wait too.
const COMMANDS: usize = 256;
/// How long a block in the making may miss operations that came since.
const STALE_WORK: Duration = Duration::from_secs(5);

/// What the chain thread is asked.
pub(super) enum Command {
    /// Take an operation whose signature and work have been checked.
    Submit(Box<Operation>, SyncSender<Result<Hash, MempoolError>>),
    /// A block that the miner found.
    Mined(Box<Block>),
    /// A snapshot of an earlier height.
    SnapshotAt(u32, SyncSender<Option<Snapshot>>),
    /// Whether an operation on a name waits.
    NamePending(Name, SyncSender<bool>),
    /// Whether a commit waits.
    CommitmentPending(Hash, SyncSender<bool>),
    /// End.
    Stop,
}

/// The node's threads.
pub(super) struct Threads {
    commands: SyncSender<Command>,
    workshop: Arc<Workshop>,
    chain: JoinHandle<()>,
    miner: Option<JoinHandle<()>>,
}

impl Threads {
    /// Ends the threads and waits for them.
    pub fn stop(self) {
        self.workshop.close();
        // The chain thread takes commands until this one, so a block just found is still taken.
        let stopped = self.commands.send(Command::Stop).is_ok();
        let miner = self.miner.map_or(Ok(()), JoinHandle::join);
        if self.chain.join().is_err() || miner.is_err() || !stopped {
            warn!("a thread of the node had ended before it was told to");
        }
    }
}

struct ChainThread {
    chain: Chain,
    mempool: Mempool,
    storage: Arc<dyn Storage>,
    published: watch::Sender<Arc<Published>>,
    workshop: Arc<Workshop>,
    mine: MineMode,
    work_since: Since,
}

/// Starts the threads over an open chain.
pub(super) fn start(
    config: &NodeConfig,
    storage: Arc<dyn Storage>,
    chain: Chain,
    mempool: Mempool,
) -> Result<(NodeHandle, Threads), NodeError> {
    let (commands, inbox) = sync_channel(COMMANDS);
    let workshop = Arc::new(Workshop::default());
    let (published, watching) = watch::channel(Arc::new(Published::of(&chain, &mempool)));
    let handle = NodeHandle::new(config, commands.clone(), watching, storage.clone(), workshop.clone());
    let miner = match config.mine {
        MineMode::Off => None,
        _ => Some(
            mining::start(config.network, config.mine_threads, workshop.clone(), commands.clone())
                .map_err(NodeError::Thread)?,
        ),
    };
    let mut thread = ChainThread {
        chain,
        mempool,
        storage,
        published,
        workshop: workshop.clone(),
        mine: config.mine,
        work_since: Since::now(),
    };
    let chain = thread::Builder::new()
        .name("chain".into())
        .spawn(move || {
            if let Err(error) = thread.run(&inbox) {
                error!("the chain has stopped: {error}");
                thread.workshop.close();
                thread.publish(Some(error.to_string()));
            }
        })
        .map_err(NodeError::Thread)?;
    Ok((handle, Threads { commands, workshop, chain, miner }))
}

impl ChainThread {
    /// Takes commands until it is told to stop, or the store fails.
    fn run(&mut self, inbox: &Receiver<Command>) -> Result<(), StorageError> {
        self.offer_work(true)?;
        while let Ok(command) = inbox.recv() {
            match command {
                Command::Submit(operation, reply) => {
                    // Whoever asked may be gone; the operation is taken all the same.
                    let _ = reply.send(self.submit(*operation)?);
                    self.offer_work(false)?;
                }
                Command::Mined(block) => {
                    self.mined(&block)?;
                    self.offer_work(true)?;
                }
                Command::SnapshotAt(height, reply) => _ = reply.send(self.chain.snapshot_at(height)),
                Command::NamePending(name, reply) => _ = reply.send(self.mempool.has_name(&name)),
                Command::CommitmentPending(hash, reply) => _ = reply.send(self.mempool.has_commitment(&hash)),
                Command::Stop => break,
            }
        }
        Ok(())
    }

    /// Takes an operation: once this has answered, a crash does not lose it.
    fn submit(&mut self, operation: Operation) -> Result<Result<Hash, MempoolError>, StorageError> {
        let bytes = operation.to_bytes();
        match self.mempool.insert(&self.chain, operation) {
            Ok(id) => {
                self.storage.commit(vec![Change::Pending(id, Some(bytes))], true)?;
                self.publish(None);
                Ok(Ok(id))
            }
            Err(MempoolError::Storage(error)) => Err(error),
            Err(refused) => Ok(Err(refused)),
        }
    }

    fn mined(&mut self, block: &Block) -> Result<(), StorageError> {
        match self.chain.accept(block, clock::now(), true) {
            Ok(Accepted::Tip(change)) => self.follow(&change),
            // Somebody else's block came first.
            Ok(Accepted::Known | Accepted::Side) => Ok(()),
            Err(ChainError::Storage(error)) => Err(error),
            Err(error @ ChainError::TooDeep { .. }) => {
                error!("{error}");
                self.publish(None);
                Ok(())
            }
            Err(error) => {
                error!("a block of our own making was refused, which is a bug: {error}");
                Ok(())
            }
        }
    }

    /// What follows a move of the tip.
    fn follow(&mut self, change: &TipChange) -> Result<(), StorageError> {
        let tip = self.chain.tip_header();
        let operations: usize = change.connected.iter().map(|block| block.operations.len()).sum();
        info!(height = tip.height, operations, undone = change.undone.len(), "tip {}", self.chain.tip_id());
        let dropped = self.mempool.follow(&self.chain, change)?;
        let network = self.chain.network();
        let recorded = change
            .connected
            .iter()
            .flat_map(|block| &block.operations)
            .map(|operation| operation.id(network));
        let forget = recorded.chain(dropped).map(|id| Change::Pending(id, None)).collect();
        self.storage.commit(forget, false)?;
        self.publish(None);
        Ok(())
    }

    /// Gives the miner its next block, if there is a reason to mine. What it has in hand is left alone unless the tip
    /// moved, or it has been missing operations for too long: a flood of operations must not keep it from finishing.
    fn offer_work(&mut self, tip_moved: bool) -> Result<(), StorageError> {
        let wanted = match self.mine {
            MineMode::Off => false,
            MineMode::Always => true,
            MineMode::OnDemand => !self.mempool.is_empty() || self.chain.somebody_waits()?,
        };
        if !wanted {
            if tip_moved && self.workshop.is_busy() {
                self.workshop.offer(None);
            }
            return Ok(());
        }
        if !tip_moved && self.workshop.is_busy() && self.work_since.elapsed() < STALE_WORK {
            return Ok(());
        }
        let block = self.chain.assemble(self.mempool.by_rate().into_iter(), clock::now())?;
        if self.mine == MineMode::OnDemand && block.operations.is_empty() && !self.chain.somebody_waits()? {
            // What waits can't be recorded yet, and no block would change that.
            return Ok(());
        }
        self.work_since = Since::now();
        self.workshop.offer(Some(block));
        Ok(())
    }

    fn publish(&self, failed: Option<String>) {
        self.published
            .send_replace(Arc::new(Published { failed, ..Published::of(&self.chain, &self.mempool) }));
    }
}

//! The chain thread: one loop that owns the chain and the mempool.

mod network;
mod outside;

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use metrics::{counter, histogram};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::{
    clock::{self, Since},
    command::Command,
    config::{MineMode, NodeConfig},
    error::NodeError,
    handle::NodeHandle,
    heartbeat::Heartbeat,
    local_ops::LocalOps,
    mining::{self, HashRate, MiningBackoff, MiningQueue, STALE_BLOCKS},
    node_state::NodeState,
    panic_guard::PanicGuard,
    sync_driver::SyncDriver,
    templates::Templates,
};
use namechain_core::{
    chain::{Accepted, Chain, ChainError, Change, Storage, StorageError, TipChange},
    codec::Encode,
    mempool::{Mempool, MempoolError},
    sync::{Event, SubmitOutcome},
    types::{Block, Hash, Operation},
};

/// Reorganisations, by how many blocks were undone.
pub(super) const REORGANISATIONS: &str = "namechain_reorganisations_total";
/// How long connecting a block takes.
pub(super) const CONNECT_SECONDS: &str = "namechain_block_connect_seconds";
/// How old a new tip is.
pub(super) const ARRIVAL_SECONDS: &str = "namechain_block_arrival_seconds";
/// How long a block in the making may miss operations that came since.
const STALE_WORK: Duration = Duration::from_secs(5);
/// How old a block in the making may get: its time is fixed, as its state root depends on it, and
/// the later it is the easier is its target.
const TEMPLATE_MAX_AGE: Duration = Duration::from_secs(10);
/// How often operations that could not be recorded yet are looked at again.
const RETRY_MINING_EVERY: Duration = Duration::from_secs(1);

/// The node's threads.
pub(super) struct Threads {
    commands: mpsc::Sender<Command>,
    mining_queue: Arc<MiningQueue>,
    chain: JoinHandle<()>,
    miner: Option<JoinHandle<()>>,
}

impl Threads {
    /// Ends the threads and waits for them.
    pub fn stop(self) {
        self.mining_queue.close();
        // The chain thread takes commands until this one, so a block just found is still taken.
        let stopped = self.commands.blocking_send(Command::Stop).is_ok();
        let miner = self.miner.map_or(Ok(()), JoinHandle::join);
        if self.chain.join().is_err() || miner.is_err() || !stopped {
            warn!("a thread of the node had ended before it was told to");
        }
    }
}

pub(super) struct ChainThread {
    pub(super) chain: Chain,
    pub(super) mempool: Mempool,
    /// How often the mempool has changed.
    pub(super) mempool_changes: u64,
    pub(super) driver: SyncDriver,
    local_ops: LocalOps,
    storage: Arc<dyn Storage>,
    published: watch::Sender<Arc<NodeState>>,
    mining_queue: Arc<MiningQueue>,
    mine: MineMode,
    work_since: Since,
    /// When it was last looked whether there is something to mine.
    looked_since: Since,
    hash_rate: HashRate,
    mining_backoff: MiningBackoff,
    templates: Templates,
    /// The first block of the chain that the log says is held back.
    reported_hold: Option<Hash>,
    heartbeat: Arc<Heartbeat>,
}

/// What the chain thread is started with.
pub(super) struct Parts {
    pub storage: Arc<dyn Storage>,
    pub chain: Chain,
    pub mempool: Mempool,
    pub driver: SyncDriver,
    pub published: watch::Sender<Arc<NodeState>>,
    pub commands: mpsc::Sender<Command>,
    pub inbox: mpsc::Receiver<Command>,
}

/// Starts the threads over an open chain.
pub(super) fn start(config: &NodeConfig, parts: Parts) -> Result<(NodeHandle, Threads), NodeError> {
    let Parts { storage, chain, mempool, driver, published, commands, mut inbox } = parts;
    let mining_queue = Arc::new(MiningQueue::default());
    let watching = published.subscribe();
    let handle = NodeHandle::new(
        config,
        commands.clone(),
        watching,
        storage.clone(),
        driver.net(),
        mining_queue.clone(),
    );
    let miner = match config.mine {
        MineMode::Off => None,
        _ => Some(
            mining::start(
                config.network,
                config.mine_threads,
                mining_queue.clone(),
                commands.clone(),
                PanicGuard::new("the miner", handle.panics()),
            )
            .map_err(NodeError::Thread)?,
        ),
    };
    let mut thread = ChainThread {
        chain,
        mempool,
        mempool_changes: 0,
        reported_hold: None,
        driver,
        local_ops: LocalOps::default(),
        storage,
        published,
        mining_queue: mining_queue.clone(),
        mine: config.mine,
        work_since: Since::now(),
        looked_since: Since::now(),
        hash_rate: HashRate::default(),
        mining_backoff: MiningBackoff::default(),
        templates: Templates::default(),
        heartbeat: handle.heartbeat(),
    };
    let chain = thread::Builder::new()
        .name("chain".into())
        .spawn(move || {
            if let Err(error) = thread.run(&mut inbox) {
                error!("the chain has stopped: {error}");
                thread.mining_queue.close();
                thread.publish(Some(error.to_string()));
            }
            // Whoever still sends learns that nobody listens: the checking threads among them.
            drop(inbox);
            thread.driver.stop();
        })
        .map_err(NodeError::Thread)?;
    Ok((handle, Threads { commands, mining_queue, chain, miner }))
}

impl ChainThread {
    /// Takes commands until it is told to stop, or the store fails.
    fn run(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<(), StorageError> {
        self.update_mining(true)?;
        while let Some(command) = inbox.blocking_recv() {
            self.heartbeat.beat();
            match command {
                // Whoever asked may be gone; the operation is taken all the same.
                Command::Submit(operation, reply) => _ = reply.send(self.submit(*operation)?),
                Command::Mined(block) => self.on_block_mined(*block)?,
                Command::SnapshotAt(height, reply) => {
                    _ = reply.send(self.chain.snapshot_at(height))
                }
                Command::NamePending(name, reply) => _ = reply.send(self.mempool.has_name(&name)),
                Command::CommitmentPending(hash, reply) => {
                    _ = reply.send(self.mempool.has_commitment(&hash))
                }
                Command::Template(reply) => _ = reply.send(self.template()?),
                Command::MinedOutside(header, reply) => {
                    _ = reply.send(self.on_mined_outside(&header)?);
                }
                Command::OnEvent(event) => self.on_event(*event)?,
                Command::Tick => self.on_tick()?,
                #[cfg(test)]
                Command::Block(until) => _ = until.recv(),
                Command::Stop => break,
            }
        }
        Ok(())
    }

    /// Takes an operation of our own user: once this has answered, a crash does not lose it.
    fn submit(&mut self, operation: Operation) -> Result<Result<Hash, MempoolError>, StorageError> {
        let bytes = operation.to_bytes();
        let what = LocalOps::describe(&operation);
        match self.mempool.insert(&self.chain, operation, clock::now()) {
            Ok(id) => {
                self.store_pending(id, bytes, true)?;
                self.local_ops.add(id, what);
                self.publish(None);
                self.on_event(Event::OperationSubmitted { id, outcome: SubmitOutcome::Accepted })?;
                self.update_mining(false)?;
                Ok(Ok(id))
            }
            Err(MempoolError::Storage(error)) => Err(error),
            Err(refused) => Ok(Err(refused)),
        }
    }

    /// Writes down that an operation waits, and that those whose place or room it took do not.
    pub(super) fn store_pending(
        &mut self,
        id: Hash,
        bytes: Vec<u8>,
        durable: bool,
    ) -> Result<(), StorageError> {
        self.mempool_changes += 1;
        let evicted = self.mempool.take_evicted();
        self.local_ops.dropped(&evicted);
        let mut changes: Vec<Change> =
            evicted.into_iter().map(|id| Change::Pending(id, None)).collect();
        changes.push(Change::Pending(id, Some(bytes)));
        self.storage.commit(changes, durable)
    }

    fn on_block_mined(&mut self, block: Block) -> Result<(), StorageError> {
        match self.chain.accept(&block, clock::now(), true) {
            Ok(Accepted::Tip(change)) => {
                self.on_tip_change(&change)?;
                self.on_event(Event::BlockMined { block })?;
            }
            // Somebody else's block came first.
            Ok(Accepted::Known | Accepted::Side) => counter!(STALE_BLOCKS).increment(1),
            Err(ChainError::Storage(error)) => return Err(error),
            Err(error @ ChainError::TooDeep { .. }) => {
                error!("{error}");
                self.publish(None);
            }
            Err(error) => error!("a block of our own making was refused, which is a bug: {error}"),
        }
        self.update_mining(true)
    }

    /// What follows a move of the tip.
    pub(super) fn on_tip_change(&mut self, change: &TipChange) -> Result<(), StorageError> {
        let network = self.chain.network();
        if self.driver.is_synced() {
            let tip = self.chain.tip_header();
            let age = clock::now().saturating_sub(tip.time);
            histogram!(ARRIVAL_SECONDS).record(age as f64);
            let operations: usize =
                change.connected.iter().map(|block| block.operations.len()).sum();
            info!(
                height = tip.height,
                operations,
                undone = change.undone.len(),
                "tip {}",
                self.chain.tip_id()
            );
        }
        // While a node catches up nothing waits, and there is nothing to forget.
        let waited = !self.mempool.is_empty();
        let dropped = self.mempool.follow(&self.chain, change, clock::now())?;
        let mut forget: Vec<Change> = dropped.iter().map(|id| Change::Pending(*id, None)).collect();
        if waited {
            let recorded = change.connected.iter().flat_map(|block| &block.operations);
            forget.extend(recorded.map(|operation| Change::Pending(operation.id(network), None)));
        }
        if !forget.is_empty() {
            self.storage.commit(forget, false)?;
        }
        if waited || !self.mempool.is_empty() {
            self.mempool_changes += 1;
        }
        self.local_ops.recorded(
            change.connected.iter().flat_map(|block| &block.operations).map(|op| op.id(network)),
        );
        self.local_ops.dropped(&dropped);
        if !change.undone.is_empty() {
            self.reorganised(change, &dropped)?;
        }
        if self.driver.is_publish_due() {
            self.publish(None);
        }
        Ok(())
    }

    /// Says what a reorganisation has undone, and what has become of our own user's operations.
    fn reorganised(&mut self, change: &TipChange, dropped: &[Hash]) -> Result<(), StorageError> {
        let depth = change.undone.len();
        counter!(REORGANISATIONS, "depth" => depth_bucket(depth)).increment(1);
        let tip = self.chain.tip_header().height;
        warn!(
            height = tip,
            "a reorganisation has undone {depth} blocks; {} took their place",
            change.connected.len()
        );
        let network = self.chain.network();
        // What waits again must survive a crash, as it did before it was recorded.
        let waits_again: Vec<Change> = change
            .undone
            .iter()
            .flat_map(|block| &block.operations)
            .filter(|operation| self.mempool.has(&operation.id(network)))
            .map(|operation| Change::Pending(operation.id(network), Some(operation.to_bytes())))
            .collect();
        if !waits_again.is_empty() {
            self.storage.commit(waits_again, true)?;
        }
        for operation in change.undone.iter().flat_map(|block| &block.operations) {
            let id = operation.id(network);
            if self.mempool.has(&id) {
                self.local_ops.waits_again(&id);
            }
        }
        for id in dropped {
            if let Some(what) = self.local_ops.get(id) {
                warn!(
                    "{what}, which this node's user submitted, has lost its place to another and can't be recorded any more"
                );
            }
        }
        Ok(())
    }

    /// Gives the miner its next block, if there is a reason to mine. What it has in hand is left
    /// alone unless the tip moved, or it has been missing operations for too long: a flood of
    /// operations must not keep it from finishing.
    pub(super) fn update_mining(&mut self, tip_moved: bool) -> Result<(), StorageError> {
        let now = clock::now();
        self.looked_since = Since::now();
        let wanted = match self.mine {
            // What is mined below the tip is for nothing.
            _ if !self.driver.may_mine() => false,
            MineMode::Off => false,
            MineMode::Always => true,
            MineMode::OnDemand => {
                let reason = !self.mempool.is_empty() || self.chain.is_empty_block_due(now);
                if tip_moved || !reason {
                    self.mining_backoff.reset();
                }
                reason
                    && !self
                        .mining_backoff
                        .leaves_to_others(self.local_ops.waits(), self.driver.has_peers())
            }
        };
        if !wanted {
            if tip_moved && self.mining_queue.is_busy() {
                self.mining_queue.offer(None);
            }
            return Ok(());
        }
        if !tip_moved && self.mining_queue.is_busy() && self.work_since.elapsed() < STALE_WORK {
            return Ok(());
        }
        let candidates = self.mempool.by_work_rate(now);
        let block = self.chain.assemble_block(candidates.into_iter(), now)?;
        if self.mine == MineMode::OnDemand
            && block.operations.is_empty()
            && !self.chain.is_empty_block_due(now)
        {
            // What waits can't be recorded yet.
            return Ok(());
        }
        self.mining_backoff.reset();
        self.work_since = Since::now();
        self.mining_queue.offer(Some(block));
        Ok(())
    }

    /// Gives the miner a fresh block where what it has is too old, and looks again whether there is
    /// something to mine: operations become recordable and blocks due as time passes.
    pub(super) fn refresh_mining(&mut self) -> Result<(), StorageError> {
        let busy = self.mining_queue.is_busy();
        let due = self.mine != MineMode::Off && self.chain.is_empty_block_due(clock::now());
        let retry = !self.mempool.is_empty() && self.looked_since.elapsed() >= RETRY_MINING_EVERY;
        match busy {
            true if self.work_since.elapsed() >= TEMPLATE_MAX_AGE => self.update_mining(false),
            false if due || retry => self.update_mining(false),
            _ => Ok(()),
        }
    }

    /// Looks whether it is our turn to mine what others' users have submitted.
    pub(super) fn check_mining_backoff(&mut self) -> Result<(), StorageError> {
        if self.mining_backoff.is_over() { self.update_mining(false) } else { Ok(()) }
    }

    /// Measures how fast the miner is.
    pub(super) fn measure_mining(&mut self) {
        self.hash_rate.measure(&self.mining_queue);
    }

    /// Makes the state what others see.
    pub(super) fn publish(&self, failed: Option<String>) {
        self.published.send_replace(Arc::new(NodeState {
            failed,
            peers: self.driver.peers(),
            ..NodeState::of(&self.chain, &self.mempool, self.driver.status(&self.chain))
        }));
    }
}

/// A label for a reorganisation: few of them, whatever the depth.
fn depth_bucket(depth: usize) -> &'static str {
    match depth {
        0..=1 => "1",
        2..=5 => "2-5",
        6..=20 => "6-20",
        21..=100 => "21-100",
        101..=720 => "101-720",
        _ => "more",
    }
}

//! What others hold of a running node: published snapshots, and a way to ask the chain thread.

mod backend;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    bundles::{Bundles, CurrentIdentity},
    clock,
    command::Command,
    config::{MineMode, NodeConfig},
    heartbeat::Heartbeat,
    mining::MiningQueue,
    node_state::NodeState,
    progress::Progress,
};
use crate::net::{Ban, BanError, BanTarget, NetHandle};
use namechain_core::{
    api_types,
    chain::{NameLookup, Snapshot, Storage, StorageError, StoredHeader, read_block},
    consensus::{
        RuleViolation, block::check_operation_alone, context::BlockContext,
        header::signing_context, operation_price::least_price, work::PowHasher,
    },
    mempool::MempoolError,
    params::Params,
    types::{Block, Name, Network, Operation},
};

/// How long the chain thread may be at one thing before it counts as stuck. Each is a matter of
/// milliseconds, but for a reorganisation by thousands of blocks.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// Workers that are kept for the next operation's check: each holds a mebibyte.
const IDLE_WORKERS: usize = 4;

const CHAIN_ENDED: &str = "the chain thread has ended: see the log, and start the node again";

/// A handle to a running node. Cloning is cheap; reading a snapshot never waits for the chain.
#[derive(Clone)]
pub struct NodeHandle {
    network: Network,
    mine: MineMode,
    commands: mpsc::Sender<Command>,
    published: watch::Receiver<Arc<NodeState>>,
    storage: Arc<dyn Storage>,
    net: Option<NetHandle>,
    mining_queue: Arc<MiningQueue>,
    workers: Arc<Mutex<Vec<PowHasher>>>,
    bundles: Arc<Bundles>,
    /// Which of the node's threads and tasks has ended by a panic.
    panics: watch::Sender<Option<String>>,
    /// The chain thread's.
    heartbeat: Arc<Heartbeat>,
}

/// SyncReason a running node has stopped working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FatalError(pub String);

impl NodeHandle {
    pub(super) fn new(
        config: &NodeConfig,
        commands: mpsc::Sender<Command>,
        published: watch::Receiver<Arc<NodeState>>,
        storage: Arc<dyn Storage>,
        net: Option<NetHandle>,
        mining_queue: Arc<MiningQueue>,
    ) -> Self {
        let (network, mine) = (config.network, config.mine);
        let bundles = Arc::new(Bundles::open(network, &config.data_dir, clock::now()));
        NodeHandle {
            network,
            mine,
            commands,
            published,
            storage,
            net,
            mining_queue,
            workers: Arc::default(),
            bundles,
            panics: watch::Sender::new(None),
            heartbeat: Arc::default(),
        }
    }

    /// What the chain thread tells that it is not stuck with.
    pub(super) fn heartbeat(&self) -> Arc<Heartbeat> {
        self.heartbeat.clone()
    }

    /// Where a panic of a thread or task is told.
    pub(super) fn panics(&self) -> &watch::Sender<Option<String>> {
        &self.panics
    }

    fn peer_counts(&self) -> api_types::PeerCounts {
        let traffic = self.net.as_ref().map(NetHandle::traffic).unwrap_or_default();
        api_types::PeerCounts { inbound: traffic.inbound, outbound: traffic.outbound }
    }

    fn now(&self) -> Arc<NodeState> {
        self.published.borrow().clone()
    }

    fn params(&self) -> &'static Params {
        self.network.params()
    }

    /// The network.
    pub fn network(&self) -> Network {
        self.network
    }

    /// The state at the tip.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.now().tip.clone()
    }

    /// The state at the depth that names are served from.
    pub fn served(&self) -> Arc<Snapshot> {
        self.now().served.clone()
    }

    /// The published state, to wait for its changes.
    #[cfg(test)]
    pub(super) fn published(&self) -> watch::Receiver<Arc<NodeState>> {
        self.published.clone()
    }

    /// Has the chain thread do nothing until the sender of `until` is gone.
    #[cfg(test)]
    pub(super) async fn block_chain_thread(&self, until: std::sync::mpsc::Receiver<()>) {
        assert!(self.commands.send(Command::Block(until)).await.is_ok());
    }

    /// Whether names can be served: the node works, and believes that it is at the tip.
    pub fn synced(&self) -> bool {
        self.ended().is_none() && self.published.borrow().sync_status.synced
    }

    /// Which part of the node has ended, if one has.
    fn ended(&self) -> Option<String> {
        // An error: the chain thread has ended, by a panic say.
        if self.published.has_changed().is_err() {
            return Some(CHAIN_ENDED.to_owned());
        }
        let failed = self.published.borrow().failed.clone();
        failed
            .or_else(|| self.panics.borrow().clone())
            .or_else(|| self.net.as_ref().and_then(NetHandle::failed))
    }

    /// Whether all parts of the node work, the chain thread having taken up something new within a
    /// time; if not, why. Never blocks.
    pub(super) fn check_health(&self, within: Duration) -> Result<(), String> {
        if let Some(why) = self.ended() {
            return Err(why);
        }
        let silent = self.heartbeat.silent_for();
        if silent <= within {
            return Ok(());
        }
        let seconds = silent.as_secs();
        Err(format!("the chain thread is stuck: it has been at one thing for {seconds} s"))
    }

    /// Which rules the next block follows, and which come.
    fn protocol(&self) -> api_types::ProtocolInfo {
        let (now, params) = (self.now(), self.params());
        let time = clock::now().max(now.tip.header.time);
        api_types::ProtocolInfo {
            branch: params.branch_at(time).number,
            next: params
                .branch_after(time)
                .map(|next| api_types::NextBranch { number: next.number, from: next.from }),
            upgrade_needed: now.sync_status.upgrade_needed,
        }
    }

    /// How far the node is, while it is not synced.
    pub fn progress(&self) -> Option<Progress> {
        let now = self.published.borrow();
        (!now.sync_status.synced).then(|| Progress::of(&now.sync_status, now.tip.height()))
    }

    /// Where other nodes reach this one, with its identity: for their `--peer`.
    pub fn p2p(&self) -> Vec<String> {
        let addresses = self.net.as_ref().map(NetHandle::addresses).unwrap_or_default();
        addresses.iter().map(ToString::to_string).collect()
    }

    /// Who is refused: whom the operator has banned, then who misbehaved. Blocks: not to be called
    /// by a task, nor are the next two.
    pub fn bans(&self) -> Vec<Ban> {
        self.net.as_ref().map(NetHandle::bans).unwrap_or_default()
    }

    /// Bans an identity or a subnet for so many seconds, or for good; kept over a restart.
    pub fn ban(&self, target: BanTarget, seconds: Option<u64>) -> Result<Ban, BanError> {
        let until = seconds.map(|seconds| clock::now().saturating_add(seconds));
        self.net.as_ref().ok_or(BanError::NoNetwork)?.ban(target, until)?;
        Ok(Ban { target, until, by_operator: true })
    }

    /// Lifts a ban, or all. Gives how many there were.
    pub fn lift_bans(&self, target: Option<BanTarget>) -> Result<usize, BanError> {
        self.net.as_ref().ok_or(BanError::NoNetwork)?.lift_bans(target)
    }

    /// Waits until the node has stopped working by itself: its store failed, or one of its tasks
    /// has ended. Pending as long as all is well.
    pub async fn fatal_error(&self) -> FatalError {
        let mut published = self.published.clone();
        let chain = async {
            match published.wait_for(|now| now.failed.is_some()).await {
                Ok(now) => now.failed.clone().unwrap_or_default(),
                Err(_) => CHAIN_ENDED.to_owned(),
            }
        };
        let net = async {
            match &self.net {
                Some(net) => net.wait_failed().await,
                None => std::future::pending().await,
            }
        };
        let mut panics = self.panics.subscribe();
        let panicked = async {
            match panics.wait_for(Option::is_some).await {
                Ok(why) => why.clone().unwrap_or_default(),
                // It can't be: the sender is in this handle.
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            error = chain => FatalError(error),
            error = net => FatalError(error),
            error = panicked => FatalError(error),
        }
    }

    /// Asks the chain thread; `None` if it has ended.
    fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.blocking_send(command(reply)).ok()?;
        answer.blocking_recv().ok()
    }

    /// Checks an operation on the caller's thread, and hands it to the chain thread. Blocks for
    /// a few milliseconds: not to be called by a task.
    pub fn submit(&self, operation: Operation) -> Result<api_types::Submitted, api_types::Refusal> {
        let worker = self.workers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = worker.unwrap_or_else(|| PowHasher::new(self.network));
        let checked = self.check_operation(&operation, &mut worker);
        let mut idle = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_WORKERS {
            idle.push(worker);
        }
        drop(idle);
        checked.map_err(|violation| refusal(MempoolError::Rule(violation)))?;
        match self.ask(|reply| Command::Submit(Box::new(operation), reply)) {
            Some(Ok(id)) => Ok(api_types::Submitted { id, height: self.snapshot().height() }),
            Some(Err(error)) => Err(refusal(error)),
            None => Err(stopped()),
        }
    }

    /// Checks an operation as far as that goes without the chain thread, the price before the work.
    fn check_operation(
        &self,
        operation: &Operation,
        worker: &mut PowHasher,
    ) -> Result<(), RuleViolation> {
        let (params, now, tip) = (self.params(), clock::now(), self.snapshot());
        let context = BlockContext::after(&tip.header, now.max(tip.header.time));
        let (price, paid) = (least_price(params, context, operation), operation.stamp().work);
        if paid < price {
            return Err(RuleViolation::Underpaid { price, paid });
        }
        let branch = params.branch_at(context.now.time).number;
        check_operation_alone(params, &signing_context(params, branch), operation, worker)
    }

    /// The identity key and the sequence number of the record that stands under a name at
    /// the tip.
    fn current_identity(&self, name: &Name) -> Result<CurrentIdentity, api_types::Refusal> {
        let snapshot = self.snapshot();
        let entry = snapshot.entry(name).map_err(|error| api_types::Refusal {
            code: "unavailable".into(),
            rule: None,
            message: error.to_string(),
            hint: Some("ask again".into()),
        })?;
        let Some(NameLookup::Active(entry)) = entry.map(|entry| snapshot.status(entry)) else {
            return Ok(None);
        };
        Ok(entry.messaging.map(|entry| (entry.record.identity, entry.record.sequence)))
    }

    /// The operations that are written down as waiting.
    #[cfg(test)]
    pub(super) fn pending_rows(&self) -> Result<Vec<Vec<u8>>, StorageError> {
        self.storage.pending()
    }

    fn find(
        &self,
        stored: Option<StoredHeader>,
    ) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        let Some(stored) = stored else { return Ok(None) };
        let block = read_block(self.network, &*self.storage, stored.at)?;
        let active = self.storage.active(stored.header.height)? == Some(stored.id);
        Ok(Some((stored, block, active)))
    }
}

/// The refusal of a node whose chain thread has ended.
fn stopped() -> api_types::Refusal {
    api_types::Refusal {
        code: "unavailable".into(),
        rule: None,
        message: "the chain has stopped".into(),
        hint: Some("see the node's log".into()),
    }
}

/// What a refused operation's maker is told.
fn refusal(error: MempoolError) -> api_types::Refusal {
    let message = error.to_string();
    let (code, rule, hint) = match &error {
        MempoolError::Rule(violation) => {
            let conflict = matches!(
                violation,
                RuleViolation::NameTaken(_)
                    | RuleViolation::NameReserved { .. }
                    | RuleViolation::Sequence { .. }
                    | RuleViolation::Title(_)
                    | RuleViolation::NameSettling(_)
                    | RuleViolation::CommitRecorded
                    | RuleViolation::CommitmentSpent(_)
            );
            (
                if conflict { "conflict" } else { "rule" },
                Some(violation.id().to_owned()),
                violation.hint(),
            )
        }
        MempoolError::Occupied(_) => {
            ("conflict", None, Some("wait for the other operation, or pay more work"))
        }
        MempoolError::NameFull => ("full", None, Some("wait until some are recorded")),
        MempoolError::Full(_) => ("full", None, Some("wait, or pay more work")),
        MempoolError::Storage(_) => ("unavailable", None, Some("see the node's log")),
    };
    api_types::Refusal { code: code.into(), rule, message, hint: hint.map(str::to_owned) }
}

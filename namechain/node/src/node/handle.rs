//! What others hold of a running node: published snapshots, and a way to ask the chain thread.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    bundles::{Bundles, CurrentIdentity},
    clock,
    command::Command,
    config::{MineMode, NodeConfig},
    mining::MiningQueue,
    node_state::NodeState,
    progress::Progress,
};
use crate::{
    api::{Backend, Traffic},
    net::{Ban, BanError, BanTarget, NetHandle},
};
use namechain_core::{
    api_types,
    chain::{NameLookup, Snapshot, Storage, StorageError, StoredHeader, read_block},
    consensus::{
        HistoryProof, RuleViolation, block::check_operation_alone, context::BlockContext,
        header::signing_context, operation_price::least_price, price, work::PowHasher,
    },
    mempool::MempoolError,
    params::Params,
    sync::{Peer, PeerStatus},
    types::{Block, Hash, Header, Name, Network, Operation},
};

/// Workers that are kept for the next operation's check: each holds a mebibyte.
const IDLE_WORKERS: usize = 4;

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
        }
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

    /// Whether names can be served: the node works, and believes that it is at the tip.
    pub fn synced(&self) -> bool {
        // An error: the chain thread has ended, by a panic say.
        let works = self.published.has_changed().is_ok()
            && self.panics.borrow().is_none()
            && self.net.as_ref().is_none_or(|net| net.failed().is_none());
        let now = self.published.borrow();
        works && now.failed.is_none() && now.sync_status.synced
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
    pub fn ban(&self, target: BanTarget, seconds: Option<u64>) -> Result<(), BanError> {
        let until = seconds.map(|seconds| clock::now().saturating_add(seconds));
        self.net.as_ref().ok_or(BanError::NoNetwork)?.ban(target, until)
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
                Err(_) => {
                    "the chain thread has ended: see the log, and start the node again".into()
                }
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

impl Backend for NodeHandle {
    fn status(&self) -> api_types::Status {
        let now = self.now();
        let first_block = self.storage.first_block().unwrap_or(0);
        api_types::Status {
            pruned: first_block > 0,
            first_block,
            version: env!("CARGO_PKG_VERSION").into(),
            network: self.network,
            height: now.tip.height(),
            tip: now.tip.id,
            tip_time: now.tip.header.time,
            work: now.work.to_string(),
            serve_depth: self.params().serve_depth,
            served_height: now.served.height(),
            synced: self.synced(),
            mempool_operations: now.mempool_operations,
            mempool_bytes: now.mempool_bytes,
            mining: self.mine.as_str().into(),
            mining_hashes: self.mining_queue.hashes.load(Ordering::Relaxed),
            hold: now.hold.as_ref().map(|hold| api_types::HoldInfo {
                tip: hold.tip,
                fork_height: hold.fork_height,
                seconds: hold.seconds,
                seconds_left: hold.seconds_left(),
            }),
            parked_tip: now.parked_tip,
            tip_age: clock::now().saturating_sub(now.tip.header.time),
            mining_rate: self.mining_queue.rate.load(Ordering::Relaxed),
            peers: self.peer_counts(),
            sync: Progress::of(&now.sync_status, now.tip.height()).info(),
            second_best: now.second_best.map(|(id, height, work)| api_types::OtherTip {
                id,
                height,
                work: work.to_string(),
            }),
            protocol: self.protocol(),
            p2p: self.p2p(),
        }
    }

    fn peers(&self) -> api_types::Peers {
        let Some(net) = &self.net else { return api_types::Peers::default() };
        let now = self.now();
        let known: HashMap<Peer, &PeerStatus> =
            now.peers.iter().map(|status| (status.peer, status)).collect();
        let clock = clock::now();
        let mut peers: Vec<api_types::PeerInfo> = net
            .peers()
            .iter()
            .map(|peer| {
                let status = known.get(&peer.peer);
                api_types::PeerInfo {
                    id: peer.id.clone(),
                    address: peer.address.clone(),
                    direction: if peer.outbound { "out" } else { "in" }.into(),
                    seconds: clock.saturating_sub(peer.since),
                    height: status.and_then(|status| status.height),
                    work: status.and_then(|status| status.work).map(|work| work.to_string()),
                    score: status.map_or(0, |status| status.score),
                    agent: status.map_or_else(String::new, |status| status.agent.clone()),
                    doing: status.map_or_else(String::new, |status| status.doing.to_string()),
                }
            })
            .collect();
        peers.sort_by(|a, b| b.seconds.cmp(&a.seconds).then_with(|| a.id.cmp(&b.id)));
        api_types::Peers { addresses: self.p2p(), peers }
    }

    fn traffic(&self) -> Traffic {
        let traffic = self.net.as_ref().map(NetHandle::traffic).unwrap_or_default();
        Traffic { received: traffic.bytes_in, sent: traffic.bytes_out }
    }

    fn price(&self) -> api_types::Price {
        let (tip, params) = (self.snapshot(), self.params());
        let (names, bytes) = (tip.header.name_price, tip.header.byte_price);
        let of = |text: &str| {
            Name::parse(text).map_or(0, |name| price::registration(params, &name, names))
        };
        api_types::Price {
            network: self.network,
            anchor: tip.id,
            height: tip.height(),
            time: tip.header.time,
            name_multiplier: names,
            byte_multiplier: bytes,
            register: of("aaaaaa"),
            register_5: of("aaaaa"),
            register_4: of("aaaa"),
            register_3: of("aaa"),
            update: price::records(params, 1, bytes),
            renew: Name::parse("aaaaaa").map_or(0, |name| price::renewal(params, &name)),
            rescue: price::rescue(params),
        }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        NodeHandle::snapshot(self)
    }

    fn served(&self) -> Arc<Snapshot> {
        NodeHandle::served(self)
    }

    fn snapshot_at(&self, height: u32) -> Option<Arc<Snapshot>> {
        self.ask(|reply| Command::SnapshotAt(height, reply)).flatten().map(Arc::new)
    }

    fn pending_name(&self, name: &Name) -> bool {
        self.ask(|reply| Command::NamePending(name.clone(), reply)).unwrap_or(false)
    }

    fn pending_commitment(&self, commitment: &Hash) -> bool {
        self.ask(|reply| Command::CommitmentPending(*commitment, reply)).unwrap_or(false)
    }

    fn block(&self, id: &Hash) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        self.find(self.storage.header(id)?)
    }

    fn block_at(&self, height: u32) -> Result<Option<(StoredHeader, Block, bool)>, StorageError> {
        match self.storage.active(height)? {
            Some(id) => self.block(&id),
            None => Ok(None),
        }
    }

    fn header_at(&self, height: u32) -> Result<Option<StoredHeader>, StorageError> {
        self.storage.active(height)?.map_or(Ok(None), |id| self.storage.header(&id))
    }

    fn header(&self, id: &Hash) -> Result<Option<(StoredHeader, bool)>, StorageError> {
        let Some(stored) = self.storage.header(id)? else { return Ok(None) };
        let active = self.storage.active(stored.header.height)? == Some(*id);
        Ok(Some((stored, active)))
    }

    fn first_block(&self) -> Result<u32, StorageError> {
        self.storage.first_block()
    }

    fn history_heights(&self, key: &Hash) -> Result<Vec<u32>, StorageError> {
        self.storage.touched(key)
    }

    fn place(&self, height: u32, against: u32) -> Result<Option<HistoryProof>, StorageError> {
        let failed = std::cell::Cell::new(None);
        let node = |position| {
            self.storage.history(position).unwrap_or_else(|error| {
                failed.set(Some(error));
                None
            })
        };
        let proof = HistoryProof::make(u64::from(height), u64::from(against), node);
        failed.take().map_or(Ok(proof), Err)
    }

    fn submit(&self, operation: Operation) -> Result<api_types::Submitted, api_types::Refusal> {
        NodeHandle::submit(self, operation)
    }

    fn template(&self) -> Result<api_types::MiningTemplate, api_types::Refusal> {
        self.ask(Command::Template).unwrap_or_else(|| Err(stopped()))
    }

    fn mined(&self, header: Header) -> Result<api_types::MinedBlock, api_types::Refusal> {
        self.ask(|reply| Command::MinedOutside(Box::new(header), reply))
            .unwrap_or_else(|| Err(stopped()))
    }

    fn bundle(&self, name: &Name) -> Result<api_types::BundleInfo, api_types::Refusal> {
        self.bundles.get(name, self.current_identity(name)?, clock::now())
    }

    fn put_bundle(
        &self,
        name: &Name,
        bundle: Vec<u8>,
        gives_one_time: bool,
    ) -> Result<api_types::BundleInfo, api_types::Refusal> {
        self.bundles.put(name, bundle, gives_one_time, self.current_identity(name)?, clock::now())
    }

    fn take_prekey(&self, name: &Name) -> Result<api_types::PrekeyInfo, api_types::Refusal> {
        self.bundles.take(name, self.current_identity(name)?, clock::now())
    }
}

//! The chain thread's part in the network: it puts events into the state machine, and carries out
//! what comes back.

use std::{collections::VecDeque, fs, path::PathBuf, time::Duration};

use metrics::counter;
use tracing::{debug, error, info, warn};

use super::{
    chain_thread::ChainThread,
    clock::{self, Since},
    verify_pool::{REJECTED, VerifyPool},
};
use crate::net::NetHandle;
use namechain_core::{
    chain::{Accepted, ChainError, CheckedBlock, StorageError},
    codec::Encode,
    consensus::RuleViolation,
    mempool::MempoolError,
    params::MAX_REORG_DEPTH,
    sync::{
        Action, ConnectOutcome, Event, JobOutcome, PeerStatus, SubmitOutcome, Sync, SyncReason,
        SyncStatus,
    },
    types::{Hash, Operation},
};

/// The file whose presence says that this node has been at the tip of the network's chain once.
const EVER_SYNCED: &str = "synced";
/// How often how far it is goes to the log while the node catches up.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How often the state is published while the node catches up, when names are not served.
const PUBLISH_EVERY: Duration = Duration::from_millis(250);
/// After so long without anybody to compare tips with a node mines alone. Before that it would most
/// likely make blocks that are thrown away, and names in them with them: it has only just started,
/// or its peers have.
const MINES_ALONE_AFTER: Duration = Duration::from_secs(20);
/// How often the state machine hears that time passes.
const TICK_EVERY: Duration = Duration::from_millis(500);
/// Blocks whose broken rule is remembered, for peers who bring them or their children again.
const FAILED_KEPT: usize = 64;

/// What the chain thread has of the network.
pub(super) struct SyncDriver {
    sync: Sync,
    /// `None`: this node is alone.
    net: Option<NetHandle>,
    checks: VerifyPool,
    started: Since,
    /// The file that says that the node was synced once, until it is there.
    mark: Option<PathBuf>,
    failed: VecDeque<(Hash, RuleViolation)>,
    published: Since,
    peers: usize,
    logged: Since,
    ticked: Since,
    was_synced: bool,
    /// Whether somebody has shown, since the last time that nobody was there, that we are at the
    /// tip.
    compared: bool,
    /// Since when nobody has.
    alone: Since,
    may_mine: bool,
    warned_of_clock: bool,
}

/// Whether a node with this data was synced once.
pub(super) fn ever_synced(data_dir: &std::path::Path) -> bool {
    data_dir.join(EVER_SYNCED).exists()
}

impl SyncDriver {
    pub fn new(
        sync: Sync,
        net: Option<NetHandle>,
        checks: VerifyPool,
        data_dir: &std::path::Path,
        was_synced: bool,
    ) -> Self {
        let mark = data_dir.join(EVER_SYNCED);
        let mark = (net.is_some() && !mark.exists()).then_some(mark);
        SyncDriver {
            sync,
            net,
            checks,
            started: Since::now(),
            mark,
            failed: VecDeque::new(),
            published: Since::now(),
            peers: 0,
            logged: Since::now(),
            ticked: Since::now(),
            was_synced,
            compared: false,
            alone: Since::now(),
            may_mine: false,
            warned_of_clock: false,
        }
    }

    /// The network, if this node takes part in it.
    pub fn net(&self) -> Option<NetHandle> {
        self.net.clone()
    }

    /// Whether anybody is connected.
    pub fn has_peers(&self) -> bool {
        self.peers > 0
    }

    /// Who is connected.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.sync.peers()
    }

    /// Whether the node was at the tip when it last looked.
    pub fn is_synced(&self) -> bool {
        self.was_synced
    }

    /// Whether a block made here is likely to be one that others build on.
    pub fn may_mine(&self) -> bool {
        self.may_mine
    }

    /// Milliseconds since the node started: the state machine's clock.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the checking threads.
    pub fn stop(self) {
        self.checks.stop();
    }

    fn remember_failed(&mut self, id: Hash, violation: RuleViolation) {
        if self.failed.len() == FAILED_KEPT {
            self.failed.pop_front();
        }
        self.failed.push_back((id, violation));
    }
}

impl ChainThread {
    /// Puts an event into the state machine, and does what it says until it says no more.
    pub(super) fn on_event(&mut self, event: Event) -> Result<(), StorageError> {
        let (tip, waiting, may_mine) =
            (self.chain.tip_id(), self.mempool_changes, self.driver.may_mine);
        match &event {
            Event::PeerConnected { .. } => self.driver.peers += 1,
            Event::PeerDisconnected { .. } => {
                self.driver.peers = self.driver.peers.saturating_sub(1)
            }
            _ => {}
        }
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now_ms = self.driver.now_ms();
            self.driver.sync.handle(&self.chain, &self.mempool, event, now_ms, clock::now())?;
            while let Some(action) = self.driver.sync.next_action() {
                events.extend(self.perform(action)?);
            }
        }
        self.check_sync_status();
        if self.chain.tip_id() != tip || self.driver.may_mine != may_mine {
            self.update_mining(true)?;
        } else if self.mempool_changes != waiting {
            self.update_mining(false)?;
        }
        Ok(())
    }

    /// Carries an action out. What became of it, if the state machine wants to know.
    fn perform(&mut self, action: Action) -> Result<Option<Event>, StorageError> {
        match action {
            Action::RunJob { id, job } => {
                if !self.driver.checks.give(id, job) {
                    // Its bound is the queue's: this is a bug, and what is not checked is not
                    // taken.
                    error!("there are more checks under way than may be, which is a bug");
                    return Ok(Some(Event::JobDone { job: id, outcome: JobOutcome::Malformed }));
                }
            }
            Action::ConnectBlock { block, durable } => {
                let (id, outcome) = (block.id(), self.connect_block(&block, durable)?);
                return Ok(Some(Event::BlockConnected { id, outcome }));
            }
            Action::SubmitOperation(operation) => {
                let id = operation.id(self.chain.network());
                let outcome = self.accept_operation(*operation)?;
                return Ok(Some(Event::OperationSubmitted { id, outcome }));
            }
            Action::ParkChain { tip, work, depth } => self.park_tip(tip, work, depth),
            action => {
                if let Action::Ban { misbehavior, seconds, .. } = &action {
                    debug!("a peer is banned for {seconds} s: {misbehavior:?}");
                }
                if let Some(net) = &self.driver.net {
                    net.send(action);
                }
            }
        }
        Ok(None)
    }

    /// Lets the chain take a block that others made.
    fn connect_block(
        &mut self,
        block: &CheckedBlock,
        durable: bool,
    ) -> Result<ConnectOutcome, StorageError> {
        let id = block.id();
        match self.chain.accept_checked(block, clock::now(), durable) {
            Ok(Accepted::Tip(change)) => {
                self.on_tip_change(&change)?;
                Ok(ConnectOutcome::Accepted)
            }
            Ok(Accepted::Known | Accepted::Side) => Ok(ConnectOutcome::Accepted),
            Err(ChainError::Storage(error)) => Err(error),
            Err(ChainError::Rule { id: broke, violation }) => {
                warn!("block {broke} is refused: {violation} [rule {}]", violation.id());
                counter!(REJECTED, "what" => "block", "rule" => violation.id()).increment(1);
                self.driver.remember_failed(broke, violation.clone());
                Ok(ConnectOutcome::Invalid(violation))
            }
            Err(ChainError::OnFailed(broke)) => {
                let known = self.driver.failed.iter().find(|(failed, _)| *failed == broke);
                let known = known.map(|(_, violation)| violation.clone());
                // Of a rule that was broken before the last start only that it was broken is known.
                Ok(known.map_or(ConnectOutcome::Deferred, ConnectOutcome::Invalid))
            }
            Err(error @ ChainError::TooDeep { .. }) => {
                error!("{error}");
                self.publish(None);
                Ok(ConnectOutcome::Deferred)
            }
            Err(error @ (ChainError::Orphan(_) | ChainError::Early { .. })) => {
                debug!("block {id} is not taken now: {error}");
                Ok(ConnectOutcome::Deferred)
            }
        }
    }

    /// Lets the mempool take an operation that others made.
    fn accept_operation(&mut self, operation: Operation) -> Result<SubmitOutcome, StorageError> {
        let bytes = operation.to_bytes();
        match self.mempool.insert(&self.chain, operation) {
            Ok(id) => {
                // It is not ours to promise that a crash does not lose it: others have it too.
                self.store_pending(id, bytes, false)?;
                Ok(SubmitOutcome::Accepted)
            }
            Err(MempoolError::Storage(error)) => Err(error),
            Err(refused) => {
                if let MempoolError::Rule(violation) = &refused {
                    counter!(REJECTED, "what" => "operation", "rule" => violation.id())
                        .increment(1);
                }
                debug!("an operation is not taken: {refused}");
                Ok(SubmitOutcome::Rejected)
            }
        }
    }

    /// A chain of more work is known by its headers, and departs too deep to be followed.
    fn park_tip(&mut self, tip: Hash, work: u128, depth: u32) {
        if self.chain.parked_tip() == Some(tip) {
            return;
        }
        error!(
            "a chain of more work, with tip {tip}, would undo {depth} blocks; more than {MAX_REORG_DEPTH} are not undone by \
             themselves: find out which chain others are on"
        );
        self.chain.park_tip(tip, work);
        self.publish(None);
    }

    /// How far the node is.
    pub(super) fn status(&self) -> SyncStatus {
        self.driver.sync.status(&self.chain)
    }

    /// Notices when the node has reached the tip, or has been left behind; says now and then how
    /// far it is.
    fn check_sync_status(&mut self) {
        let sync_status = self.status();
        if sync_status.synced && !self.driver.was_synced {
            info!(height = self.chain.tip_header().height, "synced: {}", sync_status.why);
            self.driver.was_synced = true;
            self.publish(None);
        } else if !sync_status.synced && self.driver.was_synced {
            warn!(
                height = self.chain.tip_header().height,
                "not synced any more: {}", sync_status.why
            );
            self.driver.was_synced = false;
            self.publish(None);
        }
        match sync_status.why {
            SyncReason::AtTip | SyncReason::Alone => self.driver.compared = true,
            SyncReason::NoPeers if self.driver.compared => {
                (self.driver.compared, self.driver.alone) = (false, Since::now());
            }
            _ => {}
        }
        self.driver.may_mine = sync_status.synced
            && (self.driver.compared || self.driver.alone.elapsed() >= MINES_ALONE_AFTER);
        if let Some(off) = sync_status.clock_off
            && !self.driver.warned_of_clock
        {
            self.driver.warned_of_clock = true;
            warn!(
                "most peers' clocks are {off} seconds ahead of this machine's: set it, blocks more than ten minutes ahead are \
                 not taken"
            );
        }
        if sync_status.synced
            && sync_status.why == SyncReason::AtTip
            && let Some(mark) = self.driver.mark.take()
            && let Err(error) = fs::write(&mark, b"")
        {
            warn!("{}: {error}", mark.display());
        }
    }

    /// What is done now and then: the state machine hears that time passes, what has changed is
    /// published, and the log says how far the node is.
    pub(super) fn tick(&mut self) -> Result<(), StorageError> {
        self.look_at_turn()?;
        if self.driver.ticked.elapsed() < TICK_EVERY {
            return Ok(());
        }
        self.driver.ticked = Since::now();
        self.on_event(Event::Tick)?;
        self.measure_mining();
        if !self.driver.was_synced && self.driver.logged.elapsed() >= PROGRESS_EVERY {
            self.driver.logged = Since::now();
            self.log_progress();
        }
        self.publish(None);
        Ok(())
    }

    fn log_progress(&self) {
        let sync_status = self.status();
        let height = self.chain.tip_header().height;
        let progress = super::progress::Progress::of(&sync_status, height);
        info!(peers = self.driver.sync.peers().len(), "catching up: {progress}");
    }

    /// Publishes after a block: at once if names are served, else not with every block.
    pub(super) fn publish_block(&mut self) {
        if self.driver.was_synced || self.driver.published.elapsed() >= PUBLISH_EVERY {
            self.driver.published = Since::now();
            self.publish(None);
        }
    }
}

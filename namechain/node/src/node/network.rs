//! The chain thread's part in the network: it puts events into the state machine, and carries out
//! what comes back.

use std::{collections::VecDeque, fs, path::PathBuf, time::Duration};

use metrics::counter;
use tracing::{debug, error, info, warn};

use super::{
    checks::{Checks, REJECTED},
    clock::{self, Since},
    thread::ChainThread,
};
use crate::net::NetHandle;
use namechain_core::{
    chain::{Accepted, ChainError, CheckedBlock, StorageError},
    codec::Encode,
    consensus::RuleViolation,
    mempool::MempoolError,
    params::MAX_REORG_DEPTH,
    sync::{Action, Checked, Connected, Event, PeerStatus, Standing, Submitted, Sync, Why},
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
pub(super) struct Link {
    sync: Sync,
    /// `None`: this node is alone.
    net: Option<NetHandle>,
    checks: Checks,
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

impl Link {
    pub fn new(
        sync: Sync,
        net: Option<NetHandle>,
        checks: Checks,
        data_dir: &std::path::Path,
        was_synced: bool,
    ) -> Self {
        let mark = data_dir.join(EVER_SYNCED);
        let mark = (net.is_some() && !mark.exists()).then_some(mark);
        Link {
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
    pub(super) fn heard(&mut self, event: Event) -> Result<(), StorageError> {
        let (tip, waiting, may_mine) =
            (self.chain.tip_id(), self.mempool_changes, self.link.may_mine);
        match &event {
            Event::PeerConnected { .. } => self.link.peers += 1,
            Event::PeerDisconnected { .. } => self.link.peers = self.link.peers.saturating_sub(1),
            _ => {}
        }
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let now_ms = self.link.now_ms();
            self.link.sync.handle(&self.chain, &self.mempool, event, now_ms, clock::now())?;
            while let Some(action) = self.link.sync.next_action() {
                events.extend(self.perform(action)?);
            }
        }
        self.look_at_standing();
        if self.chain.tip_id() != tip || self.link.may_mine != may_mine {
            self.offer_work(true)?;
        } else if self.mempool_changes != waiting {
            self.offer_work(false)?;
        }
        Ok(())
    }

    /// Carries an action out. What became of it, if the state machine wants to know.
    fn perform(&mut self, action: Action) -> Result<Option<Event>, StorageError> {
        match action {
            Action::Check { id, job } => {
                if !self.link.checks.give(id, job) {
                    // Its bound is the queue's: this is a bug, and what is not checked is not
                    // taken.
                    error!("there are more checks under way than may be, which is a bug");
                    return Ok(Some(Event::Checked { job: id, outcome: Checked::Unreadable }));
                }
            }
            Action::Connect { block, durable } => {
                let (id, outcome) = (block.id(), self.connect(&block, durable)?);
                return Ok(Some(Event::Connected { id, outcome }));
            }
            Action::Submit(operation) => {
                let id = operation.id(self.chain.network());
                let outcome = self.take_offered(*operation)?;
                return Ok(Some(Event::Submitted { id, outcome }));
            }
            Action::HoldBack { tip, work, depth } => self.park_tip(tip, work, depth),
            action => {
                if let Action::Ban { offence, seconds, .. } = &action {
                    debug!("a peer is banned for {seconds} s: {offence:?}");
                }
                if let Some(net) = &self.link.net {
                    net.send(action);
                }
            }
        }
        Ok(None)
    }

    /// Lets the chain take a block that others made.
    fn connect(&mut self, block: &CheckedBlock, durable: bool) -> Result<Connected, StorageError> {
        let id = block.id();
        match self.chain.accept_checked(block, clock::now(), durable) {
            Ok(Accepted::Tip(change)) => {
                self.follow(&change)?;
                Ok(Connected::Taken)
            }
            Ok(Accepted::Known | Accepted::Side) => Ok(Connected::Taken),
            Err(ChainError::Storage(error)) => Err(error),
            Err(ChainError::Rule { id: broke, violation }) => {
                warn!("block {broke} is refused: {violation} [rule {}]", violation.id());
                counter!(REJECTED, "what" => "block", "rule" => violation.id()).increment(1);
                self.link.remember_failed(broke, violation.clone());
                Ok(Connected::Bad(violation))
            }
            Err(ChainError::OnFailed(broke)) => {
                let known = self.link.failed.iter().find(|(failed, _)| *failed == broke);
                let known = known.map(|(_, violation)| violation.clone());
                // Of a rule that was broken before the last start only that it was broken is known.
                Ok(known.map_or(Connected::NotNow, Connected::Bad))
            }
            Err(error @ ChainError::TooDeep { .. }) => {
                error!("{error}");
                self.publish(None);
                Ok(Connected::NotNow)
            }
            Err(error @ (ChainError::Orphan(_) | ChainError::Early { .. })) => {
                debug!("block {id} is not taken now: {error}");
                Ok(Connected::NotNow)
            }
        }
    }

    /// Lets the mempool take an operation that others made.
    fn take_offered(&mut self, operation: Operation) -> Result<Submitted, StorageError> {
        let bytes = operation.to_bytes();
        match self.mempool.insert(&self.chain, operation) {
            Ok(id) => {
                // It is not ours to promise that a crash does not lose it: others have it too.
                self.keep_pending(id, bytes, false)?;
                Ok(Submitted::Taken)
            }
            Err(MempoolError::Storage(error)) => Err(error),
            Err(refused) => {
                if let MempoolError::Rule(violation) = &refused {
                    counter!(REJECTED, "what" => "operation", "rule" => violation.id())
                        .increment(1);
                }
                debug!("an operation is not taken: {refused}");
                Ok(Submitted::NotNow)
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
    pub(super) fn standing(&self) -> Standing {
        self.link.sync.standing(&self.chain)
    }

    /// Notices when the node has reached the tip, or has been left behind; says now and then how
    /// far it is.
    fn look_at_standing(&mut self) {
        let standing = self.standing();
        if standing.synced && !self.link.was_synced {
            info!(height = self.chain.tip_header().height, "synced: {}", standing.why);
            self.link.was_synced = true;
            self.publish(None);
        } else if !standing.synced && self.link.was_synced {
            warn!(height = self.chain.tip_header().height, "not synced any more: {}", standing.why);
            self.link.was_synced = false;
            self.publish(None);
        }
        match standing.why {
            Why::AtTip | Why::Alone => self.link.compared = true,
            Why::NoPeers if self.link.compared => {
                (self.link.compared, self.link.alone) = (false, Since::now());
            }
            _ => {}
        }
        self.link.may_mine = standing.synced
            && (self.link.compared || self.link.alone.elapsed() >= MINES_ALONE_AFTER);
        if let Some(off) = standing.clock_off
            && !self.link.warned_of_clock
        {
            self.link.warned_of_clock = true;
            warn!(
                "most peers' clocks are {off} seconds ahead of this machine's: set it, blocks more than ten minutes ahead are \
                 not taken"
            );
        }
        if standing.synced
            && standing.why == Why::AtTip
            && let Some(mark) = self.link.mark.take()
            && let Err(error) = fs::write(&mark, b"")
        {
            warn!("{}: {error}", mark.display());
        }
    }

    /// What is done now and then: the state machine hears that time passes, what has changed is
    /// published, and the log says how far the node is.
    pub(super) fn tick(&mut self) -> Result<(), StorageError> {
        self.look_at_turn()?;
        if self.link.ticked.elapsed() < TICK_EVERY {
            return Ok(());
        }
        self.link.ticked = Since::now();
        self.heard(Event::Tick)?;
        self.measure_mining();
        if !self.link.was_synced && self.link.logged.elapsed() >= PROGRESS_EVERY {
            self.link.logged = Since::now();
            self.log_progress();
        }
        self.publish(None);
        Ok(())
    }

    fn log_progress(&self) {
        let standing = self.standing();
        let height = self.chain.tip_header().height;
        let progress = super::progress::Progress::of(&standing, height);
        info!(peers = self.link.sync.peers().len(), "catching up: {progress}");
    }

    /// Publishes after a block: at once if names are served, else not with every block.
    pub(super) fn publish_block(&mut self) {
        if self.link.was_synced || self.link.published.elapsed() >= PUBLISH_EVERY {
            self.link.published = Since::now();
            self.publish(None);
        }
    }
}

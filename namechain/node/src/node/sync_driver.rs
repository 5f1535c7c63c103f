//! The chain thread's part in the network: it puts events into the state machine, and carries out
//! what comes back.

use std::{collections::VecDeque, fs, path::PathBuf, time::Duration};

use tracing::{debug, error, info, warn};

use super::{
    clock::{self, Since},
    verify_pool::VerifyPool,
};
use crate::net::NetHandle;
use namechain_core::{
    chain::{Chain, StorageError},
    consensus::RuleViolation,
    mempool::Mempool,
    sync::{Action, Event, Job, JobId, JobOutcome, PeerStatus, Sync, SyncReason, SyncStatus},
    types::Hash,
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
    /// Whether this node was told of no peer, and remembers none: the first of its network.
    knows_nobody: bool,
    /// Whether somebody has shown, since the last time that nobody was there, that we are at the
    /// tip.
    compared: bool,
    /// Since when nobody has.
    alone: Since,
    may_mine: bool,
    warned_of_clock: bool,
    warned_of_branch: bool,
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
        (was_synced, knows_nobody): (bool, bool),
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
            knows_nobody,
            compared: false,
            alone: Since::now(),
            may_mine: false,
            warned_of_clock: false,
            warned_of_branch: false,
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

    /// Puts an event into the state machine. What is to be done then comes out of
    /// [`SyncDriver::next_action`].
    pub fn handle(
        &mut self,
        chain: &Chain,
        mempool: &Mempool,
        event: Event,
    ) -> Result<(), StorageError> {
        match &event {
            Event::PeerConnected { .. } => self.peers += 1,
            Event::PeerDisconnected { .. } => self.peers = self.peers.saturating_sub(1),
            _ => {}
        }
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.sync.handle(chain, mempool, event, now_ms, clock::now())
    }

    /// The next thing to do.
    pub fn next_action(&mut self) -> Option<Action> {
        self.sync.next_action()
    }

    /// Gives a job to the verify pool. If that is full, the job's result.
    pub fn run_job(&self, id: JobId, job: Job) -> Option<Event> {
        if self.checks.give(id, job) {
            return None;
        }
        // Its bound is the queue's: this is a bug, and what is not checked is not taken.
        error!("there are more checks under way than the queue holds; please report this bug");
        Some(Event::JobDone { job: id, outcome: JobOutcome::Malformed })
    }

    /// Has the network carry an action out.
    pub fn send(&self, action: Action) {
        if let Action::Ban { misbehavior, seconds, .. } = &action {
            debug!("a peer is banned for {seconds} s: {misbehavior:?}");
        }
        if let Some(net) = &self.net {
            net.send(action);
        }
    }

    /// Ends the checking threads.
    pub fn stop(self) {
        self.checks.stop();
    }

    /// Remembers which rule a block broke.
    pub fn record_failed(&mut self, id: Hash, violation: RuleViolation) {
        if self.failed.len() == FAILED_KEPT {
            self.failed.pop_front();
        }
        self.failed.push_back((id, violation));
    }

    /// Which rule a block broke, if it did so lately.
    pub fn violation_of(&self, id: &Hash) -> Option<RuleViolation> {
        let known = self.failed.iter().find(|(failed, _)| failed == id);
        known.map(|(_, violation)| violation.clone())
    }

    /// How far the node is.
    pub fn status(&self, chain: &Chain) -> SyncStatus {
        self.sync.status(chain)
    }

    /// Notices when the node has become synced, or is not any more; true if that is so and others
    /// should know.
    pub fn update(&mut self, chain: &Chain) -> bool {
        let status = self.status(chain);
        let height = chain.tip_header().height;
        let changed = status.synced != self.was_synced;
        if changed && status.synced {
            info!(height, "synced: {}", status.why);
        } else if changed {
            warn!(height, "not synced any more: {}", status.why);
        }
        self.was_synced = status.synced;
        match status.why {
            SyncReason::AtTip | SyncReason::Alone => self.compared = true,
            SyncReason::NoPeers if self.compared => {
                (self.compared, self.alone) = (false, Since::now());
            }
            _ => {}
        }
        // The first node of a network has nobody to compare tips with, and has to begin.
        let is_first = status.why == SyncReason::NoPeers && self.knows_nobody;
        self.may_mine = (status.synced || is_first)
            && (self.compared || self.alone.elapsed() >= MINES_ALONE_AFTER);
        if let Some(off) = status.clock_off
            && !self.warned_of_clock
        {
            self.warned_of_clock = true;
            warn!(
                "the clocks of most peers are {off} s ahead of this machine's. Set this machine's \
                 clock: blocks more than ten minutes ahead of it are not taken"
            );
        }
        if let Some(branch) = status.upgrade_needed
            && !self.warned_of_branch
        {
            self.warned_of_branch = true;
            warn!(
                "a chain with work follows branch {branch} of the protocol, which this program does \
                 not know. It stays on its last block: upgrade it"
            );
        }
        if status.synced
            && status.why == SyncReason::AtTip
            && let Some(mark) = self.mark.take()
            && let Err(error) = fs::write(&mark, b"")
        {
            warn!("{} can't be written: {error}", mark.display());
        }
        changed
    }

    /// Whether the state machine is to hear that time has passed.
    pub fn is_tick_due(&mut self) -> bool {
        is_due(&mut self.ticked, TICK_EVERY)
    }

    /// Whether the log is to say how far the node is.
    pub fn is_progress_due(&mut self) -> bool {
        !self.was_synced && is_due(&mut self.logged, PROGRESS_EVERY)
    }

    /// Whether a new block is published at once: if names are served, else not with every block.
    pub fn is_publish_due(&mut self) -> bool {
        self.was_synced || is_due(&mut self.published, PUBLISH_EVERY)
    }
}

fn is_due(last: &mut Since, every: Duration) -> bool {
    let due = last.elapsed() >= every;
    if due {
        *last = Since::now();
    }
    due
}

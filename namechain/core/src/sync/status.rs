//! What the machine says of itself: who the peers are, how far it is, whether it is synced and why.

use core::net::IpAddr;
use std::fmt;

use super::{
    blocks::BlockDownload,
    event::Peer,
    headers::{Candidate, HeaderSync},
    limits::{CLOCK_WARNING_SECONDS, MAX_BLOCKS_BEHIND},
    operations::OperationRelay,
    peers::{PeerState, PeerTable},
};
use crate::{
    chain::Chain,
    types::{Hash, Network},
};

/// What the machine is told when it begins.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    /// The network.
    pub network: Network,
    /// Our software's name for others, printable ASCII, at most 64 bytes.
    pub agent: String,
    /// Whether a node without peers counts as synced: it has no network, or knows nobody.
    pub alone_is_synced: bool,
    /// Whether this node was synced once, in an earlier run.
    pub ever_synced: bool,
    /// What peers can't know: which of their headers are checked first follows from it.
    pub secret: u64,
}

/// A peer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its number.
    pub peer: Peer,
    /// Where it is.
    pub ip: Option<IpAddr>,
    /// Whether we dialled it.
    pub outbound: bool,
    /// When it connected, in milliseconds of the clock that the machine is given.
    pub connected_at: u64,
    /// The height that it claims; `None` before its hello.
    pub height: Option<u32>,
    /// The summed work that it claims.
    pub work: Option<u128>,
    /// From 0 down; at -100 it is banned.
    pub score: i64,
    /// Its software, printable ASCII.
    pub agent: String,
    /// How far its clock is ahead of ours, in seconds, as of its hello.
    pub clock_ahead: i64,
    /// What we are waiting for from it.
    pub doing: SyncPhase,
}

/// What a peer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPhase {
    /// Who it is.
    Hello,
    /// Headers.
    Headers,
    /// Blocks: how many requests.
    Blocks(u8),
    /// Operations.
    Operations,
    /// Nothing.
    Nothing,
}

impl fmt::Display for SyncPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SyncPhase::Hello => "hello",
            SyncPhase::Headers => "headers",
            SyncPhase::Blocks(_) => "blocks",
            SyncPhase::Operations => "operations",
            SyncPhase::Nothing => "idle",
        })
    }
}

/// Whether we are synced, in a word or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncReason {
    /// Nobody else is there, and that is fine.
    Alone,
    /// Nobody else is there, and we do not know what we are missing.
    NoPeers,
    /// Peers have not shown yet what they have.
    Asking,
    /// Headers are being fetched and checked.
    Headers,
    /// Blocks are being fetched and checked.
    Blocks,
    /// No peer has the blocks that come next: all that are connected have pruned them.
    Pruned,
    /// A chain of more work is known that is not followed without the operator.
    Parked,
    /// A chain of more work would undo too much at once: it is held back for a time.
    Holding,
    /// Our chain sums less work than the network's is known to have.
    TooLittleWork,
    /// Most peers' blocks are ahead of this machine's clock.
    ClockBehind,
    /// No peer has shown a chain of more work.
    AtTip,
}

impl fmt::Display for SyncReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SyncReason::Alone => "there are no peers to follow",
            SyncReason::NoPeers => "no peer is connected",
            SyncReason::Asking => "asking peers what they have",
            SyncReason::Headers => "fetching headers",
            SyncReason::Blocks => "fetching blocks",
            SyncReason::Pruned => "every connected peer has pruned the blocks that come next",
            SyncReason::Parked => "a chain of more work departs too deep to be followed by itself",
            SyncReason::Holding => {
                "a chain of more work would undo more than a day: it is held back for a time"
            }
            SyncReason::TooLittleWork => "the network is known to have a chain of more work",
            SyncReason::ClockBehind => "this machine's clock is behind the blocks of most peers",
            SyncReason::AtTip => "no peer has a chain of more work",
        })
    }
}

/// How far we are.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncStatus {
    /// Whether names may be answered from this chain.
    pub synced: bool,
    /// SyncReason, or why not.
    pub why: SyncReason,
    /// The height that we are heading for: of the best headers that were checked, or claimed; ours
    /// if there is nothing better.
    pub target_height: u32,
    /// The work there.
    pub target_work: u128,
    /// The height up to which headers of the chain that we are heading for were checked.
    pub headers_done: u32,
    /// The height of our tip.
    pub blocks_done: u32,
    /// Blocks connected per second while catching up, in the last seconds; 0 when there is nothing
    /// to fetch.
    pub blocks_per_second: f64,
    /// Headers checked per second, likewise.
    pub headers_per_second: f64,
    /// The best chain of headers beside ours: its tip, height and summed work.
    pub second_best: Option<(Hash, u32, u128)>,
    /// By how many seconds most peers' clocks are ahead of ours, if that is too much to be right.
    pub clock_off: Option<i64>,
    /// A branch of the protocol that a chain with work follows and this program does not know: it
    /// has to be upgraded.
    pub upgrade_needed: Option<u32>,
}

/// How much the machine holds: each is bounded by a constant of `limits`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Peers.
    pub peers: usize,
    /// Requests in flight.
    pub requests: usize,
    /// Jobs given away.
    pub jobs: usize,
    /// Candidates.
    pub candidates: usize,
    /// Ids of headers of all candidates.
    pub candidate_ids: usize,
    /// Blocks in the window that are not connected.
    pub window: usize,
    /// Their bytes.
    pub window_bytes: usize,
    /// Announced blocks in the works, and those that wait for their time.
    pub pending_blocks: usize,
    /// Operations in the works.
    pub operations: usize,
    /// Ids of operations that are to be fetched.
    pub wanted_operations: usize,
    /// Ids that are remembered for having been refused or failed.
    pub remembered: usize,
}

/// What the status is made of.
pub(super) struct View<'a> {
    pub config: &'a SyncConfig,
    /// Whether we were synced when we last looked.
    pub synced: bool,
    pub chain: &'a Chain,
    pub peers: &'a PeerTable,
    pub headers: &'a HeaderSync,
    pub blocks: &'a BlockDownload,
    pub later_branch: Option<u32>,
    pub now: u64,
}

impl View<'_> {
    /// The most work that a peer advertises, with its height, if it is more than ours and the peer
    /// has not been heard out.
    fn best_advertised(&self) -> Option<(u32, u128)> {
        let tips = self
            .peers
            .iter()
            .filter(|(peer, _)| !self.headers.is_exhausted(*peer))
            .filter_map(|(_, state)| state.advertised_tip());
        let more = self.chain.work_to_leave();
        let best = tips.filter(|tip| tip.work > more).max_by_key(|tip| tip.work);
        best.map(|tip| (tip.height, tip.work))
    }

    /// Why we are synced or not, and which of the two.
    fn reason(&self) -> (SyncReason, bool) {
        if let Some((_, target)) = self.headers.target() {
            let behind = target.height().saturating_sub(self.chain.tip_header().height);
            return (SyncReason::Blocks, self.synced && behind <= MAX_BLOCKS_BEHIND);
        }
        if self.chain.hold().is_some() {
            return (SyncReason::Holding, self.synced || self.chain.is_live());
        }
        if self.chain.parked_tip().is_some() {
            return (SyncReason::Parked, self.synced);
        }
        if !self.peers.iter().any(|(_, state)| state.has_greeted()) {
            let alone = self.config.alone_is_synced;
            let reason = if alone { SyncReason::Alone } else { SyncReason::NoPeers };
            return (reason, alone || self.synced);
        }
        if self.headers.is_pruned_away() {
            return (SyncReason::Pruned, self.synced);
        }
        if self.best_advertised().is_some() {
            let headers = self.headers.len().0 > 0;
            let reason = if headers { SyncReason::Headers } else { SyncReason::Asking };
            return (reason, self.synced);
        }
        if self.is_clock_behind() {
            return (SyncReason::ClockBehind, false);
        }
        if self.chain.work() < self.chain.network().params().minimum_work {
            return (SyncReason::TooLittleWork, false);
        }
        (SyncReason::AtTip, true)
    }

    /// Whether most of the peers that we dialled, or of all if we dialled none, have shown headers
    /// that are too far ahead of our clock. A few can't make a node believe that.
    fn is_clock_behind(&self) -> bool {
        let greeted = || self.peers.iter().filter(|(_, state)| state.has_greeted());
        let dialled = greeted().any(|(_, state)| state.is_outbound());
        let asked = greeted().filter(|(_, state)| state.is_outbound() || !dialled);
        let (ahead, others): (Vec<_>, Vec<_>) =
            asked.map(|(peer, _)| peer).partition(|peer| self.headers.is_too_early(*peer));
        ahead.len() > others.len()
    }

    /// By how much most peers' clocks are ahead of ours, in seconds, if that is a lot.
    fn clock_off(&self) -> Option<i64> {
        let mut ahead: Vec<i64> = self
            .peers
            .iter()
            .filter(|(_, state)| state.is_outbound() && state.has_greeted())
            .map(|(_, state)| state.clock_ahead())
            .collect();
        ahead.sort_unstable();
        // Of few, any could be the one that is wrong.
        let median = ahead.get(ahead.len() / 2).copied().filter(|_| ahead.len() >= 3)?;
        (median.unsigned_abs() > CLOCK_WARNING_SECONDS).then_some(median)
    }
}

/// How far we are.
pub(super) fn status(view: &View<'_>) -> SyncStatus {
    let (tip, work) = (view.chain.tip_header(), view.chain.work());
    let best = view.headers.best();
    let (why, synced) = view.reason();
    let target = view.headers.target().map(|(_, on)| Candidate::end(on));
    let shown = target
        .or(best.filter(|end| end.work() > work))
        .map(|end| (end.header().height, end.work()));
    let heading = match why {
        SyncReason::Headers | SyncReason::Asking | SyncReason::Blocks | SyncReason::Pruned => {
            shown.max(view.best_advertised())
        }
        _ => None,
    };
    let (target_height, target_work) = heading.unwrap_or((tip.height, work));
    let busy = matches!(why, SyncReason::Headers | SyncReason::Blocks);
    SyncStatus {
        synced,
        why,
        target_height,
        target_work,
        headers_done: shown.map_or(tip.height, |(height, _)| height.max(tip.height)),
        blocks_done: tip.height,
        blocks_per_second: if busy { view.blocks.per_second(view.now) } else { 0.0 },
        headers_per_second: if busy { view.headers.per_second(view.now) } else { 0.0 },
        second_best: best.map(|end| (end.id(), end.header().height, end.work())),
        clock_off: view.clock_off(),
        upgrade_needed: view.later_branch,
    }
}

/// Whether we are synced: once we are, a few blocks more or less change nothing.
pub(super) fn is_still_synced(view: &View<'_>) -> bool {
    let (why, synced) = view.reason();
    // Being alone tells nothing about what others have.
    synced && (why != SyncReason::Alone || view.synced)
}

/// What a peer is asked for.
pub(super) fn phase(
    peer: Peer,
    state: &PeerState,
    headers: &HeaderSync,
    blocks: &BlockDownload,
    operations: &OperationRelay,
) -> SyncPhase {
    match blocks.in_flight_of(peer) {
        _ if !state.has_greeted() => SyncPhase::Hello,
        _ if headers.is_asking(peer) => SyncPhase::Headers,
        0 if operations.is_asking(peer) => SyncPhase::Operations,
        0 => SyncPhase::Nothing,
        requests => SyncPhase::Blocks(requests),
    }
}

/// A peer, for people.
pub(super) fn of_peer(peer: Peer, state: &PeerState, doing: SyncPhase, now: u64) -> PeerStatus {
    PeerStatus {
        peer,
        ip: state.ip(),
        outbound: state.is_outbound(),
        connected_at: state.connected_at(),
        height: state.advertised_tip().map(|tip| tip.height),
        work: state.advertised_work(),
        score: state.score(now),
        agent: state.agent().to_owned(),
        clock_ahead: state.clock_ahead(),
        doing,
    }
}

//! What the machine says of itself: who the peers are, how far it is, whether it is synced and why.

use core::net::IpAddr;
use std::fmt;

use super::{
    Peer, Sync,
    candidates::Candidate,
    limits::{BEHIND, CLOCK_OFF},
    peers::PeerState,
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
    /// A chain of more work is known that is not followed without the operator.
    Parked,
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
            SyncReason::Parked => "a chain of more work departs too deep to be followed by itself",
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
    pub arrivals: usize,
    /// Operations in the works.
    pub operations: usize,
    /// Ids of operations that are to be fetched.
    pub wanted_operations: usize,
    /// Ids that are remembered for having been refused or failed.
    pub remembered: usize,
}

/// Counts events and tells their rate over the last seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    since: u64,
    count: u64,
    last: f64,
}

impl Rate {
    /// Over how many milliseconds a rate is taken.
    const SPAN: u64 = 5_000;

    pub fn add(&mut self, count: u64, now: u64) {
        self.turn(now);
        self.count += count;
    }

    fn turn(&mut self, now: u64) {
        let spent = now.saturating_sub(self.since);
        if spent >= Self::SPAN {
            self.last = self.count as f64 * 1_000.0 / spent as f64;
            (self.since, self.count) = (now, 0);
        }
    }

    pub fn per_second(&self, now: u64) -> f64 {
        let spent = now.saturating_sub(self.since);
        if spent >= Self::SPAN || self.last == 0.0 && spent > 0 {
            self.count as f64 * 1_000.0 / spent as f64
        } else {
            self.last
        }
    }
}

impl Sync {
    /// Who is there.
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.peers.iter().map(|(peer, state)| state.status(*peer, self.now)).collect()
    }

    /// How far we are.
    pub fn status(&self, chain: &Chain) -> SyncStatus {
        let (tip, work) = (chain.tip_header(), chain.work());
        let best = self.best_headers().filter(|end| end.work() > work);
        let target = self.window.candidate().and_then(|number| self.candidates.get(number));
        let claimed =
            self.peers.values().filter(|state| !state.settled).filter_map(|state| state.claim);
        let claimed = claimed.filter(|claim| claim.work.is_some_and(|claimed| claimed > work));
        let claimed = claimed.max_by_key(|claim| claim.work);
        let (why, synced) = self.verdict(chain, claimed.is_some());
        let shown = target.map(|on| on.end()).or(best).map(|end| (end.header().height, end.work()));
        let claimed = claimed.map(|claim| (claim.height, claim.work.unwrap_or(0)));
        let heading = match why {
            SyncReason::Headers | SyncReason::Asking | SyncReason::Blocks => shown.max(claimed),
            _ => None,
        };
        let (target_height, target_work) = heading.unwrap_or((tip.height, work));
        let second = self.best_headers().map(|end| (end.id(), end.header().height, end.work()));
        let busy = matches!(why, SyncReason::Headers | SyncReason::Blocks);
        SyncStatus {
            synced,
            why,
            target_height,
            target_work,
            headers_done: shown.map_or(tip.height, |(height, _)| height.max(tip.height)),
            blocks_done: tip.height,
            blocks_per_second: if busy { self.block_rate.per_second(self.now) } else { 0.0 },
            headers_per_second: if busy { self.header_rate.per_second(self.now) } else { 0.0 },
            second_best: second,
            clock_off: self.clock_off(),
        }
    }

    /// SyncReason we are synced or not, and which of the two. `claims`: whether somebody claims more work
    /// and was not heard out.
    fn verdict(&self, chain: &Chain, claims: bool) -> (SyncReason, bool) {
        let behind =
            |candidate: &Candidate| candidate.height().saturating_sub(chain.tip_header().height);
        let target = self.window.candidate().and_then(|number| self.candidates.get(number));
        let greeted = self.peers.values().any(|state| state.claim.is_some());
        if let Some(target) = target {
            return (SyncReason::Blocks, self.synced && behind(target) <= BEHIND);
        }
        if chain.parked_tip().is_some() {
            return (SyncReason::Parked, self.synced);
        }
        if !greeted {
            let alone = self.config.alone_is_synced;
            return (
                if alone { SyncReason::Alone } else { SyncReason::NoPeers },
                alone || self.synced,
            );
        }
        if claims {
            let headers = self.candidates.len() > 0;
            return (if headers { SyncReason::Headers } else { SyncReason::Asking }, self.synced);
        }
        (SyncReason::AtTip, true)
    }

    /// Notes that we are synced: from then on a few blocks more or less change nothing.
    pub(super) fn note_standing(&mut self, chain: &Chain) {
        let claims = self
            .peers
            .values()
            .filter(|state| !state.settled)
            .filter_map(|state| state.claimed_work());
        let (why, synced) =
            self.verdict(chain, claims.max().is_some_and(|most| most > chain.work()));
        // Being alone tells nothing about what others have.
        self.synced = synced && (why != SyncReason::Alone || self.synced);
    }

    /// By how much most peers' clocks are ahead of ours, if that is a lot.
    fn clock_off(&self) -> Option<i64> {
        let mut ahead: Vec<i64> = self
            .peers
            .values()
            .filter(|state| state.outbound && state.claim.is_some())
            .map(PeerState::clock_ahead)
            .collect();
        ahead.sort_unstable();
        // Of few, any could be the one that is wrong.
        let median = ahead.get(ahead.len() / 2).copied().filter(|_| ahead.len() >= 3)?;
        (median.unsigned_abs() > CLOCK_OFF).then_some(median)
    }
}

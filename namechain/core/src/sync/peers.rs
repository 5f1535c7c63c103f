//! Who is there: what each peer claims, has shown and is asked for, and its score.

use core::net::IpAddr;
use std::collections::VecDeque;

use super::{
    Misbehavior, Peer, PeerStatus, RequestId, SyncPhase,
    limits::{
        ANNOUNCED_BURST, ANNOUNCED_REFILL_MS, BANNED_AT, FORGIVEN_EVERY_MS, NO_BLOCKS_MOST,
        NO_BLOCKS_MS, OPERATION_BURST, OPERATION_REFILL_MS, QUIET_MOST_MS, QUIET_MS, penalty,
    },
    message::Hello,
};
use crate::types::Hash;

/// What a peer says it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub tip: Hash,
    pub height: u32,
    /// `None` if it announced a block, which tells no sum.
    pub work: Option<u128>,
}

/// Where a peer stands: it has shown that it has this candidate's blocks up to a height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub candidate: u64,
    pub height: u32,
}

/// So much at once, and then so much a time.
#[derive(Debug)]
struct Bucket {
    left: u32,
    burst: u32,
    refill: u64,
    at: u64,
}

impl Bucket {
    fn new(burst: u32, refill: u64, now: u64) -> Self {
        Bucket { left: burst, burst, refill, at: now }
    }

    fn take(&mut self, now: u64) -> bool {
        let more = now.saturating_sub(self.at) / self.refill;
        self.at += more * self.refill;
        self.left =
            self.burst.min(self.left.saturating_add(u32::try_from(more).unwrap_or(u32::MAX)));
        let taken = self.left > 0;
        self.left -= u32::from(taken);
        taken
    }

    fn give_back(&mut self) {
        self.left = self.burst.min(self.left + 1);
    }
}

/// Operations that a peer says wait there, and that are to be fetched from it.
#[derive(Debug, Default)]
pub(super) struct Fetch {
    /// Ids that have not been asked for.
    pub left: VecDeque<Hash>,
    /// Whether what comes is told to everybody.
    pub tell: bool,
    /// Its request in flight, for the list or for operations.
    pub request: Option<RequestId>,
}

/// A peer that is connected.
#[derive(Debug)]
pub(super) struct PeerState {
    ip: Option<IpAddr>,
    pub outbound: bool,
    pub connected_at: u64,
    agent: String,
    clock_ahead: i64,
    /// `None` before its hello.
    pub claim: Option<Claim>,
    pub spot: Option<Spot>,
    /// Nothing more is to be found out about its claim.
    pub settled: bool,
    /// It announced a block that follows nothing that we know: ask for its headers, whatever it
    /// claims.
    pub orphaned: bool,
    pub last_orphan: Option<u64>,
    pub hello: Option<RequestId>,
    pub next_hello: u64,
    pub headers: Option<RequestId>,
    pub block_requests: u8,
    /// The most block requests that it gets at a time.
    pub block_requests_most: u8,
    /// Milliseconds per block that it took, smoothed; 0 before the first.
    pub pace: f64,
    /// Requests for blocks in a row that brought none, and until when no more are made.
    pub no_blocks: u32,
    pub no_blocks_until: u64,
    pub fetch: Fetch,
    pub next_pending: u64,
    /// Requests in a row without an answer in time.
    pub silences: u8,
    quiet_until: u64,
    quiet: u64,
    score: i64,
    scored_at: u64,
    announced: Bucket,
    operations: Bucket,
}

impl PeerState {
    pub fn new(ip: Option<IpAddr>, outbound: bool, now: u64) -> Self {
        PeerState {
            ip,
            outbound,
            connected_at: now,
            agent: String::new(),
            clock_ahead: 0,
            claim: None,
            spot: None,
            settled: false,
            orphaned: false,
            last_orphan: None,
            hello: None,
            next_hello: now,
            headers: None,
            block_requests: 0,
            block_requests_most: 2,
            pace: 0.0,
            no_blocks: 0,
            no_blocks_until: 0,
            fetch: Fetch::default(),
            next_pending: now,
            silences: 0,
            quiet_until: 0,
            quiet: QUIET_MS,
            score: 0,
            scored_at: now,
            announced: Bucket::new(ANNOUNCED_BURST, ANNOUNCED_REFILL_MS, now),
            operations: Bucket::new(OPERATION_BURST, OPERATION_REFILL_MS, now),
        }
    }

    /// Takes a hello whose network was looked at.
    pub fn greet(&mut self, hello: Hello, unix_now: u64) {
        self.claim = Some(Claim { tip: hello.tip, height: hello.height, work: Some(hello.work) });
        self.clock_ahead = (i128::from(hello.time) - i128::from(unix_now))
            .clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        self.agent = hello.agent;
    }

    pub fn clock_ahead(&self) -> i64 {
        self.clock_ahead
    }

    /// The work that it claims in a hello.
    pub fn claimed_work(&self) -> Option<u128> {
        self.claim.and_then(|claim| claim.work)
    }

    /// Whether it may be asked for chains now.
    pub fn is_quiet(&self, now: u64) -> bool {
        now < self.quiet_until
    }

    /// Leaves it in peace for a while, longer each time.
    pub fn be_quiet(&mut self, now: u64) {
        self.quiet_until = now + self.quiet;
        self.quiet = (self.quiet * 2).min(QUIET_MOST_MS);
    }

    /// Whether it may be asked for blocks now.
    pub fn gives_blocks(&self, now: u64) -> bool {
        !self.is_quiet(now) && now >= self.no_blocks_until
    }

    /// It gave no blocks when it was asked for some. Whether that was the last time.
    pub fn gave_none(&mut self, now: u64) -> bool {
        self.no_blocks_until = now + (NO_BLOCKS_MS << self.no_blocks.min(8));
        self.no_blocks += 1;
        self.no_blocks >= NO_BLOCKS_MOST
    }

    /// It answered with what was asked for.
    pub fn was_useful(&mut self) {
        (self.silences, self.quiet) = (0, QUIET_MS);
    }

    /// Whether another of its announced headers may be checked.
    pub fn may_announce(&mut self, now: u64) -> bool {
        self.announced.take(now)
    }

    /// What it announced is a block of our chain now, and does not count.
    pub fn announced_well(&mut self) {
        self.announced.give_back();
    }

    /// Whether another of its operations may be checked.
    pub fn may_offer(&mut self, now: u64) -> bool {
        self.operations.take(now)
    }

    /// Its score: 0 or below.
    pub fn score(&self, now: u64) -> i64 {
        let forgiven = now.saturating_sub(self.scored_at) / FORGIVEN_EVERY_MS;
        self.score.saturating_add(i64::try_from(forgiven).unwrap_or(i64::MAX)).min(0)
    }

    /// Scores an misbehavior. Whether it is the last one that is borne.
    pub fn offend(&mut self, misbehavior: Misbehavior, now: u64) -> bool {
        self.score = self.score(now) - penalty(misbehavior);
        self.scored_at = now;
        self.score <= BANNED_AT
    }

    pub fn status(&self, peer: Peer, now: u64) -> PeerStatus {
        let doing = match () {
            _ if self.claim.is_none() => SyncPhase::Hello,
            _ if self.headers.is_some() => SyncPhase::Headers,
            _ if self.block_requests > 0 => SyncPhase::Blocks(self.block_requests),
            _ if self.fetch.request.is_some() => SyncPhase::Operations,
            _ => SyncPhase::Nothing,
        };
        PeerStatus {
            peer,
            ip: self.ip,
            outbound: self.outbound,
            connected_at: self.connected_at,
            height: self.claim.map(|claim| claim.height),
            work: self.claimed_work(),
            score: self.score(now),
            agent: self.agent.clone(),
            clock_ahead: self.clock_ahead,
            doing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_burst_and_then_a_trickle() {
        let mut bucket = Bucket::new(3, 100, 0);
        assert_eq!((0..5).filter(|_| bucket.take(50)).count(), 3);
        assert!(!bucket.take(99));
        assert!(bucket.take(100) && !bucket.take(199));
        assert_eq!(
            (0..9).filter(|_| bucket.take(1_000_000)).count(),
            3,
            "it never holds more than the burst"
        );
    }

    #[test]
    fn offences_add_up_and_are_forgiven() {
        let mut peer = PeerState::new(None, false, 0);
        assert!(!peer.offend(Misbehavior::Lied, 0));
        assert_eq!(peer.score(FORGIVEN_EVERY_MS * 20), -30);
        assert_eq!(peer.score(FORGIVEN_EVERY_MS * 2_000), 0, "it never rises above zero");
        assert!(!peer.offend(Misbehavior::Lied, FORGIVEN_EVERY_MS * 20));
        assert!(peer.offend(Misbehavior::Flood, FORGIVEN_EVERY_MS * 20));
        assert!(PeerState::new(None, false, 0).offend(Misbehavior::BrokenRule, 0));
    }
}

//! The connected peers: what each advertises, how it answers, and its score. What a machine knows
//! of a peer beyond that is that machine's own.

use core::{net::IpAddr, time::Duration};
use std::collections::{BTreeMap, VecDeque};

use super::{
    event::{Misbehavior, Peer, RequestId},
    limits::{BACKOFF_MAX_MS, BACKOFF_MS, BANNED_AT, FORGIVEN_EVERY_MS, penalty},
    message::Hello,
};
use crate::{params::BLOCKS_KEPT, types::Hash};

/// The tip that a peer says it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct AdvertisedTip {
    pub id: Hash,
    pub height: u32,
    pub work: u128,
}

/// A connected peer.
#[derive(Debug)]
pub(super) struct PeerState {
    ip: Option<IpAddr>,
    outbound: bool,
    block_only: bool,
    /// Whether it is kept though its chain falls behind.
    protected: bool,
    /// Since when it advertises less work than we had then, and how much that was.
    behind: Option<(u64, u128)>,
    connected_at: u64,
    agent: String,
    clock_ahead: i64,
    advertised_tip: Option<AdvertisedTip>,
    /// The height from which on it has all blocks, as it says.
    first_block: u32,
    hello: Option<RequestId>,
    next_hello: u64,
    /// Requests in a row without an answer in time.
    timeouts: u8,
    backoff_until: u64,
    backoff_ms: u64,
    score: i64,
    scored_at: u64,
}

impl PeerState {
    pub fn new(ip: Option<IpAddr>, outbound: bool, block_only: bool, now: u64) -> Self {
        PeerState {
            ip,
            outbound,
            block_only,
            protected: false,
            behind: None,
            connected_at: now,
            agent: String::new(),
            clock_ahead: 0,
            advertised_tip: None,
            first_block: 0,
            hello: None,
            next_hello: now,
            timeouts: 0,
            backoff_until: 0,
            backoff_ms: BACKOFF_MS,
            score: 0,
            scored_at: now,
        }
    }

    pub fn ip(&self) -> Option<IpAddr> {
        self.ip
    }

    pub fn is_outbound(&self) -> bool {
        self.outbound
    }

    /// Whether the connection carries blocks only.
    pub fn is_block_only(&self) -> bool {
        self.block_only
    }

    pub fn connected_at(&self) -> u64 {
        self.connected_at
    }

    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// Takes a hello whose genesis block is ours.
    pub fn record_hello(&mut self, hello: Hello, unix_now: u64) {
        let Hello { tip, height, first_block, work, time, agent, .. } = hello;
        self.first_block = first_block;
        self.advertised_tip = Some(AdvertisedTip { id: tip, height, work });
        self.clock_ahead = (i128::from(time) - i128::from(unix_now))
            .clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
        self.agent = agent;
    }

    pub fn clock_ahead(&self) -> i64 {
        self.clock_ahead
    }

    /// Whether it has a block of this height, as far as pruning goes.
    pub fn keeps(&self, height: u32) -> bool {
        height >= self.first_block
    }

    /// It gave no block of this height. Whether it may have pruned it since it said what it has: it
    /// prunes, and the block is not among those that everybody keeps.
    pub fn has_pruned(&mut self, height: u32) -> bool {
        let tip = self.advertised_tip.map_or(0, |tip| tip.height);
        let may_have = self.first_block > 0 && height.saturating_add(BLOCKS_KEPT) <= tip;
        if may_have {
            self.first_block = (tip - BLOCKS_KEPT).saturating_add(1);
        }
        may_have
    }

    /// Whether it has said hello.
    pub fn has_greeted(&self) -> bool {
        self.advertised_tip.is_some()
    }

    /// What it said that it has, in a hello or by an announcement.
    pub fn advertised_tip(&self) -> Option<AdvertisedTip> {
        self.advertised_tip
    }

    /// The chain work that it advertises.
    pub fn advertised_work(&self) -> Option<u128> {
        self.advertised_tip.map(|tip| tip.work)
    }

    /// Whether it is kept though its chain falls behind.
    pub fn is_protected(&self) -> bool {
        self.protected
    }

    pub fn protect(&mut self) {
        self.protected = true;
    }

    /// It advertises as much work as we have.
    pub fn record_in_sync(&mut self) {
        self.behind = None;
    }

    /// It advertises less work than `work`, which is ours. For how long it has advertised less than
    /// we had at the beginning of that time.
    pub fn behind_for(&mut self, work: u128, now: u64) -> u64 {
        let advertised = self.advertised_work().unwrap_or(0);
        let still = self.behind.filter(|(_, then)| advertised < *then);
        let (since, _) = *self.behind.insert(still.unwrap_or((now, work)));
        now.saturating_sub(since)
    }

    /// It was seen to have this tip: it advertises at least that.
    pub fn raise_advertised_tip(&mut self, tip: AdvertisedTip) {
        if self.advertised_work().is_some_and(|work| work < tip.work) {
            self.advertised_tip = Some(tip);
        }
    }

    pub fn hello_sent(&mut self, request: RequestId, next_hello: u64) {
        (self.hello, self.next_hello) = (Some(request), next_hello);
    }

    pub fn hello_done(&mut self) {
        self.hello = None;
    }

    /// Whether we owe it another hello.
    pub fn is_hello_due(&self, now: u64) -> bool {
        self.outbound && self.hello.is_none() && now >= self.next_hello
    }

    /// Whether it is left alone for now: it was busy, late, or had not what it advertised.
    pub fn is_backing_off(&self, now: u64) -> bool {
        now < self.backoff_until
    }

    /// Leaves it alone for a while, longer each time in a row.
    pub fn back_off(&mut self, now: u64) {
        self.backoff_until = now + self.backoff_ms;
        self.backoff_ms = (self.backoff_ms * 2).min(BACKOFF_MAX_MS);
    }

    /// It answered with what it was asked for.
    pub fn record_answer(&mut self) {
        (self.timeouts, self.backoff_ms) = (0, BACKOFF_MS);
    }

    /// It did not answer in time. Gives how often that was so in a row.
    pub fn record_timeout(&mut self) -> u8 {
        self.timeouts = self.timeouts.saturating_add(1);
        self.timeouts
    }

    /// Its score: 0 or below.
    pub fn score(&self, now: u64) -> i64 {
        let forgiven = now.saturating_sub(self.scored_at) / FORGIVEN_EVERY_MS;
        self.score.saturating_add(i64::try_from(forgiven).unwrap_or(i64::MAX)).min(0)
    }

    /// Takes the points of a misbehavior. Whether it is to be banned.
    pub fn record_misbehavior(&mut self, misbehavior: Misbehavior, now: u64) -> bool {
        self.score = self.score(now) - penalty(misbehavior);
        self.scored_at = now;
        self.score <= BANNED_AT
    }
}

/// All connected peers.
#[derive(Debug, Default)]
pub(super) struct PeerTable {
    connected: BTreeMap<Peer, PeerState>,
    /// Those that were removed and whose requests and state elsewhere are still to be cleared.
    departed: VecDeque<Peer>,
}

impl PeerTable {
    pub fn insert(&mut self, peer: Peer, state: PeerState) {
        self.connected.insert(peer, state);
    }

    /// Removes a peer. The dispatcher then clears what the machines know of it.
    pub fn remove(&mut self, peer: Peer) {
        if self.connected.remove(&peer).is_some() {
            self.departed.push_back(peer);
        }
    }

    /// The next peer whose state is to be cleared.
    pub fn next_departed(&mut self) -> Option<Peer> {
        self.departed.pop_front()
    }

    pub fn get(&self, peer: Peer) -> Option<&PeerState> {
        self.connected.get(&peer)
    }

    pub fn get_mut(&mut self, peer: Peer) -> Option<&mut PeerState> {
        self.connected.get_mut(&peer)
    }

    pub fn contains(&self, peer: Peer) -> bool {
        self.connected.contains_key(&peer)
    }

    pub fn len(&self) -> usize {
        self.connected.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Peer, &PeerState)> {
        self.connected.iter().map(|(peer, state)| (*peer, state))
    }

    pub fn back_off(&mut self, peer: Peer, now: u64) {
        if let Some(state) = self.get_mut(peer) {
            state.back_off(now);
        }
    }

    pub fn is_backing_off(&self, peer: Peer, now: u64) -> bool {
        self.get(peer).is_some_and(|state| state.is_backing_off(now))
    }
}

/// The state machine's clock as the token buckets want it.
pub(super) fn bucket_time(now: u64) -> Duration {
    Duration::from_millis(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_add_up_and_are_forgiven() {
        let mut peer = PeerState::new(None, false, false, 0);
        assert!(!peer.record_misbehavior(Misbehavior::Lied, 0));
        assert_eq!(peer.score(FORGIVEN_EVERY_MS * 20), -30);
        assert_eq!(peer.score(FORGIVEN_EVERY_MS * 2_000), 0, "it never rises above zero");
        assert!(!peer.record_misbehavior(Misbehavior::Lied, FORGIVEN_EVERY_MS * 20));
        assert!(peer.record_misbehavior(Misbehavior::Flood, FORGIVEN_EVERY_MS * 20));
        assert!(
            PeerState::new(None, false, false, 0).record_misbehavior(Misbehavior::BrokenRule, 0),
            "one broken rule is enough"
        );
    }
}

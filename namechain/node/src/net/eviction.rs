//! Which inbound connection makes room for a new one when all places are taken, as Bitcoin Core
//! chooses: those that are costly to imitate stay.
//!
//! Protected are four network groups that nobody outside can guess, the eight connections with the
//! shortest ping, the four that last brought a new operation, the four that last brought a new
//! block, and of the rest the half that is connected the longest. Of those that remain the youngest
//! of the largest group goes.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use libp2p::swarm::ConnectionId;

use super::address::Group;

const PROTECTED_GROUPS: usize = 4;
const PROTECTED_BY_PING: usize = 8;
const PROTECTED_BY_OPERATIONS: usize = 4;
const PROTECTED_BY_BLOCKS: usize = 4;

/// An inbound connection. Times are since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct EvictionCandidate {
    pub connection: ConnectionId,
    pub group: Option<Group>,
    pub since: Duration,
    pub min_ping: Option<Duration>,
    pub last_block: Option<Duration>,
    pub last_operation: Option<Duration>,
}

/// Takes away the first `count` by `key`, those aside for which it is `None`.
fn protect<K: Ord>(
    candidates: &mut Vec<EvictionCandidate>,
    count: usize,
    key: impl Fn(&EvictionCandidate) -> Option<K>,
) {
    candidates.sort_by_key(|candidate| {
        let key = key(candidate);
        (key.is_none(), key)
    });
    let known = candidates.iter().take_while(|candidate| key(candidate).is_some()).count();
    candidates.drain(..count.min(known));
}

/// The connection to close, if any is not protected. `secret` is the same for as long as the node
/// runs.
pub(super) fn choose_eviction(
    mut candidates: Vec<EvictionCandidate>,
    secret: &RandomState,
) -> Option<ConnectionId> {
    use std::cmp::Reverse;
    protect(&mut candidates, PROTECTED_GROUPS, |it| Some(secret.hash_one(it.group)));
    protect(&mut candidates, PROTECTED_BY_PING, |it| it.min_ping);
    protect(&mut candidates, PROTECTED_BY_OPERATIONS, |it| it.last_operation.map(Reverse));
    protect(&mut candidates, PROTECTED_BY_BLOCKS, |it| it.last_block.map(Reverse));
    let half = candidates.len() / 2;
    protect(&mut candidates, half, |it| Some((it.since, it.connection)));
    let mut sizes: HashMap<Option<Group>, usize> = HashMap::new();
    for candidate in &candidates {
        *sizes.entry(candidate.group).or_default() += 1;
    }
    let largest = sizes.values().copied().max()?;
    candidates
        .iter()
        .filter(|candidate| sizes.get(&candidate.group) == Some(&largest))
        .max_by_key(|candidate| (candidate.since, candidate.connection))
        .map(|candidate| candidate.connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: usize, group: u8, since: u64) -> EvictionCandidate {
        EvictionCandidate {
            connection: ConnectionId::new_unchecked(number),
            group: Some(Group::V4([group, 0])),
            since: Duration::from_secs(since),
            min_ping: None,
            last_block: None,
            last_operation: None,
        }
    }

    /// Eight honest peers that were there before, then one attacker after the other, each in a
    /// network group of its own, as many as there are places and more: none of the eight goes.
    #[test]
    fn ninety_six_attackers_remove_no_honest_peer() {
        let secret = RandomState::new();
        let mut connected: Vec<EvictionCandidate> =
            (0..8).map(|number| candidate(number, 200, number as u64)).collect();
        for number in 8..400usize {
            connected.push(candidate(number, number as u8, 100 + number as u64));
            if connected.len() > 96 {
                let gone = choose_eviction(connected.clone(), &secret).expect("somebody goes");
                connected.retain(|candidate| candidate.connection != gone);
            }
        }
        let honest =
            connected.iter().filter(|candidate| candidate.since < Duration::from_secs(100)).count();
        assert_eq!((connected.len(), honest), (96, 8));
    }

    /// A newcomer that is useful stays, though it is young.
    #[test]
    fn who_brings_blocks_or_is_near_stays() {
        let secret = RandomState::new();
        let mut connected: Vec<EvictionCandidate> =
            (0..96).map(|number| candidate(number, number as u8, number as u64)).collect();
        let mut useful = candidate(1_000, 7, 1_000);
        useful.last_block = Some(Duration::from_secs(1_001));
        let mut near = candidate(1_001, 7, 1_001);
        near.min_ping = Some(Duration::from_millis(1));
        connected.extend([useful, near]);
        for number in 2_000..2_200 {
            connected.push(candidate(number, number as u8, number as u64));
            let gone = choose_eviction(connected.clone(), &secret).expect("somebody goes");
            connected.retain(|candidate| candidate.connection != gone);
        }
        for number in [1_000, 1_001] {
            let id = ConnectionId::new_unchecked(number);
            assert!(connected.iter().any(|candidate| candidate.connection == id), "{number}");
        }
    }

    #[test]
    fn a_few_connections_are_all_protected() {
        let few = (0..4).map(|number| candidate(number, number as u8, 1)).collect();
        assert_eq!(choose_eviction(few, &RandomState::new()), None);
    }
}

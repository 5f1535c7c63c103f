//! A cache of compiled zones, keyed by the hash of the name's entry in the state. A changed entry
//! has another hash, so an outdated zone is never found and needs no invalidation. A zone has no
//! status: that follows from its entry and the block, at each lookup.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use namechain_core::{
    consensus::{NameStatus, name_status},
    params::Params,
    types::{BlockTime, Hash, NameEntry, RecordSet},
};

use super::{
    name_state::{Inactive, NameState},
    validity::BlockRange,
    zone::Zone,
};

/// The most zones in the cache. With 4,096 bytes of records each, compiled to a few times that,
/// this is tens of megabytes.
pub const MAX_ZONES: usize = 4_096;

/// A name's entry with its records compiled into a zone.
#[derive(Clone, Debug)]
pub struct CompiledZone {
    zone: Arc<Zone>,
    /// The entry without its records.
    entry: Arc<NameEntry>,
}

impl CompiledZone {
    /// Compiles an entry.
    pub fn new(mut entry: NameEntry) -> Self {
        let zone = Arc::new(Zone::new(&entry));
        entry.records = RecordSet::default();
        CompiledZone { zone, entry: Arc::new(entry) }
    }

    /// The state of the name at a block. `fork`: while a chain with more work is held back, the
    /// height of the last block that both chains have.
    pub fn state_at(&self, params: &Params, now: BlockTime, fork: Option<u32>) -> NameState {
        let entry = &*self.entry;
        let released = entry.expires.saturating_add(params.grace);
        let inactive = |why| NameState::Inactive(self.zone.clone(), why);
        match (name_status(params, entry, now), fork) {
            (NameStatus::Active, Some(fork)) if entry.updated.height > fork => {
                NameState::Contested { fork }
            }
            (NameStatus::Active, _) => NameState::Active(self.zone.clone()),
            (NameStatus::Settling, _) => {
                let settled = self.settled(params);
                inactive(Inactive::Settling { height: settled.height, time: settled.time })
            }
            (NameStatus::Grace, _) => inactive(Inactive::Grace { ended: entry.expires, released }),
            (NameStatus::Revoked, _) => inactive(Inactive::Revoked { released }),
            (NameStatus::Released, _) => NameState::Unregistered,
        }
    }

    /// A range of blocks around `now` in which the status is the same as at `now`.
    pub fn range_around(&self, params: &Params, now: BlockTime) -> BlockRange {
        let expires = self.entry.expires;
        let ends = [expires, expires.saturating_add(params.grace)];
        let passed = ends.into_iter().filter(|end| *end <= now.time).max();
        let next = ends.into_iter().filter(|end| *end > now.time).min();
        let mut range = BlockRange {
            from: BlockTime { height: 0, time: passed.unwrap_or(0) },
            until: BlockTime { height: u32::MAX, time: next.unwrap_or(u64::MAX) },
        };
        let settled = self.settled(params);
        match name_status(params, &self.entry, now) {
            NameStatus::Active => {
                range.from.height = settled.height;
                range.from.time = range.from.time.max(settled.time);
            }
            // Either of the two is missing; until that one is reached the name settles.
            NameStatus::Settling if now.height < settled.height => {
                range.until.height = settled.height;
            }
            NameStatus::Settling => range.until.time = range.until.time.min(settled.time),
            NameStatus::Grace | NameStatus::Revoked | NameStatus::Released => {}
        }
        range
    }

    /// The first height and the first time at which the name has settled.
    fn settled(&self, params: &Params) -> BlockTime {
        let (registered, delay) = (self.entry.registered, params.settle_delay);
        BlockTime {
            height: registered.height.saturating_add(delay.blocks),
            time: registered.time.saturating_add(delay.seconds),
        }
    }
}

/// The cache.
#[derive(Debug, Default)]
pub struct ZoneCache(Mutex<HashMap<Hash, (Hash, CompiledZone)>>);

impl ZoneCache {
    /// The zone under the name's key, if it was compiled from the entry with this hash.
    pub fn get(&self, key: &Hash, value: &Hash) -> Option<CompiledZone> {
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        zones.get(key).filter(|(hash, _)| hash == value).map(|(_, compiled)| compiled.clone())
    }

    /// Inserts a zone. A full cache drops half of its zones, whichever they are.
    pub fn insert(&self, key: Hash, value: Hash, compiled: CompiledZone) {
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if zones.len() >= MAX_ZONES && !zones.contains_key(&key) {
            let mut keep = false;
            zones.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        zones.insert(key, (value, compiled));
    }
}

#[cfg(test)]
mod tests {
    use namechain_core::types::{CommitPosition, Name, Network, PublicKey, Rescued};

    use super::*;

    const REGISTERED: BlockTime = BlockTime { height: 50, time: 1_000 };
    const EXPIRES: u64 = 9_000;

    fn entry(revoked: bool) -> NameEntry {
        NameEntry {
            name: Name::parse("alice").unwrap(),
            owner: PublicKey([1; 32]),
            recovery: None,
            title: Hash([1; 32]),
            sequence: 0,
            registered: REGISTERED,
            commit: CommitPosition { height: 40, index: 0 },
            updated: BlockTime { height: 60, time: 1_100 },
            expires: EXPIRES,
            revoked,
            rescued: Rescued::default(),
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
        }
    }

    fn status(state: &NameState) -> &'static str {
        match state {
            NameState::Active(_) => "active",
            NameState::Contested { .. } => "contested",
            NameState::Inactive(_, Inactive::Settling { .. }) => "settling",
            NameState::Inactive(_, Inactive::Grace { .. }) => "grace",
            NameState::Inactive(_, Inactive::Revoked { .. }) => "revoked",
            NameState::Unregistered => "unregistered",
        }
    }

    #[test]
    fn a_changed_entry_is_not_found() {
        let cache = ZoneCache::default();
        let (key, old, new) = (Hash([1; 32]), Hash([2; 32]), Hash([3; 32]));
        cache.insert(key, old, CompiledZone::new(entry(false)));
        assert!(cache.get(&key, &old).is_some());
        assert!(cache.get(&key, &new).is_none());
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = ZoneCache::default();
        let compiled = CompiledZone::new(entry(false));
        let key = |n: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&n.to_be_bytes());
            Hash(bytes)
        };
        for n in 0..MAX_ZONES * 3 {
            cache.insert(key(n), Hash::ZERO, compiled.clone());
            assert!(cache.0.lock().unwrap().len() <= MAX_ZONES);
        }
        assert!(cache.get(&key(MAX_ZONES * 3 - 1), &Hash::ZERO).is_some(), "the newest is there");
    }

    /// Both the height and the time have to be reached before a name resolves; lease and grace end
    /// by the block's time alone.
    #[test]
    fn a_cached_zone_changes_its_status_with_the_block() {
        let params = Network::Main.params();
        let (settle, released) = (params.settle_delay, EXPIRES + params.grace);
        let (height, time) = (REGISTERED.height + settle.blocks, REGISTERED.time + settle.seconds);
        for (revoked, block, expected) in [
            (false, (REGISTERED.height, REGISTERED.time), "settling"),
            (false, (height - 1, time), "settling"),
            (false, (height, time - 1), "settling"),
            (false, (height, time), "active"),
            (false, (u32::MAX, EXPIRES - 1), "active"),
            (false, (height, EXPIRES), "grace"),
            // A chain on which nothing happened: its lease is over before it has settled.
            (false, (height - 1, EXPIRES), "grace"),
            (false, (height, released - 1), "grace"),
            (false, (height, released), "unregistered"),
            (true, (height, time), "revoked"),
            (true, (height, EXPIRES), "revoked"),
            (true, (height, released), "unregistered"),
        ] {
            let now = BlockTime { height: block.0, time: block.1 };
            let state = CompiledZone::new(entry(revoked)).state_at(params, now, None);
            assert_eq!(status(&state), expected, "revoked {revoked}, {now:?}");
        }
    }

    /// What is changed after the fork from a chain that is held back does not resolve; what was
    /// changed before does.
    #[test]
    fn a_name_that_changed_after_a_fork_is_contested() {
        let params = Network::Main.params();
        let now = BlockTime { height: 500, time: 8_000 };
        for (fork, expected) in
            [(None, "active"), (Some(59), "contested"), (Some(60), "active"), (Some(61), "active")]
        {
            let state = CompiledZone::new(entry(false)).state_at(params, now, fork);
            assert_eq!(status(&state), expected, "{fork:?}");
        }
        let settling = CompiledZone::new(entry(false)).state_at(params, REGISTERED, Some(1));
        assert_eq!(status(&settling), "settling");
    }

    /// In the whole range around a block the status is that block's.
    #[test]
    fn the_range_has_one_status() {
        let params = Network::Main.params();
        let settle = params.settle_delay;
        let heights = |around: u32| [around - 1, around, around + 1];
        let times = |around: u64| [around - 1, around, around + 1];
        let blocks: Vec<BlockTime> = [heights(50), heights(50 + settle.blocks), [1, 900, 9_000]]
            .into_iter()
            .flatten()
            .flat_map(|height| {
                [
                    times(REGISTERED.time),
                    times(REGISTERED.time + settle.seconds),
                    times(EXPIRES),
                    times(EXPIRES + params.grace),
                ]
                .into_iter()
                .flatten()
                .map(move |time| BlockTime { height, time })
            })
            .collect();
        let mut inside = 0;
        for revoked in [false, true] {
            let compiled = CompiledZone::new(entry(revoked));
            let status_at = |now| status(&compiled.state_at(params, now, None));
            for now in &blocks {
                let range = compiled.range_around(params, *now);
                assert!(range.contains(*now), "{now:?} {range:?}");
                for other in blocks.iter().filter(|other| range.contains(**other)) {
                    assert_eq!(status_at(*other), status_at(*now), "{other:?} {now:?} {range:?}");
                    inside += 1;
                }
            }
        }
        assert!(inside > blocks.len() * 4, "ranges of single blocks would prove nothing");
    }
}

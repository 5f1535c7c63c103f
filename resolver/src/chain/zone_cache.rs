//! A cache of compiled zones, keyed by the hash of the name's entry in the state. A changed entry
//! has another hash, so an outdated zone is never found and needs no invalidation.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use namechain_core::{
    consensus,
    params::Params,
    types::{Hash, NameEntry, RecordSet},
};

use super::{
    name_state::{Lapse, NameState},
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

    /// The state of the name at `height`.
    pub fn state_at(&self, params: &Params, height: u32) -> NameState {
        let ended = self.entry.expires;
        match consensus::name_status(params, &self.entry, height) {
            consensus::NameStatus::Active => NameState::Active(self.zone.clone()),
            consensus::NameStatus::Grace => {
                let released = ended.saturating_add(params.grace);
                NameState::Lapsed(self.zone.clone(), Lapse::Grace { ended, released })
            }
            consensus::NameStatus::Revoked => {
                NameState::Lapsed(self.zone.clone(), Lapse::Revoked { released: ended })
            }
            consensus::NameStatus::Released => NameState::Unregistered,
        }
    }

    /// The range of heights around `height` in which the state is the same: first, and first after.
    pub fn bounds(&self, params: &Params, height: u32) -> (u32, u32) {
        let ends = [self.entry.expires, self.entry.expires.saturating_add(params.grace)];
        let from = ends.into_iter().filter(|end| *end <= height).max().unwrap_or(0);
        let until = ends.into_iter().filter(|end| *end > height).min().unwrap_or(u32::MAX);
        (from, until)
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
    use namechain_core::types::{Name, Network, PublicKey};

    use super::*;

    fn entry(revoked: bool) -> NameEntry {
        NameEntry {
            name: Name::parse("alice").unwrap(),
            owner: PublicKey([1; 32]),
            recovery: None,
            sequence: 0,
            registered: 1,
            updated: 1,
            expires: 100,
            revoked,
            transfer: None,
            records: RecordSet::default(),
            messaging: None,
            messaging_sequence: 0,
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

    #[test]
    fn a_cached_zone_lapses_with_its_lease() {
        let params = Network::Dev.params();
        let released = 100 + params.grace;
        for (revoked, height, expected) in [
            (false, 99, "active"),
            (false, 100, "grace"),
            (false, released - 1, "grace"),
            (false, released, "unregistered"),
            (true, 99, "revoked"),
            (true, 100, "unregistered"),
        ] {
            let state = match CompiledZone::new(entry(revoked)).state_at(params, height) {
                NameState::Active(_) => "active",
                NameState::Lapsed(_, Lapse::Grace { .. }) => "grace",
                NameState::Lapsed(_, Lapse::Revoked { .. }) => "revoked",
                NameState::Unregistered => "unregistered",
            };
            assert_eq!(state, expected, "revoked {revoked}, height {height}");
            let (from, until) = CompiledZone::new(entry(revoked)).bounds(params, height);
            assert!((from..until).contains(&height), "{from} {height} {until}");
            assert!(from == 0 || from == 100 || from == released, "{from}");
            assert!(until == u32::MAX || until == 100 || until == released, "{until}");
        }
    }
}

//! A cache of zones' keys and trust status (unbound calls it the key cache).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::keys::Dnskey;
use super::verdict::Fault;
use crate::dns::ede::Ede;
use crate::dns::name::Name;

/// The most names in the cache. A zone's keys take some 500 bytes, and most names have none.
pub const MAX_CACHED_NAMES: usize = 16_384;
/// The longest time that an entry is cached.
pub const MAX_TTL_SECS: u64 = 86_400;
/// How long it is cached that a zone is bogus (RFC 4035 §4.7).
pub const BOGUS_TTL_SECS: u64 = 30;

/// A signed zone.
#[derive(Debug, PartialEq, Eq)]
pub struct SignedZone {
    /// Its name.
    pub name: Name,
    /// Its keys.
    pub keys: Vec<Dnskey>,
}

/// The trust status of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It is a signed zone.
    Secure(Arc<SignedZone>),
    /// It is not a zone's name, but lies within this zone.
    WithinZone(Arc<SignedZone>),
    /// It and the names below are unsigned, or signed in a way that is not supported: then, why.
    Insecure(Option<Ede>),
    /// It should be a signed zone, and no valid keys were found.
    Bogus(Fault),
}

#[derive(Debug, Clone)]
struct CachedTrust {
    trust: Trust,
    since: u64,
    until: u64,
    used: bool,
}

/// The cache, at most [`MAX_CACHED_NAMES`] names.
#[derive(Debug, Default)]
pub struct KeyCache(Mutex<HashMap<Name, CachedTrust>>);

impl KeyCache {
    /// The status of a name at a time in Unix seconds. Entries from the future, after the clock was
    /// set back, do not count.
    pub fn get(&self, name: &Name, now: u64) -> Option<Trust> {
        let mut all = self.lock();
        let entry = all.get_mut(name)?;
        entry.used = true;
        (entry.since <= now && now < entry.until).then(|| entry.trust.clone())
    }

    /// Caches the status of a name for `ttl` seconds.
    pub fn insert(&self, name: &Name, trust: Trust, ttl: u64, now: u64) {
        let ttl = match trust {
            Trust::Bogus(_) => BOGUS_TTL_SECS,
            _ => ttl.min(MAX_TTL_SECS),
        };
        let mut all = self.lock();
        if all.len() >= MAX_CACHED_NAMES && !all.contains_key(name) {
            make_room(&mut all, now);
        }
        all.insert(name.clone(), CachedTrust { trust, since: now, until: now + ttl, used: false });
    }

    /// Removes names that are cached as bogus.
    pub fn forget_bogus(&self, names: &[Name]) {
        let mut all = self.lock();
        for name in names {
            if all.get(name).is_some_and(|entry| matches!(entry.trust, Trust::Bogus(_))) {
                all.remove(name);
            }
        }
    }

    /// Removes all names.
    pub fn flush(&self) {
        self.lock().clear();
    }

    /// The number of names.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, CachedTrust>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes expired entries and those not used since the last call; if that is too few, half of all.
/// It is called seldom enough to be cheap.
fn make_room(all: &mut HashMap<Name, CachedTrust>, now: u64) {
    all.retain(|_, entry| entry.until > now && std::mem::take(&mut entry.used));
    if all.len() > MAX_CACHED_NAMES / 2 {
        let mut number = 0;
        all.retain(|_, _| {
            number += 1;
            number <= MAX_CACHED_NAMES / 2
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_runs_out_and_is_bounded() {
        let known = KeyCache::default();
        let name = |n: usize| Name::from_text(&format!("n{n}.example")).unwrap();
        known.insert(&name(0), Trust::Insecure(None), 10, 1_000);
        assert_eq!(known.get(&name(0), 1_009), Some(Trust::Insecure(None)));
        assert_eq!((known.get(&name(0), 1_010), known.get(&name(0), 999)), (None, None));
        known.insert(&name(1), Trust::Bogus(Fault::bogus("x")), 86_400, 1_000);
        assert!(known.get(&name(1), 1_029).is_some() && known.get(&name(1), 1_030).is_none());
        for n in 0..3 * MAX_CACHED_NAMES {
            known.insert(&name(n), Trust::Insecure(None), 10, 1_000);
            known.get(&name(n), 1_000);
            assert!(known.len() <= MAX_CACHED_NAMES);
        }
        assert!(known.len() > MAX_CACHED_NAMES / 4);
    }
}

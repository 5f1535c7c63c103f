//! What is known of zones, kept for as long as it holds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::keys::Key;
use super::verdict::Fault;
use crate::dns::ede::Ede;
use crate::dns::name::Name;

/// How many names are known at a time. A zone's keys are some 500 bytes, and most names have none.
pub const MAX_KNOWN: usize = 16_384;
/// For how many seconds something is known at most.
pub const MAX_TTL: u64 = 86_400;
/// For how many seconds it is known that a zone is bogus (RFC 4035 §4.7).
pub const BOGUS_TTL: u64 = 30;

/// A signed zone.
#[derive(Debug, PartialEq, Eq)]
pub struct Zone {
    /// Its name.
    pub name: Name,
    /// Its keys.
    pub keys: Vec<Key>,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// It is a signed zone.
    Secure(Arc<Zone>),
    /// It is the name of no zone, but within this one.
    Inside(Arc<Zone>),
    /// It and what is below is not signed, or not in a way that anybody here can check: if so, why.
    Insecure(Option<Ede>),
    /// It should be a signed zone, and what was found are not its keys.
    Bogus(Fault),
}

#[derive(Debug, Clone)]
struct Entry {
    trust: Trust,
    since: u64,
    until: u64,
    asked: bool,
}

/// What is known, at most [`MAX_KNOWN`] names of it.
#[derive(Debug, Default)]
pub struct Known(Mutex<HashMap<Name, Entry>>);

impl Known {
    /// What is known of a name at a time in Unix seconds. A clock that was set back makes
    /// everything unknown.
    pub fn get(&self, name: &Name, now: u64) -> Option<Trust> {
        let mut all = self.lock();
        let entry = all.get_mut(name)?;
        entry.asked = true;
        (entry.since <= now && now < entry.until).then(|| entry.trust.clone())
    }

    /// Keeps something for so many seconds.
    pub fn insert(&self, name: &Name, trust: Trust, ttl: u64, now: u64) {
        let ttl = match trust {
            Trust::Bogus(_) => BOGUS_TTL,
            _ => ttl.min(MAX_TTL),
        };
        let mut all = self.lock();
        if all.len() >= MAX_KNOWN && !all.contains_key(name) {
            make_room(&mut all, now);
        }
        all.insert(name.clone(), Entry { trust, since: now, until: now + ttl, asked: false });
    }

    /// How many names something is known of.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Name, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has run out goes, and what nobody asked for since the last time; if that is nothing,
/// everything. Seldom enough to be cheap: after it there is room for half of all again.
fn make_room(all: &mut HashMap<Name, Entry>, now: u64) {
    all.retain(|_, entry| entry.until > now && std::mem::take(&mut entry.asked));
    if all.len() > MAX_KNOWN / 2 {
        let mut number = 0;
        all.retain(|_, _| {
            number += 1;
            number <= MAX_KNOWN / 2
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_runs_out_and_is_bounded() {
        let known = Known::default();
        let name = |n: usize| Name::from_text(&format!("n{n}.example")).unwrap();
        known.insert(&name(0), Trust::Insecure(None), 10, 1_000);
        assert_eq!(known.get(&name(0), 1_009), Some(Trust::Insecure(None)));
        assert_eq!((known.get(&name(0), 1_010), known.get(&name(0), 999)), (None, None));
        known.insert(&name(1), Trust::Bogus(Fault::bogus("x")), 86_400, 1_000);
        assert!(known.get(&name(1), 1_029).is_some() && known.get(&name(1), 1_030).is_none());
        for n in 0..3 * MAX_KNOWN {
            known.insert(&name(n), Trust::Insecure(None), 10, 1_000);
            known.get(&name(n), 1_000);
            assert!(known.count() <= MAX_KNOWN);
        }
        assert!(known.count() > MAX_KNOWN / 4);
    }
}

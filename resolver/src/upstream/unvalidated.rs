//! Which cached answers were taken without validation in mode `auto`. They leave the cache as soon
//! as an upstream that supports DNSSEC replies.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cache::{Cache, Key};

/// The most answers that are remembered one by one. If there are more, all answers leave the cache.
const MAX_KEYS: usize = 4096;
/// What is remembered.
const NOTHING: u8 = 0;
const KEYS: u8 = 1;
const TOO_MANY: u8 = 2;

/// The answers.
#[derive(Debug, Default)]
pub struct Unvalidated {
    /// One of the constants above, so that most callers take no lock.
    state: AtomicU8,
    keys: Mutex<Vec<Key>>,
}

impl Unvalidated {
    /// Records that the answer under a key was not validated.
    pub fn record(&self, key: &Key) {
        if self.state.load(Ordering::Acquire) == TOO_MANY {
            return;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() < MAX_KEYS {
            keys.push(key.clone());
            self.state.store(KEYS, Ordering::Release);
        } else {
            *keys = Vec::new();
            self.state.store(TOO_MANY, Ordering::Release);
        }
    }

    /// Removes the answers from the cache.
    pub fn remove_from(&self, cache: &Cache) {
        if self.state.load(Ordering::Acquire) == NOTHING {
            return;
        }
        let keys = {
            let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
            let state = self.state.swap(NOTHING, Ordering::AcqRel);
            let keys = std::mem::take(&mut *keys);
            (state != TOO_MANY).then_some(keys)
        };
        match keys {
            Some(keys) => keys.iter().for_each(|key| cache.remove(key)),
            None => {
                cache.flush();
            }
        }
    }

    /// Takes over what another one has recorded.
    pub fn inherit(&self, other: &Self) {
        let theirs = {
            let mut keys = other.keys.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *keys)
        };
        if other.state.load(Ordering::Acquire) == TOO_MANY {
            self.state.store(TOO_MANY, Ordering::Release);
        }
        theirs.iter().for_each(|key| self.record(key));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::cache::{Answer, AnswerKind, Hit, Scope};
    use crate::dns::message::Packet;
    use crate::dns::testing::{Build, question};

    fn key(n: usize) -> Key {
        Key::new(&question(&format!("n{n}.example"), 1), false, false, Scope::Upstreams)
    }

    fn is_cached(cache: &Cache, n: usize) -> bool {
        matches!(cache.get(&key(n), Duration::ZERO), Some(Hit::Answer(..)))
    }

    fn filled() -> Cache {
        let cache = Cache::new(1 << 20);
        for n in 0..3 {
            let question = question(&format!("n{n}.example"), 1);
            let message = Build::answer(&question).a(60, [1; 4]).done();
            let answer = Answer::new(&Packet::parse(&message).unwrap(), &question, false).unwrap();
            let life = Duration::from_secs(60);
            cache.insert(&key(n), Arc::new(answer), AnswerKind::Positive, life, Duration::ZERO);
        }
        cache
    }

    #[test]
    fn the_recorded_leave_and_the_others_stay_unless_there_are_too_many() {
        let (cache, old, new) = (filled(), Unvalidated::default(), Unvalidated::default());
        old.record(&key(0));
        new.record(&key(1));
        new.inherit(&old);
        old.remove_from(&cache);
        assert!(is_cached(&cache, 0), "it was handed over");
        new.remove_from(&cache);
        assert_eq!([0, 1, 2].map(|n| is_cached(&cache, n)), [false, false, true]);
        (0..=MAX_KEYS).for_each(|n| old.record(&key(n + 10)));
        new.inherit(&old);
        new.remove_from(&cache);
        assert!(!is_cached(&cache, 2), "all");
    }
}

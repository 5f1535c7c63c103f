//! The state that all queries to upstreams share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dnssec_support::DnssecSupport;
use super::error::ForwardError;
use super::inflight::{Leader, Outcome};
use super::select::{Selector, UpstreamAnswer};
use super::zones::Zones;
use crate::cache::{Cache, Key};

/// The shared state. A query in flight keeps it alive after a reload of the configuration.
#[derive(Debug)]
pub struct Shared {
    pub zones: Zones,
    pub cache: Arc<Cache>,
    pub selector: Arc<Selector>,
    pub dnssec: DnssecSupport,
    /// Distinguishes these settings from those before and after a reload.
    pub generation: u64,
    /// Other settings are in force: nothing is cached any more.
    pub retired: AtomicBool,
}

impl Shared {
    /// From now on answers to queries in flight reach their clients and are not cached: they come
    /// from the upstreams of settings that are not in force any more.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// The upstreams that support DNSSEC do not reply, and others are used: logged once.
    pub fn on_fallback(&self) {
        if !self.dnssec.is_falling_back.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the upstreams that support DNSSEC do not reply: others are used, without validation"
            );
        }
    }

    /// An upstream that supports DNSSEC has replied: what was taken without validation leaves the
    /// cache.
    pub fn remove_unvalidated(&self) {
        let is_falling_back = &self.dnssec.is_falling_back;
        if is_falling_back.load(Ordering::Relaxed) && is_falling_back.swap(false, Ordering::Relaxed)
        {
            tracing::info!("an upstream that supports DNSSEC replies again: answers are validated");
        }
        self.dnssec.unvalidated.remove_from(&self.cache);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::SeqCst)
    }

    /// Caches an answer, if it may be cached.
    pub fn cache_answer(&self, key: &Key, received: &UpstreamAnswer) {
        if self.is_retired() {
            return;
        }
        let now = self.selector.clock.now();
        match received.keep {
            // It replaces the old entry, so that no stale answer is served in its place.
            Some((_, life)) if received.bogus => {
                self.cache.replace_with_failure(key, received.answer.clone(), life, now)
            }
            Some((kind, life)) => self.cache.insert(key, received.answer.clone(), kind, life, now),
            None => {}
        }
        if received.unvalidated {
            self.dnssec.unvalidated.record(key);
        }
        // The cache is flushed after `retire`, so what was inserted before is gone.
        if self.is_retired() {
            self.cache.remove(key);
        }
    }

    /// Caches an answer and gives it to all waiters.
    pub fn complete(&self, leader: Leader, received: Result<UpstreamAnswer, ForwardError>) {
        let result: Outcome = match received {
            Ok(received) => {
                self.cache_answer(leader.key(), &received);
                Ok((received.answer, received.server))
            }
            Err(error) => {
                if matches!(error, ForwardError::AllFailed { .. }) && !self.is_retired() {
                    self.cache.insert_no_reply(leader.key(), self.selector.clock.now());
                }
                Err(error)
            }
        };
        leader.complete(result);
    }
}

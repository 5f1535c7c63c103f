//! The state that all queries to upstreams share.

use std::sync::Arc;

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
}

impl Shared {
    /// Caches an answer, if it may be cached.
    pub fn cache_answer(&self, key: &Key, received: &UpstreamAnswer) {
        let now = self.selector.clock.now();
        match received.keep {
            // It replaces the old entry, so that no stale answer is served in its place.
            Some((_, life)) if received.bogus => {
                self.cache.replace_with_failure(key, received.answer.clone(), life, now)
            }
            Some((kind, life)) => self.cache.insert(key, received.answer.clone(), kind, life, now),
            None => {}
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
                if matches!(error, ForwardError::AllFailed { .. }) {
                    self.cache.insert_no_reply(leader.key(), self.selector.clock.now());
                }
                Err(error)
            }
        };
        leader.complete(result);
    }
}

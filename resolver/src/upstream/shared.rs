//! What all queries to upstreams share.

use std::sync::Arc;

use super::dnssec_support::DnssecSupport;
use super::error::ForwardError;
use super::inflight::{Leader, Outcome};
use super::select::{Selector, UpstreamAnswer};
use super::zones::Zones;
use crate::cache::{Cache, Key};

/// What a flight needs on its way; it may outlive the settings that it began with.
#[derive(Debug)]
pub struct Shared {
    pub zones: Zones,
    pub cache: Arc<Cache>,
    pub selector: Arc<Selector>,
    pub dnssec: DnssecSupport,
}

impl Shared {
    /// Keeps what came, if it may be kept.
    pub fn cache_answer(&self, key: &Key, received: &UpstreamAnswer) {
        let now = self.selector.clock.now();
        match received.keep {
            // It takes the place of whatever was there: nothing that has run out may be given for
            // it.
            Some((_, life)) if received.bogus => {
                self.cache.replace_with_failure(key, received.answer.clone(), life, now)
            }
            Some((kind, life)) => self.cache.insert(key, received.answer.clone(), kind, life, now),
            None => {}
        }
    }

    /// Keeps what came, and gives it to all who wait.
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

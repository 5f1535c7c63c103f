//! Merges identical queries: one is sent upstream, and all who asked wait for its result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::error::ForwardError;
use super::target::Target;
use crate::cache::{Answer, Key};

/// The most waiters for one query.
pub const MAX_WAITING: usize = 1024;

/// The result of a query in flight.
pub type Outcome = Result<(Arc<Answer>, Target), ForwardError>;

type QueryMap = HashMap<Key, watch::Sender<Option<Outcome>>>;

/// The queries in flight.
#[derive(Debug)]
pub struct InFlight {
    limit: usize,
    board: Mutex<QueryMap>,
}

/// The duty to send a query and to complete it.
#[derive(Debug)]
pub struct Leader {
    in_flight: Arc<InFlight>,
    key: Key,
    result: Option<Outcome>,
}

impl InFlight {
    /// No queries in flight yet; never more than `limit`.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, board: Mutex::default() })
    }

    /// Joins the query for a key. The caller that starts it gets the [`Leader`] too.
    ///
    /// # Errors
    /// [`ForwardError::Busy`] if too many queries are in flight, or too many wait for this one.
    pub fn join(
        self: &Arc<Self>,
        key: &Key,
    ) -> Result<(watch::Receiver<Option<Outcome>>, Option<Leader>), ForwardError> {
        let mut board = self.lock();
        if let Some(entry) = board.get(key) {
            if entry.receiver_count() >= MAX_WAITING {
                return Err(ForwardError::Busy { limit: MAX_WAITING });
            }
            return Ok((entry.subscribe(), None));
        }
        if board.len() >= self.limit {
            return Err(ForwardError::Busy { limit: self.limit });
        }
        let (sender, receiver) = watch::channel(None);
        board.insert(key.clone(), sender);
        Ok((receiver, Some(Leader { in_flight: self.clone(), key: key.clone(), result: None })))
    }

    /// How many queries are in flight.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether there are so many that queries without a waiter (prefetches) should not be added.
    pub fn is_busy(&self) -> bool {
        self.lock().len() >= self.limit.div_ceil(2)
    }

    fn lock(&self) -> MutexGuard<'_, QueryMap> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Leader {
    /// The cache key of the query.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Gives the result to all waiters. Later callers start a new query.
    pub fn complete(mut self, result: Outcome) {
        self.result = Some(result);
    }
}

impl Drop for Leader {
    /// A leader dropped without a result leaves nobody waiting: the channel closes.
    fn drop(&mut self) {
        let entry = self.in_flight.lock().remove(&self.key);
        if let (Some(entry), Some(result)) = (entry, self.result.take()) {
            entry.send_replace(Some(result));
        }
    }
}

/// Waits for the result.
///
/// # Errors
/// The query's own error, or [`ForwardError::Abandoned`] if its leader was dropped.
pub async fn wait_outcome(mut receiver: watch::Receiver<Option<Outcome>>) -> Outcome {
    match receiver.wait_for(Option::is_some).await {
        Ok(outcome) => outcome.clone().unwrap_or(Err(ForwardError::Abandoned)),
        Err(_) => Err(ForwardError::Abandoned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Scope;

    fn key() -> Key {
        Key::new(b"\x01a\0\0\x01\0\x01", false, false, Scope::Upstreams)
    }

    #[tokio::test]
    async fn a_dropped_leader_leaves_nobody_waiting() {
        let in_flight = InFlight::new(1);
        let (receiver, leader) = in_flight.join(&key()).unwrap();
        drop(leader);
        assert_eq!(wait_outcome(receiver).await, Err(ForwardError::Abandoned));
        assert!(in_flight.join(&key()).unwrap().1.is_some(), "the next one flies anew");
    }

    #[tokio::test]
    async fn later_callers_start_a_new_query() {
        let in_flight = InFlight::new(1);
        let (first, leader) = in_flight.join(&key()).unwrap();
        assert!(in_flight.join(&key()).unwrap().1.is_none(), "the second joins the first");
        leader.unwrap().complete(Err(ForwardError::NoUpstream));
        assert_eq!(wait_outcome(first).await, Err(ForwardError::NoUpstream));
        assert!(in_flight.join(&key()).unwrap().1.is_some());
    }

    #[test]
    fn no_more_wait_than_allowed() {
        let in_flight = InFlight::new(1);
        let mut waiting: Vec<_> =
            (0..MAX_WAITING).map(|_| in_flight.join(&key()).unwrap()).collect();
        assert_eq!(in_flight.join(&key()).unwrap_err(), ForwardError::Busy { limit: MAX_WAITING });
        waiting.pop();
        assert!(in_flight.join(&key()).is_ok());
    }
}

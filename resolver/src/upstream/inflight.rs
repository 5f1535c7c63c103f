//! One upstream query for however many identical questions wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::error::ForwardError;
use super::target::Target;
use crate::cache::{Answer, Key};

/// How many questions may wait for one query.
pub const MAX_WAITING: usize = 1024;

/// What a flight brings back.
pub type Landed = Result<(Arc<Answer>, Target), ForwardError>;

type Board = HashMap<Key, watch::Sender<Option<Landed>>>;

/// The queries on their way.
#[derive(Debug)]
pub struct Flights {
    limit: usize,
    board: Mutex<Board>,
}

/// The right, and the duty, to fly a query and bring its result.
#[derive(Debug)]
pub struct Pilot {
    flights: Arc<Flights>,
    key: Key,
    result: Option<Landed>,
}

impl Flights {
    /// None on their way yet; never more than `limit`.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, board: Mutex::default() })
    }

    /// Joins the query for a key, or starts it: then there is a [`Pilot`] too.
    ///
    /// # Errors
    /// [`ForwardError::Busy`] if too many are on their way, or wait for this one.
    pub fn join(
        self: &Arc<Self>,
        key: &Key,
    ) -> Result<(watch::Receiver<Option<Landed>>, Option<Pilot>), ForwardError> {
        let mut board = self.lock();
        if let Some(flight) = board.get(key) {
            if flight.receiver_count() >= MAX_WAITING {
                return Err(ForwardError::Busy { limit: MAX_WAITING });
            }
            return Ok((flight.subscribe(), None));
        }
        if board.len() >= self.limit {
            return Err(ForwardError::Busy { limit: self.limit });
        }
        let (sender, receiver) = watch::channel(None);
        board.insert(key.clone(), sender);
        Ok((receiver, Some(Pilot { flights: self.clone(), key: key.clone(), result: None })))
    }

    /// How many are on their way.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether so many are on their way that none should be added which nobody waits for.
    pub fn is_busy(&self) -> bool {
        self.lock().len() >= self.limit.div_ceil(2)
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pilot {
    /// The key that the query is flown for.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Gives the result to all who wait. Who asks from now on asks anew.
    pub fn land(mut self, result: Landed) {
        self.result = Some(result);
    }
}

impl Drop for Pilot {
    /// A pilot that never landed leaves no one waiting: the channel closes.
    fn drop(&mut self) {
        let flight = self.flights.lock().remove(&self.key);
        if let (Some(flight), Some(result)) = (flight, self.result.take()) {
            flight.send_replace(Some(result));
        }
    }
}

/// Waits for the result.
///
/// # Errors
/// The flight's own, or [`ForwardError::Abandoned`] if it never lands.
pub async fn landing(mut receiver: watch::Receiver<Option<Landed>>) -> Landed {
    match receiver.wait_for(Option::is_some).await {
        Ok(landed) => landed.clone().unwrap_or(Err(ForwardError::Abandoned)),
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
    async fn a_pilot_that_never_lands_leaves_no_one_waiting() {
        let flights = Flights::new(1);
        let (receiver, pilot) = flights.join(&key()).unwrap();
        drop(pilot);
        assert_eq!(landing(receiver).await, Err(ForwardError::Abandoned));
        assert!(flights.join(&key()).unwrap().1.is_some(), "the next one flies anew");
    }

    #[tokio::test]
    async fn who_comes_after_the_landing_asks_anew() {
        let flights = Flights::new(1);
        let (first, pilot) = flights.join(&key()).unwrap();
        assert!(flights.join(&key()).unwrap().1.is_none(), "the second joins the first");
        pilot.unwrap().land(Err(ForwardError::NoUpstream));
        assert_eq!(landing(first).await, Err(ForwardError::NoUpstream));
        assert!(flights.join(&key()).unwrap().1.is_some());
    }

    #[test]
    fn no_more_wait_than_allowed() {
        let flights = Flights::new(1);
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| flights.join(&key()).unwrap()).collect();
        assert_eq!(flights.join(&key()).unwrap_err(), ForwardError::Busy { limit: MAX_WAITING });
        waiting.pop();
        assert!(flights.join(&key()).is_ok());
    }
}

//! Merges identical queries: one is sent upstream, and all who asked wait for its result.
//!
//! What does not answer must not keep others from being asked: the queries for one zone have a
//! share of the places, and when all places are taken, a new query takes that of the oldest one, if
//! it has waited for long (unbound's jostling).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::error::ForwardError;
use super::target::Target;
use crate::cache::{Answer, Key};
use crate::dns::name::Name;
use crate::dns::names;

/// The most waiters for one query.
pub const MAX_WAITING: usize = 1024;
/// The queries for one zone may take one part in so many of the places.
const ZONE_SHARE: usize = 4;
/// When all places are taken, a query that has waited this long loses its own to a new one.
/// Upstreams answer nearly all queries sooner.
const JOSTLE_AFTER: Duration = Duration::from_millis(200);

/// The result of a query in flight.
pub type Outcome = Result<(Arc<Answer>, Target), ForwardError>;

/// A query in flight.
#[derive(Debug)]
struct Flight {
    number: u64,
    group: Box<[u8]>,
    outcome: watch::Sender<Option<Outcome>>,
    /// Its drop tells the leader that the query has lost its place.
    _place: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Board {
    flights: HashMap<Key, Flight>,
    /// How many flights each group has.
    groups: HashMap<Box<[u8]>, usize>,
    /// The flights in the order of their start, with some that have ended.
    order: VecDeque<(Duration, u64, Key)>,
    started: u64,
}

/// The queries in flight.
#[derive(Debug)]
pub struct InFlight {
    limit: usize,
    board: Mutex<Board>,
}

/// The duty to send a query and to complete it.
#[derive(Debug)]
pub struct Leader {
    in_flight: Arc<InFlight>,
    key: Key,
    number: u64,
    place: oneshot::Receiver<()>,
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
    /// [`ForwardError::Busy`] if too many queries are in flight, or too many wait for this one;
    /// [`ForwardError::ZoneBusy`] if those for its zone take up their share.
    pub fn join(
        self: &Arc<Self>,
        key: &Key,
        now: Duration,
    ) -> Result<(watch::Receiver<Option<Outcome>>, Option<Leader>), ForwardError> {
        let mut board = self.lock();
        if let Some(flight) = board.flights.get(key) {
            if flight.outcome.receiver_count() >= MAX_WAITING {
                return Err(ForwardError::Busy { limit: MAX_WAITING });
            }
            return Ok((flight.outcome.subscribe(), None));
        }
        let group = group_of(key);
        let share = self.limit.div_ceil(ZONE_SHARE);
        if board.groups.get(&group).is_some_and(|count| *count >= share) {
            return Err(ForwardError::ZoneBusy { limit: share, zone: describe_group(key) });
        }
        if board.flights.len() >= self.limit && !board.jostle(self.limit, now) {
            return Err(ForwardError::Busy { limit: self.limit });
        }
        let (outcome, receiver) = watch::channel(None);
        let (place_kept, place) = oneshot::channel();
        board.started += 1;
        let number = board.started;
        *board.groups.entry(group.clone()).or_default() += 1;
        board.order.push_back((now, number, key.clone()));
        let flight = Flight { number, group, outcome, _place: place_kept };
        board.flights.insert(key.clone(), flight);
        board.forget_ended(self.limit);
        let leader =
            Leader { in_flight: self.clone(), key: key.clone(), number, place, result: None };
        Ok((receiver, Some(leader)))
    }

    /// How many queries are in flight.
    pub fn count(&self) -> usize {
        self.lock().flights.len()
    }

    /// Whether there are so many that queries without a waiter (prefetches) should not be added.
    pub fn is_busy(&self) -> bool {
        self.count() >= self.limit.div_ceil(2)
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// Ends the oldest flight if it has waited for long; whether there is room then.
    fn jostle(&mut self, limit: usize, now: Duration) -> bool {
        while let Some((since, number, key)) = self.order.front() {
            let is_old = *since + JOSTLE_AFTER <= now;
            let (number, key) = (*number, key.clone());
            let in_flight = self.is_in_flight(&key, number);
            if in_flight && !is_old {
                return false;
            }
            self.order.pop_front();
            if in_flight && let Some(flight) = self.remove(&key, number) {
                flight.outcome.send_replace(Some(Err(ForwardError::Busy { limit })));
                return true;
            }
        }
        false
    }

    fn is_in_flight(&self, key: &Key, number: u64) -> bool {
        self.flights.get(key).is_some_and(|flight| flight.number == number)
    }

    /// Drops what has ended from the front of the order, and from all of it if that is long.
    fn forget_ended(&mut self, limit: usize) {
        if self.order.len() > 2 * limit {
            let flights = &self.flights;
            self.order.retain(|(_, number, key)| {
                flights.get(key).is_some_and(|flight| flight.number == *number)
            });
        }
    }

    fn remove(&mut self, key: &Key, number: u64) -> Option<Flight> {
        if !self.is_in_flight(key, number) {
            return None;
        }
        let flight = self.flights.remove(key)?;
        if let Some(count) = self.groups.get_mut(&flight.group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(&flight.group);
            }
        }
        Some(flight)
    }
}

/// What shares a quota: the queries to the upstreams of one zone, those to the same servers, and
/// those to the upstreams for everything else with the same last two labels (four below `arpa`),
/// which is about a zone: where its cuts are is not known.
fn group_of(key: &Key) -> Box<[u8]> {
    let probe = key.probe();
    if probe.suffix.is_empty() { domain(probe.question).into() } else { probe.suffix.into() }
}

/// The last labels of a question's name.
fn domain(question: &[u8]) -> &[u8] {
    let name = &question[..question.len().saturating_sub(4)];
    let starts = names::label_starts(name);
    let labels = if name.ends_with(b"\x04arpa\0") { 4 } else { 2 };
    starts.len().checked_sub(labels + 1).map_or(name, |at| &name[starts[at]..])
}

fn describe_group(key: &Key) -> String {
    let probe = key.probe();
    match probe.suffix {
        [] => Name::of(domain(probe.question)).to_string(),
        // See `Key`.
        [0, zone @ ..] => Name::of(zone).to_string(),
        _ => "the same servers".into(),
    }
}

impl Leader {
    /// The cache key of the query.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Waits until the query has lost its place: nobody waits for its result any more.
    pub async fn displaced(&mut self) {
        // The sender sends nothing; it is dropped.
        let _ = (&mut self.place).await;
    }

    /// Gives the result to all waiters. Later callers start a new query.
    pub fn complete(mut self, result: Outcome) {
        self.result = Some(result);
    }
}

impl Drop for Leader {
    /// A leader dropped without a result leaves nobody waiting: the channel closes.
    fn drop(&mut self) {
        let flight = self.in_flight.lock().remove(&self.key, self.number);
        if let (Some(flight), Some(result)) = (flight, self.result.take()) {
            flight.outcome.send_replace(Some(result));
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
    use crate::dns::testing::question;

    const START: Duration = Duration::ZERO;

    fn key() -> Key {
        key_of("a", Scope::Upstreams)
    }

    fn key_of(name: &str, scope: Scope<'_>) -> Key {
        Key::new(&question(name, 1), false, false, scope)
    }

    #[tokio::test]
    async fn a_dropped_leader_leaves_nobody_waiting() {
        let in_flight = InFlight::new(1);
        let (receiver, leader) = in_flight.join(&key(), START).unwrap();
        drop(leader);
        assert_eq!(wait_outcome(receiver).await, Err(ForwardError::Abandoned));
        assert!(in_flight.join(&key(), START).unwrap().1.is_some(), "the next one flies anew");
    }

    #[tokio::test]
    async fn later_callers_start_a_new_query() {
        let in_flight = InFlight::new(1);
        let (first, leader) = in_flight.join(&key(), START).unwrap();
        assert!(in_flight.join(&key(), START).unwrap().1.is_none(), "the second joins the first");
        leader.unwrap().complete(Err(ForwardError::NoUpstream));
        assert_eq!(wait_outcome(first).await, Err(ForwardError::NoUpstream));
        assert!(in_flight.join(&key(), START).unwrap().1.is_some());
    }

    #[test]
    fn no_more_wait_than_allowed() {
        let in_flight = InFlight::new(1);
        let mut waiting: Vec<_> =
            (0..MAX_WAITING).map(|_| in_flight.join(&key(), START).unwrap()).collect();
        let error = in_flight.join(&key(), START).unwrap_err();
        assert_eq!(error, ForwardError::Busy { limit: MAX_WAITING });
        waiting.pop();
        assert!(in_flight.join(&key(), START).is_ok());
    }

    #[test]
    fn one_zone_has_its_share() {
        let in_flight = InFlight::new(8);
        let servers = ["192.0.2.1:53".parse().unwrap()];
        let zone = b"\x04corp\0";
        for (scope, names, other) in [
            (Scope::Upstreams, ["a.dead.example", "b.c.DEAD.example", "dead.example"], "x.example"),
            (
                Scope::Upstreams,
                ["1.9.in-addr.arpa", "2.9.in-addr.arpa", "3.1.9.in-addr.arpa"],
                "arpa",
            ),
            (Scope::Zone(zone), ["a.corp", "b.c.corp", "corp"], ""),
            (Scope::Servers(&servers), ["a.alice", "b.alice", "www.bobby"], ""),
        ] {
            let join = |name, scope| in_flight.join(&key_of(name, scope), START);
            let _held: Vec<_> = names[..2].iter().map(|name| join(*name, scope).unwrap()).collect();
            let is_full = |result: Result<_, ForwardError>| {
                matches!(result, Err(ForwardError::ZoneBusy { limit: 2, .. }))
            };
            let third = join(names[2], scope);
            if names[0].ends_with("arpa") {
                assert!(!is_full(third), "another network");
            } else {
                assert!(is_full(third), "{names:?}");
            }
            assert!(join(other, Scope::Upstreams).is_ok());
        }
        assert_eq!(in_flight.count(), 0);
        assert!(in_flight.lock().groups.is_empty());
    }

    #[tokio::test]
    async fn an_old_query_loses_its_place_to_a_new_one() {
        let in_flight = InFlight::new(2);
        let name = |n: usize| format!("www.{n}.example");
        let join = |n, now| in_flight.join(&key_of(&name(n), Scope::Upstreams), now);
        let (first, leader) = join(1, START).unwrap();
        let (_second, _kept) = join(2, START).unwrap();
        let soon = JOSTLE_AFTER - Duration::from_millis(1);
        assert_eq!(join(3, soon).unwrap_err(), ForwardError::Busy { limit: 2 });
        let (third, new) = join(3, JOSTLE_AFTER).unwrap();
        assert_eq!(wait_outcome(first).await, Err(ForwardError::Busy { limit: 2 }));
        let mut leader = leader.unwrap();
        leader.displaced().await;
        // Its result comes too late, also for another query for the same.
        let (again, its) = join(1, JOSTLE_AFTER).unwrap();
        leader.complete(Err(ForwardError::NoUpstream));
        assert!(again.borrow().is_none() && third.borrow().is_none());
        assert_eq!(in_flight.count(), 2);
        drop((new, its));
        assert_eq!(in_flight.count(), 0);
        for n in 0..20 {
            join(n, JOSTLE_AFTER).unwrap();
        }
        assert!(in_flight.lock().order.len() <= 5);
    }
}

//! Queries in flight to a plain-DNS upstream: one for all clients that ask the same.
//!
//! ```text
//! start: no worker has the question in flight -> a query in the outbox
//! flush: one system call for those of one socket
//! readable: replies, one system call for several -> Completed
//! ```
//!
//! Only the first attempt is made here. If it brings no complete answer in time, the clients'
//! queries go to the slow path, which retries with the other upstreams and over TCP.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use nix::sys::epoll::Epoll;
use smallvec::{SmallVec, smallvec};

use super::{
    lookup::FastQuery,
    query::MAX_QUESTION_BYTES,
    shared_flights::{Claim, SharedFlights},
    socket::Peer,
    upstream_sockets::{Replies, UpstreamSockets, send_all},
    waiter::{MAX_WAITING, Waiter},
};
use crate::{
    cache::Answer,
    os::random::Random,
    upstream::{FIRST_TRY_RANDOM_BYTES, FirstReply, FirstTry, Upstreams},
};

/// The most queries of one worker in flight.
const MAX_IN_FLIGHT: usize = 1024;
/// How often replies are read from one socket at a time, so that no upstream delays the clients.
const MAX_READS: usize = 4;

/// The clients that wait for an answer: most often one.
pub type Waiters = SmallVec<[Waiter; 1]>;

/// The result of a query in flight.
#[derive(Debug)]
pub enum Completed {
    /// An answer for these clients.
    Answer {
        /// The answer.
        answer: Arc<Answer>,
        /// Whether it has an alias.
        alias: bool,
        /// The clients.
        waiters: Waiters,
    },
    /// No answer: these queries go to the slow path.
    Slow(Waiters),
}

/// The hash of a cache key, which is unpredictable already.
#[derive(Debug, Default)]
struct KeyHash(u64);

impl Hasher for KeyHash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[derive(Debug)]
struct PendingQuery {
    plain: FirstTry,
    port: usize,
    sent: Duration,
    waiters: Waiters,
    number: u64,
    /// The hash of the cache key.
    hash: u64,
}

/// The queries in flight.
#[derive(Debug)]
pub struct PendingQueries {
    ports: UpstreamSockets,
    flights: Vec<Option<PendingQuery>>,
    free: Vec<u32>,
    /// By the hash of the cache key. Of two keys with one hash the second goes to the slow path.
    by_hash: HashMap<u64, u32, BuildHasherDefault<KeyHash>>,
    /// Those that are not sent yet.
    outbox: Vec<u32>,
    /// When a query is given up: the time, its place, its number.
    deadlines: VecDeque<(Duration, u32, u64)>,
    random: Random,
    started: u64,
    replies: Replies,
    /// Those of all workers, and the number of this one.
    shared: Arc<SharedFlights>,
    worker: usize,
}

impl PendingQueries {
    /// None yet; the events of their sockets are numbered from `first_event`. `worker`: the number
    /// of the caller among those that share `shared`.
    pub fn new(first_event: u64, shared: Arc<SharedFlights>, worker: usize) -> Self {
        Self {
            ports: UpstreamSockets::new(first_event),
            flights: Vec::new(),
            free: Vec::new(),
            by_hash: HashMap::default(),
            outbox: Vec::new(),
            deadlines: VecDeque::new(),
            random: Random::default(),
            started: 0,
            replies: Replies::default(),
            shared,
            worker,
        }
    }

    /// Makes a query for an upstream on behalf of a client, if there is an upstream for it; whether
    /// that was done. [`PendingQueries::flush`] sends it.
    pub fn start(
        &mut self,
        asked: &FastQuery<'_>,
        peer: Option<&Peer>,
        legacy: &Upstreams,
        epoll: &Epoll,
        now: Duration,
    ) -> bool {
        let waiter = |peer| Waiter::new(asked, peer, now);
        if let Some(flight) =
            self.by_hash.get(&asked.hash).and_then(|at| self.flights[*at as usize].as_mut())
        {
            let joins =
                flight.waiters.len() < MAX_WAITING && flight.plain.key().probe() == asked.probe();
            if joins {
                flight.waiters.extend(peer.map(waiter));
            }
            return joins;
        }
        if self.by_hash.len() >= MAX_IN_FLIGHT {
            return false;
        }
        match self.prepare(asked, legacy, epoll, now) {
            Ok(Some((plain, port))) => {
                if let Claim::Theirs(other) = self.shared.claim(asked.hash, self.worker) {
                    // A query that has ended meanwhile has left its answer in the cache.
                    return peer.is_none_or(|peer| self.shared.hand_over(other, waiter(peer)));
                }
                let waiters = peer.map_or_else(SmallVec::new, |peer| smallvec![waiter(peer)]);
                self.enqueue(asked.hash, plain, port, waiters, now);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%error, "there is no socket for a query to an upstream");
                false
            }
        }
    }

    fn prepare(
        &mut self,
        asked: &FastQuery<'_>,
        legacy: &Upstreams,
        epoll: &Epoll,
        now: Duration,
    ) -> io::Result<Option<(FirstTry, usize)>> {
        let random = self.random.take::<FIRST_TRY_RANDOM_BYTES>()?;
        let (dnssec_ok, cd) = (asked.parsed.dnssec_ok, asked.parsed.checking_disabled);
        let Some(plain) = legacy.first_try(asked.lower, dnssec_ok, cd, &random) else {
            return Ok(None);
        };
        let (server, id) = (plain.server(), plain.id());
        let Some(at) = self.ports.for_query(server, id, epoll, &mut self.random, now)? else {
            return Ok(None);
        };
        Ok(Some((plain, at)))
    }

    fn enqueue(
        &mut self,
        hash: u64,
        plain: FirstTry,
        port: usize,
        waiters: Waiters,
        now: Duration,
    ) {
        self.started += 1;
        let (id, number) = (plain.id(), self.started);
        let deadline = now + plain.retry_delay();
        let flight = Some(PendingQuery { plain, port, sent: now, waiters, number, hash });
        let at = match self.free.pop() {
            Some(at) => {
                self.flights[at as usize] = flight;
                at
            }
            None => {
                self.flights.push(flight);
                // MAX_IN_FLIGHT is far below.
                (self.flights.len() - 1) as u32
            }
        };
        self.by_hash.insert(hash, at);
        self.ports.wait(port, id, at);
        self.deadlines.push_back((deadline, at, number));
        self.outbox.push(at);
    }

    /// Sends the queries that were made since the last call. Those that the operating system
    /// refuses go to the slow path.
    pub fn flush(&mut self, completed: &mut Vec<Completed>) {
        let outbox = std::mem::take(&mut self.outbox);
        let mut left = outbox.as_slice();
        let port_of = |flights: &[Option<PendingQuery>], at: u32| {
            flights[at as usize].as_ref().map(|flight| flight.port)
        };
        while let Some(&first) = left.first() {
            let port = port_of(&self.flights, first);
            let same = left.iter().take_while(|at| port_of(&self.flights, **at) == port).count();
            let (now, later) = left.split_at(same);
            left = later;
            let Some(socket) = port.and_then(|port| self.ports.get(port)) else { continue };
            let queries = now.iter().filter_map(|at| self.flights[*at as usize].as_ref());
            let refused = send_all(&socket.socket, queries.map(|query| query.plain.bytes()));
            for at in refused {
                completed.extend(self.complete(now[at]).map(Completed::Slow));
            }
        }
        self.outbox = outbox;
        self.outbox.clear();
    }

    /// Reads what has arrived at the socket of an event.
    pub fn readable(
        &mut self,
        event: u64,
        legacy: &Upstreams,
        now: Duration,
        completed: &mut Vec<Completed>,
    ) {
        let Some(at) = self.ports.of_event(event) else { return };
        for _ in 0..MAX_READS {
            let Some(port) = self.ports.get(at) else { return };
            match self.replies.receive(&port.socket) {
                Ok(may_be_more) => {
                    for number in 0..self.replies.count() {
                        self.on_datagram(at, number, legacy, now, completed);
                    }
                    if !may_be_more {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(server = %port.server, %error, "an upstream can't be reached");
                    legacy.on_first_timeout(port.server, Duration::ZERO);
                    self.give_up(at, completed);
                }
            }
        }
    }

    /// Handles one received datagram from the server of a port.
    fn on_datagram(
        &mut self,
        at: usize,
        number: usize,
        legacy: &Upstreams,
        now: Duration,
        completed: &mut Vec<Completed>,
    ) {
        let Some(port) = self.ports.get(at) else { return };
        let datagram = self.replies.datagram(number);
        let id = datagram.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
        let found =
            port.waiting.iter().find(|(other, _)| Some(*other) == id).map(|(_, flight)| *flight);
        let reply = found.and_then(|flight| {
            let flight = self.flights[flight as usize].as_ref()?;
            let rtt = now.saturating_sub(flight.sent);
            Some(legacy.on_first_reply(&flight.plain, port.server, datagram, rtt))
        });
        match (reply, found) {
            (Some(FirstReply::Answer { answer, alias }), Some(flight)) => {
                let answered = |waiters| Completed::Answer { answer, alias, waiters };
                completed.extend(self.complete(flight).map(answered));
            }
            (Some(FirstReply::Other), Some(flight)) => {
                completed.extend(self.complete(flight).map(Completed::Slow));
            }
            _ if port.record_stray() => self.give_up(at, completed),
            _ => {}
        }
    }

    /// Gives up queries that take too long.
    pub fn expire(&mut self, legacy: &Upstreams, now: Duration, completed: &mut Vec<Completed>) {
        while let Some(&(deadline, at, number)) = self.deadlines.front() {
            let flight =
                self.flights[at as usize].as_ref().filter(|flight| flight.number == number);
            if flight.is_some() && deadline > now {
                return;
            }
            self.deadlines.pop_front();
            if let Some(flight) = flight {
                legacy.on_first_timeout(flight.plain.server(), now.saturating_sub(flight.sent));
                completed.extend(self.complete(at).map(Completed::Slow));
            }
        }
    }

    /// Whether no query is in flight.
    pub fn is_idle(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// When the next query is given up.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadlines.front().map(|(deadline, ..)| *deadline)
    }

    fn give_up(&mut self, port: usize, completed: &mut Vec<Completed>) {
        for flight in self.ports.close(port) {
            completed.extend(self.complete(flight).map(Completed::Slow));
        }
    }

    /// Ends a query in flight; returns its waiters.
    fn complete(&mut self, at: u32) -> Option<Waiters> {
        let mut flight = self.flights.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.ports.done(flight.port, flight.plain.id());
        self.by_hash.remove(&flight.hash);
        let (key, waiters) = (flight.plain.key().probe(), &mut flight.waiters);
        self.shared.release(flight.hash, self.worker, |waiter| {
            // Another question of the same hash, which nobody can find, would be lost.
            if waiter.asked(&mut [0; MAX_QUESTION_BYTES]).probe() == key {
                waiters.push(waiter);
            }
        });
        Some(flight.waiters)
    }
}

impl Drop for PendingQueries {
    /// A worker that ends leaves no claims behind.
    fn drop(&mut self) {
        for flight in self.flights.iter().flatten() {
            self.shared.release(flight.hash, self.worker, drop);
        }
    }
}

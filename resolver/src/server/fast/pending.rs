//! Queries in flight to a plain-DNS upstream: one for all clients that ask the same.
//!
//! Only the first attempt is made here. If it brings no complete answer in time, the clients'
//! queries go to the slow path, which retries with the other upstreams and over TCP.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, ErrorKind},
    net::IpAddr,
    time::Duration,
};

use nix::sys::epoll::Epoll;

use super::{
    lookup::FastQuery,
    query::{MAX_QUESTION_BYTES, ParsedQuery},
    socket::Peer,
    upstream_sockets::UpstreamSockets,
};
use crate::{
    cache::Answer,
    os::random::Random,
    upstream::{FIRST_TRY_RANDOM_BYTES, FirstReply, FirstTry, Upstreams},
};
use std::sync::Arc;

/// The most queries of one worker in flight.
const MAX_IN_FLIGHT: usize = 1024;
/// The most clients that wait for one answer.
const MAX_WAITING: usize = 64;
/// The most replies that are read from one socket at a time, so that no upstream delays the
/// clients.
const MAX_READ: usize = 64;
/// Larger than any datagram that an upstream may send, in bytes.
const UPSTREAM_BUFFER_BYTES: usize = 4096;

/// A client that waits for an answer.
#[derive(Debug)]
pub struct Waiter {
    /// The query.
    pub datagram: Box<[u8]>,
    /// Its parts.
    parsed: ParsedQuery,
    /// The client's address, and the one it sent to.
    pub peer: Peer,
    /// The hash of the cache key.
    hash: u64,
    /// The client's IP address.
    client: IpAddr,
    /// When the query arrived.
    pub since: Duration,
}

impl Waiter {
    fn new(asked: &FastQuery<'_>, peer: &Peer, since: Duration) -> Self {
        Self {
            datagram: asked.datagram.into(),
            parsed: asked.parsed,
            peer: *peer,
            hash: asked.hash,
            client: asked.client,
            since,
        }
    }

    /// The query again. It was parsed before, so it can be parsed.
    pub fn asked<'a>(&'a self, lower: &'a mut [u8; MAX_QUESTION_BYTES]) -> FastQuery<'a> {
        let _ = ParsedQuery::read(&self.datagram, lower);
        FastQuery {
            datagram: &self.datagram,
            parsed: self.parsed,
            lower: &lower[..self.parsed.question],
            hash: self.hash,
            client: self.client,
        }
    }
}

/// The result of a query in flight.
#[derive(Debug)]
pub enum Completed {
    /// An answer for these clients.
    Answer(Arc<Answer>, Vec<Waiter>),
    /// No answer: these queries go to the slow path.
    Slow(Vec<Waiter>),
}

#[derive(Debug)]
struct PendingQuery {
    plain: FirstTry,
    port: usize,
    sent: Duration,
    waiters: Vec<Waiter>,
    number: u64,
}

/// The queries in flight.
#[derive(Debug)]
pub struct PendingQueries {
    ports: UpstreamSockets,
    flights: Vec<Option<PendingQuery>>,
    free: Vec<u32>,
    by_question: HashMap<Box<[u8]>, u32>,
    /// When a query is given up: the time, its place, its number.
    deadlines: VecDeque<(Duration, u32, u64)>,
    random: Random,
    started: u64,
    room: Box<[u8; UPSTREAM_BUFFER_BYTES]>,
}

impl PendingQueries {
    /// None yet; the events of their sockets are numbered from `first_event`.
    pub fn new(first_event: u64) -> Self {
        Self {
            ports: UpstreamSockets::new(first_event),
            flights: Vec::new(),
            free: Vec::new(),
            by_question: HashMap::new(),
            deadlines: VecDeque::new(),
            random: Random::default(),
            started: 0,
            room: Box::new([0; UPSTREAM_BUFFER_BYTES]),
        }
    }

    /// Sends a query upstream for a client, if there is an upstream for it; whether that was done.
    pub fn start(
        &mut self,
        asked: &FastQuery<'_>,
        peer: Option<&Peer>,
        legacy: &Upstreams,
        epoll: &Epoll,
        now: Duration,
    ) -> bool {
        let waiter = |peer| Waiter::new(asked, peer, now);
        let mut key = [0; MAX_QUESTION_BYTES + 1];
        let key = key_of(asked, &mut key);
        if let Some(flight) =
            self.by_question.get(key).and_then(|at| self.flights[*at as usize].as_mut())
        {
            let room = flight.waiters.len() < MAX_WAITING;
            if room {
                flight.waiters.extend(peer.map(waiter));
            }
            return room;
        }
        if self.by_question.len() >= MAX_IN_FLIGHT {
            return false;
        }
        match self.send(asked, legacy, epoll, now) {
            Ok(Some((plain, port))) => {
                let waiters = peer.map(waiter).into_iter().collect();
                self.send_query(key.into(), plain, port, waiters, legacy, now);
                true
            }
            Ok(None) => false,
            Err(error) => {
                tracing::debug!(%error, "a query could not be sent to an upstream");
                false
            }
        }
    }

    fn send(
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
        let Some(port) = self.ports.get(at) else { return Ok(None) };
        port.socket.send(plain.bytes())?;
        Ok(Some((plain, at)))
    }

    fn send_query(
        &mut self,
        key: Box<[u8]>,
        plain: FirstTry,
        port: usize,
        waiters: Vec<Waiter>,
        legacy: &Upstreams,
        now: Duration,
    ) {
        self.started += 1;
        let (id, number) = (plain.id(), self.started);
        let deadline = now + legacy.first_try_delay(plain.server());
        let flight = Some(PendingQuery { plain, port, sent: now, waiters, number });
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
        self.by_question.insert(key, at);
        self.ports.wait(port, id, at);
        self.deadlines.push_back((deadline, at, number));
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
        for _ in 0..MAX_READ {
            let Some(port) = self.ports.get(at) else { return };
            match port.socket.recv(self.room.as_mut_slice()) {
                Ok(length) => self.on_datagram(at, length, legacy, now, completed),
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

    /// Handles one datagram from the server of a port.
    fn on_datagram(
        &mut self,
        at: usize,
        length: usize,
        legacy: &Upstreams,
        now: Duration,
        completed: &mut Vec<Completed>,
    ) {
        let Some(port) = self.ports.get(at) else { return };
        let datagram = &self.room[..length];
        let id = datagram.first_chunk::<2>().map(|id| u16::from_be_bytes(*id));
        let found =
            port.waiting.iter().find(|(other, _)| Some(*other) == id).map(|(_, flight)| *flight);
        let reply = found.and_then(|flight| {
            let flight = self.flights[flight as usize].as_ref()?;
            let rtt = now.saturating_sub(flight.sent);
            Some(legacy.on_first_reply(&flight.plain, port.server, datagram, rtt))
        });
        match (reply, found) {
            (Some(FirstReply::Answer { answer, .. }), Some(flight)) => {
                completed.extend(
                    self.complete(flight).map(|waiters| Completed::Answer(answer, waiters)),
                );
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
        self.by_question.is_empty()
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
    fn complete(&mut self, at: u32) -> Option<Vec<Waiter>> {
        let flight = self.flights.get_mut(at as usize)?.take()?;
        self.free.push(at);
        self.ports.done(flight.port, flight.plain.id());
        let key = flight.plain.key();
        self.by_question.remove(key.bytes());
        Some(flight.waiters)
    }
}

/// The key of a question as in [`crate::cache::Key`], for the configured upstreams.
fn key_of<'a>(asked: &FastQuery<'_>, room: &'a mut [u8; MAX_QUESTION_BYTES + 1]) -> &'a [u8] {
    let probe = asked.probe();
    let length = probe.question.len();
    room[..length].copy_from_slice(probe.question);
    room[length] = probe.flags;
    &room[..=length]
}

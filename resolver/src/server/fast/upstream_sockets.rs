//! The sockets from which upstreams are asked: connected, each on a random port, and given up after
//! some tens of queries, so that a port is hardly easier to guess than if every query had its own
//! (RFC 5452 §9.2).

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::os::random::Random;

/// After so many queries a socket is given up.
const QUERIES: usize = 32;
/// After so long a socket is given up.
const LIFETIME: Duration = Duration::from_secs(10);
/// The most sockets of one worker.
pub const MAX_PORTS: usize = 128;
/// Random ports that are tried before the kernel chooses.
const PORT_TRIES: usize = 4;
/// The lowest port that is chosen. Below are the ports of services.
const FIRST_PORT: u16 = 10_000;
/// After so many datagrams that belong to no query somebody is guessing, and the socket is given
/// up.
const MAX_STRAYS: usize = 16;

/// A socket, and the queries that wait for a reply at it.
#[derive(Debug)]
pub struct UpstreamSocket {
    /// Connected to `server`.
    pub socket: UdpSocket,
    /// Whom it asks.
    pub server: SocketAddr,
    /// Ids, and the flights that they belong to.
    pub waiting: Vec<(u16, u32)>,
    opened: Duration,
    used: usize,
    strays: usize,
}

impl UpstreamSocket {
    /// Whether somebody is guessing, now that one more datagram came that belongs to no query.
    pub fn is_under_attack(&mut self) -> bool {
        self.strays += 1;
        self.strays >= MAX_STRAYS
    }

    fn takes(&self, server: SocketAddr, id: u16, now: Duration) -> bool {
        self.server == server
            && self.used < QUERIES
            && now < self.opened + LIFETIME
            && self.waiting.iter().all(|(other, _)| *other != id)
    }
}

/// All of them. The number of each is its event's in the worker's epoll, counted from
/// `first_event`.
#[derive(Debug)]
pub struct UpstreamSockets {
    ports: Vec<Option<UpstreamSocket>>,
    /// Those that take queries, one for each upstream.
    open: Vec<usize>,
    first_event: u64,
}

impl UpstreamSockets {
    /// None yet.
    pub fn new(first_event: u64) -> Self {
        Self { ports: Vec::new(), open: Vec::new(), first_event }
    }

    /// The number of the port that an event is for.
    pub fn of_event(&self, event: u64) -> Option<usize> {
        usize::try_from(event.checked_sub(self.first_event)?).ok()
    }

    /// The port of this number.
    pub fn get(&mut self, at: usize) -> Option<&mut UpstreamSocket> {
        self.ports.get_mut(at)?.as_mut()
    }

    /// A port for one more query; `None` if there are too many.
    ///
    /// # Errors
    /// What the system says when it gives no socket.
    pub fn for_query(
        &mut self,
        server: SocketAddr,
        id: u16,
        epoll: &Epoll,
        random: &mut Random,
        now: Duration,
    ) -> io::Result<Option<usize>> {
        let ports = &self.ports;
        let takes =
            |at: &&usize| ports[**at].as_ref().is_some_and(|port| port.takes(server, id, now));
        if let Some(&at) = self.open.iter().find(takes) {
            return Ok(Some(at));
        }
        self.close_for(server);
        let Some(at) = self.place() else { return Ok(None) };
        let socket = open(server, random)?;
        epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, self.first_event + at as u64))?;
        let port =
            UpstreamSocket { socket, server, waiting: Vec::new(), opened: now, used: 0, strays: 0 };
        self.ports[at] = Some(port);
        self.open.push(at);
        Ok(Some(at))
    }

    /// One more query waits at a port.
    pub fn wait(&mut self, at: usize, id: u16, flight: u32) {
        if let Some(port) = self.get(at) {
            port.used += 1;
            port.waiting.push((id, flight));
        }
    }

    /// A query does not wait any more. A port that takes no more goes with its last one.
    pub fn done(&mut self, at: usize, id: u16) {
        let Some(port) = self.get(at) else { return };
        port.waiting.retain(|(other, _)| *other != id);
        if port.waiting.is_empty() && (port.used >= QUERIES || !self.open.contains(&at)) {
            self.close(at);
        }
    }

    /// Gives a port up; the flights that waited at it.
    pub fn close(&mut self, at: usize) -> Vec<u32> {
        self.open.retain(|open| *open != at);
        // Closing the socket takes it out of the epoll.
        let port = self.ports.get_mut(at).and_then(Option::take);
        port.map_or_else(Vec::new, |port| {
            port.waiting.into_iter().map(|(_, flight)| flight).collect()
        })
    }

    /// No more queries for those that ask this server; those that nobody waits at are given up.
    fn close_for(&mut self, server: SocketAddr) {
        let of_server =
            |port: &Option<UpstreamSocket>| port.as_ref().is_some_and(|port| port.server == server);
        while let Some(found) = self.open.iter().position(|at| of_server(&self.ports[*at])) {
            let at = self.open.swap_remove(found);
            if self.ports[at].as_ref().is_some_and(|port| port.waiting.is_empty()) {
                self.close(at);
            }
        }
    }

    fn place(&mut self) -> Option<usize> {
        if let Some(free) = self.ports.iter().position(Option::is_none) {
            return Some(free);
        }
        (self.ports.len() < MAX_PORTS).then(|| {
            self.ports.push(None);
            self.ports.len() - 1
        })
    }
}

/// A socket on a port that can't be guessed (RFC 5452 §9.2, RFC 6056).
fn open(server: SocketAddr, random: &mut Random) -> io::Result<UdpSocket> {
    let any = |port| match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    let mut bound = Err(io::Error::from(ErrorKind::AddrInUse));
    for _ in 0..PORT_TRIES {
        let port = u16::from_be_bytes(random.take()?);
        if port >= FIRST_PORT {
            bound = UdpSocket::bind(any(port));
        }
        if bound.is_ok() {
            break;
        }
    }
    let socket = bound.or_else(|_| UdpSocket::bind(any(0)))?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    Ok(socket)
}

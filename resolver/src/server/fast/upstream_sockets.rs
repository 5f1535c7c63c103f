//! The sockets for queries to upstreams: connected, each on a random port, and closed after some
//! tens of queries, so that a port is hardly easier to guess than if every query had its own (RFC
//! 5452 §9.2).

use std::{
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::sys::{
    epoll::{Epoll, EpollEvent, EpollFlags},
    socket::{MsgFlags, MultiHeaders, recvmmsg},
};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
use smallvec::SmallVec;

use crate::os::random::Random;

/// How many queries use one socket.
const QUERIES: usize = 32;
/// For how long a socket is used.
const LIFETIME: Duration = Duration::from_secs(10);
/// The most sockets of one worker.
pub const MAX_PORTS: usize = 128;
/// Random ports that are tried before the kernel chooses one.
const PORT_TRIES: usize = 4;
/// The lowest random port. Services use the ports below.
const FIRST_PORT: u16 = 10_000;
/// After this many datagrams that match no query, somebody may be guessing ids, and the socket is
/// closed.
const MAX_STRAYS: usize = 16;
/// The most replies that are received by one system call.
const MAX_REPLIES: usize = 16;
/// Larger than any datagram that an upstream may send, in bytes.
const REPLY_BUFFER_BYTES: usize = 4096;

/// Sends datagrams on a connected socket; returns the numbers of those that the operating system
/// refused.
pub fn send_all<'d>(
    socket: &UdpSocket,
    datagrams: impl Iterator<Item = &'d [u8]>,
) -> SmallVec<[usize; 1]> {
    let slices: SmallVec<[[IoSlice<'_>; 1]; QUERIES]> =
        datagrams.map(|datagram| [IoSlice::new(datagram)]).collect();
    let mut refused = SmallVec::new();
    let on_error = |error: io::Error| tracing::debug!(%error, "a query could not be sent");
    // Most often there is one, for which there is a simpler call.
    if let [[datagram]] = slices.as_slice() {
        if let Err(error) = socket.send(datagram) {
            on_error(error);
            refused.push(0);
        }
        return refused;
    }
    let mut control: SmallVec<[SendAncillaryBuffer<'_, '_, '_>; QUERIES]> =
        slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let parts = slices.iter().zip(&mut control);
    let mut messages: SmallVec<[MMsgHdr<'_>; QUERIES]> =
        parts.map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
    let mut done = 0;
    while done < messages.len() {
        match sendmmsg(socket, &mut messages[done..], SendFlags::DONTWAIT) {
            Ok(sent) => done += sent.max(1),
            Err(error) => {
                on_error(error.into());
                refused.push(done);
                done += 1;
            }
        }
    }
    refused
}

/// Datagrams that were received together.
#[derive(Debug)]
pub struct Replies {
    room: Box<[[u8; REPLY_BUFFER_BYTES]; MAX_REPLIES]>,
    headers: MultiHeaders<()>,
    lengths: SmallVec<[usize; MAX_REPLIES]>,
}

impl Default for Replies {
    fn default() -> Self {
        Self {
            room: Box::new([[0; REPLY_BUFFER_BYTES]; MAX_REPLIES]),
            headers: MultiHeaders::preallocate(MAX_REPLIES, None),
            lengths: SmallVec::new(),
        }
    }
}

impl Replies {
    /// Receives what has arrived, in place of the last datagrams; whether there may be more.
    ///
    /// # Errors
    /// The operating system's error; `WouldBlock` if nothing has arrived.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<bool> {
        self.lengths.clear();
        let mut slices = self.room.each_mut().map(|room| [IoSliceMut::new(room)]);
        let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let received = recvmmsg(fd, &mut self.headers, &mut slices, flags, None)?;
        self.lengths.extend(received.map(|message| message.bytes));
        Ok(self.lengths.len() == MAX_REPLIES)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// One of them.
    pub fn datagram(&self, number: usize) -> &[u8] {
        &self.room[number][..self.lengths[number].min(REPLY_BUFFER_BYTES)]
    }
}

/// A socket, and the queries that wait for replies at it.
#[derive(Debug)]
pub struct UpstreamSocket {
    /// Connected to `server`.
    pub socket: UdpSocket,
    /// The upstream.
    pub server: SocketAddr,
    /// Message ids, and the queries in flight that they belong to.
    pub waiting: Vec<(u16, u32)>,
    opened: Duration,
    used: usize,
    strays: usize,
}

impl UpstreamSocket {
    /// Counts a datagram that matches no query; whether there are too many of them.
    pub fn record_stray(&mut self) -> bool {
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

/// The sockets. Each has an event number in the worker's epoll, counted from `first_event`.
#[derive(Debug)]
pub struct UpstreamSockets {
    ports: Vec<Option<UpstreamSocket>>,
    /// Those that accept queries, one per upstream.
    open: Vec<usize>,
    first_event: u64,
}

impl UpstreamSockets {
    /// None yet.
    pub fn new(first_event: u64) -> Self {
        Self { ports: Vec::new(), open: Vec::new(), first_event }
    }

    /// The socket that an event is for.
    pub fn of_event(&self, event: u64) -> Option<usize> {
        usize::try_from(event.checked_sub(self.first_event)?).ok()
    }

    /// The socket with this number.
    pub fn get(&mut self, at: usize) -> Option<&mut UpstreamSocket> {
        self.ports.get_mut(at)?.as_mut()
    }

    /// A socket for one more query; `None` if there are too many.
    ///
    /// # Errors
    /// The operating system's error, if it gives no socket.
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

    /// Adds a query that waits at a socket.
    pub fn wait(&mut self, at: usize, id: u16, flight: u32) {
        if let Some(port) = self.get(at) {
            port.used += 1;
            port.waiting.push((id, flight));
        }
    }

    /// Removes a query. A socket that accepts no more is closed with its last one.
    pub fn done(&mut self, at: usize, id: u16) {
        let Some(port) = self.get(at) else { return };
        port.waiting.retain(|(other, _)| *other != id);
        if port.waiting.is_empty() && (port.used >= QUERIES || !self.open.contains(&at)) {
            self.close(at);
        }
    }

    /// Closes a socket; returns the queries that waited at it.
    pub fn close(&mut self, at: usize) -> Vec<u32> {
        self.open.retain(|open| *open != at);
        // Closing the socket removes it from the epoll.
        let port = self.ports.get_mut(at).and_then(Option::take);
        port.map_or_else(Vec::new, |port| {
            port.waiting.into_iter().map(|(_, flight)| flight).collect()
        })
    }

    /// Stops using the sockets to this server; closes those without queries.
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

/// A socket on an unpredictable port (RFC 5452 §9.2, RFC 6056).
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

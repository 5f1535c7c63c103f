//! Receives and sends many datagrams per system call. Replies leave from the address that the query
//! was sent to.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc::{in_addr, in_pktinfo, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
        sendmsg, setsockopt, sockopt,
    },
};
use rustix::net::{
    MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sendto,
    sockopt::{
        Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
    },
};

use super::reply::REPLY_BUFFER_BYTES;

/// How many datagrams are received and sent at a time. More is not faster, and the first would wait
/// for the last.
pub const BATCH: usize = 32;
/// The number of receive buffers while queries arrive one by one.
const FEW_BUFFERS: usize = 4;
/// The size of a receive buffer. A longer query is truncated and refused. An odd number of
/// processor cache lines.
const QUERY_BUFFER_BYTES: usize = 23 * 64;

/// The address of this machine that a datagram was sent to, if the socket is bound to the
/// unspecified address.
#[derive(Clone, Copy, Debug)]
pub enum Local {
    /// The socket's own.
    Socket,
    /// An IPv4 address.
    V4(in_pktinfo),
    /// An IPv6 address.
    V6(in6_pktinfo),
}

impl Local {
    fn as_message(&self) -> Option<ControlMessage<'_>> {
        match self {
            Local::Socket => None,
            Local::V4(info) => Some(ControlMessage::Ipv4PacketInfo(info)),
            Local::V6(info) => Some(ControlMessage::Ipv6PacketInfo(info)),
        }
    }
}

/// The source and the destination of a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The remote address.
    pub address: SocketAddr,
    /// The local address.
    pub local: Local,
}

impl Peer {
    fn new(address: Option<SockaddrStorage>, local: Local) -> Self {
        let v4 = |address: &SockaddrStorage| {
            address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()))
        };
        let v6 = |address: &SockaddrStorage| {
            address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
        };
        let address = address.and_then(|address| v4(&address).or_else(|| v6(&address)));
        Peer { address: address.unwrap_or(SocketAddr::new([0, 0, 0, 0].into(), 0)), local }
    }

    /// The remote IP address; IPv4-mapped addresses as IPv4. `None` if no reply can be sent.
    pub fn ip(&self) -> Option<IpAddr> {
        let ip = self.address.ip().to_canonical();
        (self.address.port() != 0 && !ip.is_unspecified()).then_some(ip)
    }
}

/// Asks the kernel for destination addresses if the socket is bound to the unspecified address, and
/// forbids fragmentation of replies, which would allow others to inject fragments (RFC 9715 §3.1):
/// replies are short enough for any path. It also saves the kernel from choosing a fragment
/// identification.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    let whole = match socket.local_addr()? {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE),
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE),
    };
    if let Err(error) = whole {
        tracing::debug!(%error, "responses may be fragmented");
    }
    match socket.local_addr()? {
        SocketAddr::V4(address) if address.ip().is_unspecified() => {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        SocketAddr::V6(address) if address.ip().is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        _ => {}
    }
    Ok(())
}

/// A buffer for control messages; `None` for a socket that is bound to one address.
fn control(socket: &UdpSocket) -> io::Result<Option<Vec<u8>>> {
    let address = socket.local_addr()?;
    Ok(match address {
        _ if !address.ip().is_unspecified() => None,
        SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
        SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
    })
}

/// A batch of received datagrams.
pub struct Inbox {
    room: Box<[[u8; QUERY_BUFFER_BYTES]; BATCH]>,
    headers: MultiHeaders<SockaddrStorage>,
    came: Vec<(usize, Peer)>,
    many: bool,
    /// Whether there ever was a datagram.
    has_received: bool,
}

impl Inbox {
    /// An empty batch for a socket.
    pub fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            room: Box::new([[0; QUERY_BUFFER_BYTES]; BATCH]),
            headers: MultiHeaders::preallocate(BATCH, control(socket)?),
            came: Vec::with_capacity(BATCH),
            many: false,
            has_received: false,
        })
    }

    /// Receives what has arrived; whether there may be more. With `wait` it waits for the first
    /// datagram, up to the socket's timeout. Returns nothing once `stopped` is true.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        wait: bool,
        stopped: &AtomicBool,
    ) -> io::Result<bool> {
        self.came.clear();
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        // A single query after a pause finds the processor's cache cold: preparing buffers for more
        // queries would delay it.
        let room = if self.many { BATCH } else { FEW_BUFFERS };
        let result = if self.many {
            let mut slices = self.room.each_mut().map(|room| [IoSliceMut::new(room)]);
            take(
                socket,
                &mut self.headers,
                &mut slices,
                flags,
                stopped,
                &mut self.has_received,
                &mut self.came,
            )
        } else {
            let Some((few, _)) = self.room.split_first_chunk_mut::<FEW_BUFFERS>() else {
                return Ok(false);
            };
            let mut slices = few.each_mut().map(|room| [IoSliceMut::new(room)]);
            take(
                socket,
                &mut self.headers,
                &mut slices,
                flags,
                stopped,
                &mut self.has_received,
                &mut self.came,
            )
        };
        let full = self.came.len() == room;
        self.many = full || self.came.len() >= FEW_BUFFERS;
        match result {
            Ok(()) => Ok(full),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            // An ICMP error for an earlier reply: not of interest.
            Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The received datagrams.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], &Peer)> {
        self.came
            .iter()
            .zip(self.room.iter())
            .map(|((length, peer), room)| (&room[..(*length).min(QUERY_BUFFER_BYTES)], peer))
    }
}

fn take<'a>(
    socket: &UdpSocket,
    headers: &'a mut MultiHeaders<SockaddrStorage>,
    slices: &'a mut [[IoSliceMut<'a>; 1]],
    flags: MsgFlags,
    stopped: &AtomicBool,
    has_received: &mut bool,
    came: &mut Vec<(usize, Peer)>,
) -> nix::Result<()> {
    let results = recvmmsg(socket.as_raw_fd(), headers, slices, flags, None)?;
    // A receive on a socket that was shut down returns an empty datagram without an address.
    let empty = stopped.load(Ordering::Acquire) && flags.contains(MsgFlags::MSG_WAITFORONE);
    if empty && !*has_received {
        return Ok(());
    }
    *has_received = true;
    let datagrams = results.filter(|result| result.bytes > 0 || !empty);
    came.extend(
        datagrams.map(|result| (result.bytes, Peer::new(result.address, local_of(result.cmsgs())))),
    );
    Ok(())
}

fn local_of(messages: nix::Result<nix::sys::socket::CmsgIterator<'_>>) -> Local {
    let Ok(messages) = messages else { return Local::Socket };
    for message in messages {
        match message {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                // The reply leaves from this address, by whatever interface leads to the client.
                return Local::V4(in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: info.ipi_spec_dst,
                    ipi_addr: in_addr { s_addr: 0 },
                });
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let link_local =
                    info.ipi6_addr.s6_addr[0] == 0xfe && info.ipi6_addr.s6_addr[1] & 0xc0 == 0x80;
                let ipi6_ifindex = if link_local { info.ipi6_ifindex } else { 0 };
                return Local::V6(in6_pktinfo { ipi6_ifindex, ..info });
            }
            _ => {}
        }
    }
    Local::Socket
}

/// A batch of replies to send.
pub struct Outbox {
    room: Box<[[u8; REPLY_BUFFER_BYTES]; BATCH]>,
    waiting: Vec<(usize, Peer)>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            room: Box::new([[0; REPLY_BUFFER_BYTES]; BATCH]),
            waiting: Vec::with_capacity(BATCH),
        }
    }
}

impl Outbox {
    /// The buffer for the next reply, which joins the batch by [`Outbox::push`]. The batch is sent
    /// first if it is full.
    pub fn next(&mut self, socket: &UdpSocket) -> &mut [u8; REPLY_BUFFER_BYTES] {
        if self.waiting.len() == BATCH {
            self.send(socket);
        }
        &mut self.room[self.waiting.len()]
    }

    /// Adds the reply that was written to the buffer from [`Outbox::next`].
    pub fn push(&mut self, length: usize, to: &Peer) {
        self.waiting.push((length, *to));
    }

    /// Sends the batch. What the kernel does not accept is lost, as any datagram may be.
    pub fn send(&mut self, socket: &UdpSocket) {
        let mut replies = self
            .waiting
            .iter()
            .zip(self.room.iter())
            .map(|((length, to), room)| (&room[..*length], to));
        // The source address can be set for one datagram at a time.
        if self.waiting.len() < 2
            || self.waiting.iter().any(|(_, to)| !matches!(to.local, Local::Socket))
        {
            replies.for_each(|(reply, to)| send_one(socket, reply, to));
        } else {
            send_many(socket, &mut replies);
        }
        self.waiting.clear();
    }
}

fn send_many<'a>(socket: &UdpSocket, replies: &mut dyn Iterator<Item = (&'a [u8], &'a Peer)>) {
    let (slices, addresses): (Vec<_>, Vec<_>) =
        replies.map(|(reply, to)| ([IoSlice::new(reply)], SocketAddrAny::from(to.address))).unzip();
    let mut control: Vec<_> = slices.iter().map(|_| SendAncillaryBuffer::default()).collect();
    let parts = slices.iter().zip(&addresses).zip(&mut control);
    let mut messages: Vec<_> = parts
        .map(|((slice, address), control)| MMsgHdr::new_with_addr(address, slice, control))
        .collect();
    let mut left = messages.as_mut_slice();
    while !left.is_empty() {
        let sent = sendmmsg(socket, left, SendFlags::DONTWAIT).unwrap_or_else(|error| {
            tracing::debug!(%error, "a response could not be sent");
            // Skips the first one that the kernel refuses: its destination may be unreachable.
            1
        });
        left = &mut left[sent.max(1)..];
    }
}

/// Sends one reply.
pub fn send_one(socket: &UdpSocket, reply: &[u8], to: &Peer) {
    let sent = match to.local.as_message() {
        None => sendto(socket, reply, SendFlags::DONTWAIT, &to.address).map_err(io::Error::from),
        Some(message) => {
            let address = SockaddrStorage::from(to.address);
            let slices = [IoSlice::new(reply)];
            sendmsg(socket.as_raw_fd(), &slices, &[message], MsgFlags::MSG_DONTWAIT, Some(&address))
                .map_err(io::Error::from)
        }
    };
    if let Err(error) = sent {
        tracing::debug!(%error, "a response could not be sent");
    }
}

//! Many datagrams with one call into the kernel, and replies that leave from the address they were
//! asked at.

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

use super::reply::ROOM;

/// How many datagrams are taken and sent at a time: more is no faster, and what comes first waits
/// for what comes last.
pub const BATCH: usize = 32;
/// How many are made room for while they come one by one.
const FEW: usize = 4;
/// Room for a query. One that is longer is cut and no query then. An odd number of lines of the
/// processor's cache.
const QUERY_ROOM: usize = 23 * 64;

/// The address of this machine that a datagram was sent to, if the socket is bound to all of them.
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

/// Where a datagram came from, and to where.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other side.
    pub address: SocketAddr,
    /// Our side.
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

    /// The other side's address; IPv4 addresses in their own form. `None` where no reply can go.
    pub fn ip(&self) -> Option<IpAddr> {
        let ip = self.address.ip().to_canonical();
        (self.address.port() != 0 && !ip.is_unspecified()).then_some(ip)
    }
}

/// Asks the kernel to say where datagrams are sent to, if the socket is bound to all addresses, and
/// never to let a reply be cut into fragments, which others can put theirs among (RFC 9715 §3.1):
/// replies are short enough for any path. It also spares the kernel to look for an identification
/// that fragments would need.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
    let whole = match socket.local_addr()? {
        SocketAddr::V4(_) => set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::PROBE),
        SocketAddr::V6(_) => set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::PROBE),
    };
    if let Err(error) = whole {
        tracing::debug!(%error, "answers may be cut into fragments on their way");
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

/// Room for control messages; `None` for a socket that is bound to one address.
fn control(socket: &UdpSocket) -> io::Result<Option<Vec<u8>>> {
    let address = socket.local_addr()?;
    Ok(match address {
        _ if !address.ip().is_unspecified() => None,
        SocketAddr::V4(_) => Some(cmsg_space!(in_pktinfo)),
        SocketAddr::V6(_) => Some(cmsg_space!(in6_pktinfo)),
    })
}

/// A batch of datagrams that came.
pub struct Inbox {
    room: Box<[[u8; QUERY_ROOM]; BATCH]>,
    headers: MultiHeaders<SockaddrStorage>,
    came: Vec<(usize, Peer)>,
    many: bool,
    /// Whether there ever was a datagram.
    heard: bool,
}

impl Inbox {
    /// An empty one for a socket.
    pub fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            room: Box::new([[0; QUERY_ROOM]; BATCH]),
            headers: MultiHeaders::preallocate(BATCH, control(socket)?),
            came: Vec::with_capacity(BATCH),
            many: false,
            heard: false,
        })
    }

    /// Takes what is there; whether there may be more. With `wait` it waits for the first, as long
    /// as the socket's timeout allows. Nothing comes once `stopped` is true.
    pub fn receive(
        &mut self,
        socket: &UdpSocket,
        wait: bool,
        stopped: &AtomicBool,
    ) -> io::Result<bool> {
        self.came.clear();
        let flags = if wait { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        // One query alone, after a while, finds nothing in the processor's cache: what is made
        // ready for others costs it time.
        let room = if self.many { BATCH } else { FEW };
        let result = if self.many {
            let mut slices = self.room.each_mut().map(|room| [IoSliceMut::new(room)]);
            take(
                socket,
                &mut self.headers,
                &mut slices,
                flags,
                stopped,
                &mut self.heard,
                &mut self.came,
            )
        } else {
            let Some((few, _)) = self.room.split_first_chunk_mut::<FEW>() else { return Ok(false) };
            let mut slices = few.each_mut().map(|room| [IoSliceMut::new(room)]);
            take(
                socket,
                &mut self.headers,
                &mut slices,
                flags,
                stopped,
                &mut self.heard,
                &mut self.came,
            )
        };
        let full = self.came.len() == room;
        self.many = full || self.came.len() >= FEW;
        match result {
            Ok(()) => Ok(full),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            // An ICMP error to an earlier reply: nothing that is known here.
            Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// What came.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], &Peer)> {
        self.came
            .iter()
            .zip(self.room.iter())
            .map(|((length, peer), room)| (&room[..(*length).min(QUERY_ROOM)], peer))
    }
}

fn take<'a>(
    socket: &UdpSocket,
    headers: &'a mut MultiHeaders<SockaddrStorage>,
    slices: &'a mut [[IoSliceMut<'a>; 1]],
    flags: MsgFlags,
    stopped: &AtomicBool,
    heard: &mut bool,
    came: &mut Vec<(usize, Peer)>,
) -> nix::Result<()> {
    let results = recvmmsg(socket.as_raw_fd(), headers, slices, flags, None)?;
    // Whoever waits at a socket that is shut down gets an empty datagram without an address, which
    // is then the last one's.
    let empty = stopped.load(Ordering::Acquire) && flags.contains(MsgFlags::MSG_WAITFORONE);
    if empty && !*heard {
        return Ok(());
    }
    *heard = true;
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
                // The reply leaves from there, on whatever interface leads to the client.
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

/// A batch of replies on their way.
pub struct Outbox {
    room: Box<[[u8; ROOM]; BATCH]>,
    waiting: Vec<(usize, Peer)>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self { room: Box::new([[0; ROOM]; BATCH]), waiting: Vec::with_capacity(BATCH) }
    }
}

impl Outbox {
    /// Room for the next reply; it is part of the batch once it is [`Outbox::push`]ed. What is
    /// there is sent if there is none left.
    pub fn next(&mut self, socket: &UdpSocket) -> &mut [u8; ROOM] {
        if self.waiting.len() == BATCH {
            self.send(socket);
        }
        &mut self.room[self.waiting.len()]
    }

    /// Takes the reply that was written to [`Outbox::next`]'s room.
    pub fn push(&mut self, length: usize, to: &Peer) {
        self.waiting.push((length, *to));
    }

    /// Sends what is there. What the kernel doesn't take is lost, as any datagram may be.
    pub fn send(&mut self, socket: &UdpSocket) {
        let mut replies = self
            .waiting
            .iter()
            .zip(self.room.iter())
            .map(|((length, to), room)| (&room[..*length], to));
        // Which of our addresses a reply leaves from can be said for one at a time.
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
            tracing::debug!(%error, "an answer could not be sent");
            // The first that is not taken is left out: its address may be one that can't be
            // reached.
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
        tracing::debug!(%error, "an answer could not be sent");
    }
}

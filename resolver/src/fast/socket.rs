//! Many datagrams with one call into the kernel, and replies that leave from the address they were asked at.

use std::{
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, SocketAddr, SocketAddrV4, UdpSocket},
    os::fd::AsRawFd,
};

use nix::{
    cmsg_space,
    errno::Errno,
    libc::{in_addr, in_pktinfo, in6_pktinfo},
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg,
        sendmsg, setsockopt, sockopt,
    },
};

use super::reply::ROOM;

/// How many datagrams are taken and sent at a time: more is no faster, and what comes first waits for what comes last.
pub const BATCH: usize = 32;
/// Room for a query. One that is longer is cut and no query then. An odd number of lines of the processor's cache.
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

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Local::Socket, Local::Socket) => true,
            (Local::V4(a), Local::V4(b)) => a.ipi_spec_dst.s_addr == b.ipi_spec_dst.s_addr,
            (Local::V6(a), Local::V6(b)) => {
                a.ipi6_addr.s6_addr == b.ipi6_addr.s6_addr && a.ipi6_ifindex == b.ipi6_ifindex
            }
            _ => false,
        }
    }
}

/// Where a datagram came from, and to where.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The other side.
    pub address: SockaddrStorage,
    /// Our side.
    pub local: Local,
}

impl Peer {
    /// The other side's address; IPv4 addresses in their own form. `None` where no reply can go.
    pub fn ip(&self) -> Option<IpAddr> {
        let (ip, port) = match (self.address.as_sockaddr_in(), self.address.as_sockaddr_in6()) {
            (Some(v4), _) => (IpAddr::V4(v4.ip()), v4.port()),
            (_, Some(v6)) => (IpAddr::V6(v6.ip()).to_canonical(), v6.port()),
            _ => return None,
        };
        (port != 0 && !ip.is_unspecified()).then_some(ip)
    }
}

/// Asks the kernel to say where datagrams are sent to, if the socket is bound to all addresses.
pub fn prepare(socket: &UdpSocket) -> io::Result<()> {
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
}

impl Inbox {
    /// An empty one for a socket.
    pub fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            room: Box::new([[0; QUERY_ROOM]; BATCH]),
            headers: MultiHeaders::preallocate(BATCH, control(socket)?),
            came: Vec::with_capacity(BATCH),
        })
    }

    /// Takes what is there, without waiting; how many came. Fewer than [`BATCH`]: there are no more.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.came.clear();
        let mut slices = self.room.each_mut().map(|room| [IoSliceMut::new(room)]);
        let flags = MsgFlags::MSG_DONTWAIT;
        match recvmmsg(socket.as_raw_fd(), &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(results) => {
                for result in results {
                    // Without an address there is nobody to reply to: an empty datagram is no query.
                    let peer =
                        result.address.map(|address| Peer { address, local: local_of(result.cmsgs()) });
                    let nobody = Peer {
                        address: SocketAddrV4::new([0, 0, 0, 0].into(), 0).into(),
                        local: Local::Socket,
                    };
                    self.came.push((result.bytes, peer.unwrap_or(nobody)));
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // An ICMP error of an earlier reply: nothing that is known here.
            Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => return Ok(BATCH),
            Err(error) => return Err(error.into()),
        }
        Ok(self.came.len())
    }

    /// What came.
    pub fn datagrams(&self) -> impl Iterator<Item = (&[u8], &Peer)> {
        self.came
            .iter()
            .zip(self.room.iter())
            .map(|((length, peer), room)| (&room[..(*length).min(QUERY_ROOM)], peer))
    }
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
    lengths: [usize; BATCH],
    to: Vec<Option<SockaddrStorage>>,
    from: Vec<Local>,
    headers: MultiHeaders<SockaddrStorage>,
    plain: MultiHeaders<SockaddrStorage>,
}

impl Outbox {
    /// An empty one for a socket.
    pub fn new(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            room: Box::new([[0; ROOM]; BATCH]),
            lengths: [0; BATCH],
            to: Vec::with_capacity(BATCH),
            from: Vec::with_capacity(BATCH),
            headers: MultiHeaders::preallocate(BATCH, control(socket)?),
            plain: MultiHeaders::preallocate(BATCH, None),
        })
    }

    /// Room for the next reply; it is part of the batch once it is [`Outbox::push`]ed. What is there is sent if there is
    /// none left.
    pub fn next(&mut self, socket: &UdpSocket) -> &mut [u8; ROOM] {
        if self.to.len() == BATCH {
            self.send(socket);
        }
        &mut self.room[self.to.len()]
    }

    /// Takes the reply that was written to [`Outbox::next`]'s room.
    pub fn push(&mut self, length: usize, to: &Peer) {
        self.lengths[self.to.len()] = length;
        self.to.push(Some(to.address));
        self.from.push(to.local);
    }

    /// Sends what is there. What the kernel doesn't take is lost, as any datagram may be.
    pub fn send(&mut self, socket: &UdpSocket) {
        let mut at = 0;
        while at < self.to.len() {
            let same = self.from[at..].iter().take_while(|local| local.is(&self.from[at])).count();
            let sent = self.send_some(socket, at, at + same);
            // The first that is not taken is left out, as its address may be one that can't be reached.
            at += if sent == 0 { 1 } else { sent };
        }
        self.to.clear();
        self.from.clear();
    }

    fn send_some(&mut self, socket: &UdpSocket, start: usize, end: usize) -> usize {
        let mut at = start;
        let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|_| {
            let slice = IoSlice::new(&self.room[at % BATCH][..self.lengths[at % BATCH]]);
            at += 1;
            [slice]
        });
        let (slices, to) = (&slices[..end - start], &self.to[start..end]);
        let fd = socket.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT;
        let sent = match self.from[start].as_message() {
            None => sendmmsg(fd, &mut self.plain, slices, to, [], flags),
            Some(message) => sendmmsg(fd, &mut self.headers, slices, to, [message], flags),
        };
        sent.map_or(0, Iterator::count)
    }
}

/// Sends one reply.
pub fn send_one(socket: &UdpSocket, reply: &[u8], to: &Peer) {
    let message = to.local.as_message();
    let sent = sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(reply)],
        message.as_slice(),
        MsgFlags::MSG_DONTWAIT,
        Some(&to.address),
    );
    if let Err(error) = sent {
        tracing::debug!(%error, "an answer could not be sent");
    }
}

//! Addresses of peers, as far as we believe them: an IP address, a port, TCP or QUIC. Anything else
//! that a peer tells (names, relays, other transports) is passed over; names come from our own user
//! only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libp2p::{Multiaddr, PeerId, multiaddr::Protocol};

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Carrier {
    /// TCP, then Noise, then yamux.
    Tcp,
    /// QUIC version 1, over UDP.
    Quic,
}

/// Where a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    /// Its IP address; one of IPv4 is never written as one of IPv6.
    pub ip: IpAddr,
    /// Its port, not zero.
    pub port: u16,
    /// How.
    pub carrier: Carrier,
}

/// What one party can have many addresses in without much cost: a /16 of IPv4, a /32 of IPv6.
/// Addresses that only our own network reaches are one each: nobody far away has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    /// The first two bytes.
    V4([u8; 2]),
    /// The first four bytes.
    V6([u8; 4]),
    /// A private address.
    Private(IpAddr),
    /// This machine, and a port of it.
    Loopback(u16),
}

impl Address {
    /// Reads an address, and the identity behind it if it is told. `None`: it is of another kind.
    pub fn read(address: &Multiaddr) -> Option<(Address, Option<PeerId>)> {
        let mut parts = address.iter();
        let ip = match parts.next()? {
            Protocol::Ip4(ip) => IpAddr::V4(ip),
            Protocol::Ip6(ip) => canonical(ip),
            _ => return None,
        };
        let (port, carrier) = match parts.next()? {
            Protocol::Tcp(port) => (port, Carrier::Tcp),
            Protocol::Udp(port) if parts.next()? == Protocol::QuicV1 => (port, Carrier::Quic),
            _ => return None,
        };
        let peer = match parts.next() {
            None => None,
            Some(Protocol::P2p(peer)) => Some(peer),
            Some(_) => return None,
        };
        let usable =
            port != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != Ipv4Addr::BROADCAST;
        (usable && parts.next().is_none()).then_some((Address { ip, port, carrier }, peer))
    }

    /// As the engine writes it, without an identity.
    pub fn multiaddr(&self) -> Multiaddr {
        let base = match self.ip {
            IpAddr::V4(ip) => Multiaddr::empty().with(Protocol::Ip4(ip)),
            IpAddr::V6(ip) => Multiaddr::empty().with(Protocol::Ip6(ip)),
        };
        match self.carrier {
            Carrier::Tcp => base.with(Protocol::Tcp(self.port)),
            Carrier::Quic => base.with(Protocol::Udp(self.port)).with(Protocol::QuicV1),
        }
    }

    /// Its group.
    pub fn group(&self) -> Group {
        match group(self.ip) {
            Group::Loopback(_) => Group::Loopback(self.port),
            group => group,
        }
    }

    /// Whether somebody at `teller` may tell us of it: an address of our own network only if he is
    /// in it, one of this machine only if he is on it. Otherwise strangers could make us
    /// check_inbound at doors that they can't see.
    pub fn may_come_from(&self, teller: IpAddr) -> bool {
        match group(self.ip) {
            Group::Loopback(_) => teller.is_loopback(),
            Group::Private(_) => matches!(group(teller), Group::Private(_) | Group::Loopback(_)),
            Group::V4(_) | Group::V6(_) => true,
        }
    }
}

fn canonical(ip: Ipv6Addr) -> IpAddr {
    ip.to_ipv4_mapped().map_or(IpAddr::V6(ip), IpAddr::V4)
}

/// The group of an IP address; all of this machine is one.
pub(super) fn group(ip: IpAddr) -> Group {
    match ip {
        ip if ip.is_loopback() => Group::Loopback(0),
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let private = v4.is_private() || v4.is_link_local() || shared;
            if private { Group::Private(ip) } else { Group::V4([a, b]) }
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.octets();
            // fc00::/7, unique local; fe80::/10, of one link.
            let private = a & 0xfe == 0xfc || (a == 0xfe && b & 0xc0 == 0x80);
            if private { Group::Private(ip) } else { Group::V6([a, b, c, d]) }
        }
    }
}

/// The IP address in an address of any kind.
pub(super) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(canonical(ip)),
        _ => None,
    })
}

/// An address that our user gave, without the identity behind it, and that identity.
pub(super) fn split(address: &Multiaddr) -> Result<(Multiaddr, Option<PeerId>), &'static str> {
    let mut peer = None;
    let mut bare = Multiaddr::empty();
    for part in address.iter() {
        match part {
            _ if peer.is_some() => return Err("something follows the peer's identity"),
            Protocol::P2p(id) => peer = Some(id),
            part => bare.push(part),
        }
    }
    let parts: Vec<Protocol<'_>> = bare.iter().collect();
    let host = |part: &Protocol<'_>| {
        matches!(
            part,
            Protocol::Ip4(_)
                | Protocol::Ip6(_)
                | Protocol::Dns(_)
                | Protocol::Dns4(_)
                | Protocol::Dns6(_)
        )
    };
    match &parts[..] {
        [first, Protocol::Tcp(port)] if host(first) && *port != 0 => Ok((bare, peer)),
        [first, Protocol::Udp(port), Protocol::QuicV1] if host(first) && *port != 0 => {
            Ok((bare, peer))
        }
        _ => Err(
            "write /ip4/ADDRESS/tcp/PORT, /ip4/ADDRESS/udp/PORT/quic-v1, or /dns/NAME instead of /ip4/ADDRESS",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Address> {
        Address::read(&text.parse().expect("a multiaddr")).map(|(address, _)| address)
    }

    #[test]
    fn addresses_go_there_and_back() {
        for text in ["/ip4/192.0.2.7/tcp/7379", "/ip6/2001:db8::1/udp/7379/quic-v1"] {
            assert_eq!(read(text).expect(text).multiaddr().to_string(), text);
        }
        let mapped = read("/ip6/::ffff:192.0.2.7/tcp/1").expect("mapped");
        assert_eq!(
            mapped.multiaddr().to_string(),
            "/ip4/192.0.2.7/tcp/1",
            "one address, one writing"
        );
    }

    #[test]
    fn what_we_would_not_dial_is_not_an_address() {
        for text in [
            "/dns4/example.com/tcp/7379",
            "/ip4/192.0.2.7/udp/7379",
            "/ip4/192.0.2.7/tcp/0",
            "/ip4/0.0.0.0/tcp/7379",
            "/ip4/224.0.0.1/tcp/7379",
            "/ip4/255.255.255.255/tcp/7379",
            "/ip4/192.0.2.7/tcp/7379/ws",
            "/ip4/192.0.2.7",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn groups_are_what_one_party_can_have_much_of() {
        let group = |text| read(text).expect("an address").group();
        assert_eq!(group("/ip4/203.0.113.1/tcp/1"), group("/ip4/203.0.200.9/tcp/2"));
        assert_ne!(group("/ip4/203.0.113.1/tcp/1"), group("/ip4/203.1.113.1/tcp/1"));
        assert_eq!(group("/ip6/2001:db8:1::1/tcp/1"), group("/ip6/2001:db8:ffff::9/tcp/1"));
        assert_ne!(group("/ip4/10.0.0.1/tcp/1"), group("/ip4/10.0.0.2/tcp/1"));
        assert_ne!(group("/ip4/127.0.0.1/tcp/1"), group("/ip4/127.0.0.1/tcp/2"));
    }

    #[test]
    fn strangers_do_not_send_us_to_private_doors() {
        let [far, near, here] =
            ["203.0.113.1", "10.0.0.1", "127.0.0.1"].map(|ip| ip.parse().expect("an ip"));
        let router = read("/ip4/192.168.0.1/tcp/80").expect("an address");
        assert!(
            !router.may_come_from(far) && router.may_come_from(near) && router.may_come_from(here)
        );
        let own = read("/ip4/127.0.0.1/tcp/22").expect("an address");
        assert!(!own.may_come_from(far) && !own.may_come_from(near) && own.may_come_from(here));
        assert!(read("/ip4/198.51.100.1/tcp/1").expect("an address").may_come_from(far));
    }

    #[test]
    fn what_a_user_writes() {
        let split = |text: &str| {
            split(&text.parse().expect("a multiaddr")).map(|(bare, id)| (bare.to_string(), id))
        };
        let id = PeerId::random();
        assert_eq!(
            split(&format!("/dns4/node-a/tcp/7379/p2p/{id}")),
            Ok(("/dns4/node-a/tcp/7379".to_owned(), Some(id)))
        );
        assert!(split("/ip4/192.0.2.7/udp/7379/quic-v1").is_ok());
        for wrong in
            ["/ip4/192.0.2.7", "/ip4/192.0.2.7/tcp/7379/ws", "/ip4/192.0.2.7/udp/7379", "/tcp/7"]
        {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}

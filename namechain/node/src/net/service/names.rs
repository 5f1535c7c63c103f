//! Names of peers: looked up before they are dialled. So we know at which address a peer is, and it
//! enters the address book like any other.

use std::{net::IpAddr, time::Duration};

use libp2p::{Multiaddr, multiaddr::Protocol};
use tokio::{net::lookup_host, sync::mpsc, time::timeout};

use super::super::{
    address::{Address, Carrier},
    dial::Target,
};

/// How long a look-up may take.
const LOOKUP_WITHIN: Duration = Duration::from_secs(10);
/// The most addresses of a name that are taken up.
const ADDRESSES_PER_NAME: usize = 8;
/// Look-ups whose results wait; more wait for room.
const RESULTS_WAITING: usize = 16;

/// A name, and how whoever has it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerName {
    name: String,
    /// Only addresses of IPv4, or only of IPv6.
    only_v4: Option<bool>,
    port: u16,
    carrier: Carrier,
}

impl PeerName {
    /// The name in an address, if it has one.
    pub fn of(address: &Multiaddr) -> Option<PeerName> {
        let mut parts = address.iter();
        let (name, only_v4) = match parts.next()? {
            Protocol::Dns(name) => (name, None),
            Protocol::Dns4(name) => (name, Some(true)),
            Protocol::Dns6(name) => (name, Some(false)),
            _ => return None,
        };
        let (port, carrier) = match parts.next()? {
            Protocol::Tcp(port) => (port, Carrier::Tcp),
            Protocol::Udp(port) => (port, Carrier::Quic),
            _ => return None,
        };
        Some(PeerName { name: name.into_owned(), only_v4, port, carrier })
    }

    async fn look_up(&self) -> Vec<Multiaddr> {
        let found = timeout(LOOKUP_WITHIN, lookup_host((self.name.as_str(), self.port))).await;
        let Ok(Ok(found)) = found else { return Vec::new() };
        let mut addresses = Vec::new();
        for ip in found.map(|socket| socket.ip().to_canonical()) {
            if self.only_v4.is_none_or(|only_v4| only_v4 == ip.is_ipv4()) {
                addresses.push(self.at(ip));
            }
        }
        addresses.truncate(ADDRESSES_PER_NAME);
        addresses
    }

    fn at(&self, ip: IpAddr) -> Multiaddr {
        Address { ip, port: self.port, carrier: self.carrier }.multiaddr()
    }
}

/// What came of a look-up.
#[derive(Debug)]
pub(super) struct LookedUp {
    pub target: Target,
    /// None: the name is not there, or nobody answers.
    pub addresses: Vec<Multiaddr>,
}

/// The look-ups under way.
pub(super) struct Names {
    sender: mpsc::Sender<LookedUp>,
    receiver: mpsc::Receiver<LookedUp>,
}

impl Default for Names {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(RESULTS_WAITING);
        Names { sender, receiver }
    }
}

impl Names {
    /// Looks a name up.
    pub fn look_up(&self, name: PeerName, target: Target) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            let addresses = name.look_up().await;
            // An error: the network has ended.
            let _ = sender.send(LookedUp { target, addresses }).await;
        });
    }

    /// The next result.
    pub async fn next(&mut self) -> Option<LookedUp> {
        self.receiver.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_from_an_address() {
        let of = |text: &str| PeerName::of(&text.parse().expect("an address"));
        let name = of("/dns4/node.example/udp/7/quic-v1").expect("a name");
        assert_eq!((name.name.as_str(), name.only_v4, name.port), ("node.example", Some(true), 7));
        let at = name.at("192.0.2.1".parse().expect("an ip"));
        assert_eq!(at.to_string(), "/ip4/192.0.2.1/udp/7/quic-v1");
        assert_eq!(of("/dns/node.example/tcp/7").expect("a name").only_v4, None);
        assert_eq!(of("/ip4/192.0.2.1/tcp/7"), None);
    }

    #[tokio::test]
    async fn a_name_that_is_not_there_has_no_address() {
        let name = PeerName::of(&"/dns/no-such.invalid/tcp/7".parse().expect("an address"));
        assert_eq!(name.expect("a name").look_up().await, Vec::<Multiaddr>::new());
    }
}

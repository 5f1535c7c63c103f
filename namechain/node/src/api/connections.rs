//! The open connections of one listener: how many there are, and which one makes room for another.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::task::{AbortHandle, Id};

/// How many clients of one site count as one: what a site may have is so many times as much.
pub(super) const CLIENTS_OF_A_SITE: u32 = 4;

/// Who has a connection, by a network and the bits of its prefix: an address of IPv4, the first 64
/// bits of one of IPv6, or nobody in particular.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client(Option<(IpAddr, u32)>);

impl Client {
    /// The client at an address; `None`: this machine's, by the admin socket.
    pub fn new(address: Option<IpAddr>) -> Self {
        Client(address.map(|ip| network_of(ip, 64)))
    }

    /// The site that the client is of: the first 48 bits of an address of IPv6 (RFC 6177), which
    /// are 65,536 clients; of IPv4 the client itself.
    pub fn site(self) -> Self {
        Client(self.0.map(|(ip, _)| network_of(ip, 48)))
    }
}

/// The network of an address; an address of IPv4 is one by itself.
fn network_of(ip: IpAddr, bits: u32) -> (IpAddr, u32) {
    match ip.to_canonical() {
        IpAddr::V6(ip) => {
            let network = ip.to_bits() & (u128::MAX << (128 - bits));
            (Ipv6Addr::from_bits(network).into(), bits)
        }
        ip => (ip, 32),
    }
}

/// The requests of a connection that are being answered: 0 or 1.
pub(super) type Answering = Arc<AtomicUsize>;

/// A connection.
#[derive(Debug)]
struct Connection {
    task: AbortHandle,
    client: Client,
    answering: Answering,
}

/// The connections, those of longest standing first.
#[derive(Debug)]
pub(super) struct Connections {
    open: Vec<Connection>,
    max: usize,
}

impl Connections {
    /// None yet, and `max` at most.
    pub fn new(max: usize) -> Self {
        Connections { open: Vec::new(), max }
    }

    /// A connection is open.
    pub fn add(&mut self, task: AbortHandle, client: Client, answering: Answering) {
        self.open.push(Connection { task, client, answering });
    }

    /// A connection is closed.
    pub fn remove(&mut self, task: Id) {
        self.open.retain(|connection| connection.task.id() != task);
    }

    /// Closes a connection if there is no room for another. It is one of the client that has the
    /// most; of these one that waits for a request, if there is one, else the one that is open for
    /// longest. So whoever opens many connections closes his own.
    pub fn make_room(&mut self) {
        if self.open.len() < self.max {
            return;
        }
        let count = |key: fn(Client) -> Client| {
            let mut counts: HashMap<Client, usize> = HashMap::new();
            for connection in &self.open {
                *counts.entry(key(connection.client)).or_default() += 1;
            }
            counts
        };
        let (clients, sites) = (count(|client| client), count(Client::site));
        let rank = |(at, Connection { client, answering, .. }): &(usize, &Connection)| {
            let of_site = sites[&client.site()] / CLIENTS_OF_A_SITE as usize;
            let is_idle = answering.load(Ordering::Relaxed) == 0;
            (clients[client].max(of_site), is_idle, std::cmp::Reverse(*at))
        };
        let chosen = self.open.iter().enumerate().max_by_key(rank).map(|(at, _)| at);
        if let Some(at) = chosen {
            self.open.remove(at).task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::new(Some(address.parse().unwrap()))
    }

    #[test]
    fn clients_of_one_network_are_one() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8:0:1::1"), client("2001:db8::1"));
        assert_eq!(client("2001:db8:0:1::1").site(), client("2001:db8::1").site());
        assert_ne!(client("2001:db8:1::1").site(), client("2001:db8::1").site());
        assert_eq!(client("192.0.2.1").site(), client("192.0.2.1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }

    /// What is left of connections of these clients, who is answered or not, after room was made.
    async fn left(open: &[(&'static str, usize)], max: usize) -> Vec<(usize, bool)> {
        let mut connections = Connections::new(max);
        let mut tasks = Vec::new();
        for (address, answering) in open {
            let task = tokio::spawn(std::future::pending::<()>());
            let answering = Arc::new(AtomicUsize::new(*answering));
            connections.add(task.abort_handle(), client(address), answering);
            tasks.push(task);
        }
        connections.make_room();
        let mut left = Vec::new();
        for (at, task) in tasks.into_iter().enumerate() {
            let stays = connections.open.iter().any(|open| open.task.id() == task.id());
            if !stays {
                assert!(task.await.unwrap_err().is_cancelled());
            }
            left.push((at, stays));
        }
        left
    }

    #[tokio::test]
    async fn whoever_has_the_most_makes_room() {
        let closed = |left: Vec<(usize, bool)>| {
            left.into_iter().filter(|(_, stays)| !stays).map(|(at, _)| at).collect::<Vec<_>>()
        };
        let (a, b, c) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
        // There is room.
        assert_eq!(closed(left(&[(a, 0), (a, 0)], 3).await), [0; 0]);
        // The one that waits, though another is older and somebody else waits for longer.
        assert_eq!(closed(left(&[(b, 0), (a, 1), (a, 0), (a, 0)], 4).await), [2]);
        // All are answered: the oldest of whoever has the most.
        assert_eq!(closed(left(&[(b, 0), (a, 1), (a, 1)], 3).await), [1]);
        // A site that spreads its connections over its networks.
        let site: Vec<_> = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b", "c"]
            .map(|at| (&*Box::leak(format!("2001:db8:0:{at}::1").into_boxed_str()), 0))
            .into();
        let open: Vec<_> = [(a, 0), (a, 0)].into_iter().chain(site).collect();
        assert_eq!(closed(left(&open, 14).await), [2], "twelve of a site count as three");
        // One each: whoever waits.
        assert_eq!(closed(left(&[(a, 1), (b, 1), (c, 0)], 3).await), [2]);
    }
}

//! UDP sockets. Each is on a random port, connected to one server, used for several queries one
//! after another, and then closed. A forger has to guess port, id and case, as with one socket per
//! query; three of four system calls are saved.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;

/// How many queries use one socket.
const MAX_USES: u8 = 32;
/// The most idle sockets, over all servers.
const MAX_IDLE_SOCKETS: usize = 128;
/// The most servers with idle sockets.
const MAX_SERVERS: usize = 32;
/// How long an idle socket stays open. The network may have changed since.
const MAX_IDLE_TIME: Duration = Duration::from_secs(5);
/// Random ports that are tried before the kernel chooses one.
const PORT_TRIES: usize = 4;
/// The lowest random port. Services use the ports below.
const FIRST_PORT: u16 = 10_000;

/// A connected socket, and how often it was used.
#[derive(Debug)]
pub struct ConnectedSocket {
    /// It receives datagrams of its server only.
    pub socket: UdpSocket,
    server: SocketAddr,
    uses: u8,
}

#[derive(Debug, Default)]
struct IdleSockets {
    by_server: HashMap<SocketAddr, Vec<(ConnectedSocket, Duration)>>,
    count: usize,
}

/// The idle sockets.
#[derive(Debug, Default)]
pub struct Sockets(Mutex<IdleSockets>);

impl Sockets {
    /// A socket for a server: an idle one, or a new one.
    ///
    /// # Errors
    /// The error of the operating system.
    pub async fn take(&self, server: SocketAddr, now: Duration) -> io::Result<ConnectedSocket> {
        if let Some(socket) = self.kept(server, now) {
            return Ok(socket);
        }
        let socket = random_socket(server).await?;
        socket.connect(server).await?;
        Ok(ConnectedSocket { socket, server, uses: 0 })
    }

    /// Gives a socket back after a query that was answered.
    pub fn release(&self, mut used: ConnectedSocket, now: Duration) {
        used.uses += 1;
        let mut kept = self.lock();
        if used.uses >= MAX_USES || kept.count >= MAX_IDLE_SOCKETS {
            return;
        }
        if !kept.by_server.contains_key(&used.server) && kept.by_server.len() >= MAX_SERVERS {
            // None is idle for long, so it does not matter which one is closed.
            kept.by_server.clear();
            kept.count = 0;
        }
        kept.count += 1;
        kept.by_server.entry(used.server).or_default().push((used, now));
    }

    /// Closes the idle sockets to a server: it failed, or the route to it has changed.
    pub fn forget(&self, server: SocketAddr) {
        let mut kept = self.lock();
        let gone = kept.by_server.remove(&server).map_or(0, |sockets| sockets.len());
        kept.count -= gone;
    }

    fn kept(&self, server: SocketAddr, now: Duration) -> Option<ConnectedSocket> {
        let mut kept = self.lock();
        let sockets = kept.by_server.get_mut(&server)?;
        let before = sockets.len();
        sockets.retain(|(_, since)| now < *since + MAX_IDLE_TIME);
        let taken = sockets.pop().map(|(socket, _)| socket);
        let gone = before - sockets.len();
        if sockets.is_empty() {
            kept.by_server.remove(&server);
        }
        kept.count -= gone;
        taken
    }

    fn lock(&self) -> MutexGuard<'_, IdleSockets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket on an unpredictable port (RFC 5452 §9.2, RFC 6056).
async fn random_socket(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = |port| match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
    };
    let mut random = [0; 2 * PORT_TRIES];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    for pair in random.chunks_exact(2) {
        let port = u16::from_be_bytes([pair[0], pair[1]]);
        if port >= FIRST_PORT
            && let Ok(socket) = UdpSocket::bind(any(port)).await
        {
            return Ok(socket);
        }
    }
    UdpSocket::bind(any(0)).await
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn server(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[tokio::test]
    async fn a_socket_serves_some_questions_and_then_another_port_does() {
        let sockets = Sockets::default();
        let mut ports = Vec::new();
        for _ in 0..4 * MAX_USES {
            let socket = sockets.take(server(9), Duration::ZERO).await.unwrap();
            ports.push(socket.socket.local_addr().unwrap().port());
            sockets.release(socket, Duration::ZERO);
        }
        let different: HashSet<u16> = ports.iter().copied().collect();
        assert!((2..=4).contains(&different.len()), "{different:?}");
        assert!(ports[..usize::from(MAX_USES)].iter().all(|port| *port == ports[0]));
    }

    #[tokio::test]
    async fn no_more_are_kept_than_allowed_and_none_for_long() {
        let sockets = Sockets::default();
        for n in 0..2 * MAX_SERVERS as u16 {
            let one = sockets.take(server(1_000 + n), Duration::ZERO).await.unwrap();
            sockets.release(one, Duration::ZERO);
            let kept = sockets.lock();
            assert!(kept.by_server.len() <= MAX_SERVERS && kept.count <= MAX_IDLE_SOCKETS);
            assert_eq!(kept.count, kept.by_server.values().map(Vec::len).sum::<usize>());
        }
        let last = server(1_000 + 2 * MAX_SERVERS as u16 - 1);
        assert!(sockets.kept(last, MAX_IDLE_TIME).is_none(), "too old");
        assert!(sockets.kept(server(1_000), Duration::ZERO).is_none(), "others took its place");
        let one = sockets.take(last, Duration::ZERO).await.unwrap();
        sockets.release(one, Duration::ZERO);
        sockets.forget(last);
        assert!(sockets.kept(last, Duration::ZERO).is_none());
    }
}

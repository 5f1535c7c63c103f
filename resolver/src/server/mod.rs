//! The listening sockets. They are bound before anything else starts, so that a port in use is
//! reported first.

pub mod access;
pub mod encrypted;
#[cfg(target_os = "linux")]
pub(crate) mod fast;
pub mod handle;
pub mod responder;
pub(crate) mod tcp;
pub(crate) mod udp;

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use thiserror::Error;
use tokio::{sync::watch, task::JoinSet};

use crate::{os, os::systemd::Pair};
use encrypted::{EncryptedConfig, EncryptedListener, Identity};
use handle::ResponderHandle;

/// The most UDP threads per address.
pub const MAX_WORKERS: usize = 256;
/// How many free ports are tried to find one that is free for UDP and TCP.
const FREE_PORT_TRIES: usize = 32;

/// Why an address can't be listened on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another program uses it.
    #[error(
        "{0} is in use by another program: stop it, or choose another address with --listen (port 0: any free one)"
    )]
    Taken(SocketAddr),
    /// Only root may bind it.
    #[error(
        "{0} may not be used by this user: choose a port from 1024 on with --listen, or grant CAP_NET_BIND_SERVICE"
    )]
    Denied(SocketAddr),
    /// The machine does not have this address.
    #[error("this machine has no address {}: choose one that it has with --listen", .0.ip())]
    NoAddress(SocketAddr),
    /// Any other error.
    #[error("can't listen on {0}: {1}")]
    Other(SocketAddr, io::Error),
}

/// An address bound for UDP and TCP.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    udp: UdpSocket,
    tcp: TcpListener,
    /// Whether another process has the sockets open too.
    is_inherited: bool,
}

impl From<Pair> for Bound {
    /// Sockets that the service manager has bound.
    fn from((address, udp, tcp): Pair) -> Self {
        Bound { address, udp, tcp, is_inherited: true }
    }
}

impl Bound {
    /// The address, with the port that was chosen if none was given.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Binds UDP and TCP at `address`. The sockets are not shared: a second process is refused. Port 0
/// means any port that is free for both.
pub fn bind(address: SocketAddr) -> Result<Bound, ListenError> {
    let mut tries = if address.port() == 0 { FREE_PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_once(address) {
            Err(error) if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result.map_err(|error| explain(address, error)),
        }
    }
}

fn bind_once(address: SocketAddr) -> io::Result<Bound> {
    let tcp = TcpListener::bind(address)?;
    let address = tcp.local_addr()?;
    let udp = UdpSocket::bind(address)?;
    Ok(Bound { address, udp, tcp, is_inherited: false })
}

/// Binds the addresses of encrypted DNS.
pub fn bind_encrypted(config: &EncryptedConfig) -> Result<Vec<EncryptedListener>, ListenError> {
    let bind = |addresses: &[SocketAddr], bind: fn(SocketAddr) -> io::Result<EncryptedListener>| {
        let doors = addresses.iter().map(|at| bind(*at).map_err(|error| explain(*at, error)));
        doors.collect::<Result<Vec<EncryptedListener>, ListenError>>()
    };
    let mut doors = bind(&config.tls, |at| TcpListener::bind(at).map(EncryptedListener::Tls))?;
    doors.extend(bind(&config.https, |at| TcpListener::bind(at).map(EncryptedListener::Https))?);
    doors.extend(bind(&config.quic, |at| UdpSocket::bind(at).map(EncryptedListener::Quic))?);
    Ok(doors)
}

fn explain(address: SocketAddr, error: io::Error) -> ListenError {
    match error.kind() {
        io::ErrorKind::AddrInUse => ListenError::Taken(address),
        io::ErrorKind::PermissionDenied => ListenError::Denied(address),
        io::ErrorKind::AddrNotAvailable => ListenError::NoAddress(address),
        _ => ListenError::Other(address, error),
    }
}

/// A running server.
pub struct Server {
    stop: watch::Sender<bool>,
    tasks: JoinSet<io::Result<()>>,
    streams: tcp::Streams,
    current: ResponderHandle,
}

/// How queries over UDP are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Udp {
    /// By this many threads per address with the fast path. The same as `Plain` where the fast path
    /// is not available.
    Fast(usize),
    /// By the async runtime, with one task per query.
    Plain,
}

impl Default for Udp {
    /// A thread for each core.
    fn default() -> Self {
        Udp::Fast(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl Server {
    /// Serves bound sockets with the default mode. Must be called within a tokio runtime.
    pub fn start(bound: Vec<Bound>, responder: impl Into<ResponderHandle>) -> Self {
        Self::start_with(bound, responder, Udp::default())
    }

    /// Serves bound sockets. Must be called within a tokio runtime.
    pub fn start_with(bound: Vec<Bound>, responder: impl Into<ResponderHandle>, how: Udp) -> Self {
        let current = responder.into();
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let streams = tcp::Streams::new(os::descriptors());
        for Bound { udp, tcp, is_inherited, .. } in bound {
            match how {
                #[cfg(target_os = "linux")]
                Udp::Fast(workers) => {
                    tasks.spawn(fast::serve(
                        fast::WorkerSocket { socket: udp, is_inherited },
                        workers.clamp(1, MAX_WORKERS),
                        current.clone(),
                        stopped.clone(),
                    ));
                }
                _ => {
                    tasks.spawn(udp::udp(udp, current.clone(), stopped.clone()));
                }
            }
            tasks.spawn(tcp::serve(tcp, current.clone(), streams.clone(), stopped.clone()));
        }
        Server { stop, tasks, streams, current }
    }

    /// Serves encrypted DNS as well, with this identity.
    pub fn serve_encrypted(&mut self, doors: Vec<EncryptedListener>, identity: &Arc<Identity>) {
        for door in doors {
            let (current, streams) = (self.current.clone(), self.streams.clone());
            let stopped = self.stop.subscribe();
            self.tasks.spawn(encrypted::serve(door, identity.clone(), current, streams, stopped));
        }
    }

    /// Waits until a part of the server has failed for good; for ever if none does.
    pub async fn failed(&mut self) -> io::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => error,
            Some(Ok(Ok(()))) | None => io::Error::other("the DNS server ended by itself"),
            Some(Err(error)) => io::Error::other(error),
        }
    }

    /// Stops, and waits until the sockets are closed.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused_with_what_to_do() {
        let first = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(first.address().port(), 0);
        assert_eq!(first.udp.local_addr().unwrap(), first.tcp.local_addr().unwrap());
        let error = bind(first.address()).unwrap_err();
        assert!(matches!(error, ListenError::Taken(address) if address == first.address()));
        assert!(error.to_string().contains("--listen"));
        // This port is in use for UDP only.
        drop(first.tcp);
        assert!(matches!(bind(first.udp.local_addr().unwrap()), Err(ListenError::Taken(_))));
    }

    #[test]
    fn an_address_of_others_is_refused() {
        let error = bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert!(matches!(error, ListenError::NoAddress(_)), "{error}");
    }
}

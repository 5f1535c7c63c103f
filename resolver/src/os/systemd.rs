//! systemd, or another service manager with its protocols (sd_notify(3), sd_listen_fds(3)):
//! notifications, and passed sockets. Without one, these functions do nothing.

use std::{
    net::{SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use thiserror::Error;

/// The most passed sockets that are used.
const MAX_SOCKETS: usize = 64;

/// Why the passed sockets can't be used.
#[derive(Debug, Error)]
pub enum SocketError {
    /// A socket is neither UDP nor a listening TCP socket.
    #[error("the passed socket {0} is neither a UDP socket nor a listening TCP socket: {1}")]
    Kind(usize, std::io::Error),
    /// An address has only one of UDP and TCP.
    #[error(
        "of {address} only the {have} socket was passed: both are needed, ListenDatagram= and ListenStream= with the same address"
    )]
    Unpaired {
        /// The address.
        address: SocketAddr,
        /// The kind that was passed.
        have: &'static str,
    },
    /// There are too many.
    #[error("{0} sockets were passed, more than {MAX_SOCKETS}")]
    TooMany(usize),
}

/// The sockets of one address.
pub type Pair = (SocketAddr, UdpSocket, TcpListener);

/// The passed sockets by address; empty if there are none. Must be called once, before there are
/// threads: it removes the variables from the environment.
///
/// # Errors
/// [`SocketError`], if they are not what a DNS server needs: UDP and TCP at each address.
pub fn sockets() -> Result<Vec<Pair>, SocketError> {
    let mut passed = ListenFd::from_env();
    if passed.len() > MAX_SOCKETS {
        return Err(SocketError::TooMany(passed.len()));
    }
    let (mut udp, mut tcp) = (Vec::new(), Vec::new());
    for at in 0..passed.len() {
        match passed.take_udp_socket(at) {
            Ok(socket) => udp.extend(socket),
            Err(_) => tcp.extend(
                passed.take_tcp_listener(at).map_err(|error| SocketError::Kind(at, error))?,
            ),
        }
    }
    pair(udp, tcp)
}

fn pair(udp: Vec<UdpSocket>, mut tcp: Vec<TcpListener>) -> Result<Vec<Pair>, SocketError> {
    let mut pairs = Vec::new();
    for socket in udp {
        let address = socket.local_addr().map_err(|error| SocketError::Kind(pairs.len(), error))?;
        let same = tcp
            .iter()
            .position(|listener| listener.local_addr().is_ok_and(|other| other == address));
        let at = same.ok_or(SocketError::Unpaired { address, have: "datagram" })?;
        pairs.push((address, socket, tcp.swap_remove(at)));
    }
    match tcp.first().and_then(|listener| listener.local_addr().ok()) {
        Some(address) => Err(SocketError::Unpaired { address, have: "stream" }),
        None => Ok(pairs),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}

/// Notifies that the service has started, or has reloaded.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Notifies that the configuration is being reloaded; [`ready`] has to follow.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Notifies that the service is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Notifies the watchdog.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] must be called, if the watchdog is on: half of its timeout.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|every| !every.is_zero())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn sockets_come_in_pairs() {
        let pairs: Vec<_> = (0..2)
            .map(|_| {
                let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                (UdpSocket::bind(tcp.local_addr().unwrap()).unwrap(), tcp)
            })
            .collect();
        let (udp, mut tcp): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        tcp.reverse();
        let first = udp[0].local_addr().unwrap();
        let paired = pair(udp, tcp).unwrap();
        assert_eq!(paired[0].0, first);
        for (address, udp, tcp) in &paired {
            assert_eq!(
                (udp.local_addr().unwrap(), tcp.local_addr().unwrap()),
                (*address, *address)
            );
        }
        let (address, udp, tcp) = paired.into_iter().next().unwrap();
        let error = pair(vec![udp], vec![]).unwrap_err();
        assert!(
            matches!(error, SocketError::Unpaired { address: at, have: "datagram" } if at == address)
        );
        let error = pair(vec![], vec![tcp]).unwrap_err();
        assert!(error.to_string().contains("only the stream socket was passed"), "{error}");
        assert!(pair(vec![], vec![]).unwrap().is_empty());
    }
}

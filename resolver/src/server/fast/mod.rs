//! The fast path: queries over UDP are answered in batches from cached bytes; everything else goes
//! to the slow path.
//!
//! One socket and one thread per core; the kernel distributes the clients. A cached answer is sent
//! with id, case of the question, TTLs and OPT patched in. A query for legacy DNS that is not
//! cached is sent upstream from here, if a plain-DNS upstream is to be used. Anything unusual is
//! left to [`Responder`]. Linux only; elsewhere, and where the fast path is turned off,
//! [`crate::server::udp`] serves UDP.

mod batch;
mod cacheable;
mod lookup;
mod pending;
#[cfg(test)]
mod pending_tests;
mod query;
mod reply;
mod root_labels;
mod shared_flights;
mod socket;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "the tests use the rest"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod upstream_sockets;
mod waiter;
mod worker;

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    sync::Arc,
    thread,
    time::Duration,
};

use socket2::{Domain, SockRef, Socket, Type};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::JoinSet,
};

use crate::{os::is_given_to_anybody, server::handle::ResponderHandle};
use shared_flights::SharedFlights;
pub use worker::WorkerSocket;
use worker::{Stop, Worker};

/// The kernel's receive buffer, in bytes, if it allows as much.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// How long a worker waits for a query before it checks whether to stop.
const WAIT: Duration = Duration::from_secs(10);
/// The delay before a worker that ended by itself is restarted.
const RESTART_DELAY: Duration = Duration::from_millis(200);

/// Serves `socket` with this many workers until `stop` changes or its sender is dropped. A worker
/// that ends by itself is restarted on the same socket, so that no other program can take the port.
///
/// # Errors
/// The operating system's error, if sockets or threads can't be made.
pub async fn serve(
    socket: WorkerSocket,
    workers: usize,
    current: ResponderHandle,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let sockets = sockets(socket, workers)?;
    let stopped = Arc::new(Stop::new()?);
    let shared = Arc::new(SharedFlights::new(sockets.len()));
    let mut running = JoinSet::new();
    for at in 0..sockets.len() {
        start(at, &sockets, &shared, &current, &stopped, &mut running)?;
    }
    loop {
        tokio::select! {
            _ = stop.changed() => {
                stopped.stop(&sockets)?;
                while running.join_next().await.is_some() {}
                return Ok(());
            }
            Some(Ok((at, result))) = running.join_next() => {
                let why = match result {
                    Ok(Err(error)) => error.to_string(),
                    Ok(Ok(())) => "it was not told to".into(),
                    Err(_) => "it panicked".into(),
                };
                tracing::warn!(%why, "a UDP thread ended by itself and is restarted");
                tokio::time::sleep(RESTART_DELAY).await;
                start(at, &sockets, &shared, &current, &stopped, &mut running)?;
            }
        }
    }
}

type Ended = (usize, Result<io::Result<()>, oneshot::error::RecvError>);

fn start(
    at: usize,
    sockets: &[WorkerSocket],
    shared: &Arc<SharedFlights>,
    current: &ResponderHandle,
    stopped: &Arc<Stop>,
    running: &mut JoinSet<Ended>,
) -> io::Result<()> {
    let (socket, current, stopped) = (sockets[at].try_clone()?, current.clone(), stopped.clone());
    let (runtime, shared) = (Handle::current(), shared.clone());
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name(format!("dns-{at}")).spawn(move || {
        let result =
            Worker::new(socket, (shared, at), current, runtime, stopped).and_then(Worker::run);
        // The receiver is dropped only with the server.
        let _ = ended.send(result);
    })?;
    running.spawn(async move { (at, end.await) });
    Ok(())
}

/// The socket, and more sockets on its address. It was bound exclusively, so no other program has
/// the port; from now on only programs of this user that ask to share it could get a part of the
/// queries. Many programs ask for that when they want any port, dig among them: so a port that the
/// kernel chose gets one socket, which the workers share. They also share it if there can't be more
/// sockets.
fn sockets(first: WorkerSocket, count: usize) -> io::Result<Vec<WorkerSocket>> {
    let address = first.socket.local_addr()?;
    let spread = count > 1 && !is_given_to_anybody(address.port());
    if spread {
        SockRef::from(&first.socket).set_reuse_port(true)?;
    }
    let mut sockets = vec![first];
    while sockets.len() < count {
        let socket = match spread.then(|| bind_another(&sockets[0].socket, address)) {
            Some(Ok(socket)) => WorkerSocket { socket, is_inherited: false },
            Some(Err(error)) => {
                tracing::debug!(%address, %error, "several threads share one socket");
                sockets[0].try_clone()?
            }
            None => sockets[0].try_clone()?,
        };
        sockets.push(socket);
    }
    for WorkerSocket { socket, .. } in &sockets {
        // As much as the kernel allows is enough.
        let _ = SockRef::from(socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES);
        // A worker waits in the kernel for its queries. The time is not critical: a stop wakes it.
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(WAIT))?;
        socket::prepare(socket)?;
    }
    Ok(sockets)
}

/// Another socket on the address of the first.
fn bind_another(first: &UdpSocket, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(SockRef::from(first).only_v6()?)?;
    }
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

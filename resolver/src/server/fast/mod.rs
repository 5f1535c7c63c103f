//! The fast path: queries over UDP answered from bytes, many at a time, with the slow path behind
//! it for everything else.
//!
//! One socket and one thread a core; the kernel spreads the clients over them. What is known is
//! given out of the cache with the id, the question's case, the TTLs and the OPT patched in; what
//! is not and belongs to legacy DNS is asked from here, if a plain-DNS upstream is the one to ask.
//! What is odd in any way is [`Responder`]'s. Linux only; elsewhere, and where it is turned off,
//! [`crate::server::udp`] answers.

mod batch;
mod cacheable;
mod lookup;
mod pending;
mod query;
mod reply;
mod socket;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code, reason = "the tests use the rest"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod upstream_sockets;
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
pub use worker::WorkerSocket;
use worker::{Stop, Worker};

/// What the kernel may hold of queries that nobody has taken yet, in bytes, if it allows so much.
const RECEIVE_BYTES: usize = 4 << 20;
/// After so long without a query a worker looks whether it should stop.
const WAIT: Duration = Duration::from_secs(10);
/// How long to wait before a worker that ended by itself is started again.
const RESTART_DELAY: Duration = Duration::from_millis(200);

/// Answers what comes in at `socket` with so many workers until `stop` changes or its sender is
/// gone. A worker that ends by itself is started again on the same socket: the port is never free
/// for others.
///
/// # Errors
/// What the system says when the sockets can't be had or threads not be started.
pub async fn serve(
    socket: WorkerSocket,
    workers: usize,
    current: ResponderHandle,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let sockets = sockets(socket, workers)?;
    let stopped = Arc::new(Stop::new()?);
    let mut running = JoinSet::new();
    for at in 0..sockets.len() {
        start(at, &sockets, &current, &stopped, &mut running)?;
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
                tracing::warn!(%why, "a thread that answers DNS over UDP ended by itself and is started again");
                tokio::time::sleep(RESTART_DELAY).await;
                start(at, &sockets, &current, &stopped, &mut running)?;
            }
        }
    }
}

type Ended = (usize, Result<io::Result<()>, oneshot::error::RecvError>);

fn start(
    at: usize,
    sockets: &[WorkerSocket],
    current: &ResponderHandle,
    stopped: &Arc<Stop>,
    running: &mut JoinSet<Ended>,
) -> io::Result<()> {
    let (socket, current, stopped) = (sockets[at].try_clone()?, current.clone(), stopped.clone());
    let runtime = Handle::current();
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name(format!("dns-{at}")).spawn(move || {
        let result = Worker::new(socket, current, runtime, stopped).and_then(Worker::run);
        // Nobody listens any more only if the server is gone.
        let _ = ended.send(result);
    })?;
    running.spawn(async move { (at, end.await) });
    Ok(())
}

/// The socket, and as many more on its address. It was bound alone, so no other program has the
/// port; from now on only programs of this user that ask for it could share it, and get a part of
/// the queries. Many do ask when they want any port, dig among them: of a port that the system
/// gives to those there is one socket, which the workers share. So they do where no more sockets
/// can be had.
fn sockets(first: WorkerSocket, count: usize) -> io::Result<Vec<WorkerSocket>> {
    let address = first.socket.local_addr()?;
    let spread = count > 1 && !is_given_to_anybody(address.port());
    if spread {
        SockRef::from(&first.socket).set_reuse_port(true)?;
    }
    let mut sockets = vec![first];
    while sockets.len() < count {
        let socket = match spread.then(|| another(&sockets[0].socket, address)) {
            Some(Ok(socket)) => WorkerSocket { socket, is_inherited: false },
            Some(Err(error)) => {
                tracing::debug!(%address, %error, "one socket is shared by several threads");
                sockets[0].try_clone()?
            }
            None => sockets[0].try_clone()?,
        };
        sockets.push(socket);
    }
    for WorkerSocket { socket, .. } in &sockets {
        // As much as the kernel allows is enough.
        let _ = SockRef::from(socket).set_recv_buffer_size(RECEIVE_BYTES);
        // A worker waits in the kernel for its queries. How long decides nothing: a stop wakes it.
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(WAIT))?;
        socket::prepare(socket)?;
    }
    Ok(sockets)
}

/// One more socket on the address of the first.
fn another(first: &UdpSocket, address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.cloexec(), None)?;
    if address.is_ipv6() {
        socket.set_only_v6(SockRef::from(first).only_v6()?)?;
    }
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

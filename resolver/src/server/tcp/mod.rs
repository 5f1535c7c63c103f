//! DNS over TCP (RFC 7766): messages behind their lengths, several at a time on one connection,
//! answers as they come.
//!
//! ```text
//! listener -> serve -> table: is there room? who goes? -> connection -> the current responder
//! ```
//!
//! Whoever comes is let in. When everything is taken, the connection goes that has been without a
//! whole question for the longest time (RFC 7766 §6.2.3): a thousand clients that say nothing keep
//! nobody out.

mod connection;
mod connections;

use std::{
    io, net,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use crate::{
    dns::query::{Client, Transport},
    server::handle::ResponderHandle,
};
use connections::ConnectionTable;

pub use connection::{ConnectionSlot, MAX_PIPELINED, Work, serve_connection};

/// How many connections are open at a time, over all listening addresses.
pub const MAX_CONNECTIONS: usize = 1_024;
/// How many bytes may be kept for all connections: long questions that have not come in whole, and
/// answers that have not been taken. When there are more, the connection goes that holds the most.
pub const MAX_HELD_BYTES: usize = 16 << 20;
/// How many connections may be on their way out while new ones come in.
pub const MAX_LEAVING: usize = 64;
/// How long to wait when no connection can be taken, as when there are no file descriptors left.
const ACCEPT_DELAY: Duration = Duration::from_millis(20);
/// How long what is in work has to be answered when the server stops.
pub const GRACE: Duration = Duration::from_secs(2);

/// All connections of a server, whichever listener they came by.
#[derive(Clone)]
pub struct Streams(Arc<Mutex<ConnectionTable<AbortHandle>>>);

impl Streams {
    /// Room for [`MAX_CONNECTIONS`], and for no more than half of the file descriptors that there
    /// are: upstreams, the store and the node's peers need some too.
    pub fn new(descriptors: u64) -> Self {
        let room =
            MAX_CONNECTIONS.min(usize::try_from(descriptors / 2).unwrap_or(usize::MAX)).max(1);
        Streams(Arc::new(Mutex::new(ConnectionTable::new(room, MAX_HELD_BYTES))))
    }

    /// Lets a connection in, which `spawn` begins to serve; another one may have to go for it.
    pub fn admit(&self, client: Client, spawn: impl FnOnce(ConnectionSlot) -> AbortHandle) {
        let mut table = self.table();
        let (id, evict) = table.admit(client.address);
        table.attach(id, spawn(ConnectionSlot { streams: self.clone(), id }));
        drop(table);
        evict.inspect(AbortHandle::abort);
    }

    /// Whether more than half of the room is taken.
    pub fn is_crowded(&self) -> bool {
        self.table().is_crowded()
    }

    fn table(&self) -> MutexGuard<'_, ConnectionTable<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers what comes in at `listener` until `stop` changes or its sender is gone; then answers
/// what is in work, for at most [`GRACE`]. No error ends it.
///
/// # Errors
/// If the listener can't be made asynchronous.
pub async fn serve(
    listener: net::TcpListener,
    current: ResponderHandle,
    streams: Streams,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let each = |stream: TcpStream, client, place, stop| {
        let (reader, writer) = stream.into_split();
        serve_connection(reader, writer, client, current.clone(), place, stop)
    };
    accept(listener, Transport::Tcp, streams, stop, each).await
}

/// Takes the connections that come in at `listener`, each served by what `each` makes of it, as
/// [`serve`] does.
///
/// # Errors
/// If the listener can't be made asynchronous.
pub async fn accept<F>(
    listener: net::TcpListener,
    transport: Transport,
    streams: Streams,
    mut stop: watch::Receiver<bool>,
    each: impl Fn(TcpStream, Client, ConnectionSlot, watch::Receiver<bool>) -> F,
) -> io::Result<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Answers are whole messages: nothing is won by waiting for more.
                let _ = stream.set_nodelay(true);
                let client = Client { address: peer.ip().to_canonical(), transport };
                streams.admit(client, |place| {
                    connections.spawn(each(stream, client, place, stop.clone()))
                });
            }
            // The client went away before it was its turn: that concerns nobody else.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                // There may be no file descriptors left: one is given back.
                let oldest = streams.table().evict_oldest();
                oldest.inspect(AbortHandle::abort);
                tokio::time::sleep(ACCEPT_DELAY).await;
            }
        }
        while connections.try_join_next().is_some() {}
        while connections.len() > MAX_CONNECTIONS + MAX_LEAVING
            && connections.join_next().await.is_some()
        {}
    }
    drop(listener);
    // A connection that is not done by then ends with the set.
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

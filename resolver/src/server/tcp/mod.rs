//! DNS over TCP (RFC 7766): messages with a length prefix, several in progress per connection,
//! responses as they are ready.
//!
//! ```text
//! listener -> serve -> table: is there room? who goes? -> connection -> the current responder
//! ```
//!
//! Every connection is accepted. When the table is full, the connection without a whole query for
//! the longest time is closed (RFC 7766 §6.2.3): a thousand silent clients keep nobody out.

mod connection;
mod connections;
mod streams;

use std::{io, net, time::Duration};

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

pub use connection::{GRACE, MAX_PIPELINED, serve_connection};
pub use streams::{ConnectionSlot, MAX_CONNECTIONS, QueryInProgress, Streams};

/// The most connections being closed while new ones are accepted.
pub const MAX_CLOSING: usize = 64;
/// The delay after a failed accept, as when there are no file descriptors left.
const ACCEPT_DELAY: Duration = Duration::from_millis(20);

/// Serves `listener` until `stop` changes or its sender is dropped; then answers queries in
/// progress, for at most [`GRACE`]. No error ends it.
///
/// # Errors
/// If the listener can't be made asynchronous.
pub async fn serve(
    listener: net::TcpListener,
    current: ResponderHandle,
    streams: Streams,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let each = |stream: TcpStream, client, slot, stop| {
        let (reader, writer) = stream.into_split();
        serve_connection(reader, writer, client, current.clone(), slot, stop)
    };
    accept(listener, Transport::Tcp, streams, stop, each).await
}

/// Accepts connections at `listener`, each served by the future that `each` makes, as [`serve`]
/// does.
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
                // Responses are written as whole messages: waiting for more has no use.
                let _ = stream.set_nodelay(true);
                let client = Client { address: peer.ip().to_canonical(), transport };
                streams.admit(client, |slot| {
                    connections.spawn(each(stream, client, slot, stop.clone()))
                });
            }
            // The client aborted the connection before it was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::debug!(%error, "a connection could not be accepted");
                // There may be no file descriptors left: one connection is closed.
                let oldest = streams.table().evict_oldest();
                oldest.inspect(AbortHandle::abort);
                tokio::time::sleep(ACCEPT_DELAY).await;
            }
        }
        while connections.try_join_next().is_some() {}
        while connections.len() > MAX_CONNECTIONS + MAX_CLOSING
            && connections.join_next().await.is_some()
        {}
    }
    drop(listener);
    // A connection that has not ended by then is dropped with the set.
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

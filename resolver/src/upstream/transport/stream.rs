//! DNS over TCP (RFC 7766) and TLS (RFC 7858): many queries on one connection, replies in any
//! order.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::pool::{ConnectionFailure, Connector};
use super::tls;
use crate::upstream::server::Secure;

/// The most queries that wait for replies on one connection.
const MAX_PIPELINED: usize = 512;
/// The most queries that wait to be written.
const MAX_UNSENT: usize = 64;
/// An idle connection is closed after this time (RFC 7766 §6.2.3: on the order of seconds).
const IDLE: Duration = Duration::from_secs(30);
/// The connection is closed after this many unexpected replies in a row.
const MAX_STRAYS: usize = 64;
/// How many ids are drawn to find an unused one.
const ID_TRIES: usize = 64;

/// Connects with or without TLS.
pub struct Stream {
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Stream {
    /// Without TLS.
    pub fn plain() -> Self {
        Self { tls: None }
    }

    /// With TLS. No ALPN: "dot" would be right (RFC 7858 leaves it open), but some servers refuse
    /// ALPN tokens that they don't know.
    ///
    /// # Errors
    /// A text if the certificates can't be used.
    pub fn encrypted(secure: &Secure) -> Result<Self, String> {
        let config = tls::client_config(&secure.trust, &[])?;
        let name = tls::server_name(&secure.name)?;
        Ok(Self { tls: Some((TlsConnector::from(Arc::new(config)), name)) })
    }
}

/// A connection: a task at its other end writes and reads.
#[derive(Clone)]
pub struct StreamConnection {
    unsent: mpsc::Sender<Vec<u8>>,
    waiting: Arc<Mutex<PendingReplies>>,
}

#[derive(Default)]
struct PendingReplies {
    by_id: HashMap<u16, oneshot::Sender<Vec<u8>>>,
    /// Why the connection has ended.
    ended: Option<String>,
}

impl Connector for Stream {
    type Connection = StreamConnection;

    async fn connect(&self, address: SocketAddr) -> Result<StreamConnection, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        // Queries are written as whole messages: waiting for more has no use.
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        match &self.tls {
            None => Ok(StreamConnection::start(stream)),
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                stream.map(StreamConnection::start).map_err(|error| tls::why(&error))
            }
        }
    }

    fn is_open(&self, line: &StreamConnection) -> bool {
        lock(&line.waiting).ended.is_none()
    }

    async fn ask(
        &self,
        line: &StreamConnection,
        query: &[u8],
    ) -> Result<Vec<u8>, ConnectionFailure> {
        let (sender, receiver) = oneshot::channel();
        let ticket = line.ticket(sender)?;
        let length = u16::try_from(query.len())
            .map_err(|_| ConnectionFailure::Refused("a query too long".into()))?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(query);
        framed[2..4].copy_from_slice(&ticket.id.to_be_bytes());
        if line.unsent.send(framed).await.is_err() {
            return Err(line.ended());
        }
        let mut reply = receiver.await.map_err(|_| line.ended())?;
        reply[..2].copy_from_slice(&query[..2]);
        Ok(reply)
    }
}

/// The place of a waiting query, freed when it is dropped.
struct ReplySlot<'a> {
    id: u16,
    waiting: &'a Mutex<PendingReplies>,
}

impl Drop for ReplySlot<'_> {
    fn drop(&mut self) {
        lock(self.waiting).by_id.remove(&self.id);
    }
}

impl StreamConnection {
    fn start(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (unsent, queue) = mpsc::channel(MAX_UNSENT);
        let line = Self { unsent, waiting: Arc::default() };
        let waiting = line.waiting.clone();
        tokio::spawn(async move {
            let (reader, writer) = tokio::io::split(stream);
            let why = tokio::select! {
                why = write_all(writer, queue) => why,
                why = read_all(reader, &waiting) => why,
            };
            let mut waiting = lock(&waiting);
            waiting.ended = Some(why);
            // The waiters notice that their senders are dropped.
            waiting.by_id.clear();
        });
        line
    }

    fn ticket(&self, sender: oneshot::Sender<Vec<u8>>) -> Result<ReplySlot<'_>, ConnectionFailure> {
        let mut waiting = lock(&self.waiting);
        if let Some(why) = &waiting.ended {
            return Err(ConnectionFailure::Lost(why.clone()));
        }
        if waiting.by_id.len() >= MAX_PIPELINED {
            return Err(ConnectionFailure::Refused(format!(
                "{MAX_PIPELINED} queries already wait on the connection"
            )));
        }
        for _ in 0..ID_TRIES {
            let mut id = [0; 2];
            getrandom::fill(&mut id)
                .map_err(|error| ConnectionFailure::Refused(error.to_string()))?;
            let id = u16::from_be_bytes(id);
            if let std::collections::hash_map::Entry::Vacant(place) = waiting.by_id.entry(id) {
                place.insert(sender);
                return Ok(ReplySlot { id, waiting: &self.waiting });
            }
        }
        Err(ConnectionFailure::Refused("no free message id".into()))
    }

    fn ended(&self) -> ConnectionFailure {
        ConnectionFailure::Lost(
            lock(&self.waiting).ended.clone().unwrap_or_else(|| "the connection ended".into()),
        )
    }
}

fn lock(waiting: &Mutex<PendingReplies>) -> MutexGuard<'_, PendingReplies> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes queries, several at once if there are several, until the connection has been idle for
/// long enough.
async fn write_all(
    mut writer: impl AsyncWrite + Unpin,
    mut queue: mpsc::Receiver<Vec<u8>>,
) -> String {
    let mut batch = Vec::new();
    loop {
        match timeout(IDLE, queue.recv()).await {
            Ok(Some(query)) => batch.extend_from_slice(&query),
            Ok(None) => return "the connection is not used any more".into(),
            Err(_) => {
                // Tells the other side that the connection ends (TLS does so by itself).
                let _ = writer.shutdown().await;
                return "the connection was idle".into();
            }
        }
        while batch.len() < usize::from(u16::MAX)
            && let Ok(query) = queue.try_recv()
        {
            batch.extend_from_slice(&query);
        }
        let written = async {
            writer.write_all(&batch).await?;
            writer.flush().await
        };
        match timeout(IDLE, written).await {
            Ok(Ok(())) => batch.clear(),
            Ok(Err(error)) => return tls::why(&error),
            Err(_) => return "the connection can't be written to".into(),
        }
    }
}

async fn read_all(mut reader: impl AsyncRead + Unpin, waiting: &Mutex<PendingReplies>) -> String {
    let mut strays = 0;
    while strays < MAX_STRAYS {
        let reply = match read_one(&mut reader).await {
            Ok(reply) => reply,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return "it closed the connection".into();
            }
            Err(error) => return tls::why(&error),
        };
        let id = reply.get(..2).map(|id| u16::from_be_bytes([id[0], id[1]]));
        match id.and_then(|id| lock(waiting).by_id.remove(&id)) {
            // The client may have been answered by another upstream by now.
            Some(sender) => strays = usize::from(sender.send(reply).is_err()),
            None => strays += 1,
        }
    }
    "it sent replies to no query".into()
}

/// Reads a message and its length prefix. Memory is allocated as bytes arrive, not as announced.
async fn read_one(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    const CHUNK_BYTES: u16 = 4_096;
    let length = reader.read_u16().await?;
    let mut message = Vec::with_capacity(usize::from(length.min(CHUNK_BYTES)));
    (&mut *reader).take(u64::from(length)).read_to_end(&mut message).await?;
    if message.len() < usize::from(length) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

//! One connection: queries are read in sequence, answered concurrently, and responses written as
//! they are ready.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Mutex, Semaphore, watch},
    task::{AbortHandle, JoinSet},
    time::timeout,
};

use super::streams::{ConnectionSlot, QueryInProgress, Streams};
use crate::{dns::query::Client, resolve::answer::STREAM_IDLE, server::handle::ResponderHandle};

/// The most queries of one connection in progress; the next is read when one of them is answered.
pub const MAX_PIPELINED: usize = 32;
/// How long queries in progress may still be answered when the server stops.
pub const GRACE: Duration = Duration::from_secs(2);
/// A usual length of a query, in bytes; a longer one counts in full towards the connection's
/// buffered bytes.
const USUAL_QUERY_BYTES: usize = 512;

/// Bytes buffered for a connection.
struct BufferedBytes {
    streams: Streams,
    id: u64,
    bytes: usize,
}

impl BufferedBytes {
    fn new(streams: &Streams, id: u64, bytes: usize) -> Self {
        let closing = streams.table().add_buffered(id, bytes);
        closing.iter().for_each(AbortHandle::abort);
        BufferedBytes { streams: streams.clone(), id, bytes }
    }
}

impl Drop for BufferedBytes {
    fn drop(&mut self) {
        self.streams.table().remove_buffered(self.id, self.bytes);
    }
}

/// Serves the connection until the client ends it, it is idle for too long, or `stop` changes;
/// queries in progress are still answered.
pub async fn serve_connection<R, W>(
    mut reader: R,
    writer: W,
    client: Client,
    current: ResponderHandle,
    slot: ConnectionSlot,
    mut stop: watch::Receiver<bool>,
) where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let writer = Arc::new(Mutex::new(writer));
    let room = Arc::new(Semaphore::new(MAX_PIPELINED));
    let mut answers = JoinSet::new();
    while let Ok(permit) = room.clone().acquire_owned().await {
        let read = tokio::select! {
            _ = stop.changed() => break,
            read = timeout(slot.idle_timeout(), read(&mut reader, &slot)) => read,
        };
        let Ok(Ok(message)) = read else { break };
        let work = QueryInProgress::new(&slot);
        let (responder, writer) = (current.get(), writer.clone());
        answers.spawn(async move {
            let _permit = permit;
            match responder.respond_to_bytes(&message, client).await {
                Some(answer) => {
                    let _buffered = BufferedBytes::new(&work.streams, work.id, answer.len());
                    write(&writer, &answer).await
                }
                None => Ok(()),
            }
        });
        // A client that does not read its responses gets no more.
        while let Some(ended) = answers.try_join_next() {
            if !matches!(ended, Ok(Ok(()))) {
                return;
            }
        }
    }
    let rest = async { while answers.join_next().await.is_some() {} };
    if *stop.borrow() {
        // A query that can't be answered in time is dropped.
        let _ = timeout(GRACE, rest).await;
    } else {
        // The client may have closed its sending side only: its queries are still answered.
        rest.await;
    }
    // TLS sends close_notify; a client that does not receive it is gone anyway.
    let _ = timeout(GRACE, async { writer.lock().await.shutdown().await }).await;
}

/// Reads a message. Memory is allocated for what has arrived, not for what was announced.
async fn read(reader: &mut (impl AsyncRead + Unpin), slot: &ConnectionSlot) -> io::Result<Vec<u8>> {
    let length = usize::from(reader.read_u16().await?);
    let _buffered =
        (length > USUAL_QUERY_BYTES).then(|| BufferedBytes::new(&slot.streams, slot.id, length));
    let mut message = Vec::with_capacity(length.min(USUAL_QUERY_BYTES));
    reader.take(length as u64).read_to_end(&mut message).await?;
    if message.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(message)
}

async fn write(writer: &Mutex<impl AsyncWrite + Unpin>, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let whole = [&length.to_be_bytes(), message].concat();
    let written = async {
        let mut writer = writer.lock().await;
        writer.write_all(&whole).await?;
        // TLS may buffer some of it until then.
        writer.flush().await
    };
    timeout(STREAM_IDLE, written).await?
}

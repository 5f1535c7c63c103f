//! DNS over TCP (RFC 7766): messages behind their lengths, several at a time on one connection, answers as they come.

use std::{io, net, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::timeout,
};

use crate::{
    query::{Client, Transport},
    respond::Responder,
};

/// How many connections are open at a time at one listening address; others wait in the kernel's queue.
pub const MAX_CONNECTIONS: usize = 256;
/// How many questions of one connection may be in work; the next is read when one of them is answered.
pub const MAX_PIPELINED: usize = 32;
/// How long a connection may be without a whole message, and an answer without being taken (RFC 7766 §6.2.3).
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be taken, as when there are no file descriptors left.
const ACCEPT_DELAY: Duration = Duration::from_millis(50);

/// Answers what comes in at `listener` until `stop` changes or its sender is gone. No error ends it.
pub async fn serve(
    listener: net::TcpListener,
    responder: Arc<Responder>,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = room.clone().acquire_owned().await.ok();
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            _ = stop.changed() => return Ok(()),
            next = next => next,
        };
        match accepted {
            Ok((stream, peer)) => {
                let client = Client { address: peer.ip().to_canonical(), transport: Transport::Tcp };
                connections.spawn(connection(stream, client, responder.clone(), permit));
            }
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_DELAY).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(
    stream: TcpStream,
    client: Client,
    responder: Arc<Responder>,
    _permit: Option<OwnedSemaphorePermit>,
) {
    // Answers are whole messages: nothing is won by waiting for more.
    let _ = stream.set_nodelay(true);
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(Mutex::new(writer));
    let room = Arc::new(Semaphore::new(MAX_PIPELINED));
    let mut answers = JoinSet::new();
    while let Ok(permit) = room.clone().acquire_owned().await {
        let Ok(Ok(message)) = timeout(IDLE_TIMEOUT, read(&mut reader)).await else { break };
        let (responder, writer) = (responder.clone(), writer.clone());
        answers.spawn(async move {
            let _permit = permit;
            match responder.respond_to_bytes(&message, client).await {
                Some(answer) => write(&writer, &answer).await,
                None => Ok(()),
            }
        });
        // A client that does not take its answers gets no more.
        while let Some(ended) = answers.try_join_next() {
            if !matches!(ended, Ok(Ok(()))) {
                return;
            }
        }
    }
    // The client may have closed its side only: what it asked for is still answered.
    while answers.join_next().await.is_some() {}
}

async fn read(reader: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let mut message = vec![0; usize::from(reader.read_u16().await?)];
    reader.read_exact(&mut message).await?;
    Ok(message)
}

async fn write(writer: &Mutex<OwnedWriteHalf>, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let whole = [&length.to_be_bytes(), message].concat();
    timeout(IDLE_TIMEOUT, async { writer.lock().await.write_all(&whole).await }).await?
}

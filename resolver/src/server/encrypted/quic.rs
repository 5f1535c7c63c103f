//! DNS over QUIC (RFC 9250): one stream per query, with id 0.

use std::{io, net::UdpSocket, sync::Arc};

use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, ReadToEndError, RecvStream, SendStream,
    ServerConfig, TokioRuntime, TransportConfig, VarInt, crypto::rustls::QuicServerConfig,
};
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::HANDSHAKE_TIMEOUT;
use crate::{
    dns::{
        message::{HEADER_BYTES, MAX_MESSAGE_BYTES, Packet, u16_at},
        query::{Client, Transport},
        rtype,
    },
    resolve::answer::STREAM_IDLE,
    server::{
        handle::ResponderHandle,
        tcp::{
            ConnectionSlot, GRACE, MAX_CLOSING, MAX_CONNECTIONS, MAX_PIPELINED, QueryInProgress,
            Streams,
        },
    },
};

/// The error codes of RFC 9250 §8.4.
const NO_ERROR: VarInt = VarInt::from_u32(0);
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);
/// The most handshakes in progress.
const MAX_INCOMING: usize = 256;
/// The QUIC flow-control windows, in bytes: for the query of one stream, and for all answers of a
/// connection.
const RECEIVE_WINDOW_BYTES: u32 = 2 + MAX_MESSAGE_BYTES as u32;
const SEND_WINDOW_BYTES: u64 = 256 << 10;
/// The EDNS option edns-tcp-keepalive, which is not allowed over QUIC (RFC 9250 §5.5.2).
const KEEPALIVE_OPTION: u16 = 11;

/// Serves `socket` until `stop` changes or its sender is dropped; then answers queries in progress,
/// for at most [`GRACE`].
///
/// # Errors
/// If the TLS configuration does not allow QUIC, or the socket can't be used.
pub async fn serve(
    socket: UdpSocket,
    tls: rustls::ServerConfig,
    current: ResponderHandle,
    streams: Streams,
    mut stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let endpoint = endpoint(socket, tls)?;
    let mut connections = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            _ = stop.changed() => break,
            incoming = endpoint.accept() => incoming,
        };
        let Some(incoming) = incoming else {
            return Err(io::Error::other("the socket of DNS over QUIC is gone"));
        };
        // Source addresses can be forged: when the table is crowded, a client has to prove its
        // address.
        if streams.is_crowded() && !incoming.remote_address_validated() {
            if let Err(not_retried) = incoming.retry() {
                not_retried.into_incoming().refuse();
            }
            continue;
        }
        let address = incoming.remote_address().ip().to_canonical();
        let client = Client { address, transport: Transport::Quic };
        let (current, stop) = (current.clone(), stop.clone());
        streams.admit(client, |slot| {
            connections.spawn(serve_connection(incoming, client, current, slot, stop))
        });
        while connections.try_join_next().is_some() {}
        while connections.len() > MAX_CONNECTIONS + MAX_CLOSING
            && connections.join_next().await.is_some()
        {}
    }
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
    endpoint.close(NO_ERROR, b"");
    let _ = timeout(GRACE, endpoint.wait_idle()).await;
    Ok(())
}

fn endpoint(socket: UdpSocket, tls: rustls::ServerConfig) -> io::Result<Endpoint> {
    let crypto = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_PIPELINED as u32))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(STREAM_IDLE.try_into().map_err(io::Error::other)?))
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(2 * RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None);
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport)).max_incoming(MAX_INCOMING).migration(false);
    Endpoint::new(EndpointConfig::default(), Some(config), socket, Arc::new(TokioRuntime))
}

async fn serve_connection(
    incoming: Incoming,
    client: Client,
    current: ResponderHandle,
    slot: ConnectionSlot,
    mut stop: watch::Receiver<bool>,
) {
    let shaken = async { incoming.accept().ok()?.await.ok() };
    let Ok(Some(connection)) = timeout(HANDSHAKE_TIMEOUT, shaken).await else { return };
    let _ended = Ended(connection.clone());
    let slot = Arc::new(slot);
    let mut answers = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = stop.changed() => break,
            () = idle(&slot, answers.is_empty()) => break,
            Some(_) = answers.join_next() => continue,
            stream = connection.accept_bi() => stream,
        };
        let Ok((send, recv)) = stream else { return };
        // No more than the transport allows to be open.
        let (connection, current, slot) = (connection.clone(), current.clone(), slot.clone());
        answers.spawn(async move {
            if let Err(code) = answer(send, recv, client, &current, &slot).await {
                connection.close(code, b"");
            }
        });
    }
    let _ = timeout(GRACE, async { while answers.join_next().await.is_some() {} }).await;
}

/// Closes a connection without an error when it is dropped, also when its task is aborted.
struct Ended(Connection);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.close(NO_ERROR, b"");
    }
}

/// The transport closes idle connections; when the table is crowded, this limit is shorter.
async fn idle(slot: &ConnectionSlot, is_idle: bool) {
    if !is_idle {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(slot.idle_timeout()).await;
}

/// Answers the query of one stream, or returns the error code that closes the connection.
async fn answer(
    mut send: SendStream,
    mut recv: RecvStream,
    client: Client,
    current: &ResponderHandle,
    slot: &ConnectionSlot,
) -> Result<(), VarInt> {
    let read = timeout(STREAM_IDLE, recv.read_to_end(2 + MAX_MESSAGE_BYTES)).await;
    let message = match read {
        Ok(Ok(message)) => message,
        // The stream was reset: the client does not want the answer any more.
        Ok(Err(ReadToEndError::Read(_))) => return Ok(()),
        Ok(Err(ReadToEndError::TooLong)) => return Err(PROTOCOL_ERROR),
        Err(_) => return Err(EXCESSIVE_LOAD),
    };
    let question = question(&message).ok_or(PROTOCOL_ERROR)?;
    let work = QueryInProgress::new(slot);
    let answer = current.get().respond_to_bytes(question, client).await.ok_or(PROTOCOL_ERROR)?;
    drop(work);
    let length = u16::try_from(answer.len()).map_err(|_| PROTOCOL_ERROR)?.to_be_bytes();
    let whole = [&length[..], &answer].concat();
    // A client that does not read its answer gets no more.
    match timeout(STREAM_IDLE, send.write_all(&whole)).await {
        Ok(_) => {
            // The client may have stopped the stream.
            let _ = send.finish();
            Ok(())
        }
        Err(_) => Err(EXCESSIVE_LOAD),
    }
}

/// The message of a stream without its length prefix, if it follows RFC 9250: id 0 (§4.2.1), no
/// edns-tcp-keepalive (§5.5.2), and nothing behind it (§4.3.3).
fn question(stream: &[u8]) -> Option<&[u8]> {
    let (length, message) = stream.split_first_chunk::<2>()?;
    let whole = usize::from(u16::from_be_bytes(*length)) == message.len();
    let right =
        whole && message.len() >= HEADER_BYTES && message[..2] == [0, 0] && !has_keepalive(message);
    right.then_some(message)
}

fn has_keepalive(message: &[u8]) -> bool {
    let Ok(packet) = Packet::parse(message) else { return false };
    let Some(opt) = packet.records().iter().find(|record| record.rtype == rtype::OPT) else {
        return false;
    };
    let mut options = &packet.bytes()[opt.data..opt.end];
    while let (Ok(code), Ok(length)) = (u16_at(options, 0), u16_at(options, 2)) {
        if code == KEEPALIVE_OPTION {
            return true;
        }
        options = options.get(4 + usize::from(length)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::testing;

    fn stream(id: u8, options: &[u8]) -> Vec<u8> {
        let mut message = vec![0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        message.extend_from_slice(&testing::question("www.example.com", 1));
        message.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, options.len() as u8]);
        message.extend_from_slice(options);
        [&(message.len() as u16).to_be_bytes()[..], &message].concat()
    }

    #[test]
    fn what_a_stream_may_hold() {
        let right = stream(0, &[0, 12, 0, 1, 0]);
        assert_eq!(question(&right), Some(&right[2..]));
        assert_eq!(question(&stream(7, &[])), None, "an id");
        assert_eq!(question(&stream(0, &[0, 12, 0, 0, 0, 11, 0, 0])), None, "keep-alive");
        assert_eq!(question(&[&right[..], &[0]].concat()), None, "something behind it");
        for end in 0..right.len() {
            assert_eq!(question(&right[..end]), None, "{end}");
        }
        assert_eq!(question(&[0, 3, 0, 0, 0]), None, "no header");
    }
}

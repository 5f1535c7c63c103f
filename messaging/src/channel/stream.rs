//! The two ways that bytes take: one stream of a QUIC connection, or TLS over TCP.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use namechain_core::types::PublicKey;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream, StoppedError, VarInt};
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsStream;

use super::tls::{ALPN, EXPORTER_LABEL, key_of};

/// A connection is closed with it by who has read everything up to the other side's end. quinn
/// closes with 0 what is just dropped.
const DONE: VarInt = VarInt::from_u32(1);
/// A connection is closed with it by who goes before.
const ABANDONED: VarInt = VarInt::from_u32(2);
/// How long who was refused may take to read why, and the last packets to be on their way.
const LINGER: Duration = Duration::from_secs(2);
/// The most bytes that are still read of who was refused, so that the system does not take the
/// refusal back.
const LINGER_BYTES: usize = 64 * 1_024;

/// One stream each way, of which both sides' keys are known.
pub(super) enum Stream {
    Quic(Quic),
    Tcp(Box<TlsStream<TcpStream>>),
}

pub(super) struct Quic {
    send: SendStream,
    recv: RecvStream,
    connection: Connection,
    /// The dialler's own, which goes with the connection.
    endpoint: Option<Endpoint>,
    /// Whether the other side's end was read.
    ended: bool,
    closed: bool,
}

/// What is known once TLS is through.
pub(super) struct TlsSession {
    /// The key that the other side has shown to hold.
    pub key: PublicKey,
    /// Keying material that both sides have and nobody else.
    pub exporter: [u8; 32],
}

fn unusable(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn key_in(shown: Option<&[CertificateDer<'_>]>) -> io::Result<PublicKey> {
    let [shown] = shown.unwrap_or_default() else { return Err(unusable("no key was shown")) };
    key_of(shown).ok_or_else(|| unusable("the key is no Ed25519 key"))
}

impl Stream {
    pub fn quic(
        connection: Connection,
        streams: (SendStream, RecvStream),
        endpoint: Option<Endpoint>,
    ) -> Self {
        let (send, recv) = streams;
        Stream::Quic(Quic { send, recv, connection, endpoint, ended: false, closed: false })
    }

    pub fn tcp(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        Stream::Tcp(Box::new(stream.into()))
    }

    /// The other side's key, and what binds a HELLO to this connection.
    pub fn secured(&self) -> io::Result<TlsSession> {
        let mut exporter = [0; 32];
        match self {
            Stream::Quic(quic) => {
                let shown = quic.connection.peer_identity();
                let shown =
                    shown.and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
                let exported =
                    quic.connection.export_keying_material(&mut exporter, EXPORTER_LABEL, b"");
                exported.map_err(|_| unusable("TLS exports no keying material"))?;
                Ok(TlsSession {
                    key: key_in(shown.as_ref().map(|shown| shown.as_slice()))?,
                    exporter,
                })
            }
            Stream::Tcp(tcp) => {
                let (_, tls) = tcp.get_ref();
                if tls.alpn_protocol() != Some(ALPN) {
                    return Err(unusable("no protocol was agreed on"));
                }
                let exported = match &**tcp {
                    TlsStream::Client(tcp) => {
                        tcp.get_ref().1.export_keying_material(exporter, EXPORTER_LABEL, Some(b""))
                    }
                    TlsStream::Server(tcp) => {
                        tcp.get_ref().1.export_keying_material(exporter, EXPORTER_LABEL, Some(b""))
                    }
                };
                let exporter = exported.map_err(|_| unusable("TLS exports no keying material"))?;
                Ok(TlsSession { key: key_in(tls.peer_certificates())?, exporter })
            }
        }
    }

    /// Ends it after `last` was said, which the other side is given some time to read.
    pub async fn reject(mut self, last: &[u8]) {
        let gone = async {
            self.write_all(last).await?;
            self.shutdown().await?;
            if let Stream::Quic(quic) = &self {
                quic.connection.closed().await;
                return Ok(());
            }
            let mut left = (&mut self).take(LINGER_BYTES as u64);
            tokio::io::copy(&mut left, &mut tokio::io::sink()).await.map(drop)
        };
        // Whether it was read is the other side's business.
        let _: Result<io::Result<()>, _> = timeout(LINGER, gone).await;
    }

    /// Ends it in order: what was written arrives, or it is an error. If the other side's end was
    /// not read yet, it is told so by an abrupt end.
    pub async fn close(mut self) -> io::Result<()> {
        self.shutdown().await?;
        match self {
            Stream::Tcp(_) => Ok(()),
            Stream::Quic(mut quic) => {
                let arrived = quic.send.stopped().await;
                match (arrived, quic.ended) {
                    (Ok(None), _) => {}
                    // It has read everything, and is gone already.
                    (
                        Err(StoppedError::ConnectionLost(ConnectionError::ApplicationClosed(
                            close,
                        ))),
                        true,
                    ) if close.error_code == DONE => {}
                    (Ok(Some(_)), _) => return Err(io::ErrorKind::BrokenPipe.into()),
                    (Err(error), _) => return Err(error.into()),
                }
                quic.connection.close(if quic.ended { DONE } else { ABANDONED }, b"");
                quic.closed = true;
                if let Some(endpoint) = quic.endpoint.take() {
                    let _ = timeout(LINGER, endpoint.wait_idle()).await;
                }
                Ok(())
            }
        }
    }
}

impl Stream {
    /// Breaks it.
    pub async fn abort(self) {
        if let Stream::Quic(mut quic) = self {
            let endpoint = quic.endpoint.take();
            drop(quic);
            if let Some(endpoint) = endpoint {
                let _ = timeout(LINGER, endpoint.wait_idle()).await;
            }
        }
    }
}

/// A stream that is dropped must not look to the other side as one that has come to its end.
impl Drop for Quic {
    fn drop(&mut self) {
        if !self.closed {
            // It fails if it was finished, or if the other side has gone: then there is nobody to
            // mislead.
            let _ = self.send.reset(ABANDONED);
            self.connection.close(ABANDONED, b"");
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Quic(quic) => {
                let (before, room) = (buffer.filled().len(), buffer.remaining() > 0);
                let read = AsyncRead::poll_read(Pin::new(&mut quic.recv), cx, buffer);
                quic.ended |=
                    room && matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
                read
            }
            Stream::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Quic(quic) => AsyncWrite::poll_write(Pin::new(&mut quic.send), cx, bytes),
            Stream::Tcp(tcp) => Pin::new(tcp).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Quic(quic) => Pin::new(&mut quic.send).poll_flush(cx),
            Stream::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            // It is no error to end twice.
            Stream::Quic(quic) => Poll::Ready(quic.send.finish().or(Ok(()))),
            Stream::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
        }
    }
}

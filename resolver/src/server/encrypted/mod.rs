//! DNS over TLS (RFC 7858), HTTPS (RFC 8484) and QUIC (RFC 9250) for clients.
//!
//! ```text
//! listener -> TLS: identity -> tcp's conversation | https: a request, a question | quic: a stream, a question -> the current responder
//! ```
//!
//! All connections share one table with those over TCP: when it is full, the one that has been idle
//! for the longest time is closed.

mod https;
mod identity;
mod quic;

use std::{
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
    time::Duration,
};

use rustls::{ServerConfig, crypto::ring};
use tokio::{net::TcpStream, sync::watch, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::{
    dns::query::Transport,
    server::{
        handle::ResponderHandle,
        tcp,
        tcp::{Streams, serve_connection},
    },
};

pub use identity::{EncryptedError, Identity, IdentityFrom};

/// The time limit of a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The configuration of encrypted DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedConfig {
    /// Addresses of DNS over TLS.
    pub tls: Vec<SocketAddr>,
    /// Addresses of DNS over HTTPS.
    pub https: Vec<SocketAddr>,
    /// Addresses of DNS over QUIC.
    pub quic: Vec<SocketAddr>,
    /// The identity of the server.
    pub identity: IdentityFrom,
}

/// A listener.
#[derive(Debug)]
pub enum EncryptedListener {
    /// DNS over TLS.
    Tls(TcpListener),
    /// DNS over HTTPS.
    Https(TcpListener),
    /// DNS over QUIC.
    Quic(UdpSocket),
}

impl EncryptedListener {
    /// The transport of its queries.
    pub fn transport(&self) -> Transport {
        match self {
            EncryptedListener::Tls(_) => Transport::Tls,
            EncryptedListener::Https(_) => Transport::Https,
            EncryptedListener::Quic(_) => Transport::Quic,
        }
    }

    /// Its address.
    ///
    /// # Errors
    /// The error of the operating system.
    pub fn address(&self) -> io::Result<SocketAddr> {
        match self {
            EncryptedListener::Tls(listener) | EncryptedListener::Https(listener) => {
                listener.local_addr()
            }
            EncryptedListener::Quic(socket) => socket.local_addr(),
        }
    }
}

/// Serves a listener until `stop` changes or its sender is dropped, as [`tcp::serve`] does.
///
/// # Errors
/// If the socket can't be made asynchronous, or TLS can't be configured.
pub async fn serve(
    door: EncryptedListener,
    identity: Arc<Identity>,
    current: ResponderHandle,
    streams: Streams,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let settings = |alpn: &[&[u8]]| settings(identity, alpn).map_err(io::Error::other);
    match door {
        EncryptedListener::Tls(listener) => {
            let acceptor = TlsAcceptor::from(Arc::new(settings(&[b"dot"])?));
            let each = |stream, client, slot, stop| {
                let (acceptor, current) = (acceptor.clone(), current.clone());
                async move {
                    if let Some(stream) = accept_tls(&acceptor, stream).await {
                        let (reader, writer) = tokio::io::split(stream);
                        serve_connection(reader, writer, client, current, slot, stop).await;
                    }
                }
            };
            tcp::accept(listener, Transport::Tls, streams, stop, each).await
        }
        EncryptedListener::Https(listener) => {
            let acceptor = TlsAcceptor::from(Arc::new(settings(&[b"h2", b"http/1.1"])?));
            let each = |stream, client, slot, stop| {
                let (acceptor, current) = (acceptor.clone(), current.clone());
                async move {
                    if let Some(stream) = accept_tls(&acceptor, stream).await {
                        https::serve_connection(stream, client, current, slot, stop).await;
                    }
                }
            };
            tcp::accept(listener, Transport::Https, streams, stop, each).await
        }
        EncryptedListener::Quic(socket) => {
            quic::serve(socket, settings(&[b"doq"])?, current, streams, stop).await
        }
    }
}

/// TLS 1.2 and 1.3 without early data: a replayed query would do no harm, but early data has little
/// use here.
fn settings(identity: Arc<Identity>, alpn: &[&[u8]]) -> Result<ServerConfig, EncryptedError> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| EncryptedError::Tls(error.to_string()))?;
    let mut settings = builder.with_no_client_auth().with_cert_resolver(identity);
    settings.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(settings)
}

/// The TLS stream; `None` if the handshake fails.
async fn accept_tls(acceptor: &TlsAcceptor, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

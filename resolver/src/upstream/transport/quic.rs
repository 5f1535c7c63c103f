//! DNS over QUIC (RFC 9250): one stream per query.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt};

use super::https::with_id;
use super::pool::{ConnectionFailure, Connector};
use super::tls;
use crate::upstream::server::Secure;

/// The ALPN token (RFC 9250 §4.1.1).
const ALPN: &[u8] = b"doq";
/// The longest message with its length prefix, in bytes.
const MAX_FRAME_BYTES: usize = 2 + u16::MAX as usize;
/// A connection ends after this long without traffic.
const IDLE: Duration = Duration::from_secs(20);
/// DOQ_NO_ERROR (RFC 9250 §8.4).
const NO_ERROR: VarInt = VarInt::from_u32(0);

/// Connects to one upstream over QUIC.
pub struct Quic {
    config: ClientConfig,
    name: String,
}

impl Quic {
    /// For an upstream.
    ///
    /// # Errors
    /// A text if the certificates can't be used.
    pub fn new(secure: &Secure) -> Result<Self, String> {
        let crypto = tls::client_config(&secure.trust, &[ALPN])?;
        let crypto = QuicClientConfig::try_from(crypto).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(Arc::new(crypto));
        let mut transport = TransportConfig::default();
        let idle = IdleTimeout::try_from(IDLE).map_err(|error| error.to_string())?;
        // A server opens no streams (RFC 9250 §4.2) and sends no datagrams.
        transport
            .max_idle_timeout(Some(idle))
            .max_concurrent_bidi_streams(VarInt::from_u32(0))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .datagram_receive_buffer_size(None);
        config.transport_config(Arc::new(transport));
        Ok(Self { config, name: secure.name.clone() })
    }
}

impl Connector for Quic {
    type Connection = Session;

    async fn connect(&self, address: SocketAddr) -> Result<Session, String> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = Endpoint::client(any).map_err(|error| error.to_string())?;
        let connecting = endpoint.connect_with(self.config.clone(), address, &self.name);
        let connecting = connecting.map_err(|error| error.to_string())?;
        let connection = connecting.await.map_err(|error| format!("QUIC: {error}"))?;
        Ok(Session { connection, _end: Arc::new(End(endpoint)) })
    }

    fn is_open(&self, session: &Session) -> bool {
        session.connection.close_reason().is_none()
    }

    async fn ask(&self, session: &Session, query: &[u8]) -> Result<Vec<u8>, ConnectionFailure> {
        let lost =
            |error: quinn::ConnectionError| ConnectionFailure::Lost(format!("QUIC: {error}"));
        let length = u16::try_from(query.len())
            .map_err(|_| ConnectionFailure::Refused("a query too long".into()))?;
        // The id must be 0 (RFC 9250 §4.2.1).
        let framed = [&length.to_be_bytes(), &[0, 0], &query[2..]].concat();
        let (mut send, mut receive) = session.connection.open_bi().await.map_err(lost)?;
        let written = send.write_all(&framed).await;
        written.map_err(|error| ConnectionFailure::Lost(format!("QUIC: {error}")))?;
        send.finish().map_err(|error| ConnectionFailure::Lost(format!("QUIC: {error}")))?;
        let reply = receive.read_to_end(MAX_FRAME_BYTES).await;
        let reply = reply.map_err(|error| ConnectionFailure::Lost(format!("QUIC: {error}")))?;
        match reply.split_first_chunk::<2>() {
            Some((length, reply)) if usize::from(u16::from_be_bytes(*length)) == reply.len() => {
                with_id(reply.to_vec(), query)
            }
            _ => Err(ConnectionFailure::Refused("a reply with a wrong length prefix".into())),
        }
    }
}

/// A connection and its endpoint.
#[derive(Clone)]
pub struct Session {
    connection: Connection,
    _end: Arc<End>,
}

/// Closes the connection when its last user drops it.
struct End(Endpoint);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close(NO_ERROR, b"");
    }
}

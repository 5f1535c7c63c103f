//! DNS over HTTPS (RFC 8484): one POST per query, over one HTTP/2 connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode, Uri, header};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::pool::{ConnectionFailure, Connector};
use super::tls;
use crate::upstream::server::Secure;

const ALPN: &[u8] = b"h2";
/// The media type of DNS messages (RFC 8484 §6).
const MEDIA_TYPE: &str = "application/dns-message";
/// The longest DNS message.
const MAX_MESSAGE_BYTES: usize = u16::MAX as usize;
/// The most bytes of headers that a server may send.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

/// Connects to one upstream over HTTPS.
pub struct Https {
    connector: TlsConnector,
    name: ServerName<'static>,
    uri: Uri,
}

impl Https {
    /// For an upstream.
    ///
    /// # Errors
    /// A text if the certificates or the path can't be used.
    pub fn new(secure: &Secure) -> Result<Self, String> {
        let config = tls::client_config(&secure.trust, &[ALPN])?;
        let port = secure.addresses.first().map_or(443, SocketAddr::port);
        let host = if secure.name.contains(':') {
            format!("[{}]", secure.name)
        } else {
            secure.name.clone()
        };
        let authority = if port == 443 { host } else { format!("{host}:{port}") };
        let uri = Uri::builder()
            .scheme("https")
            .authority(authority)
            .path_and_query(secure.path.as_str());
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: tls::server_name(&secure.name)?,
            uri: uri.build().map_err(|error| error.to_string())?,
        })
    }

    /// It identifies the client by nothing: no user agent, language or cookie (RFC 8484 §8.2).
    fn request(&self, length: usize) -> Result<Request<()>, ConnectionFailure> {
        Request::builder()
            .method(Method::POST)
            .uri(self.uri.clone())
            .header(header::ACCEPT, MEDIA_TYPE)
            .header(header::CONTENT_TYPE, MEDIA_TYPE)
            .header(header::CONTENT_LENGTH, length)
            .body(())
            .map_err(|error| ConnectionFailure::Refused(error.to_string()))
    }
}

/// An HTTP/2 connection, and whether it has ended.
#[derive(Clone)]
pub struct Session {
    sender: SendRequest<Bytes>,
    ended: Arc<AtomicBool>,
}

impl Connector for Https {
    type Connection = Session;

    async fn connect(&self, address: SocketAddr) -> Result<Session, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let stream = self.connector.connect(self.name.clone(), stream).await;
        let stream = stream.map_err(|error| tls::why(&error))?;
        if stream.get_ref().1.alpn_protocol() != Some(ALPN) {
            return Err("it does not support HTTP/2".into());
        }
        let mut builder = h2::client::Builder::new();
        builder.enable_push(false).max_header_list_size(MAX_HEADER_BYTES);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| error.to_string())?;
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        tokio::spawn(async move {
            // Each waiter notices the end of the connection by itself.
            let _ = connection.await;
            flag.store(true, Ordering::Relaxed);
        });
        Ok(Session { sender, ended })
    }

    fn is_open(&self, session: &Session) -> bool {
        !session.ended.load(Ordering::Relaxed)
    }

    async fn ask(&self, session: &Session, query: &[u8]) -> Result<Vec<u8>, ConnectionFailure> {
        let lost = |error: h2::Error| ConnectionFailure::Lost(format!("HTTP/2: {error}"));
        let request = self.request(query.len())?;
        // An id of 0 makes equal queries equal requests (RFC 8484 §4.1).
        let body = Bytes::from([&[0, 0], &query[2..]].concat());
        let mut sender = session.sender.clone().ready().await.map_err(lost)?;
        let (response, mut stream) = sender.send_request(request, false).map_err(lost)?;
        stream.send_data(body, true).map_err(lost)?;
        let (head, mut body) = response.await.map_err(lost)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(ConnectionFailure::Refused(format!("HTTP status {}", head.status)));
        }
        let media = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if media.map(|media| media.split(';').next().unwrap_or_default().trim()) != Some(MEDIA_TYPE)
        {
            return Err(ConnectionFailure::Refused(
                "its reply is not of the type application/dns-message".into(),
            ));
        }
        let mut reply = Vec::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(lost)?;
            if reply.len() + chunk.len() > MAX_MESSAGE_BYTES {
                return Err(ConnectionFailure::Refused("a reply longer than 65535 bytes".into()));
            }
            reply.extend_from_slice(&chunk);
            body.flow_control().release_capacity(chunk.len()).map_err(lost)?;
        }
        with_id(reply, query)
    }
}

/// Sets the query's id in a reply: the query was sent with id 0.
pub fn with_id(mut reply: Vec<u8>, query: &[u8]) -> Result<Vec<u8>, ConnectionFailure> {
    match reply.get_mut(..2) {
        Some(id) if *id == [0, 0] => {
            id.copy_from_slice(&query[..2]);
            Ok(reply)
        }
        _ => Err(ConnectionFailure::Refused("a reply to another query".into())),
    }
}

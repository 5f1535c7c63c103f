//! Upstreams over TLS, HTTPS and QUIC whose every word a test writes, with certificates from an
//! authority of the test's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Response, StatusCode, header};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::upstream::{Protocol, Secure, Trust};

/// The name in the certificates.
pub const NAME: &str = "dns.example";

/// What comes back for a query; nothing: no reply, ever. Over HTTPS a status may take its place.
#[derive(Debug, Clone)]
pub enum Says {
    Reply(Vec<u8>),
    Nothing,
    /// The connection is closed.
    Close,
    Status(u16),
    /// A reply that claims to be of another type.
    OtherType,
}

/// Gets the number of the connection, from 1, and the query.
type Script = Arc<dyn Fn(usize, &[u8]) -> Says + Send + Sync>;

/// An authority, a server's certificate from it, and files with the authority's.
pub struct Authority {
    dir: TempDir,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub pin: [u8; 32],
}

impl Authority {
    pub fn new() -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = params.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![NAME.to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &ca, &ca_key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let spki = key.public_key_der();
        let suite = rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        let pin = suite.common.hash_provider.hash(&spki).as_ref().try_into().unwrap();
        Self { dir, chain: vec![certificate.der().clone()], key: key.serialize_der(), pin }
    }

    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub fn directory(&self) -> &Path {
        self.dir.path()
    }

    fn server_config(&self, alpn: &[u8]) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.clone()));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        config.alpn_protocols = vec![alpn.to_vec()];
        config
    }
}

/// The upstream. It ends with the test.
pub struct SecureFake {
    pub address: SocketAddr,
    protocol: Protocol,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Drop for SecureFake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl SecureFake {
    /// Starts one on a free port.
    pub async fn start(
        protocol: Protocol,
        authority: &Authority,
        script: impl Fn(&[u8]) -> Says + Send + Sync + 'static,
    ) -> Self {
        Self::start_counting(protocol, authority, move |_, query| script(query)).await
    }

    /// As [`SecureFake::start`]; `script` gets the number of the connection too, from 1.
    pub async fn start_counting(
        protocol: Protocol,
        authority: &Authority,
        script: impl Fn(usize, &[u8]) -> Says + Send + Sync + 'static,
    ) -> Self {
        let (connections, seen) =
            (Arc::<AtomicUsize>::default(), Arc::<Mutex<Vec<Vec<u8>>>>::default());
        let heard = seen.clone();
        let script: Script = Arc::new(move |connection, query: &[u8]| {
            heard.lock().unwrap().push(query.to_vec());
            script(connection, query)
        });
        let (address, task) = match protocol {
            Protocol::Quic => quic(authority, script, connections.clone()),
            _ => over_tcp(protocol, authority, script, connections.clone()).await,
        };
        Self { address, protocol, connections, seen, task }
    }

    /// Its setting.
    pub fn secure(&self, trust: Trust) -> Secure {
        let path = if self.protocol == Protocol::Https { "/dns-query" } else { "" };
        Secure {
            protocol: self.protocol,
            name: NAME.into(),
            addresses: vec![self.address],
            path: path.into(),
            trust,
        }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }
}

async fn over_tcp(
    protocol: Protocol,
    authority: &Authority,
    script: Script,
    connections: Arc<AtomicUsize>,
) -> (SocketAddr, JoinHandle<()>) {
    let alpn: &[u8] = if protocol == Protocol::Https { b"h2" } else { b"dot" };
    let acceptor = TlsAcceptor::from(Arc::new(authority.server_config(alpn)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let number = connections.fetch_add(1, Ordering::SeqCst) + 1;
            let (acceptor, script) = (acceptor.clone(), script.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                match protocol {
                    Protocol::Https => serve_https(stream, number, script).await,
                    _ => serve_stream(stream, number, script).await,
                }
            });
        }
    });
    (address, task)
}

/// DNS over TCP or TLS. Queries that come together are answered in the opposite order.
async fn serve_stream(stream: impl AsyncRead + AsyncWrite, number: usize, script: Script) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    loop {
        let mut batch = Vec::new();
        while let Ok(length) = reader.read_u16().await {
            let mut query = vec![0; usize::from(length)];
            if reader.read_exact(&mut query).await.is_err() {
                return;
            }
            let together = query[12..].starts_with(b"\x08together");
            batch.push(query);
            if !together || batch.len() == 3 {
                break;
            }
        }
        if batch.is_empty() {
            return;
        }
        for query in batch.iter().rev() {
            match script(number, query) {
                Says::Reply(reply) => {
                    let framed = [&(reply.len() as u16).to_be_bytes(), &reply[..]].concat();
                    if writer.write_all(&framed).await.is_err() || writer.flush().await.is_err() {
                        return;
                    }
                }
                Says::Nothing => {}
                _ => return,
            }
        }
    }
}

/// A plain upstream over TCP only.
pub async fn tcp_only(
    script: impl Fn(&[u8]) -> Says + Send + Sync + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let script: Script = Arc::new(move |_, query: &[u8]| script(query));
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve_stream(stream, 1, script.clone()));
        }
    });
    (address, task)
}

async fn serve_https(
    stream: tokio_rustls::server::TlsStream<TcpStream>,
    number: usize,
    script: Script,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(request.uri().path(), "/dns-query");
        assert_eq!(request.headers()[header::CONTENT_TYPE], "application/dns-message");
        assert!(request.headers().get(header::USER_AGENT).is_none());
        let script = script.clone();
        let mut body = request.into_body();
        // A body comes while the connection is polled, which `accept` does: so beside it.
        tokio::spawn(async move {
            let mut query = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                query.extend_from_slice(&chunk);
            }
            answer_https(respond, script(number, &query));
        });
    }
}

fn answer_https(mut respond: SendResponse<Bytes>, says: Says) {
    let (status, media, body) = match says {
        Says::Reply(reply) => (200, "application/dns-message", reply),
        Says::OtherType => (200, "text/html", b"<html>".to_vec()),
        Says::Status(status) => (status, "text/plain", Vec::new()),
        Says::Nothing => {
            // The stream stays open as long as its handle.
            tokio::spawn(async move {
                let _keep = respond;
                std::future::pending::<()>().await;
            });
            return;
        }
        Says::Close => return respond.send_reset(h2::Reason::REFUSED_STREAM),
    };
    let response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header(header::CONTENT_TYPE, media)
        .body(())
        .unwrap();
    if let Ok(mut stream) = respond.send_response(response, false) {
        let _ = stream.send_data(Bytes::from(body), true);
    }
}

fn quic(
    authority: &Authority,
    script: Script,
    connections: Arc<AtomicUsize>,
) -> (SocketAddr, JoinHandle<()>) {
    let crypto =
        quinn::crypto::rustls::QuicServerConfig::try_from(authority.server_config(b"doq")).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = endpoint.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let number = connections.fetch_add(1, Ordering::SeqCst) + 1;
            let script = script.clone();
            tokio::spawn(async move {
                let Ok(connection) = incoming.await else { return };
                while let Ok((mut send, mut receive)) = connection.accept_bi().await {
                    let Ok(framed) = receive.read_to_end(70_000).await else { return };
                    match script(number, &framed[2..]) {
                        Says::Reply(reply) => {
                            let framed = [&(reply.len() as u16).to_be_bytes(), &reply[..]].concat();
                            let _ = send.write_all(&framed).await;
                            let _ = send.finish();
                        }
                        Says::Nothing => std::mem::forget(send),
                        _ => return connection.close(2u32.into(), b""),
                    }
                }
            });
        }
    });
    (address, task)
}

//! Upstreams over persistent connections: TCP, TLS, HTTPS, QUIC; and the built-in recursive
//! resolver.

pub(crate) mod exchange;
mod https;
mod pool;
pub(crate) mod query;
mod quic;
mod recursor;
mod stream;
mod tls;
pub(crate) mod udp;

use std::net::SocketAddr;
use std::sync::Arc;

use super::server::{Protocol, Upstream};
use crate::os::clock::Clock;
use https::Https;
use pool::PersistentConnection;
use quic::Quic;
use stream::Stream;

pub use recursor::{BOGUS, Recursive, RecursiveConfig};
pub use tls::sha256;

/// An upstream that is not asked over UDP.
#[derive(Debug)]
pub struct Channel {
    label: String,
    encrypted: bool,
    kind: ChannelKind,
}

#[derive(Debug)]
enum ChannelKind {
    Stream(PersistentConnection<Stream>),
    Https(PersistentConnection<Https>),
    Quic(PersistentConnection<Quic>),
    Recursive(Box<Recursive>),
}

/// An upstream can't be set up, because certificates can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the upstream {upstream} can't be used: {why}")]
pub struct ChannelError {
    upstream: String,
    why: String,
}

impl Channel {
    /// The channel of an upstream, or its address if it is asked over UDP. Does not connect yet.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn new(
        upstream: &Upstream,
        recursive: &RecursiveConfig,
        clock: &Arc<Clock>,
    ) -> Result<Result<Self, SocketAddr>, ChannelError> {
        let failed = |why: String| ChannelError { upstream: upstream.to_string(), why };
        let clock = clock.clone();
        let (encrypted, kind) = match upstream {
            Upstream::Plain(address) => return Ok(Err(*address)),
            Upstream::Tcp(address) => (
                false,
                ChannelKind::Stream(PersistentConnection::new(
                    Stream::plain(),
                    vec![*address],
                    clock,
                )),
            ),
            Upstream::Recursive => {
                let recursive =
                    Recursive::new(recursive, clock).map_err(|error| failed(error.to_string()))?;
                (false, ChannelKind::Recursive(Box::new(recursive)))
            }
            Upstream::Secure(secure) => {
                let addresses = secure.addresses.clone();
                let kind = match secure.protocol {
                    Protocol::Tls => {
                        let stream = Stream::encrypted(secure).map_err(failed)?;
                        ChannelKind::Stream(PersistentConnection::new(stream, addresses, clock))
                    }
                    Protocol::Https => ChannelKind::Https(PersistentConnection::new(
                        Https::new(secure).map_err(failed)?,
                        addresses,
                        clock,
                    )),
                    Protocol::Quic => ChannelKind::Quic(PersistentConnection::new(
                        Quic::new(secure).map_err(failed)?,
                        addresses,
                        clock,
                    )),
                };
                (true, kind)
            }
        };
        Ok(Ok(Self { label: upstream.to_string(), encrypted, kind }))
    }

    /// The upstream's address or URL.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether the connection is encrypted and authenticated.
    pub fn is_encrypted(&self) -> bool {
        self.encrypted
    }

    /// The built-in recursive resolver, if it is one.
    pub fn recursive(&self) -> Option<&Recursive> {
        match &self.kind {
            ChannelKind::Recursive(recursive) => Some(recursive),
            _ => None,
        }
    }

    /// Sends a query and waits for the reply, which has the query's id. The caller sets the time
    /// limit.
    ///
    /// # Errors
    /// The cause as one line of text.
    pub async fn ask(&self, query: &[u8]) -> Result<Vec<u8>, String> {
        match &self.kind {
            ChannelKind::Stream(kept) => kept.ask(query).await,
            ChannelKind::Https(kept) => kept.ask(query).await,
            ChannelKind::Quic(kept) => kept.ask(query).await,
            ChannelKind::Recursive(_) => {
                Err("the recursive resolver takes no encoded queries".into())
            }
        }
    }
}

//! A connection that two names authenticate to each other: no certificate, no authority, no server
//! between them.
//!
//! Both ends show a raw public key (RFC 7250) in a TLS 1.3 handshake, over QUIC or TCP: the
//! identity keys that the chain proves to be those of their names. The dialler knows whom it calls,
//! so it refuses every other key before it shows its own. The listener learns the dialler's name
//! from its first words, a signed HELLO, looks the name up with [`PeerResolver`], and refuses
//! whoever is not who he says. Both have answered to the other's HELLO before either [`dial`] or
//! [`Listener::accept`] returns, so that neither believes in a handshake that the other has
//! refused. What a [`Channel`] carries afterwards are bytes, both ways, each way with an end of its
//! own.
//!
//! ```
//! # use messaging::{TrustedHeader, NameProof, resolve_peer};
//! use messaging::channel::{Transport, Limits, Listener, LocalIdentity, ResolveError, dial};
//! use namechain_core::types::{Name, Network, SecretKey};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # use namechain_core::codec::Decode;
//! # let own = |file: &str| std::fs::read(format!("{}/../testdata/messaging/own/{file}", env!("CARGO_MANIFEST_DIR")));
//! # let trusted = TrustedHeader::from_bytes(Network::Dev, &own("header.bin")?)?;
//! # let peer = |name: &str| Ok::<_, Box<dyn std::error::Error>>(
//! #     resolve_peer(&trusted, &name.parse()?, &NameProof::from_bytes(&own(&format!("{name}.proof"))?)?)?);
//! # let (alice_peer, bob_peer) = (peer("alice")?, peer("bob")?);
//! # let mut seeds = [[2; 32], [2; 32]];
//! # seeds[0][0] = 1;
//! # let [alice_key, bob_key] = seeds.map(|seed| SecretKey::from_seed(&seed));
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let alice = LocalIdentity { network: Network::Dev, name: "alice".parse()?, sequence: 1, identity: alice_key };
//! let bob = LocalIdentity { network: Network::Dev, name: "bob".parse()?, sequence: 1, identity: bob_key };
//!
//! // Alice listens. Who calls is looked up: here among one, elsewhere with a node and `resolve_peer`.
//! let look_up = move |name: Name| {
//!     let known = (name == *bob_peer.name()).then(|| bob_peer.clone());
//!     async move { known.ok_or(ResolveError::Absent(messaging::Absence::Unregistered)) }
//! };
//! let mut listener =
//!     Listener::bind(Transport::Quic, "127.0.0.1:0".parse()?, alice, Limits::default(), look_up).await?;
//! let address = listener.address();
//!
//! // Bob dials: alice_peer is what the chain proves of alice.
//! let dialled = tokio::spawn(async move {
//!     dial(Transport::Quic, address, &bob, &alice_peer, &Limits::default()).await
//! });
//! let mut at_alice = listener.accept().await?;
//! assert_eq!(at_alice.peer().name().as_str(), "bob");
//! let mut at_bob = dialled.await??;
//! at_bob.write_all(b"It is me.").await?;
//! let mut text = [0; 9];
//! at_alice.read_exact(&mut text).await?;
//! assert_eq!(&text, b"It is me.");
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it is worth
//!
//! A key is looked up when a channel is made; a channel that stands is not ended by a rotation or a
//! revocation. The keys of a session are fresh, so that who steals an identity key later can't read
//! what was said before; made with X25519 and ML-KEM-768 together, so that a quantum computer can't
//! either. On the way one sees addresses, times, amounts, and that it is this protocol. Who calls
//! the listener with any key learns the listener's key, and so its name; the dialler's key is seen
//! by the listener alone.

mod connection_limit;
mod dial;
mod error;
mod hello;
mod kx;
mod listen;
mod stream;
mod tls;

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use namechain_core::types::{Name, Network, SecretKey};
use quinn::{IdleTimeout, TransportConfig, VarInt};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use self::{connection_limit::ConnectionPermit, stream::Stream};
use crate::verify::VerifiedPeer;

pub use self::{
    dial::dial,
    error::{ChannelError, Refusal},
    hello::MAX_FRAME_BYTES,
    listen::{Listener, PeerResolver, Rejected, ResolveError},
    tls::{ALPN, EXPORTER_LABEL, client_config, server_config},
};

/// How much of what the other side sends may wait to be read.
const RECEIVE_WINDOW_BYTES: u32 = 1 << 20;
/// How much of what was written may wait to arrive.
const SEND_WINDOW_BYTES: u64 = 1 << 20;

/// What carries a channel. Everything else is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// QUIC (RFC 9000), over UDP.
    Quic,
    /// TLS over TCP (RFC 8446), where UDP does not get through.
    Tcp,
}

/// One's own end: a name and the key that speaks for it.
#[derive(Clone, Debug)]
pub struct LocalIdentity {
    /// The network that the name is on.
    pub network: Network,
    /// The name.
    pub name: Name,
    /// The sequence number of the record that the key stands in, from which the other side tells an
    /// old key from a wrong one.
    pub sequence: u32,
    /// The identity key.
    pub identity: SecretKey,
}

/// What a channel may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take until both sides know each other, the look-up included.
    pub handshake: Duration,
    /// After how long without a sign of life a channel is given up. It is kept alive as long as
    /// both sides are there.
    pub idle: Duration,
    /// How many channels a listener has at a time, those in the making included.
    pub channels: usize,
    /// How many of them with the same address.
    pub per_address: usize,
}

/// 10 seconds for the handshake, given up after a minute of silence, 64 channels, 16 with the same
/// address.
impl Default for Limits {
    fn default() -> Self {
        Limits {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            channels: 64,
            per_address: 16,
        }
    }
}

impl Limits {
    /// One stream, no datagrams, bounded windows.
    fn transport(&self) -> Arc<TransportConfig> {
        let mut config = TransportConfig::default();
        // Past 2^62 ms it would be no timeout.
        let idle = IdleTimeout::try_from(self.idle).ok();
        config
            .max_idle_timeout(idle)
            .keep_alive_interval(idle.map(|_| self.idle / 3))
            .max_concurrent_bidi_streams(VarInt::from_u32(1))
            .max_concurrent_uni_streams(VarInt::from_u32(0))
            .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
            .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
            .send_window(SEND_WINDOW_BYTES)
            .datagram_receive_buffer_size(None);
        Arc::new(config)
    }

    fn prepare(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let probe = (self.idle / 3).max(Duration::from_secs(1));
        SockRef::from(stream).set_tcp_keepalive(
            &TcpKeepalive::new().with_time(probe).with_interval(probe).with_retries(2),
        )
    }
}

/// Bytes to and from a name, both ways at once. Both ends have checked each other.
///
/// Reading gives what the other side writes, up to its end; that the connection broke before is an
/// error. `shutdown` ends one's own side, and leaves the other's open. A channel that is dropped
/// looks to the other side like one that broke: end it with [`Channel::close`].
pub struct Channel {
    stream: Stream,
    peer: VerifiedPeer,
    remote: SocketAddr,
    _permit: Option<ConnectionPermit>,
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({} at {})", self.peer.name(), self.remote)
    }
}

impl Channel {
    /// Who is there: the name, and the keys that the chain proves to be its own.
    pub fn peer(&self) -> &VerifiedPeer {
        &self.peer
    }

    /// Where the other side is.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Ends it: when this returns without an error, everything that was written has arrived (over
    /// TCP: is the system's to deliver). To be called after the other side's end was read; before,
    /// the other side sees its channel break.
    ///
    /// # Errors
    /// If something has not arrived.
    pub async fn close(self) -> io::Result<()> {
        self.stream.close().await
    }

    /// Ends it at once: the other side sees it break. As dropping it, but when this returns the
    /// other side was told.
    pub async fn abort(self) {
        self.stream.abort().await;
    }
}

impl AsyncRead for Channel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The next frame without its length, of which no more is read than a frame may have.
async fn frame(stream: &mut Stream) -> Result<Result<Vec<u8>, Refusal>, io::Error> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let length = match hello::length(length) {
        Ok(length) => length,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Ok(body))
}

#[cfg(test)]
mod tests;

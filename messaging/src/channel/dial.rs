//! Calling a name.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, OnceLock},
};

use namechain_core::types::PublicKey;
use quinn::{
    ClientConfig, ConnectError, ConnectionError, Endpoint, crypto::rustls::QuicClientConfig,
};
use rustls::pki_types::ServerName;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    Channel, ChannelError, Limits, LocalIdentity, Refusal, Transport, frame,
    hello::{self, Binding, Hello, Role, Said},
    stream::Stream,
    tls::{self, ExpectedKey},
};
use crate::verify::VerifiedPeer;

/// rustls wants a name, QUIC too; it is neither sent nor compared with anything.
const NO_NAME: &str = "namechain.invalid";

/// Calls `peer` at `address` as `local`. When there is a channel, both sides have proven to each
/// other who they are.
///
/// # Errors
/// [`ChannelError`]: nobody there, somebody else there, or refused.
pub async fn dial(
    transport: Transport,
    address: SocketAddr,
    local: &LocalIdentity,
    peer: &VerifiedPeer,
    limits: &Limits,
) -> Result<Channel, ChannelError> {
    if local.network != peer.network() {
        return Err(ChannelError::Network);
    }
    let dialled = timeout(limits.handshake, connect(transport, address, local, peer, limits)).await;
    let stream = dialled.map_err(|_| ChannelError::Timeout(limits.handshake))??;
    Ok(Channel { stream, peer: peer.clone(), remote: address, _permit: None })
}

async fn connect(
    transport: Transport,
    address: SocketAddr,
    local: &LocalIdentity,
    peer: &VerifiedPeer,
    limits: &Limits,
) -> Result<Stream, ChannelError> {
    let (wanted, found) = ExpectedKey::only(peer.identity());
    let config = tls::client(&local.identity, wanted)
        .map_err(|error| ChannelError::Tls(error.to_string()))?;
    let secured = match transport {
        Transport::Quic => quic(address, config, limits).await,
        Transport::Tcp => tcp(address, config, limits).await,
    };
    let stream = secured.map_err(|error| other_key(peer, &found).unwrap_or(error))?;
    greet(stream, local, peer).await
}

/// Whose key was shown, if that was the trouble.
fn other_key(peer: &VerifiedPeer, found: &OnceLock<PublicKey>) -> Option<ChannelError> {
    let (name, found) = (peer.name().clone(), *found.get()?);
    Some(match hello::is_next(peer, &found) {
        true => ChannelError::NextKey { name, found },
        false => ChannelError::OtherKey { name, found },
    })
}

async fn quic(
    address: SocketAddr,
    config: rustls::ClientConfig,
    limits: &Limits,
) -> Result<Stream, ChannelError> {
    let crypto =
        QuicClientConfig::try_from(config).map_err(|error| ChannelError::Tls(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(limits.transport());
    let any = match address {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let endpoint = Endpoint::client(SocketAddr::new(any, 0))?;
    let connecting = endpoint.connect_with(config, address, NO_NAME).map_err(no_connect)?;
    let connection = connecting.await.map_err(no_connection)?;
    let streams = connection.open_bi().await.map_err(no_connection)?;
    Ok(Stream::quic(connection, streams, Some(endpoint)))
}

fn no_connect(error: ConnectError) -> ChannelError {
    ChannelError::Io(io::Error::new(io::ErrorKind::AddrNotAvailable, error))
}

pub(super) fn no_connection(error: ConnectionError) -> ChannelError {
    match error {
        // What TLS says comes as codes from 0x100 on (RFC 9001 section 4.8).
        ConnectionError::TransportError(ref inner)
            if (0x100..0x200).contains(&u64::from(inner.code)) =>
        {
            ChannelError::Tls(inner.to_string())
        }
        ConnectionError::ConnectionClosed(ref close)
            if (0x100..0x200).contains(&u64::from(close.error_code)) =>
        {
            ChannelError::Tls(close.to_string())
        }
        other => ChannelError::Io(other.into()),
    }
}

async fn tcp(
    address: SocketAddr,
    config: rustls::ClientConfig,
    limits: &Limits,
) -> Result<Stream, ChannelError> {
    let stream = TcpStream::connect(address).await?;
    limits.prepare(&stream)?;
    let name =
        ServerName::try_from(NO_NAME).map_err(|error| ChannelError::Tls(error.to_string()))?;
    let stream =
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(no_tls)?;
    Ok(Stream::tcp(stream))
}

/// TLS's own errors come wrapped.
pub(super) fn no_tls(error: io::Error) -> ChannelError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) => ChannelError::Tls(inner.to_string()),
        None => ChannelError::Io(error),
    }
}

/// Says HELLO and takes the answer.
async fn greet(
    mut stream: Stream,
    local: &LocalIdentity,
    peer: &VerifiedPeer,
) -> Result<Stream, ChannelError> {
    let secured = stream.secured()?;
    let mut binding = Binding { network: local.network, exporter: &secured.exporter, answers: &[] };
    let ours =
        Hello { from: local.name.clone(), to: peer.name().clone(), sequence: local.sequence };
    let said = hello::write(Role::Dialler, &binding, &ours, &local.identity);
    stream.write_all(&said).await?;
    stream.flush().await?;
    binding.answers = &said;
    let answer = frame(&mut stream)
        .await?
        .and_then(|body| hello::read(Role::Listener, local.network, &body));
    let judged = match answer {
        Ok(Said::Refusal(refusal)) => return Err(ChannelError::Refused(refusal)),
        Ok(Said::Hello(signed)) => {
            signed.verify(&local.name, &secured.key, &binding).and_then(|theirs| {
                if theirs.from != *peer.name() {
                    return Err(Refusal::OtherName);
                }
                hello::check_peer(peer, &secured.key, theirs.sequence)
            })
        }
        Err(refusal) => Err(refusal),
    };
    judged.map(|()| stream).map_err(ChannelError::Refuse)
}

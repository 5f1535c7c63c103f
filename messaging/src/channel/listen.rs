//! Being called.

use std::{fmt, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use namechain_core::types::Name;
use quinn::{Endpoint, Incoming, ServerConfig, crypto::rustls::QuicServerConfig};
use thiserror::Error;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Channel, ChannelError, Limits, LocalIdentity, Refusal, Transport,
    connection_limit::{ConnectionLimit, ConnectionPermit},
    dial::{no_connection, no_tls},
    frame,
    hello::{self, Binding, Hello, Role, Said},
    stream::Stream,
    tls::{self, ExpectedKey},
};
use crate::verify::{Absence, VerifiedPeer};

/// How many reports of who was turned away wait to be read; more are not kept.
const MAX_REPORTS: usize = 16;
/// How many connections wait for the listener to look at them, and how much they may have said by
/// then.
const MAX_INCOMING: usize = 64;
const MAX_INCOMING_BYTES: u64 = 64 * 1_024;
/// How long the system is left alone after it could not accept a connection, which is mostly for
/// want of open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From the name that a caller gives to the keys that the chain proves to be that name's.
pub trait PeerResolver: Send + Sync + 'static {
    /// The peer, or why there is none. It counts towards the time of the handshake.
    fn resolve(
        &self,
        name: Name,
    ) -> impl Future<Output = Result<VerifiedPeer, ResolveError>> + Send;
}

/// A closure that gives a future.
impl<F, R> PeerResolver for F
where
    F: Fn(Name) -> R + Send + Sync + 'static,
    R: Future<Output = Result<VerifiedPeer, ResolveError>> + Send,
{
    fn resolve(
        &self,
        name: Name,
    ) -> impl Future<Output = Result<VerifiedPeer, ResolveError>> + Send {
        self(name)
    }
}

/// Why a caller's name gives nobody to speak with.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ResolveError {
    /// The name is proven to have no keys.
    #[error(transparent)]
    Absent(#[from] Absence),
    /// It can't be told at present.
    #[error("{0}")]
    Unresolved(String),
    /// It has keys, and is not to be spoken with, for a reason that the caller is not told.
    #[error("{0}")]
    Unwanted(String),
}

/// Somebody who called and was turned away.
#[derive(Debug, Error)]
pub struct Rejected {
    /// From where.
    pub remote: SocketAddr,
    /// As whom, if it came to that. It is only what was said.
    pub claimed: Option<Name>,
    /// Why.
    #[source]
    pub error: ChannelError,
    /// What the look-up says beside that.
    pub detail: Option<String>,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.remote)?;
        if let Some(claimed) = &self.claimed {
            write!(f, ", who says to be {claimed}")?;
        }
        write!(f, ": {}", self.error)?;
        self.detail.as_ref().map_or(Ok(()), |why| write!(f, ": {why}"))
    }
}

impl Rejected {
    fn early(remote: SocketAddr, error: ChannelError) -> Box<Self> {
        Box::new(Rejected { remote, claimed: None, error, detail: None })
    }
}

/// Waits for calls to one name. When it is dropped no more calls are taken; the channels that it
/// gave stay.
pub struct Listener {
    address: SocketAddr,
    channels: mpsc::Receiver<Channel>,
    reports: mpsc::Receiver<Box<Rejected>>,
    task: AbortHandle,
    endpoint: Option<Endpoint>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.address)
    }
}

/// What every call needs.
struct ListenerState<R> {
    local: LocalIdentity,
    limits: Limits,
    resolve: R,
    limit: Arc<ConnectionLimit>,
    channels: mpsc::Sender<Channel>,
    reports: mpsc::Sender<Box<Rejected>>,
}

impl Listener {
    /// Listens at `address` as `local`, in a task of the present tokio runtime.
    ///
    /// # Errors
    /// If the address can't be had.
    pub async fn bind(
        transport: Transport,
        address: SocketAddr,
        local: LocalIdentity,
        limits: Limits,
        resolve: impl PeerResolver,
    ) -> io::Result<Self> {
        let config = tls::server(&local.identity, ExpectedKey::Any).map_err(io::Error::other)?;
        // As many as have a permit fit in the queue: nobody who was let in waits to be put there.
        let (channels, ready) = mpsc::channel(limits.channels.max(1));
        let (reports, turned) = mpsc::channel(MAX_REPORTS);
        let limit = ConnectionLimit::new(limits.channels, limits.per_address);
        let state = Arc::new(ListenerState { local, limits, resolve, limit, channels, reports });
        let (address, task, endpoint) = match transport {
            Transport::Quic => {
                let crypto = QuicServerConfig::try_from(config).map_err(io::Error::other)?;
                let mut config = ServerConfig::with_crypto(Arc::new(crypto));
                config
                    .transport_config(limits.transport())
                    .max_incoming(MAX_INCOMING)
                    .incoming_buffer_size(MAX_INCOMING_BYTES)
                    .incoming_buffer_size_total(MAX_INCOMING_BYTES * MAX_INCOMING as u64);
                let endpoint = Endpoint::server(config, address)?;
                let task = tokio::spawn(serve_quic(state, endpoint.clone()));
                (endpoint.local_addr()?, task.abort_handle(), Some(endpoint))
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(address).await?;
                let acceptor = TlsAcceptor::from(Arc::new(config));
                (
                    listener.local_addr()?,
                    tokio::spawn(serve_tcp(state, listener, acceptor)).abort_handle(),
                    None,
                )
            }
        };
        Ok(Listener { address, channels: ready, reports: turned, task, endpoint })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next caller who is who he says, or who was turned away meanwhile: of those not all are
    /// told, if they are many. May be cancelled.
    ///
    /// # Errors
    /// [`Rejected`], after which it is called again.
    pub async fn accept(&mut self) -> Result<Channel, Box<Rejected>> {
        tokio::select! {
            biased;
            Some(turned) = self.reports.recv() => Err(turned),
            Some(channel) = self.channels.recv() => Ok(channel),
            // The task has ended, which it does only when it is told to.
            else => std::future::pending().await,
        }
    }

    /// Takes no more calls. Channels that were not fetched with [`Listener::accept`] break.
    pub fn stop(&mut self) {
        self.task.abort();
        if let Some(endpoint) = &self.endpoint {
            endpoint.set_server_config(None);
        }
        self.channels.close();
        while self.channels.try_recv().is_ok() {}
    }

    /// As [`Listener::stop`], and then waits until the last packets of channels that were closed
    /// are on their way, at most for 2 seconds.
    pub async fn close(mut self) {
        self.stop();
        if let Some(endpoint) = self.endpoint.take() {
            let _ = timeout(Duration::from_secs(2), endpoint.wait_idle()).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Takes calls until it is aborted; then those in the making end too.
async fn serve_quic<R: PeerResolver>(state: Arc<ListenerState<R>>, endpoint: Endpoint) {
    let mut calls = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while calls.try_join_next().is_some() {}
        let remote = incoming.remote_address();
        let proven = incoming.remote_address_validated() || !incoming.may_retry();
        if !proven && state.limit.is_half_full(remote.ip()) {
            // It can: that was just asked.
            let _ = incoming.retry();
            continue;
        }
        match state.limit.take(remote.ip()) {
            Some(permit) => drop(calls.spawn(answer_quic(state.clone(), incoming, remote, permit))),
            None => {
                incoming.refuse();
                state.report(Rejected::early(remote, ChannelError::Refuse(Refusal::Busy)));
            }
        }
    }
}

async fn serve_tcp<R: PeerResolver>(
    state: Arc<ListenerState<R>>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
) {
    let mut calls = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while calls.try_join_next().is_some() {}
        let Ok((stream, remote)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        match state.limit.take(remote.ip()) {
            Some(permit) => drop(calls.spawn(answer_tcp(
                state.clone(),
                acceptor.clone(),
                stream,
                remote,
                permit,
            ))),
            None => state.report(Rejected::early(remote, ChannelError::Refuse(Refusal::Busy))),
        }
    }
}

async fn answer_quic<R: PeerResolver>(
    state: Arc<ListenerState<R>>,
    incoming: Incoming,
    remote: SocketAddr,
    permit: ConnectionPermit,
) {
    let secure = async {
        let connection = incoming.accept().map_err(no_connection)?.await.map_err(no_connection)?;
        let streams = connection.accept_bi().await.map_err(no_connection)?;
        Ok(Stream::quic(connection, streams, None))
    };
    state.answer(secure, remote, permit).await;
}

async fn answer_tcp<R: PeerResolver>(
    state: Arc<ListenerState<R>>,
    acceptor: TlsAcceptor,
    stream: TcpStream,
    remote: SocketAddr,
    permit: ConnectionPermit,
) {
    let secure = async {
        state.limits.prepare(&stream)?;
        Ok(Stream::tcp(acceptor.accept(stream).await.map_err(no_tls)?))
    };
    state.answer(secure, remote, permit).await;
}

impl<R: PeerResolver> ListenerState<R> {
    /// From a connection to a channel, or to a report.
    async fn answer(
        &self,
        secure: impl Future<Output = Result<Stream, ChannelError>>,
        remote: SocketAddr,
        permit: ConnectionPermit,
    ) {
        let limit = self.limits.handshake;
        let mut turned = Rejected::early(remote, ChannelError::Timeout(limit));
        let known = timeout(limit, async {
            let mut stream = secure.await?;
            Ok(match self.greet(&mut stream, &mut turned).await? {
                Ok(peer) => Ok((stream, peer)),
                Err(refusal) => Err((stream, refusal)),
            })
        });
        match known.await {
            Ok(Ok(Ok((stream, peer)))) => {
                let channel = Channel { stream, peer, remote, _permit: Some(permit) };
                // Fails only if the listener is gone.
                return drop(self.channels.send(channel).await);
            }
            Ok(Ok(Err((stream, refusal)))) => {
                turned.error = ChannelError::Refuse(refusal);
                self.report(turned);
                return stream.reject(&hello::write_refusal(refusal)).await;
            }
            Ok(Err(error)) => turned.error = error,
            Err(_) => {}
        }
        self.report(turned);
    }

    fn report(&self, turned: Box<Rejected>) {
        // Whoever does not read them has them not.
        let _ = self.reports.try_send(turned);
    }

    /// Takes the caller's HELLO and, if all is well, answers it. Nothing else of what he says is
    /// read before.
    async fn greet(
        &self,
        stream: &mut Stream,
        turned: &mut Rejected,
    ) -> Result<Result<VerifiedPeer, Refusal>, ChannelError> {
        let (network, secured) = (self.local.network, stream.secured()?);
        let said = match frame(stream).await? {
            Ok(said) => said,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let binding = Binding { network, exporter: &secured.exporter, answers: &[] };
        let theirs = hello::read(Role::Dialler, network, &said).and_then(|said| match said {
            Said::Hello(signed) => signed.verify(&self.local.name, &secured.key, &binding),
            Said::Refusal(_) => Err(Refusal::Malformed),
        });
        let theirs = match theirs {
            Ok(theirs) => theirs,
            Err(refusal) => return Ok(Err(refusal)),
        };
        turned.claimed = Some(theirs.from.clone());
        let found = self.look_up(&theirs.from, turned).await;
        let judged = found.and_then(|peer| {
            hello::check_peer(&peer, &secured.key, theirs.sequence)?;
            Ok(peer)
        });
        let peer = match judged {
            Ok(peer) => peer,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let ours =
            Hello { from: self.local.name.clone(), to: theirs.from, sequence: self.local.sequence };
        let answers = [(said.len() as u16).to_be_bytes().as_slice(), &said].concat();
        let binding = Binding { answers: &answers, ..binding };
        stream
            .write_all(&hello::write(Role::Listener, &binding, &ours, &self.local.identity))
            .await?;
        stream.flush().await?;
        Ok(Ok(peer))
    }

    async fn look_up(&self, name: &Name, turned: &mut Rejected) -> Result<VerifiedPeer, Refusal> {
        match self.resolve.resolve(name.clone()).await {
            Ok(peer) if peer.name() == name && peer.network() == self.local.network => Ok(peer),
            Ok(_) => Err(Refusal::Unresolved),
            Err(ResolveError::Absent(why)) => Err(Refusal::Absent(why)),
            Err(ResolveError::Unwanted(why)) => {
                turned.detail = Some(why);
                Err(Refusal::Unwanted)
            }
            Err(ResolveError::Unresolved(why)) => {
                turned.detail = Some(why);
                Err(Refusal::Unresolved)
            }
        }
    }
}

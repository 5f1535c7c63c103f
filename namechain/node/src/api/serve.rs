//! Connections: how many, how long, and how they end.

use std::{
    future::Future,
    io,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    admin_socket::AdminSocket,
    backend::Backend,
    connections::{Answering, Client, Connections},
    extension::Extension,
    metrics,
    router::{admin_router, public_router},
};

/// The most connections at once, and so of requests: each connection has one at a time. For another
/// one room is made.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// The same of the admin socket.
const MAX_ADMIN_CONNECTIONS: usize = 64;
/// How long the headers of a request may take, counted from when the connection is ready for one.
pub(super) const HEADER_TIME: Duration = Duration::from_secs(15);
/// How long a connection may be used. It ends after the answer that it is at.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// How long a connection has to come to that end.
const CLOSING_TIME: Duration = Duration::from_secs(5);
/// The most bytes of a request's headers.
pub(super) const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The pause after the operating system refused a connection, for want of file descriptors, say.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the API is served; nothing is served where there is none.
#[derive(Debug, Default)]
pub struct Listeners {
    /// For everybody who reaches it: the public routes.
    pub http: Option<TcpListener>,
    /// For the user who runs the program: all routes.
    pub admin: Option<AdminSocket>,
}

impl Listeners {
    /// The address at which the public routes are served.
    pub(super) fn ip(&self) -> io::Result<IpAddr> {
        let address = self.http.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(address.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip()))
    }
}

/// Serves the API until `shutdown` is done; then answers what has been asked, and returns. A
/// request's Host may be one of `names` too, beside the address and loopback.
///
/// # Errors
/// If the listener has no address.
pub async fn serve(
    listeners: Listeners,
    backend: Arc<dyn Backend>,
    extension: Extension,
    names: Vec<String>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let public = public_router(backend.clone(), &extension, listeners.ip()?, &names);
    let admin = admin_router(backend, extension);
    serve_routers(listeners, public, admin, shutdown).await;
    Ok(())
}

/// Serves two routers, as [`serve`] does.
pub(super) async fn serve_routers(
    listeners: Listeners,
    public: Router,
    admin: Router,
    shutdown: impl Future<Output = ()>,
) {
    if !metrics::install() {
        tracing::warn!(
            "/metrics is not served: something else records the metrics of this process"
        );
    }
    let (stop, stopped) = watch::channel(());
    let http = serve_router(listeners.http, public, MAX_CONNECTIONS, stopped.clone());
    let socket = serve_router(listeners.admin, admin, MAX_ADMIN_CONNECTIONS, stopped);
    let stopping = async {
        shutdown.await;
        drop(stop);
    };
    tokio::join!(http, socket, stopping);
}

/// What connections come from.
trait Accept {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection, and the address of whoever has it.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Option<IpAddr>)>> + Send;
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Option<IpAddr>)> {
        let (stream, address) = TcpListener::accept(self).await?;
        Ok((stream, Some(address.ip())))
    }
}

impl Accept for AdminSocket {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Option<IpAddr>)> {
        Ok((AdminSocket::accept(self).await?, None))
    }
}

/// Serves a router until the sender of `stopped` is gone. At most `max` connections are open.
async fn serve_router(
    listener: Option<impl Accept>,
    router: Router,
    max: usize,
    mut stopped: watch::Receiver<()>,
) {
    let Some(listener) = listener else { return };
    let mut tasks = JoinSet::new();
    let mut connections = Connections::new(max);
    loop {
        let ended = stopped.clone();
        tokio::select! {
            // An error: it is time to stop.
            _ = stopped.changed() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => {
                    connections.make_room();
                    let answering = Answering::default();
                    let task =
                        tasks.spawn(converse(stream, router.clone(), answering.clone(), ended));
                    connections.add(task, Client::new(address), answering);
                }
                Err(error) => {
                    tracing::warn!("the API could not take a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(ended) = tasks.join_next_with_id() => {
                connections.remove(ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
        }
    }
    drop(listener);
    while tasks.join_next().await.is_some() {}
}

/// Serves one connection.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    answering: Answering,
    mut stopped: watch::Receiver<()>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        answering.fetch_add(1, Ordering::Relaxed);
        let (answer, answering) = (router.call(request), answering.clone());
        async move {
            let answer = answer.await;
            answering.fetch_sub(1, Ordering::Relaxed);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    tokio::select! {
        // An error is the client's: it went away, or did not speak HTTP.
        _ = &mut connection => return,
        _ = stopped.changed() => {}
        () = sleep(CONNECTION_TIME) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(CLOSING_TIME, connection).await;
}

//! Connections: how many, how long, and how they end.

use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{backend::Backend, extension::Extension, metrics, router::router};

/// The most connections at once, and so of requests: each connection has one at a time. More wait
/// to be accepted.
pub(super) const MAX_CONNECTIONS: usize = 256;
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

/// Serves the API on `listener` until `shutdown` is done; then answers what has been asked, and
/// returns. A request's Host may be one of `names` too, beside the address and loopback.
///
/// # Errors
/// If the listener has no address.
pub async fn serve(
    listener: TcpListener,
    backend: Arc<dyn Backend>,
    extension: Extension,
    names: Vec<String>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = router(backend, extension, listener.local_addr()?.ip(), &names);
    serve_router(listener, router, shutdown).await
}

/// Serves any router, as [`serve`] does.
pub(super) async fn serve_router(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    if !metrics::install() {
        tracing::warn!(
            "/metrics is not served: something else records the metrics of this process"
        );
    }
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => _ = connections.spawn(converse(stream, router.clone(), stopped.clone())),
                Err(error) => {
                    tracing::warn!("the API could not take a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, stop));
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection.
async fn converse(stream: TcpStream, router: Router, mut stopped: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
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

//! The parts of the API for routes that are served without a node, behind the same bounds.

use std::{future::Future, io};

use axum::{Router, response::Response};
use tokio::net::TcpListener;

use super::{layers::finish, metrics, refuse::Refused, serve};

/// The metrics of this process, without those of a node, and behind them what the program counts by
/// itself.
///
/// # Errors
/// A refusal, if something else records the metrics of this process.
pub fn render_metrics(counts: &str) -> Result<Response, Refused> {
    metrics::render(None, counts)
}

/// Serves routes without a node on `listener` until `shutdown` is done; then answers what has been
/// asked, and returns.
///
/// # Errors
/// If the listener has no address.
pub async fn serve_routes(
    listener: TcpListener,
    routes: Router,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = finish(routes, listener.local_addr()?.ip(), &[]);
    serve::serve_router(listener, router, shutdown).await
}

//! The parts of the API for routes that are served without a node, behind the same bounds.

use std::{future::Future, io};

use axum::{Router, response::Response};

use super::{
    extension::Route,
    layers::finish,
    metrics,
    refuse::Refused,
    router::{finish_admin, refuse_admin, with_routes},
    serve::{Listeners, serve_routers},
};

/// The metrics of this process, without those of a node, and behind them what the program counts by
/// itself.
///
/// # Errors
/// A refusal, if something else records the metrics of this process.
pub fn render_metrics(counts: &str) -> Result<Response, Refused> {
    metrics::render(None, counts)
}

/// Serves routes without a node until `shutdown` is done; then answers what has been asked, and
/// returns. On the admin socket are the `public` routes and the `admin` ones.
///
/// # Errors
/// If the listener has no address.
pub async fn serve_routes(
    listeners: Listeners,
    public: Router,
    admin: Vec<Route>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let http = finish(refuse_admin(public.clone(), &admin), listeners.ip()?, &[]);
    let socket = finish_admin(with_routes(public, admin));
    serve_routers(listeners, http, socket, shutdown).await;
    Ok(())
}

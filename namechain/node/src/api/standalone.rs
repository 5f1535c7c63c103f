//! The parts of the API for routes that are served without a node, behind the same bounds.

use std::{future::Future, io};

use axum::{Router, extract::Request, response::Response};
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;

use super::{
    layers::finish,
    metrics,
    ops::{is_json, not_json, read_body},
    refuse::Refused,
    serve,
};

/// The body of a request as an object of JSON; `hint` says what it should be. By way of a map: a
/// list of nothing would be taken for one with nothing in it.
///
/// # Errors
/// A refusal, if it is too large, is not said to be JSON, or is another object.
pub async fn read_json<T: DeserializeOwned>(request: Request, hint: &str) -> Result<T, Refused> {
    let is_json = is_json(request.headers());
    let body = read_body(request.into_body()).await?;
    if !is_json {
        return Err(not_json());
    }
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body)
        .and_then(|map| serde_json::from_value(map.into()))
        .map_err(|_| Refused::bad_request("the body does not have the expected form", hint))
}

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

//! The small API of a DNS server that has no node in it: is it well, what does it count, forget
//! what you know.

use std::{future::Future, io, pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    extract::{FromRef, State},
    response::Response,
    routing::{get, post},
};
use tokio::net::TcpListener;
use utoipa::OpenApi;

use super::{
    dns::{self, Dns, DnsServer},
    finish, metrics, node,
    refuse::Refused,
    serve,
};

/// Says whether names are served; if not, why.
pub type ReadyHook =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// What the small API asks.
#[derive(Clone)]
pub struct Aside {
    /// The DNS server.
    pub dns: Arc<dyn DnsServer>,
    /// What says whether names are served.
    pub ready: ReadyHook,
}

impl FromRef<Aside> for Dns {
    fn from_ref(aside: &Aside) -> Self {
        Dns(Some(aside.dns.clone()))
    }
}

/// The document, of these routes only.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "namechain resolver",
        description = "What a resolver without a node of its own tells and takes. Every refusal is a `Refusal`.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        node::healthz,
        node::readyz,
        metrics::metrics,
        dns::flush,
        dns::trace,
        dns::anchor,
        super::openapi::openapi
    )
)]
struct Document;

async fn openapi() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}

async fn readyz(State(aside): State<Aside>) -> Result<&'static str, Refused> {
    (aside.ready)().await.map(|()| "ok\n").map_err(|why| {
        Refused::unavailable(why, "see the log of the resolver, and of the node that it asks")
    })
}

async fn counted(State(aside): State<Aside>) -> Result<Response, Refused> {
    metrics::render(None, &aside.dns.counts())
}

/// Serves the small API on `listener` until `shutdown` is done; then answers what has been asked,
/// and returns.
///
/// # Errors
/// If the listener has no address.
pub async fn serve_aside(
    listener: TcpListener,
    aside: Aside,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/cache/flush", post(dns::flush))
        .route("/v1/trace", post(dns::trace))
        .route("/v1/dnssec/anchor", get(dns::anchor))
        .route("/healthz", get(node::healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(counted))
        .route("/openapi.json", get(openapi));
    let router = finish(router, listener.local_addr()?.ip(), &[]).with_state(aside);
    serve::serve_router(listener, router, shutdown).await
}

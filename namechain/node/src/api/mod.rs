//! The HTTP API: JSON over HTTP/1.1, described by `/openapi.json`, types in
//! [`namechain_core::api_types`].
//!
//! ```text
//! connection -> serve (bounds, timeouts) -> guard (Host, Origin, time) -> a handler -> Backend
//! ```
//!
//! Everything that is refused is refused with an [`api_types::Refusal`], by the router as well as
//! by the handlers; only what is no HTTP at all gets hyper's bare 400.

mod blocks;
mod bundles;
mod extension;
mod guard;
mod metrics;
mod names;
mod node;
mod openapi;
mod ops;
mod recorder;
mod refuse;
mod serve;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router, middleware,
    routing::{MethodRouter, get, post},
};
use tokio::sync::Semaphore;

pub use bundles::no_bundle;
pub use extension::{Counts, Extension, read_json, render_metrics, serve_routes};
pub use metrics::install as install_metrics;
use namechain_core::{
    api_types,
    chain::{Snapshot, StorageError, StoredHeader},
    consensus::HistoryProof,
    types::{Block, Hash, Name, Operation},
};
pub use refuse::Refused;
pub use serve::serve;

/// Requests that may ask the backend at once; the others wait.
const MAX_ASKING: usize = 32;

/// What the API asks of the node. Every call may block for a moment: none is made on a thread that
/// serves others.
pub trait Backend: Send + Sync + 'static {
    /// How the node is.
    fn status(&self) -> api_types::Status;
    /// The peers that are connected.
    fn peers(&self) -> api_types::Peers;
    /// What has come and gone between this node and its peers since it started.
    fn traffic(&self) -> Traffic;
    /// What to work for.
    fn price(&self) -> api_types::Price;
    /// The state at the tip.
    fn snapshot(&self) -> Arc<Snapshot>;
    /// The state at the depth that names are served from.
    fn served(&self) -> Arc<Snapshot>;
    /// The state after the best chain's block at a height, if it is kept.
    fn snapshot_at(&self, height: u32) -> Option<Arc<Snapshot>>;
    /// Whether an operation on the name waits.
    fn pending_name(&self, name: &Name) -> bool;
    /// Whether the commitment waits.
    fn pending_commitment(&self, commitment: &Hash) -> bool;
    /// The block with an id, and whether it is on the best chain.
    fn block(&self, id: &Hash) -> Result<Option<(StoredHeader, Block, bool)>, StorageError>;
    /// The best chain's block at a height.
    fn block_at(&self, height: u32) -> Result<Option<(StoredHeader, Block, bool)>, StorageError>;
    /// The heights of the best chain's blocks that have operations on a name, in order.
    fn touched(&self, name: &Name) -> Result<Vec<u32>, StorageError>;
    /// The proof that the best chain's block at `against` was built on that at `height`, which must
    /// be lower.
    fn place(&self, height: u32, against: u32) -> Result<Option<HistoryProof>, StorageError>;
    /// Takes an operation.
    fn submit(&self, operation: Operation) -> Result<api_types::Submitted, api_types::Refusal>;
    /// The messaging bundle of a name, if one is kept.
    fn bundle(&self, _name: &Name) -> Result<api_types::BundleInfo, api_types::Refusal> {
        Err(no_bundle())
    }
    /// Takes an encoded messaging bundle of a name, and says whether its one-time prekeys are given
    /// away here.
    fn put_bundle(
        &self,
        _name: &Name,
        _bundle: Vec<u8>,
        _gives_one_time: bool,
    ) -> Result<api_types::BundleInfo, api_types::Refusal> {
        Err(no_bundle())
    }
    /// Gives away a one-time prekey of the bundle of a name.
    fn take_prekey(&self, _name: &Name) -> Result<api_types::PrekeyInfo, api_types::Refusal> {
        Err(no_bundle())
    }
}

/// Bytes between a node and its peers since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// What every handler has.
#[derive(Clone)]
struct App {
    backend: Arc<dyn Backend>,
    extension: Arc<Extension>,
    asking: Arc<Semaphore>,
}

impl App {
    fn new(backend: Arc<dyn Backend>, extension: Arc<Extension>) -> Self {
        App { backend, extension, asking: Arc::new(Semaphore::new(MAX_ASKING)) }
    }

    /// Asks the backend on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Backend) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let backend = self.backend.clone();
        // Held by the question, not by the request: a client that goes away does not make room for
        // another question.
        let permit = self.asking.clone().acquire_owned().await.map_err(Refused::internal)?;
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            question(&*backend)
        });
        asked.await.map_err(Refused::internal)
    }
}

/// Every route. `/openapi.json` describes each of them (test).
fn routes() -> [(&'static str, MethodRouter<App>); 16] {
    [
        ("/v1/status", get(node::status)),
        ("/v1/peers", get(node::peers)),
        ("/v1/price", get(node::price)),
        ("/v1/names/{name}", get(names::name)),
        ("/v1/names/{name}/proof", get(names::proof)),
        ("/v1/names/{name}/history", get(names::history)),
        ("/v1/bundles/{name}", get(bundles::bundle).put(bundles::put)),
        ("/v1/bundles/{name}/prekey", post(bundles::prekey)),
        ("/v1/commitments/{commitment}", get(names::commitment)),
        ("/v1/ops", post(ops::submit)),
        ("/v1/blocks/{block}", get(blocks::block)),
        ("/v1/blocks/{block}/proof", get(blocks::place)),
        ("/healthz", get(node::healthz)),
        ("/readyz", get(node::readyz)),
        ("/metrics", get(metrics::metrics)),
        ("/openapi.json", get(openapi::openapi)),
    ]
}

/// The router of a server that listens on `ip` and is known by `names` too.
fn router(backend: Arc<dyn Backend>, extension: Extension, ip: IpAddr, names: &[String]) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    let routes = extension.routes.clone();
    let router = router.with_state(App::new(backend, Arc::new(extension)));
    finish(router.merge(routes), ip, names)
}

/// What every router has, of a server that listens on `ip` and is known by `names` too.
fn finish(router: Router, ip: IpAddr, names: &[String]) -> Router {
    router
        .fallback(refuse::no_route)
        .method_not_allowed_fallback(refuse::no_method)
        .layer(middleware::from_fn_with_state(guard::Guard::new(ip, names), guard::guard))
        .layer(middleware::from_fn(metrics::count))
}

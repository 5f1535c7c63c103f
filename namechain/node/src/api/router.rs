//! The routes of a node.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    routing::{MethodRouter, get, post},
};

use super::{
    app::App, backend::Backend, blocks, bundles, extension::Extension, layers::finish, metrics,
    mining, names, node, openapi, ops,
};

/// Every route. `/openapi.json` describes each of them (test).
pub(super) fn routes() -> [(&'static str, MethodRouter<App>); 18] {
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
        ("/v1/mining/template", get(mining::template)),
        ("/v1/mining/blocks", post(mining::mined)),
        ("/healthz", get(node::healthz)),
        ("/readyz", get(node::readyz)),
        ("/metrics", get(metrics::metrics)),
        ("/openapi.json", get(openapi::openapi)),
    ]
}

/// The router of a server that listens on `ip` and is known by `names` too.
pub(super) fn router(
    backend: Arc<dyn Backend>,
    extension: Extension,
    ip: IpAddr,
    names: &[String],
) -> Router {
    let mut router = Router::new();
    for (path, methods) in routes() {
        router = router.route(path, methods);
    }
    let routes = extension.routes.clone();
    let router = router.with_state(App::new(backend, Arc::new(extension)));
    finish(router.merge(routes), ip, names)
}

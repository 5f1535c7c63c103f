//! The routes of a node: those for everybody, and those for the user who runs it.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use axum::{
    Router,
    routing::{MethodRouter, any, get, post},
};

use super::{
    app::App,
    backend::Backend,
    bans, blocks, bundles,
    extension::{Extension, Route},
    layers::finish,
    metrics, mining, names, node, openapi, ops, refuse,
};

/// The routes that everybody may use. `/openapi.json` describes each route (test).
pub(super) fn public_routes() -> [(&'static str, MethodRouter<App>); 17] {
    [
        ("/v1/status", get(node::status)),
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

/// The routes for the user who runs the node, served on the admin socket beside the public ones.
/// The document has the tag `admin` at each (test).
pub(super) fn admin_routes() -> [(&'static str, MethodRouter<App>); 3] {
    [
        ("/v1/peers", get(node::peers)),
        ("/v1/bans", get(bans::list).post(bans::add)),
        ("/v1/bans/lift", post(bans::lift)),
    ]
}

/// The routes for everybody, of a server that listens on `ip` and is known by `names` too. The
/// others say where they are served.
pub(super) fn public_router(
    backend: Arc<dyn Backend>,
    extension: &Extension,
    ip: IpAddr,
    names: &[String],
) -> Router {
    let paths = admin_routes().map(|(path, _)| path);
    let paths = paths.into_iter().chain(extension.admin.iter().map(|(path, _)| *path));
    let router = refusing(with_routes(Router::new(), public_routes()), paths);
    finish(router.with_state(App::new(backend, Arc::new(extension.clone()))), ip, names)
}

/// All routes, for the admin socket.
pub(super) fn admin_router(backend: Arc<dyn Backend>, extension: Extension) -> Router {
    let router = with_routes(with_routes(Router::new(), public_routes()), admin_routes());
    let more = extension.admin.clone();
    let router = router.with_state(App::new(backend, Arc::new(extension)));
    finish_admin(with_routes(router, more))
}

/// What the router of an admin socket has beside its routes: a browser can't open a socket, and
/// what it would say of itself is refused all the same.
pub(super) fn finish_admin(router: Router) -> Router {
    finish(router, Ipv4Addr::LOCALHOST.into(), &[])
}

/// A router that says, at the paths of admin routes, where they are served.
pub(super) fn refuse_admin(router: Router, admin: &[Route]) -> Router {
    refusing(router, admin.iter().map(|(path, _)| *path))
}

fn refusing<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    paths: impl Iterator<Item = &'static str>,
) -> Router<S> {
    paths.fold(router, |router, path| router.route(path, any(refuse::admin_only)))
}

pub(super) fn with_routes<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    routes: impl IntoIterator<Item = (&'static str, MethodRouter<S>)>,
) -> Router<S> {
    routes.into_iter().fold(router, |router, (path, methods)| router.route(path, methods))
}

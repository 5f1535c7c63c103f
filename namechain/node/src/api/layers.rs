//! What every router has: refusals for what no route takes, the guard, the count of requests.

use std::net::IpAddr;

use axum::{Router, middleware};

use super::{guard, metrics, refuse};

/// What every router has, of a server that listens on `ip` and is known by `names` too.
pub(super) fn finish(router: Router, ip: IpAddr, names: &[String]) -> Router {
    router
        .fallback(refuse::no_route)
        .method_not_allowed_fallback(refuse::no_method)
        .layer(middleware::from_fn_with_state(guard::Guard::new(ip, names), guard::guard))
        .layer(middleware::from_fn(metrics::count))
}

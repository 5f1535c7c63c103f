//! What every router has: refusals for what no route takes, the guard, how long an answer
//! may be kept, the count of requests.

use std::net::IpAddr;

use axum::{
    Router,
    extract::{MatchedPath, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};

use super::{guard, metrics, refuse};

/// The paths whose answers a proxy may give to others for a second, so that a crowd asks the node
/// once.
const SHARED: [&str; 9] = [
    "/v1/status",
    "/v1/price",
    "/v1/names/{name}",
    "/v1/names/{name}/proof",
    "/v1/names/{name}/history",
    "/v1/commitments/{commitment}",
    "/v1/blocks/{block}",
    "/v1/blocks/{block}/proof",
    "/openapi.json",
];

/// Says whether an answer may be kept (RFC 9111 §5.2.2).
async fn say_how_long(route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let is_shared = request.method() == Method::GET
        && route.is_some_and(|route| SHARED.contains(&route.as_str()));
    let mut response = next.run(request).await;
    let kept = is_shared && response.status() == StatusCode::OK;
    let value = if kept { "public, max-age=1" } else { "no-store" };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    response
}

/// What every router has, of a server that listens on `ip` and is known by `names` too.
pub(super) fn finish(router: Router, ip: IpAddr, names: &[String]) -> Router {
    router
        .fallback(refuse::no_route)
        .method_not_allowed_fallback(refuse::no_method)
        .layer(middleware::from_fn_with_state(guard::Guard::new(ip, names), guard::guard))
        .layer(middleware::from_fn(say_how_long))
        .layer(middleware::from_fn(metrics::count))
}

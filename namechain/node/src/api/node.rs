//! How the node is, and what to work for.

use axum::{Json, extract::State};

use super::{app::App, refuse::Refused};
use namechain_core::api_types;

/// How the node is.
#[cfg_attr(test, utoipa::path(get, path = "/v1/status", responses((status = 200, body = api_types::Status))))]
pub(super) async fn status(State(app): State<App>) -> Result<Json<api_types::Status>, Refused> {
    app.ask(|backend| backend.status()).await.map(Json)
}

/// Who is connected.
#[cfg_attr(test, utoipa::path(get, path = "/v1/peers", tag = "admin", responses((status = 200, body = api_types::Peers))))]
pub(super) async fn peers(State(app): State<App>) -> Result<Json<api_types::Peers>, Refused> {
    app.ask(|backend| backend.peers()).await.map(Json)
}

/// What to work for.
#[cfg_attr(test, utoipa::path(get, path = "/v1/price", responses((status = 200, body = api_types::Price))))]
pub(super) async fn price(State(app): State<App>) -> Result<Json<api_types::Price>, Refused> {
    app.ask(|backend| backend.price()).await.map(Json)
}

/// Whether the node works: `ok`. Whether names are served is asked at `/readyz`.
#[cfg_attr(test, utoipa::path(get, path = "/healthz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, description = "a part of the node has ended or is stuck", body = api_types::Refusal),
)))]
pub(super) async fn healthz(State(app): State<App>) -> Result<&'static str, Refused> {
    // Not behind those who wait for the chain thread: that may be what is stuck.
    check_health(&app)
}

fn check_health(app: &App) -> Result<&'static str, Refused> {
    let hint = "see the node's log, report this if it is a bug, and start the node again";
    app.health().map(|()| "ok\n").map_err(|why| Refused::unavailable(why, hint))
}

/// Whether names are served.
#[cfg_attr(test, utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, description = "not yet, or not any more", body = api_types::Refusal),
)))]
pub(super) async fn readyz(State(app): State<App>) -> Result<&'static str, Refused> {
    check_health(&app)?;
    let status = app.ask(|backend| backend.status()).await?;
    if status.synced {
        return Ok("ok\n");
    }
    let message = match status.sync.why.as_str() {
        "" => format!(
            "the node is at height {} and not at the tip: names are not served",
            status.height
        ),
        why => format!("the node is at height {}, and names are not served: {why}", status.height),
    };
    Err(Refused::unavailable(
        message,
        "wait until it has caught up; if it does not, see the node's log",
    ))
}

//! Bans of peers, for the user who runs the node.

use axum::{
    Json,
    extract::{Request, State},
};

use super::{app::App, ops::read_json, refuse::Refused};
use namechain_core::api_types::{BanInfo, Bans, LiftBans, Lifted, NewBan};

/// Who is banned: by the operator, and for misbehaving.
#[cfg_attr(test, utoipa::path(get, path = "/v1/bans", tag = "admin", responses((status = 200, body = Bans))))]
pub(super) async fn list(State(app): State<App>) -> Result<Json<Bans>, Refused> {
    app.ask(|backend| backend.bans()).await.map(Json)
}

/// Bans an identity or a subnet: whoever is meant is disconnected, and refused from now on.
#[cfg_attr(test, utoipa::path(post, path = "/v1/bans", tag = "admin", request_body = NewBan, responses(
    (status = 200, description = "the ban", body = BanInfo),
    (status = 400, description = "the body does not have the expected form, or nobody is meant", body = namechain_core::api_types::Refusal),
    (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
    (status = 503, description = "the node has no network, the list is full or can't be written", body = namechain_core::api_types::Refusal),
)))]
pub(super) async fn add(
    State(app): State<App>,
    request: Request,
) -> Result<Json<BanInfo>, Refused> {
    const HINT: &str =
        r#"send {"target": "192.0.2.0/24", "seconds": 86400}; without seconds it is for good"#;
    let ban: NewBan = read_json(request, HINT).await?;
    Ok(Json(app.ask(move |backend| backend.ban(ban)).await??))
}

/// Lifts the ban of an identity or a subnet, or all bans.
#[cfg_attr(test, utoipa::path(post, path = "/v1/bans/lift", tag = "admin", request_body = LiftBans, responses(
    (status = 200, description = "how many there were", body = Lifted),
    (status = 400, description = "the body does not have the expected form, or nobody is meant", body = namechain_core::api_types::Refusal),
    (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
    (status = 503, description = "the node has no network, or the list can't be written", body = namechain_core::api_types::Refusal),
)))]
pub(super) async fn lift(
    State(app): State<App>,
    request: Request,
) -> Result<Json<Lifted>, Refused> {
    const HINT: &str = r#"send {"target": "192.0.2.0/24"} or {"all": true}"#;
    let what: LiftBans = read_json(request, HINT).await?;
    if what.all == what.target.is_some() {
        return Err(Refused::bad_request("either one ban or all must be meant", HINT));
    }
    Ok(Json(app.ask(move |backend| backend.lift_bans(what)).await??))
}

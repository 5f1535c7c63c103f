//! Messaging bundles, which the node keeps for others.

use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
    http::StatusCode,
};

use super::{
    app::App,
    names::parse_name,
    ops::{is_json, not_json, read_body_of},
    refuse::Refused,
};
use namechain_core::{
    api_types::{BundleInfo, PrekeyInfo, PutBundle},
    types::MAX_BUNDLE_BYTES,
};

/// The most bytes of a body: a bundle in hexadecimal, and what is around it.
const MAX_BODY_BYTES: usize = 2 * MAX_BUNDLE_BYTES + 1_024;

/// The bundle of a name, if this node has one that is still good and belongs to the record that
/// stands.
#[cfg_attr(test, utoipa::path(get, path = "/v1/bundles/{name}", params(("name" = String, Path, description = "The name")),
    responses(
        (status = 200, body = BundleInfo),
        (status = 400, description = "it can't be a name", body = namechain_core::api_types::Refusal),
        (status = 404, description = "there is no bundle of this name here", body = namechain_core::api_types::Refusal),
        (status = 503, description = "the state can't be read", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn bundle(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<BundleInfo>, Refused> {
    let name = parse_name(&name?)?;
    Ok(app.ask(move |backend| backend.bundle(&name)).await?.map(Json)?)
}

/// Takes a bundle that is signed by the identity key which stands under the name, and not older
/// than the one that is here.
#[cfg_attr(test, utoipa::path(put, path = "/v1/bundles/{name}", request_body = PutBundle,
    params(("name" = String, Path, description = "The name")),
    responses(
        (status = 200, description = "it is kept", body = BundleInfo),
        (status = 400, description = "it is no bundle of this name", body = namechain_core::api_types::Refusal),
        (status = 409, description = "it does not belong to the record that stands, or is older than the one here", body = namechain_core::api_types::Refusal),
        (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
        (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
        (status = 503, description = "there is no room, or it can't be written", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn put(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<BundleInfo>), Refused> {
    let name = parse_name(&name?)?;
    let is_json = is_json(request.headers());
    let body = read_body_of(request.into_body(), MAX_BODY_BYTES, "one bundle a request").await?;
    if !is_json {
        return Err(not_json());
    }
    let hint = "send {\"bundle\": \"...\"}, the encoded bundle in hexadecimal";
    let put: PutBundle = serde_json::from_slice(&body)
        .map_err(|_| Refused::bad_request("the body does not have the expected form", hint))?;
    let bytes = hex::decode(&put.bundle)
        .map_err(|_| Refused::bad_request("the bundle is not in hexadecimal", hint))?;
    let kept =
        app.ask(move |backend| backend.put_bundle(&name, bytes, put.gives_one_time)).await??;
    Ok((StatusCode::OK, Json(kept)))
}

/// Gives a one-time prekey away: nobody else is given the same.
#[cfg_attr(test, utoipa::path(post, path = "/v1/bundles/{name}/prekey", params(("name" = String, Path, description = "The name")),
    responses(
        (status = 200, description = "its place, or that none is left", body = PrekeyInfo),
        (status = 400, description = "it can't be a name", body = namechain_core::api_types::Refusal),
        (status = 404, description = "there is no bundle of this name here", body = namechain_core::api_types::Refusal),
        (status = 503, description = "it can't be written", body = namechain_core::api_types::Refusal),
    )))]
pub(super) async fn prekey(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<PrekeyInfo>, Refused> {
    let name = parse_name(&name?)?;
    Ok(app.ask(move |backend| backend.take_prekey(&name)).await?.map(Json)?)
}

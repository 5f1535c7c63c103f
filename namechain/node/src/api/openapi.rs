//! The description of the API.

use axum::{Json, extract::State};
use utoipa::OpenApi;

use super::{app::App, blocks, bundles, metrics, names, node, ops};

/// The document, made from the handlers and the types.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "namechain node",
        description = "What a node of the naming chain tells and takes. Every refusal is a `Refusal`.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        node::status,
        node::peers,
        node::price,
        names::name,
        names::proof,
        names::history,
        names::commitment,
        bundles::bundle,
        bundles::put,
        bundles::prekey,
        ops::submit,
        blocks::block,
        blocks::place,
        node::healthz,
        node::readyz,
        metrics::metrics,
        openapi,
    )
)]
pub(super) struct Document;

/// This document.
#[utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, description = "an OpenAPI document", body = Object, content_type = "application/json"),
))]
pub(super) async fn openapi(State(app): State<App>) -> Json<utoipa::openapi::OpenApi> {
    let mut document = Document::openapi();
    if let Some(more) = &app.extension.document {
        document.merge(more.clone());
    }
    Json(document)
}

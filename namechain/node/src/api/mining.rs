//! Mining from outside: a template, and the header that comes back. Anybody may do both: a header
//! without its work is refused after one hash, and costs nobody else anything.

use std::time::Duration;

use axum::{
    Json,
    extract::{Query, Request, State, rejection::QueryRejection},
};
use serde::Deserialize;

use super::{app::App, ops::read_json, refuse::Refused};
use namechain_core::{
    api_types::{MinedBlock, MinedHeader, MiningTemplate},
    codec::Decode,
    types::{Hash, Header},
};

/// How long a request for another template waits for one: less than a request may take.
const LONGEST_POLL: Duration = Duration::from_secs(15);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Which template is wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
#[cfg_attr(test, derive(utoipa::IntoParams))]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, into_params(parameter_in = Query))]
pub(super) struct After {
    /// Wait, for at most 15 seconds, until there is another template than this one.
    #[cfg_attr(test, param(value_type = Option<String>))]
    after: Option<Hash>,
}

/// A block in the making, for a miner outside of the node.
#[cfg_attr(test, utoipa::path(get, path = "/v1/mining/template", params(After), responses(
    (status = 200, body = MiningTemplate),
    (status = 400, description = "not an id", body = namechain_core::api_types::Refusal),
    (status = 503, description = "the node is not synced", body = namechain_core::api_types::Refusal),
)))]
pub(super) async fn template(
    State(app): State<App>,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Json<MiningTemplate>, Refused> {
    let after = after?.after;
    let looks = LONGEST_POLL.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        let found = app.ask(|backend| backend.template()).await??;
        if after != Some(found.template) {
            return Ok(Json(found));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    app.ask(|backend| backend.template()).await?.map(Json).map_err(Refused::from)
}

/// Takes the header of a template whose nonce was found.
#[cfg_attr(test, utoipa::path(post, path = "/v1/mining/blocks", request_body = MinedHeader, responses(
    (status = 200, description = "it has its work", body = MinedBlock),
    (status = 400, description = "it is not a header", body = namechain_core::api_types::Refusal),
    (status = 404, description = "of no template that was given away lately", body = namechain_core::api_types::Refusal),
    (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
    (status = 422, description = "it breaks a rule: its work is missing, say", body = namechain_core::api_types::Refusal),
    (status = 503, description = "the node is stopping", body = namechain_core::api_types::Refusal),
)))]
pub(super) async fn mined(
    State(app): State<App>,
    request: Request,
) -> Result<Json<MinedBlock>, Refused> {
    const HINT: &str = r#"send {"header": "..."}, 168 bytes in hexadecimal"#;
    let mined: MinedHeader = read_json(request, HINT).await?;
    let bytes = hex::decode(&mined.header)
        .map_err(|_| Refused::bad_request("the header is not in hexadecimal", HINT))?;
    let header = Header::from_bytes(&bytes)
        .map_err(|error| Refused::bad_request(format!("this is not a header: {error}"), HINT))?;
    Ok(Json(app.ask(move |backend| backend.mined(header)).await??))
}

//! Mining from outside: a template, and the header that comes back. Anybody may do both: a header
//! without its work is refused after one hash, and costs nobody else anything.

use std::{future::Future, net::IpAddr, time::Duration};

use axum::{
    Extension, Json,
    extract::{Query, Request, State, rejection::QueryRejection},
    http::StatusCode,
};
use serde::Deserialize;

use super::{
    app::App,
    connections::Client,
    ops::read_json,
    polls::Poll,
    rate_limit::{ClientAddress, is_near},
    refuse::Refused,
};
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
    /// The `template` of what the caller has. Wait, for at most 15 seconds, until the tip, the
    /// operations or whether a block is wanted differ from it. A later time alone is not waited
    /// for: ask without `after` for a fresh one, every 10 seconds, say.
    #[cfg_attr(test, param(value_type = Option<String>))]
    after: Option<Hash>,
}

/// A block in the making, for a miner outside of the node.
#[cfg_attr(test, utoipa::path(get, path = "/v1/mining/template", params(After), responses(
    (status = 200, body = MiningTemplate),
    (status = 400, description = "not an id", body = namechain_core::api_types::Refusal),
    (status = 429, description = "too many requests wait for another template", body = namechain_core::api_types::Refusal),
    (status = 503, description = "the node is not synced", body = namechain_core::api_types::Refusal),
)))]
pub(super) async fn template(
    State(app): State<App>,
    client: Option<Extension<ClientAddress>>,
    after: Result<Query<After>, QueryRejection>,
) -> Result<Json<MiningTemplate>, Refused> {
    let after = after?.after;
    let client = client.and_then(|client| client.0.0);
    let _place = after.map(|_| place_to_wait(&app, client)).transpose()?;
    another_template(after, || async {
        app.ask(|backend| backend.template()).await?.map_err(Refused::from)
    })
    .await
    .map(Json)
}

/// A place among those that wait for another template.
fn place_to_wait(app: &App, client: Option<IpAddr>) -> Result<Poll, Refused> {
    let is_near = client.is_none_or(is_near);
    app.polls.begin(Client::new(client), is_near).ok_or_else(|| {
        let message = "too many requests wait for another template";
        let hint = "ask without `after`, every 10 seconds, say, or ask a node of your own";
        Refused::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", message, hint)
    })
}

/// Looks until there is another template than `after`, or [`LONGEST_POLL`] is over.
async fn another_template<E, L: Future<Output = Result<MiningTemplate, E>>>(
    after: Option<Hash>,
    mut look: impl FnMut() -> L,
) -> Result<MiningTemplate, E> {
    for _ in 0..LONGEST_POLL.as_millis() / LOOK_EVERY.as_millis() {
        let found = look().await?;
        if after != Some(found.template) {
            return Ok(found);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    look().await
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

#[cfg(test)]
mod tests {
    use namechain_core::{consensus::header::genesis, types::Network};

    use super::*;

    /// Polls against templates whose time is the number of the look. From look `other` on they
    /// record other operations.
    async fn poll(after: Option<Hash>, other: u64) -> MiningTemplate {
        let mut looks = 0;
        let found = another_template(after, || {
            looks += 1;
            std::future::ready(Ok::<_, Refused>(template_at(looks, looks >= other)))
        });
        found.await.ok().unwrap()
    }

    fn template_at(time: u64, other: bool) -> MiningTemplate {
        let ops_root = Hash([u8::from(other); 32]);
        let header = Header { time, ops_root, ..genesis(Network::Dev).header };
        MiningTemplate::from_header(Network::Dev, &header, 2, 0, true)
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_waits_for_other_operations_and_not_for_a_later_time() {
        let has = template_at(0, false).template;
        let found = poll(Some(has), u64::MAX).await;
        // It looks every half second for 15 seconds, and gives the newest all the same.
        assert_eq!((found.template, found.time), (has, 31));
        let found = poll(Some(has), 11).await;
        assert_ne!(found.template, has);
        assert_eq!(found.time, 11);
        // Who has none, or another one, does not wait.
        for after in [None, Some(Hash::ZERO)] {
            assert_eq!(poll(after, u64::MAX).await.time, 1);
        }
    }
}

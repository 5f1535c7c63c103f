//! Operations, in.

use std::{future::poll_fn, pin::Pin};

use serde::de::DeserializeOwned;

use axum::{
    Json,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
};

use super::{app::App, refuse::Refused};
use namechain_core::{
    api_types::{Submit, Submitted},
    codec::Decode,
    types::Operation,
};

/// The most bytes of a body. The largest operation has some 4,500 bytes, twice as many digits.
pub(super) const MAX_BODY_BYTES: usize = 64 * 1024;
/// How much of a body that is too large is read and dropped, so that its sender comes to read the
/// refusal.
const MAX_DRAINED_BYTES: usize = 4 * 1024 * 1024;

/// Hands in an operation, to be recorded in one of the next blocks.
#[cfg_attr(test, utoipa::path(post, path = "/v1/ops", request_body = Submit, responses(
    (status = 202, description = "it waits to be recorded", body = Submitted),
    (status = 400, description = "it is not an encoded operation", body = namechain_core::api_types::Refusal),
    (status = 409, description = "something else stands or waits in its place", body = namechain_core::api_types::Refusal),
    (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
    (status = 422, description = "it breaks a rule of the chain", body = namechain_core::api_types::Refusal),
    (status = 503, description = "the mempool is full, or the node is stopping", body = namechain_core::api_types::Refusal),
)))]
pub(super) async fn submit(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<Submitted>), Refused> {
    let is_json = is_json(request.headers());
    let body = read_body(request.into_body()).await?;
    if !is_json {
        return Err(not_json());
    }
    let operation = parse(&body)?;
    let submitted = app.ask(move |backend| backend.submit(operation)).await??;
    Ok((StatusCode::ACCEPTED, Json(submitted)))
}

pub(super) fn not_json() -> Refused {
    let hint = "send it with Content-Type: application/json";
    let message = "the body is not said to be JSON";
    Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "bad-request", message, hint)
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/json")
}

/// The body of a request as an object of JSON; `hint` says what it should be. By way of a map: a
/// list of nothing would be taken for one with nothing in it.
///
/// # Errors
/// A refusal, if it is too large, is not said to be JSON, or is another object.
pub async fn read_json<T: DeserializeOwned>(request: Request, hint: &str) -> Result<T, Refused> {
    let is_json = is_json(request.headers());
    let body = read_body(request.into_body()).await?;
    if !is_json {
        return Err(not_json());
    }
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body)
        .and_then(|map| serde_json::from_value(map.into()))
        .map_err(|_| Refused::bad_request("the body does not have the expected form", hint))
}

fn parse(body: &[u8]) -> Result<Operation, Refused> {
    let submit: Submit = serde_json::from_slice(body).map_err(|error| {
        let message = format!(
            "the body does not have the expected form, at line {} column {}",
            error.line(),
            error.column()
        );
        Refused::bad_request(
            message,
            "send {\"operation\": \"...\"}, the encoded operation in hexadecimal",
        )
    })?;
    let bytes = hex::decode(&submit.operation)
        .map_err(|_| Refused::bad_request("the operation is not in hexadecimal", ""))?;
    Operation::from_bytes(&bytes).map_err(|error| {
        Refused::bad_request(
            format!("this is not an encoded operation: {error}"),
            "see docs/protocol.md",
        )
    })
}

pub(super) async fn read_body(body: Body) -> Result<Vec<u8>, Refused> {
    read_body_of(body, MAX_BODY_BYTES, "one operation a request").await
}

/// A body of at most `max` bytes; of a larger one so much is read that its sender comes to read the
/// refusal, with `hint`.
pub(super) async fn read_body_of(
    mut body: Body,
    max: usize,
    hint: &str,
) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    let mut dropped = 0;
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame =
            frame.map_err(|_| Refused::bad_request("the body ends before it is complete", ""))?;
        let Ok(data) = frame.into_data() else { continue };
        if dropped == 0 && bytes.len() + data.len() <= max {
            bytes.extend_from_slice(&data);
            continue;
        }
        dropped += data.len();
        if dropped > MAX_DRAINED_BYTES {
            break;
        }
    }
    if dropped == 0 {
        return Ok(bytes);
    }
    let message = format!("the body is larger than {max} bytes");
    Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", message, hint))
}

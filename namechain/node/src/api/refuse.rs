//! Refusals: the one shape of everything that is not an answer. Nothing that the client sent is
//! repeated in them.

use axum::{
    Json,
    extract::rejection::{PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};

use namechain_core::{
    api_types::Refusal,
    chain::{ReadError, StorageError},
};

/// A refusal and its status.
#[derive(Debug)]
pub struct Refused(pub(super) StatusCode, pub(super) Refusal);

impl Refused {
    pub(super) fn new(
        status: StatusCode,
        code: &str,
        message: impl Into<String>,
        hint: &str,
    ) -> Self {
        let hint = (!hint.is_empty()).then(|| hint.into());
        Refused(status, Refusal { code: code.into(), rule: None, message: message.into(), hint })
    }

    /// 400: the request is malformed.
    pub fn bad_request(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", message, hint)
    }

    pub(super) fn not_found(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", message, hint)
    }

    /// 503: not now.
    pub fn unavailable(message: impl Into<String>, hint: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message, hint)
    }

    /// 500, for what should not happen: the log has the reason.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!("a request to the API failed: {error}");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unavailable",
            "the node failed",
            "see the node's log",
        )
    }
}

impl From<Refusal> for Refused {
    /// The backend's refusals, by their code.
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code.as_str() {
            "bad-request" => StatusCode::BAD_REQUEST,
            "not-found" => StatusCode::NOT_FOUND,
            "rule" => StatusCode::UNPROCESSABLE_ENTITY,
            "conflict" => StatusCode::CONFLICT,
            "too-large" => StatusCode::PAYLOAD_TOO_LARGE,
            "forbidden" => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Refused(status, refusal)
    }
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        if let StorageError::Pruned(_) = error {
            let hint = "ask a node that keeps all blocks";
            return Self::new(StatusCode::GONE, "pruned", error.to_string(), hint);
        }
        tracing::error!("a request to the API failed: {error}");
        Self::unavailable("the node's store failed", "see the node's log")
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Storage(error) => error.into(),
            error @ ReadError::Gone { .. } => Self::unavailable(error.to_string(), "ask again"),
        }
    }
}

impl From<PathRejection> for Refused {
    fn from(_: PathRejection) -> Self {
        Self::bad_request("the path is not UTF-8", "see /openapi.json")
    }
}

impl From<QueryRejection> for Refused {
    fn from(_: QueryRejection) -> Self {
        Self::bad_request("the query is not understood", "a height is a number: ?height=N")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// Where there is nothing.
pub(super) async fn no_route() -> Refused {
    Refused::not_found("there is nothing under this path", "/openapi.json lists what there is")
}

/// Where there is something for the user who runs the program only.
pub(super) async fn admin_only() -> Refused {
    let message = "this path is served on the admin socket only";
    let hint = "zonetool opens it for the user who runs this program, as does curl --unix-socket \
                DIR/admin.sock; DIR is the data directory";
    Refused::new(StatusCode::FORBIDDEN, "forbidden", message, hint)
}

/// Where there is something, but not for this method. The header `Allow` (RFC 9110 §10.2.1) is the
/// router's.
pub(super) async fn no_method() -> Refused {
    let hint = "the header Allow and /openapi.json say which one it is";
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "bad-request",
        "this path is for another method",
        hint,
    )
}

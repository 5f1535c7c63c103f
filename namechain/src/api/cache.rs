//! The answers that a DNS server in this process keeps. What they are the API does not know: it hands on what it is asked.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, Request, State},
};

use super::{
    App,
    ops::{is_json, not_json, read_body},
    refuse::Refused,
};
use crate::rpc::{self, Flush, Flushed};

/// What forgets answers.
pub type FlushHook = Arc<dyn Fn(&Flush) -> Result<Flushed, rpc::Refusal> + Send + Sync>;

/// The hook as the handler gets it.
#[derive(Clone)]
pub(super) struct Flusher(pub(super) FlushHook);

impl FromRef<App> for Flusher {
    fn from_ref(app: &App) -> Self {
        let backend = app.backend.clone();
        Flusher(Arc::new(move |what| backend.flush(what)))
    }
}

/// The refusal of a node that is in no DNS server.
pub fn no_answers_kept() -> rpc::Refusal {
    rpc::Refusal {
        code: "not-found".into(),
        rule: None,
        message: "this node is in no DNS server: there are no answers to forget".into(),
        hint: Some("ask the API of the resolver, which its line at the start names".into()),
    }
}

/// Forgets answers of DNS: all, those for a name, or those for a zone.
#[utoipa::path(post, path = "/v1/cache/flush", request_body = Flush, responses(
    (status = 200, description = "they are forgotten", body = Flushed),
    (status = 400, description = "the body is not what it should be, or names nothing", body = rpc::Refusal),
    (status = 404, description = "no DNS server is in this process", body = rpc::Refusal),
    (status = 413, description = "the body is too large", body = rpc::Refusal),
    (status = 415, description = "the body is not JSON", body = rpc::Refusal),
    (status = 503, description = "it is starting", body = rpc::Refusal),
))]
pub(super) async fn flush(
    State(flusher): State<Flusher>,
    request: Request,
) -> Result<Json<Flushed>, Refused> {
    let is_json = is_json(request.headers());
    let body = read_body(request.into_body()).await?;
    if !is_json {
        return Err(not_json());
    }
    // By way of a map: a list of nothing would be taken for a flush of everything.
    let what = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body)
        .and_then(|map| serde_json::from_value::<Flush>(map.into()))
        .map_err(|_| Refused::bad_request("the body is not what it should be", HINT))?;
    if what.name.is_some() && what.zone.is_some() {
        return Err(Refused::bad_request("a name and a zone are given, and only one can be meant", HINT));
    }
    // Walking a large cache takes a while.
    let flushed = tokio::task::spawn_blocking(move || (flusher.0)(&what));
    Ok(flushed.await.map_err(Refused::internal)?.map(Json)?)
}

const HINT: &str = r#"send {}, {"name": "www.example.com"} or {"zone": "example.com"}"#;

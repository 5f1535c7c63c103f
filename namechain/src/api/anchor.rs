//! The key that a DNS server in this process signs with. What it is the API does not know: it hands on what it is told.

use std::sync::Arc;

use axum::{
    Json,
    extract::{FromRef, State},
};

use super::{App, refuse::Refused};
use crate::rpc::{self, TrustAnchor};

/// What says which key it is.
pub type AnchorHook = Arc<dyn Fn() -> Result<TrustAnchor, rpc::Refusal> + Send + Sync>;

/// The hook as the handler gets it.
#[derive(Clone)]
pub(super) struct Anchor(pub(super) AnchorHook);

impl FromRef<App> for Anchor {
    fn from_ref(app: &App) -> Self {
        let backend = app.backend.clone();
        Anchor(Arc::new(move || backend.trust_anchor()))
    }
}

/// The refusal of a node that is in no DNS server.
pub fn nothing_signed() -> rpc::Refusal {
    rpc::Refusal {
        code: "not-found".into(),
        rule: None,
        message: "this node is in no DNS server: nothing is signed here".into(),
        hint: Some("ask the API of the resolver, which its line at the start names".into()),
    }
}

/// The key with which the names of the chain are signed, for those who are to trust it.
#[utoipa::path(get, path = "/v1/dnssec/anchor", responses(
    (status = 200, description = "the key", body = TrustAnchor),
    (status = 404, description = "nothing is signed here", body = rpc::Refusal),
    (status = 503, description = "it is starting", body = rpc::Refusal),
))]
pub(super) async fn anchor(State(anchor): State<Anchor>) -> Result<Json<TrustAnchor>, Refused> {
    Ok((anchor.0)().map(Json)?)
}

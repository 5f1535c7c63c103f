//! The DNS server in this process, if there is one. What its answers are the API does not know: it
//! hands on what it is asked.

use std::{future::Future, pin::Pin, sync::Arc};

use axum::{
    Json,
    extract::{FromRef, Request, State},
};
use serde::de::DeserializeOwned;

use super::{
    App,
    ops::{is_json, not_json, read_body},
    refuse::Refused,
};
use namechain_core::api_types::{self, Flush, Flushed, Refusal, Trace, TraceAsked, TrustAnchor};

/// What comes of a question, some time later.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>>;

/// What the API asks of a DNS server.
pub trait DnsServer: Send + Sync + 'static {
    /// Forgets answers. May take a while.
    fn flush(&self, what: &Flush) -> Result<Flushed, Refusal>;
    /// Answers a question, and tells how that came about.
    fn trace(&self, asked: TraceAsked) -> Later<Trace>;
    /// The key that it signs with, for those who are to trust it.
    fn trust_anchor(&self) -> Result<TrustAnchor, Refusal>;
    /// What it counts, in Prometheus' text format.
    fn counts(&self) -> String;
}

/// The DNS server as the handlers get it.
#[derive(Clone)]
pub(super) struct Dns(pub(super) Option<Arc<dyn DnsServer>>);

impl FromRef<App> for Dns {
    fn from_ref(app: &App) -> Self {
        Dns(app.backend.dns())
    }
}

impl Dns {
    fn server(self) -> Result<Arc<dyn DnsServer>, Refused> {
        self.0.ok_or_else(|| {
            Refusal {
                code: "not-found".into(),
                rule: None,
                message: "this node is in no DNS server".into(),
                hint: Some("ask the API of the resolver, which its line at the start names".into()),
            }
            .into()
        })
    }
}

/// Forgets answers of DNS: all, those for a name, or those for a zone.
#[utoipa::path(post, path = "/v1/cache/flush", request_body = Flush, responses(
    (status = 200, description = "they are forgotten", body = Flushed),
    (status = 400, description = "the body is not what it should be, or names nothing", body = api_types::Refusal),
    (status = 404, description = "no DNS server is in this process", body = api_types::Refusal),
    (status = 413, description = "the body is too large", body = api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = api_types::Refusal),
    (status = 503, description = "it is starting", body = api_types::Refusal),
))]
pub(super) async fn flush(
    State(dns): State<Dns>,
    request: Request,
) -> Result<Json<Flushed>, Refused> {
    const HINT: &str = r#"send {}, {"name": "www.example.com"} or {"zone": "example.com"}"#;
    let what: Flush = read(request, HINT).await?;
    if what.name.is_some() && what.zone.is_some() {
        return Err(Refused::bad_request(
            "a name and a zone are given, and only one can be meant",
            HINT,
        ));
    }
    let server = dns.server()?;
    // Walking a large cache takes a while.
    let flushed = tokio::task::spawn_blocking(move || server.flush(&what));
    Ok(flushed.await.map_err(Refused::internal)?.map(Json)?)
}

/// Answers a question of DNS and tells how: whose the name is, who was asked, what came back.
#[utoipa::path(post, path = "/v1/trace", request_body = TraceAsked, responses(
    (status = 200, description = "the answer, and how it came about", body = Trace),
    (status = 400, description = "the body is not what it should be, or names nothing", body = api_types::Refusal),
    (status = 404, description = "no DNS server is in this process", body = api_types::Refusal),
    (status = 413, description = "the body is too large", body = api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = api_types::Refusal),
    (status = 503, description = "it is starting", body = api_types::Refusal),
))]
pub(super) async fn trace(
    State(dns): State<Dns>,
    request: Request,
) -> Result<Json<Trace>, Refused> {
    const HINT: &str = r#"send {"name": "www.example.com", "rtype": "AAAA"}; fresh, dnssec and checking_disabled may be true"#;
    let asked = read(request, HINT).await?;
    Ok(dns.server()?.trace(asked).await.map(Json)?)
}

/// The key with which the names of the chain are signed, for those who are to trust it.
#[utoipa::path(get, path = "/v1/dnssec/anchor", responses(
    (status = 200, description = "the key", body = TrustAnchor),
    (status = 404, description = "nothing is signed here", body = api_types::Refusal),
    (status = 503, description = "it is starting", body = api_types::Refusal),
))]
pub(super) async fn anchor(State(dns): State<Dns>) -> Result<Json<TrustAnchor>, Refused> {
    Ok(dns.server()?.trust_anchor().map(Json)?)
}

/// The body as an object of JSON. By way of a map: a list of nothing would be taken for one with
/// nothing in it.
async fn read<T: DeserializeOwned>(request: Request, hint: &str) -> Result<T, Refused> {
    let is_json = is_json(request.headers());
    let body = read_body(request.into_body()).await?;
    if !is_json {
        return Err(not_json());
    }
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&body)
        .and_then(|map| serde_json::from_value(map.into()))
        .map_err(|_| Refused::bad_request("the body is not what it should be", hint))
}

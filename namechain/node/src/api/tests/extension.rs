//! Routes of the program around the node, beside the node's own and without a node.

use axum::routing::post;
use tokio::{net::TcpListener, sync::oneshot};

use axum::{Router, routing::get};

use super::{
    bench::{request, request_at},
    *,
};

const PATH: &str = "/v1/double";
pub(super) const JSON: &[&str] = &["Content-Type: application/json"];

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Number {
    number: u64,
}

/// Twice the number.
async fn double(request: axum::extract::Request) -> Result<axum::Json<Number>, Refused> {
    let Number { number } = read_json(request, "send {\"number\": 1}").await?;
    Ok(axum::Json(Number { number: 2 * number }))
}

const DOCUMENT: &str =
    r#"{"paths": {"/v1/double": {"post": {}}}, "components": {"schemas": {"Number": {}}}}"#;

fn extension() -> Extension {
    Extension {
        admin: vec![(PATH, post(double))],
        document: Some(DOCUMENT),
        counts: Some(Arc::new(|| "seven_total 7\n".into())),
    }
}

#[tokio::test]
async fn a_node_alone_has_no_other_routes() {
    let bench = Bench::start().await;
    bench.admin("POST", PATH, JSON, b"{}").await.refuses(404, "not-found");
    bench.request("POST", PATH, JSON, b"{}").await.refuses(404, "not-found");
}

#[tokio::test]
async fn routes_are_served_behind_the_same_bounds() {
    let bench = Bench::start_with(extension()).await;
    let answer = bench.admin("POST", PATH, JSON, br#"{"number": 7}"#).await;
    assert_eq!((answer.status, answer.json::<Number>().number), (200, 14));
    for body in ["", "[]", "{}", r#"{"nam": "x"}"#, r#"{"number": "1"}"#] {
        bench.admin("POST", PATH, JSON, body.as_bytes()).await.refuses(400, "bad-request");
    }
    bench.admin("POST", PATH, &[], b"{}").await.refuses(415, "bad-request");
    bench.admin("GET", PATH, &[], b"").await.refuses(405, "bad-request");
    let foreign = ["Content-Type: application/json", "Origin: http://attacker.example"];
    bench.admin("POST", PATH, &foreign, b"{}").await.refuses(403, "forbidden");
    bench.request("POST", PATH, JSON, br#"{"number": 7}"#).await.refuses(403, "forbidden");
    let metrics = bench.request("GET", "/metrics", &[], b"").await;
    assert!(metrics.body.ends_with("\nseven_total 7\n"), "{metrics:?}");
    assert!(metrics.body.contains("namechain_tip_height"), "the node's are there too");
    let document: serde_json::Value = bench.get("/openapi.json").await.json();
    assert!(document["paths"][PATH]["post"].is_object());
    assert!(document["paths"]["/v1/status"]["get"].is_object());
    assert!(document["components"]["schemas"]["Number"].is_object());
}

#[tokio::test]
async fn routes_are_served_without_a_node() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(ADMIN_SOCKET);
    let listeners =
        Listeners { http: Some(listener), admin: Some(AdminSocket::bind(&path).await.unwrap()) };
    let (stop, stopped) = oneshot::channel::<()>();
    let public = Router::new().route("/metrics", get(async || render_metrics("seven_total 7\n")));
    let served =
        serve_routes(listeners, public, extension().admin, async move { stopped.await.unwrap() });
    let server = tokio::spawn(served);
    let answer = request_at(&path, "POST", PATH, JSON, br#"{"number": 7}"#).await;
    assert_eq!(answer.json::<Number>().number, 14);
    request(addr, "POST", PATH, JSON, b"{}").await.refuses(403, "forbidden");
    request(addr, "GET", "/v1/status", &[], b"").await.refuses(404, "not-found");
    request_at(&path, "GET", "/v1/status", &[], b"").await.refuses(404, "not-found");
    let rebound = ["Host: attacker.example", "Content-Type: application/json"];
    request(addr, "POST", PATH, &rebound, b"{}").await.refuses(403, "forbidden");
    request_at(&path, "POST", PATH, &rebound, b"{}").await.refuses(403, "forbidden");
    for metrics in [
        request(addr, "GET", "/metrics", &[], b"").await,
        request_at(&path, "GET", "/metrics", &[], b"").await,
    ] {
        assert!(metrics.body.contains("namechain_api_requests_total"), "{metrics:?}");
        assert!(metrics.body.ends_with("\nseven_total 7\n"), "{metrics:?}");
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
    assert!(!path.exists(), "the socket is removed");
}

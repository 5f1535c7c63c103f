//! The routes of the control API: beside those of the node in this process, or served alone.

use std::{future::Future, io, pin::Pin, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use namechain_core::api_types::{Flush, Flushed, Trace, TraceAsked, TrustAnchor};
use namechain_node::api::{
    Extension, Listeners, Refused, Route, merge_documents, read_json, render_metrics, serve_routes,
};

use super::Control;

/// Whether names are served; if not, why.
pub type Ready =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// The OpenAPI description of the routes that are added to the node's.
const ROUTES: &str = include_str!("routes.openapi.json");
/// That of the other routes of a server without a node.
const WITHOUT_NODE: &str = include_str!("without_node.openapi.json");

/// The state of a server without a node.
#[derive(Clone)]
struct Alone {
    control: Control,
    ready: Ready,
}

/// The routes for the admin socket: what was asked can be found out by them, and what is answered
/// changed.
fn routes(control: &Control) -> Vec<Route> {
    vec![
        ("/v1/cache/flush", post(flush).with_state(control.clone())),
        ("/v1/trace", post(trace).with_state(control.clone())),
        ("/v1/dnssec/anchor", get(anchor).with_state(control.clone())),
    ]
}

/// The routes that are added to those of the node in this process.
pub fn extension(control: &Control) -> Extension {
    let counting = control.clone();
    Extension {
        admin: routes(control),
        document: Some(ROUTES),
        counts: Some(Arc::new(move || counting.counts())),
    }
}

/// Serves the control API of a resolver with a remote node until `shutdown` completes; then answers
/// pending requests and returns.
///
/// # Errors
/// If the listener has no address.
pub async fn serve_without_node(
    listeners: Listeners,
    control: Control,
    ready: Ready,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let public = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .with_state(Alone { control: control.clone(), ready });
    serve_routes(listeners, public, routes(&control), shutdown).await
}

/// Removes cached DNS answers: all, those for a name, or those for a zone.
#[cfg_attr(test, utoipa::path(post, path = "/v1/cache/flush", tag = "admin", request_body = Flush, responses(
    (status = 200, description = "they are forgotten", body = Flushed),
    (status = 400, description = "the body does not have the expected form, or names nothing", body = namechain_core::api_types::Refusal),
    (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
    (status = 503, description = "it is starting", body = namechain_core::api_types::Refusal),
)))]
async fn flush(State(control): State<Control>, request: Request) -> Result<Json<Flushed>, Refused> {
    const HINT: &str = r#"send {}, {"name": "www.example.com"} or {"zone": "example.com"}"#;
    let what: Flush = read_json(request, HINT).await?;
    if what.name.is_some() && what.zone.is_some() {
        return Err(Refused::bad_request(
            "a name and a zone are given, and only one can be meant",
            HINT,
        ));
    }
    // Walking a large cache takes a while.
    let flushed = tokio::task::spawn_blocking(move || control.flush(&what));
    Ok(flushed.await.map_err(Refused::internal)?.map(Json)?)
}

/// Resolves a DNS question and returns a trace: the source for the name, the queries sent, and the
/// replies.
#[cfg_attr(test, utoipa::path(post, path = "/v1/trace", tag = "admin", request_body = TraceAsked, responses(
    (status = 200, description = "the answer, and how it came about", body = Trace),
    (status = 400, description = "the body does not have the expected form, or names nothing", body = namechain_core::api_types::Refusal),
    (status = 413, description = "the body is too large", body = namechain_core::api_types::Refusal),
    (status = 415, description = "the body is not JSON", body = namechain_core::api_types::Refusal),
    (status = 503, description = "it is starting", body = namechain_core::api_types::Refusal),
)))]
async fn trace(State(control): State<Control>, request: Request) -> Result<Json<Trace>, Refused> {
    const HINT: &str = r#"send {"name": "www.example.com", "rtype": "AAAA"}; fresh, dnssec and checking_disabled may be true"#;
    let asked: TraceAsked = read_json(request, HINT).await?;
    Ok(control.trace(asked).await.map(Json)?)
}

/// The DNSSEC key of names on the chain, as a trust anchor.
#[cfg_attr(test, utoipa::path(get, path = "/v1/dnssec/anchor", tag = "admin", responses(
    (status = 200, description = "the key", body = TrustAnchor),
    (status = 404, description = "nothing is signed here", body = namechain_core::api_types::Refusal),
    (status = 503, description = "it is starting", body = namechain_core::api_types::Refusal),
)))]
async fn anchor(State(control): State<Control>) -> Result<Json<TrustAnchor>, Refused> {
    Ok(control.trust_anchor().map(Json)?)
}

/// Whether the process is alive: `ok`.
#[cfg_attr(test, utoipa::path(get, path = "/healthz", responses((status = 200, body = String, content_type = "text/plain"))))]
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether names are served.
#[cfg_attr(test, utoipa::path(get, path = "/readyz", responses(
    (status = 200, body = String, content_type = "text/plain"),
    (status = 503, description = "not yet, or not any more", body = namechain_core::api_types::Refusal),
)))]
async fn readyz(State(alone): State<Alone>) -> Result<&'static str, Refused> {
    (alone.ready)().await.map(|()| "ok\n").map_err(|why| {
        Refused::unavailable(why, "see the log of the resolver, and of the node that it asks")
    })
}

/// The resolver's metrics.
#[cfg_attr(test, utoipa::path(get, path = "/metrics", responses(
    (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
    (status = 503, description = "something else records the process' metrics", body = namechain_core::api_types::Refusal),
)))]
async fn metrics(State(alone): State<Alone>) -> Result<Response, Refused> {
    render_metrics(&alone.control.counts())
}

/// This document.
#[cfg_attr(test, utoipa::path(get, path = "/openapi.json", responses(
    (status = 200, description = "an OpenAPI document", body = Object, content_type = "application/json"),
)))]
async fn openapi() -> Json<serde_json::Value> {
    Json(merge_documents(WITHOUT_NODE, ROUTES))
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
    };

    use namechain_node::api::{ADMIN_SOCKET, AdminSocket};
    use tokio::{net::TcpListener, sync::oneshot};
    use utoipa::OpenApi;

    use super::*;

    /// The status and the body of the response to `method` of `path`, at `url` or on a socket.
    async fn ask(
        (url, socket): (&str, Option<&Path>),
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> (u16, String) {
        // The HTTP client requires one, though TLS is not used here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let method = method.parse().unwrap();
        let mut client = reqwest::Client::builder();
        if let Some(socket) = socket {
            client = client.unix_socket(socket);
        }
        let mut request = client.build().unwrap().request(method, format!("{url}{path}"));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn a_resolver_without_a_node_serves_what_its_document_says() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join(ADMIN_SOCKET);
        let admin = AdminSocket::bind(&socket).await.unwrap();
        let listeners = Listeners { http: Some(listener), admin: Some(admin) };
        let is_ready = Arc::new(AtomicBool::new(true));
        let asked = is_ready.clone();
        let ready: Ready = Arc::new(move || {
            let ready = asked.load(Ordering::SeqCst);
            Box::pin(async move { ready.then_some(()).ok_or_else(|| "the node is gone".into()) })
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move { stopped.await.unwrap() };
        let server =
            tokio::spawn(serve_without_node(listeners, Control::default(), ready, shutdown));
        let (tcp, admin) = ((url.as_str(), None), ("http://localhost", Some(socket.as_path())));
        for at in [tcp, admin] {
            assert_eq!(ask(at, "GET", "/healthz", None).await, (200, "ok\n".into()));
            assert_eq!(ask(at, "GET", "/readyz", None).await, (200, "ok\n".into()));
        }
        is_ready.store(false, Ordering::SeqCst);
        let (status, why) = ask(tcp, "GET", "/readyz", None).await;
        assert!(status == 503 && why.contains("the node is gone"), "{status} {why}");
        let (status, text) = ask(tcp, "GET", "/metrics", None).await;
        assert!(status == 200 && text.contains("namechain_api_requests_total"), "{text}");
        // There is no resolver yet; invalid requests are refused before that matters.
        for (path, good, bad) in [
            ("/v1/cache/flush", "{}", r#"{"name": "a", "zone": "a"}"#),
            ("/v1/cache/flush", r#"{"zone": "a"}"#, "[]"),
            ("/v1/trace", r#"{"name": "www.example.com"}"#, r#"{"name": "a", "type": "A"}"#),
        ] {
            assert_eq!(ask(admin, "POST", path, Some(good)).await.0, 503, "{path} {good}");
            assert_eq!(ask(admin, "POST", path, Some(bad)).await.0, 400, "{path} {bad}");
            assert_eq!(ask(admin, "POST", path, None).await.0, 415, "{path}");
        }
        assert_eq!(ask(admin, "GET", "/v1/dnssec/anchor", None).await.0, 503);
        assert_eq!(ask(admin, "GET", "/v1/status", None).await.0, 404);
        let (_, document) = ask(tcp, "GET", "/openapi.json", None).await;
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        let paths = document["paths"].as_object().unwrap();
        assert_eq!(paths.len(), 7);
        for (path, methods) in paths {
            for (method, described) in methods.as_object().unwrap() {
                let is_admin = described["tags"][0] == "admin";
                let method = method.to_uppercase();
                assert_eq!(is_admin, path.starts_with("/v1/"), "{path}");
                assert_ne!(ask(admin, &method, path, None).await.0, 404, "{path}");
                let public = ask(tcp, &method, path, None).await;
                assert_eq!(public.0 == 403, is_admin, "{path}: {public:?}");
            }
        }
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
        assert!(!socket.exists(), "the socket is removed");
    }

    #[derive(OpenApi)]
    #[openapi(paths(flush, trace, anchor))]
    struct Routes;

    #[derive(OpenApi)]
    #[openapi(
        info(
            title = "namechain resolver",
            description = "What a resolver without a node of its own tells and takes. Every refusal is a `Refusal`. Routes with the tag `admin` are served on the admin socket only, the others over TCP too.",
            license(name = "MIT OR Apache-2.0")
        ),
        paths(healthz, readyz, metrics, openapi)
    )]
    struct WithoutNode;

    /// `NAMECHAIN_WRITE=1 cargo test -p resolver openapi` writes the files.
    #[test]
    fn the_openapi_files_are_what_the_handlers_and_types_say() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/control");
        for (made, file, built_in) in [
            (Routes::openapi(), "routes.openapi.json", ROUTES),
            (WithoutNode::openapi(), "without_node.openapi.json", WITHOUT_NODE),
        ] {
            let made = made.to_pretty_json().unwrap() + "\n";
            if std::env::var_os("NAMECHAIN_WRITE").is_some() {
                std::fs::write(dir.join(file), &made).unwrap();
            } else {
                assert!(made == built_in, "run NAMECHAIN_WRITE=1 cargo test -p resolver openapi");
            }
        }
    }

    /// Every type that the description of the routes refers to is in the document.
    #[test]
    fn the_document_is_whole() {
        let document: serde_json::Value = serde_json::from_str(ROUTES).unwrap();
        for reference in ROUTES.split("\"#/components/schemas/").skip(1) {
            let schema = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"].get(schema).is_some(), "{schema}");
        }
    }
}

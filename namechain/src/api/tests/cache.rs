//! Forgetting answers, by the node's API and by the small one.

use std::sync::{Mutex, atomic::Ordering};

use tokio::{net::TcpListener, sync::oneshot};

use super::{bench::request, *};

const PATH: &str = "/v1/cache/flush";
const JSON: &[&str] = &["Content-Type: application/json"];

/// Something that keeps seven answers for whatever it is asked, but knows no name with a blank.
fn seven(asked: Arc<Mutex<Vec<rpc::Flush>>>) -> FlushHook {
    Arc::new(move |what| {
        asked.lock().unwrap().push(what.clone());
        match what.name.as_deref().is_some_and(|name| name.contains(' ')) {
            true => Err(rpc::Refusal {
                code: "bad-request".into(),
                rule: None,
                message: "not a name".into(),
                hint: None,
            }),
            false => Ok(rpc::Flushed { flushed: 7 }),
        }
    })
}

fn anchor() -> rpc::TrustAnchor {
    rpc::TrustAnchor {
        zone: "namechain.alt.".into(),
        key_tag: 1,
        algorithm: 13,
        dnskey: "namechain.alt. IN DNSKEY 257 3 13 AAAA".into(),
        ds: "namechain.alt. IN DS 1 13 2 AA".into(),
        servers: vec!["127.0.0.1:53".into()],
    }
}

#[tokio::test]
async fn a_node_that_is_in_no_dns_server_signs_nothing() {
    let bench = Bench::start().await;
    bench.request("GET", "/v1/dnssec/anchor", &[], b"").await.refuses(404, "not-found");
}

#[tokio::test]
async fn it_is_handed_on_to_whoever_keeps_answers() {
    let bench = Bench::start().await;
    bench.request("POST", PATH, JSON, b"{}").await.refuses(404, "not-found");
    let asked = Arc::new(Mutex::new(Vec::new()));
    *bench.node.flush.lock().unwrap() = Some(seven(asked.clone()));
    for body in [r#"{}"#, r#"{"name": "www.example.com"}"#, r#"{"zone": "example.com"}"#] {
        let answer = bench.request("POST", PATH, JSON, body.as_bytes()).await;
        assert_eq!((answer.status, answer.json::<rpc::Flushed>().flushed), (200, 7), "{body}");
    }
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        rpc::Flush::default(),
        rpc::Flush { name: some("www.example.com"), zone: None },
        rpc::Flush { name: None, zone: some("example.com") },
    ];
    assert_eq!(*asked.lock().unwrap(), expected);
    for body in
        ["", "[]", r#"{"nam": "x"}"#, r#"{"name": 1}"#, r#"{"name": "a", "zone": "a"}"#, r#"{"name": "a b"}"#]
    {
        bench.request("POST", PATH, JSON, body.as_bytes()).await.refuses(400, "bad-request");
    }
    bench.request("POST", PATH, &[], b"{}").await.refuses(415, "bad-request");
    let foreign = ["Content-Type: application/json", "Origin: http://attacker.example"];
    bench.request("POST", PATH, &foreign, b"{}").await.refuses(403, "forbidden");
    assert_eq!(asked.lock().unwrap().len(), 4, "what was refused was not asked for");
}

#[tokio::test]
async fn a_server_without_a_node_has_a_small_api() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_ready = ready.clone();
    let aside = Aside {
        flush: seven(Arc::default()),
        anchor: Arc::new(|| Ok(anchor())),
        ready: Arc::new(move || {
            let ready = is_ready.load(Ordering::SeqCst);
            Box::pin(async move { ready.then_some(()).ok_or_else(|| "the node is gone".into()) })
        }),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve_aside(listener, aside, async move { stopped.await.unwrap() }));
    let get = async |path: &str| request(addr, "GET", path, &[], b"").await;
    assert_eq!(get("/healthz").await.body, "ok\n");
    assert_eq!(get("/readyz").await.body, "ok\n");
    ready.store(false, Ordering::SeqCst);
    assert_eq!(get("/readyz").await.refuses(503, "unavailable").message, "the node is gone");
    let metrics = get("/metrics").await;
    assert!(metrics.status == 200 && metrics.body.contains("namechain_api_requests_total"), "{metrics:?}");
    let flushed = request(addr, "POST", PATH, JSON, b"{}").await;
    assert_eq!(flushed.json::<rpc::Flushed>().flushed, 7);
    assert_eq!(get("/v1/dnssec/anchor").await.json::<rpc::TrustAnchor>(), anchor());
    get("/v1/status").await.refuses(404, "not-found");
    let rebound = ["Host: attacker.example", "Content-Type: application/json"];
    request(addr, "POST", PATH, &rebound, b"{}").await.refuses(400, "bad-request");
    let document: serde_json::Value = get("/openapi.json").await.json();
    for path in document["paths"].as_object().unwrap().keys() {
        assert_ne!(get(path).await.status, 404, "{path}");
    }
    stop.send(()).unwrap();
    server.await.unwrap().unwrap();
}

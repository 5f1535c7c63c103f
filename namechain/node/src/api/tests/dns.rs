//! What is handed on to a DNS server in the same process, by the node's API and by the small one.

use std::sync::{Mutex, atomic::Ordering};

use tokio::{net::TcpListener, sync::oneshot};

use super::{bench::request, *};

const PATH: &str = "/v1/cache/flush";
const JSON: &[&str] = &["Content-Type: application/json"];

/// Something that keeps seven answers for whatever it is asked, but knows no name with a blank.
#[derive(Default)]
struct Seven {
    asked: Arc<Mutex<Vec<api_types::Flush>>>,
}

fn knows(name: &str) -> Result<(), api_types::Refusal> {
    match name.contains(' ') {
        true => Err(api_types::Refusal {
            code: "bad-request".into(),
            rule: None,
            message: "not a name".into(),
            hint: None,
        }),
        false => Ok(()),
    }
}

impl DnsServer for Seven {
    fn flush(&self, what: &api_types::Flush) -> Result<api_types::Flushed, api_types::Refusal> {
        self.asked.lock().unwrap().push(what.clone());
        knows(what.name.as_deref().unwrap_or_default())?;
        Ok(api_types::Flushed { flushed: 7 })
    }

    fn trace(&self, asked: api_types::TraceAsked) -> Later<api_types::Trace> {
        let answer = api_types::TraceAnswer {
            rcode: "NXDOMAIN".into(),
            flags: vec![],
            took_us: 7,
            answers: vec![],
            authorities: vec![],
            additionals: vec![],
            extended_errors: vec![],
        };
        let question = asked.name.clone();
        let known = knows(&question);
        Box::pin(async move {
            known.map(|()| api_types::Trace { question, steps: vec![], cut: false, answer })
        })
    }

    fn trust_anchor(&self) -> Result<api_types::TrustAnchor, api_types::Refusal> {
        Ok(anchor())
    }

    fn counts(&self) -> String {
        "seven_total 7\n".into()
    }
}

fn anchor() -> api_types::TrustAnchor {
    api_types::TrustAnchor {
        zone: "namechain.alt.".into(),
        key_tag: 1,
        algorithm: 13,
        dnskey: "namechain.alt. IN DNSKEY 257 3 13 AAAA".into(),
        ds: "namechain.alt. IN DS 1 13 2 AA".into(),
        servers: vec!["127.0.0.1:53".into()],
    }
}

#[tokio::test]
async fn a_flush_is_handed_on_to_whoever_keeps_answers() {
    let bench = Bench::start().await;
    bench.request("POST", PATH, JSON, b"{}").await.refuses(404, "not-found");
    let asked = Arc::new(Mutex::new(Vec::new()));
    *bench.node.dns.lock().unwrap() = Some(Arc::new(Seven { asked: asked.clone() }));
    for body in [r#"{}"#, r#"{"name": "www.example.com"}"#, r#"{"zone": "example.com"}"#] {
        let answer = bench.request("POST", PATH, JSON, body.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.json::<api_types::Flushed>().flushed),
            (200, 7),
            "{body}"
        );
    }
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        api_types::Flush::default(),
        api_types::Flush { name: some("www.example.com"), zone: None },
        api_types::Flush { name: None, zone: some("example.com") },
    ];
    assert_eq!(*asked.lock().unwrap(), expected);
    for body in [
        "",
        "[]",
        r#"{"nam": "x"}"#,
        r#"{"name": 1}"#,
        r#"{"name": "a", "zone": "a"}"#,
        r#"{"name": "a b"}"#,
    ] {
        bench.request("POST", PATH, JSON, body.as_bytes()).await.refuses(400, "bad-request");
    }
    bench.request("POST", PATH, &[], b"{}").await.refuses(415, "bad-request");
    let foreign = ["Content-Type: application/json", "Origin: http://attacker.example"];
    bench.request("POST", PATH, &foreign, b"{}").await.refuses(403, "forbidden");
    assert_eq!(asked.lock().unwrap().len(), 4, "what was refused was not asked for");
}

#[tokio::test]
async fn a_trace_is_handed_on_to_the_dns_server() {
    const PATH: &str = "/v1/trace";
    let bench = Bench::start().await;
    let asked = br#"{"name": "www.example.com", "rtype": "AAAA", "fresh": true}"#;
    bench.request("POST", PATH, JSON, asked).await.refuses(404, "not-found");
    *bench.node.dns.lock().unwrap() = Some(Arc::new(Seven::default()));
    let trace: api_types::Trace = bench.request("POST", PATH, JSON, asked).await.json();
    assert_eq!(
        (trace.question.as_str(), trace.answer.rcode.as_str()),
        ("www.example.com", "NXDOMAIN")
    );
    for body in
        ["", "[]", "{}", r#"{"name": 1}"#, r#"{"name": "a", "type": "A"}"#, r#"{"name": "a b"}"#]
    {
        bench.request("POST", PATH, JSON, body.as_bytes()).await.refuses(400, "bad-request");
    }
    let foreign = ["Content-Type: application/json", "Origin: http://attacker.example"];
    bench.request("POST", PATH, &foreign, asked).await.refuses(403, "forbidden");
    let metrics = bench.request("GET", "/metrics", &[], b"").await;
    assert!(metrics.body.ends_with("\nseven_total 7\n"), "{metrics:?}");
}

#[tokio::test]
async fn the_key_that_is_signed_with_is_told() {
    let bench = Bench::start().await;
    bench.get("/v1/dnssec/anchor").await.refuses(404, "not-found");
    *bench.node.dns.lock().unwrap() = Some(Arc::new(Seven::default()));
    assert_eq!(bench.get("/v1/dnssec/anchor").await.json::<api_types::TrustAnchor>(), anchor());
}

#[tokio::test]
async fn a_server_without_a_node_has_a_small_api() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let is_ready = ready.clone();
    let aside = Aside {
        dns: Arc::new(Seven::default()),
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
    assert!(
        metrics.status == 200 && metrics.body.contains("namechain_api_requests_total"),
        "{metrics:?}"
    );
    assert!(metrics.body.ends_with("\nseven_total 7\n"), "{metrics:?}");
    let flushed = request(addr, "POST", PATH, JSON, b"{}").await;
    assert_eq!(flushed.json::<api_types::Flushed>().flushed, 7);
    assert_eq!(get("/v1/dnssec/anchor").await.json::<api_types::TrustAnchor>(), anchor());
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

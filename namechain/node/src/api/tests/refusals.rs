//! What is refused, and how connections are bounded.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
    time::timeout,
};

use super::*;
use namechain_core::{chain::ReadError, codec::Encode};

#[tokio::test]
async fn what_can_not_be_asked_for() {
    let bench = Bench::start().await;
    for path in [
        "/v1/names/ab",
        "/v1/names/Alice",
        "/v1/names/a%1bb",
        "/v1/names/%ff%fe",
        "/v1/names/AB/proof",
    ] {
        bench.get(path).await.refuses(400, "bad-request");
    }
    for path in
        ["/v1/names/alice?height=x", "/v1/names/alice/proof?height=-1", "/v1/names/alice?heigth=1"]
    {
        bench.get(path).await.refuses(400, "bad-request");
    }
    for path in ["/v1/names/alice?height=9", "/v1/names/alice/proof?height=4294967295"] {
        bench.get(path).await.refuses(404, "not-found");
    }
    for path in [
        "/v1/blocks/x",
        "/v1/blocks/-1",
        "/v1/blocks/+1",
        "/v1/blocks/4294967296",
        "/v1/blocks/abcd",
    ] {
        bench.get(path).await.refuses(400, "bad-request");
    }
    bench.get("/v1/blocks/4").await.refuses(404, "not-found");
    bench.get(&format!("/v1/blocks/{}", Hash([9; 32]))).await.refuses(404, "not-found");
    bench.get("/v1/commitments/abcd").await.refuses(400, "bad-request");
}

#[tokio::test]
async fn what_is_not_there() {
    let bench = Bench::start().await;
    for path in ["/", "/v1", "/v1/names", "/v1/names/", "/v1/status/", "/v2/status", "/favicon.ico"]
    {
        bench.get(path).await.refuses(404, "not-found");
    }
    let answer = bench.request("DELETE", "/v1/status", &[], b"").await;
    answer.refuses(405, "bad-request");
    assert!(answer.head.contains("allow: get"), "{answer:?}");
    bench.get("/v1/ops").await.refuses(405, "bad-request");
}

#[tokio::test]
async fn bundles_that_are_none() {
    let bench = Bench::start().await;
    let json = &["Content-Type: application/json"];
    for body in ["", "{}", "[]", "{\"bundle\": \"xyz\"}", "{\"bundle\": \"00\", \"more\": 1}"] {
        let answer = bench.request("PUT", "/v1/bundles/alice", json, body.as_bytes()).await;
        answer.refuses(400, "bad-request");
    }
    let put = b"{\"bundle\": \"00\"}";
    bench.request("PUT", "/v1/bundles/alice", &[], put).await.refuses(415, "bad-request");
    let large = format!("{{\"bundle\": \"{}\"}}", "00".repeat(60_000));
    bench
        .request("PUT", "/v1/bundles/alice", json, large.as_bytes())
        .await
        .refuses(413, "too-large");
    // The backend of these tests keeps none.
    bench.request("PUT", "/v1/bundles/alice", json, put).await.refuses(404, "not-found");
    bench.get("/v1/bundles/alice").await.refuses(404, "not-found");
    bench.get("/v1/bundles/-").await.refuses(400, "bad-request");
    bench.request("POST", "/v1/bundles/alice/prekey", &[], b"").await.refuses(404, "not-found");
    bench.get("/v1/bundles/alice/prekey").await.refuses(405, "bad-request");
}

#[tokio::test]
async fn operations_that_are_none() {
    let bench = Bench::start().await;
    for body in [
        "",
        "{",
        "[]",
        "{}",
        "{\"operation\": 1}",
        "{\"operation\": \"00\", \"\u{1b}[31m\": 1}",
        "{\"operation\": \"xyz\"}",
        "{\"operation\": \"0\"}",
        "{\"operation\": \"\"}",
        "{\"operation\": \"ff00\"}",
    ] {
        bench.post(body).await.refuses(400, "bad-request");
    }
    let longer = [bench.node.commit(&name("bobby")).to_bytes(), vec![0]].concat();
    bench
        .post(&format!("{{\"operation\": \"{}\"}}", hex::encode(longer)))
        .await
        .refuses(400, "bad-request");
    for headers in [&[][..], &["Content-Type: text/plain"], &["Content-Type: application/jsonp"]] {
        bench.request("POST", "/v1/ops", headers, b"{}").await.refuses(415, "bad-request");
    }
    let operation = bench.node.commit(&name("bobby"));
    assert_eq!(bench.submit(&operation).await.status, 202, "the server goes on");
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let bench = Bench::start().await;
    for bytes in [ops::MAX_BODY_BYTES + 1, 3_000_000] {
        bench.post(&"0".repeat(bytes)).await.refuses(413, "too-large");
    }
    // One that does not say how large it is.
    let chunk = format!("8000\r\n{}\r\n", "0".repeat(0x8000));
    let request = format!(
        "POST /v1/ops HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(3)
    );
    bench.raw(request.as_bytes()).await.refuses(413, "too-large");
    assert_eq!(bench.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_nodes_refusals_have_their_status() {
    let bench = Bench::start().await;
    let operation = bench.node.commit(&name("bobby"));
    for (code, status) in [
        ("rule", 422),
        ("conflict", 409),
        ("full", 503),
        ("unavailable", 503),
        ("bad-request", 400),
    ] {
        let refusal = api_types::Refusal {
            code: code.into(),
            rule: Some("stamp-work".into()),
            message: "why".into(),
            hint: Some("what to do".into()),
        };
        *bench.node.refusal.lock().unwrap() = Some(refusal.clone());
        assert_eq!(bench.submit(&operation).await.refuses(status, code), refusal);
    }
}

#[tokio::test]
async fn web_pages_are_kept_out() {
    let bench = Bench::start().await;
    let ask = |headers: String| {
        let request = format!("GET /v1/status HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        let bench = &bench;
        async move { bench.raw(request.as_bytes()).await }
    };
    let port = bench.addr.port();
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), "[::1]".into()] {
        assert_eq!(ask(format!("Host: {host}\r\n")).await.status, 200);
        assert_eq!(ask(format!("Host: {host}\r\nOrigin: http://{host}\r\n")).await.status, 200);
        for origin in ["null", "http://attacker.example", "https://localhost", "http://localhost:1"]
        {
            ask(format!("Host: {host}\r\nOrigin: {origin}\r\n")).await.refuses(403, "forbidden");
        }
    }
    for host in ["attacker.example", "attacker.example:7380", "192.0.2.1"] {
        ask(format!("Host: {host}\r\n")).await.refuses(403, "forbidden");
    }
    ask(String::new()).await.refuses(400, "bad-request");
    ask("Host: localhost\r\nHost: attacker.example\r\n".into()).await.refuses(400, "bad-request");
    let preflight =
        bench.request("OPTIONS", "/v1/ops", &["Origin: http://attacker.example"], b"").await;
    preflight.refuses(403, "forbidden");
    assert!(!preflight.head.contains("access-control"), "{preflight:?}");
}

#[tokio::test]
async fn a_panic_behind_the_api_is_one_refusal() {
    let bench = Bench::start().await;
    bench.node.panics.store(true, std::sync::atomic::Ordering::Relaxed);
    bench.get("/v1/status").await.refuses(500, "unavailable");
    assert_eq!(bench.get("/v1/price").await.status, 200, "the server goes on");
}

#[tokio::test]
async fn what_is_no_http_ends_the_connection_only() {
    let bench = Bench::start().await;
    for garbage in
        [&b"\x00\x01\x02\xff\r\n\r\n"[..], b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"]
    {
        assert_eq!(bench.raw(garbage).await.status, 400);
    }
    let long = "x".repeat(serve::MAX_HEADER_BYTES);
    assert_eq!(
        bench.request("GET", "/healthz", &[&format!("Long: {long}")], b"").await.status,
        431
    );
    assert_eq!(bench.get("/healthz").await.status, 200);
}

/// A state that can't be read because the chain moved on is asked for again, and given up after a
/// few times.
#[tokio::test]
async fn a_reorganisation_under_a_reader() {
    let bench = Bench::start().await;
    let node = bench.node.clone();
    let asked = std::cell::Cell::new(0);
    let gone_until = |last: usize| {
        asked.set(0);
        names::read(
            &*node,
            None,
            |backend| backend.snapshot(),
            |snapshot| {
                asked.set(asked.get() + 1);
                match asked.get() < last {
                    true => Err(ReadError::Gone { key: Hash::ZERO, height: snapshot.height() }),
                    false => Ok(snapshot.height()),
                }
            },
        )
    };
    assert_eq!(gone_until(3).unwrap(), 3);
    let refused = gone_until(usize::MAX).unwrap_err();
    assert_eq!((refused.0.as_u16(), asked.get()), (503, 3));
}

/// The clock stands still unless all wait: then it goes to where the first of them wakes up.
#[tokio::test(start_paused = true)]
async fn who_sends_nothing_is_cut_off() {
    let bench = Bench::start().await;
    for said in ["", "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = bench.connect().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(
            rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"),
            "{:?}",
            String::from_utf8_lossy(&rest)
        );
    }
    let request = "POST /v1/ops HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 100\r\n\r\n{";
    bench.raw(request.as_bytes()).await.refuses(503, "unavailable");
}

/// A client that has asked once, keeps its connection open, and says no more.
async fn idle(bench: &Bench) -> tokio::net::TcpStream {
    let mut stream = bench.connect().await;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// However many connections are open and silent, the next one is answered at once: the clock stands
/// still until all wait, so nothing here can be the work of a timeout.
#[tokio::test(start_paused = true)]
async fn connections_are_bounded_and_idle_ones_make_room() {
    let bench = Bench::start().await;
    let mut first = idle(&bench).await;
    let mut open = Vec::new();
    for _ in 0..300 {
        open.push(bench.connect().await);
    }
    for _ in 0..serve::MAX_CONNECTIONS {
        open.push(idle(&bench).await);
    }
    let answer = timeout(Duration::from_secs(1), bench.get("/healthz")).await;
    assert_eq!(answer.expect("it does not wait for the others").status, 200);
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"\r\n\r\nok\n"), "the oldest is closed: {rest:?}");
    assert_eq!(bench.admin("GET", "/healthz", &[], b"").await.status, 200);
}

#[tokio::test]
async fn stopping_waits_for_the_answer() {
    let bench = Bench::start().await;
    let (open_gate, gate) = oneshot::channel();
    let (tell, arrived) = oneshot::channel();
    *bench.node.gate.lock().unwrap() = Some(gate);
    *bench.node.arrived.lock().unwrap() = Some(tell);
    let operation = bench.node.commit(&name("bobby"));
    let Bench { node, addr, stop, server, .. } = bench;
    let request = tokio::spawn(async move { bench::submit(addr, &operation).await });
    arrived.await.unwrap();
    let idle = tokio::net::TcpStream::connect(addr).await.unwrap();
    stop.send(()).unwrap();
    open_gate.send(()).unwrap();
    assert_eq!(request.await.unwrap().status, 202);
    server.await.unwrap().unwrap();
    drop(idle);
    assert_eq!(Arc::strong_count(&node), 1, "nothing of the server is left");
}

//! Who may use which route: taken from the router and from the document, so that no route is
//! forgotten.

use super::*;

/// The paths of a list of routes.
fn paths<M>(routes: impl IntoIterator<Item = (&'static str, M)>) -> BTreeSet<&'static str> {
    routes.into_iter().map(|(path, _)| path).collect()
}

/// A path with something that is there in each of its places.
fn example(path: &str) -> String {
    path.replace("{name}", "alice").replace("{block}", "1").replace("{commitment}", "00")
}

/// The methods that the document has for each path.
async fn described(bench: &Bench) -> Vec<(String, Vec<String>, bool)> {
    let document: serde_json::Value = bench.get("/openapi.json").await.json();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap();
        let is_admin = |method: &serde_json::Value| {
            method["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == "admin"))
        };
        let admin = methods.values().filter(|method| is_admin(method)).count();
        assert!([0, methods.len()].contains(&admin), "{path} is for the admin or for everybody");
        let names = methods.keys().map(|method| method.to_uppercase()).collect();
        all.push((path.clone(), names, admin > 0));
    }
    all
}

#[tokio::test]
async fn the_document_describes_every_route_and_no_other() {
    let bench = Bench::start().await;
    let described = described(&bench).await;
    let of = |for_admin: bool| {
        let paths = described.iter().filter(|(.., admin)| *admin == for_admin);
        paths.map(|(path, ..)| path.as_str()).collect::<BTreeSet<_>>()
    };
    assert_eq!(of(false), paths(public_routes()));
    assert_eq!(of(true), paths(admin_routes()));
    // Each is described for the methods that it is served for: others are refused.
    for (path, methods, _) in &described {
        for method in ["GET", "PUT", "POST", "DELETE"] {
            let answer = bench.admin(method, &example(path), &[], b"").await;
            let is_described = methods.iter().any(|described| described == method);
            assert_eq!(answer.status == 405, !is_described, "{method} {path}");
        }
    }
    // Every type that an answer refers to is in the document.
    let document: serde_json::Value = bench.get("/openapi.json").await.json();
    let text = openapi::DOCUMENT;
    assert!(text.starts_with("{\n  \"openapi\": \"3."), "{}", &text[..40]);
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let schema = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(schema).is_some(), "{schema} is missing");
    }
}

/// Over TCP the admin's routes only say where they are, whatever the method; on the socket all
/// routes answer as they do over TCP.
#[tokio::test]
async fn what_is_for_the_admin_is_served_on_the_socket_only() {
    let bench = Bench::start().await;
    for (path, methods, is_admin) in described(&bench).await {
        for method in methods {
            let path = example(&path);
            let public = bench.request(&method, &path, &[], b"").await;
            let socket = bench.admin(&method, &path, &[], b"").await;
            assert_ne!(socket.status, 403, "{method} {path}: {socket:?}");
            assert!(!socket.body.contains("nothing under this path"), "{method} {path}");
            if is_admin {
                let refusal = public.refuses(403, "forbidden");
                assert!(refusal.hint.unwrap().contains("admin.sock"), "{method} {path}");
            } else {
                assert_eq!(public.status, socket.status, "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn no_web_page_uses_any_route() {
    let bench = Bench::start().await;
    let forbidden: [&[&str]; 3] = [
        &["Host: attacker.example"],
        &["Origin: http://attacker.example"],
        &["Host: localhost", "Origin: null"],
    ];
    for (path, methods, _) in described(&bench).await {
        let path = example(&path);
        for method in methods.iter().map(String::as_str).chain(["OPTIONS", "HEAD"]) {
            for headers in forbidden {
                for answer in [
                    bench.request(method, &path, headers, b"").await,
                    bench.admin(method, &path, headers, b"").await,
                ] {
                    assert_eq!(answer.status, 403, "{method} {path} {headers:?}: {answer:?}");
                    let allows = answer.head.contains("access-control");
                    assert!(!allows && !answer.body.contains("admin.sock"), "{answer:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn bans_are_added_listed_and_lifted() {
    let bench = Bench::start().await;
    let json = extension::JSON;
    let add = br#"{"target": "192.0.2.0/24", "seconds": 60}"#;
    let forever = br#"{"target": "198.51.100.7"}"#;
    let ban = |target: &str, until| api_types::BanInfo {
        target: target.into(),
        until,
        reason: "operator".into(),
    };
    let expected = [ban("192.0.2.0/24", Some(60)), ban("198.51.100.7", None)];
    for (body, ban) in [&add[..], &forever[..]].into_iter().zip(&expected) {
        let answer = bench.admin("POST", "/v1/bans", json, body).await;
        assert_eq!(answer.json::<api_types::BanInfo>(), *ban);
    }
    for wrong in
        ["", "{}", "[]", r#"{"target": "a", "until": 1}"#, r#"{"target": "a", "seconds": -1}"#]
    {
        bench.admin("POST", "/v1/bans", json, wrong.as_bytes()).await.refuses(400, "bad-request");
    }
    bench.admin("POST", "/v1/bans", &[], add).await.refuses(415, "bad-request");
    let bans: api_types::Bans = bench.admin("GET", "/v1/bans", &[], b"").await.json();
    assert_eq!(bans.bans, expected);
    // Nothing is lifted by mistake.
    for wrong in ["{}", r#"{"all": false}"#, r#"{"all": true, "target": "198.51.100.7"}"#] {
        bench
            .admin("POST", "/v1/bans/lift", json, wrong.as_bytes())
            .await
            .refuses(400, "bad-request");
    }
    for (what, lifted) in [(r#"{"target": "198.51.100.7"}"#, 1), (r#"{"all": true}"#, 1)] {
        let answer = bench.admin("POST", "/v1/bans/lift", json, what.as_bytes()).await;
        assert_eq!(answer.json::<api_types::Lifted>().lifted, lifted);
    }
    let bans: api_types::Bans = bench.admin("GET", "/v1/bans", &[], b"").await.json();
    assert_eq!(bans.bans, []);
}

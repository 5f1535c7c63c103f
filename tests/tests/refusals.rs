//! What is refused, and how: each with its own exit code or rule, in one line, and the server goes
//! on.

use std::net::SocketAddr;

use namechain_core::{
    codec::Encode,
    consensus::{header::signing_context, work::PowHasher},
    types::{Action, Hash, Name, Network, Operation, RecordSet, SecretKey, SignedOperation, Stamp},
};
use serde_json::json;
use tests::{
    http,
    machine::Machine,
    program::{Outcome, User},
    source,
    upstream::Counting,
    zones,
};

/// The exit codes that the documents promise.
const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const KEY: i32 = 4;
const UNREACHABLE: i32 = 5;
const CONFLICT: i32 = 7;

/// One line says what is wrong; the output stays empty, or is one JSON value.
fn refused(outcome: Outcome, code: i32, words: &[&str]) {
    assert_eq!(outcome.code, code, "{outcome:?}");
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    for word in words {
        assert!(said.contains(word), "'{word}' in {outcome:?}");
    }
    assert!(!said.contains("panicked"), "{outcome:?}");
    let control = said.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{outcome:?}");
}

#[test]
fn zonetool_says_what_it_will_not_do() {
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    let api = resolver.addr("api");
    let minimal = zones::path("minimal");
    let minimal = minimal.to_str().expect("UTF-8");
    let register = |user: &User, name: &str, zone: &str| {
        user.zonetool(&["register", name, "--zone", zone, "--wait"])
    };
    register(&user, "alice", minimal).ok();

    refused(register(&user, "wpad", minimal), CONFLICT, &["reserved"]);
    refused(register(&user, "com", minimal), CONFLICT, &["reserved"]);
    refused(register(&user, "Ab", minimal), USAGE, &[]);
    refused(register(&user, "under_score", minimal), USAGE, &[]);
    refused(
        register(&user, "bob", "testdata/zones/there-is-none.zone"),
        USAGE,
        &["there-is-none.zone"],
    );
    refused(user.zonetool(&["show", "nobody-has-this"]), NOT_FOUND, &["nobody-has-this"]);

    let other = User::new(api);
    refused(register(&other, "alice", minimal), CONFLICT, &["alice"]);
    refused(other.zonetool(&["update", "alice", "--zone", minimal]), KEY, &["alice"]);
    let keyless = User::without_key(api);
    refused(register(&keyless, "carol", minimal), KEY, &["key new"]);

    let nowhere = User::new("127.0.0.1:1".parse().expect("an address"));
    refused(nowhere.zonetool(&["status"]), UNREACHABLE, &["127.0.0.1:1"]);
    // None of this has changed anything.
    assert_eq!(http::get(api, "/v1/names/alice").json()["next_sequence"], 1);
    user.zonetool(&["show", "alice"]).ok();
}

/// Every file in `testdata/zones/refused` says in its first line where and why: `; refused: line 4:
/// SOA`.
#[test]
fn a_malformed_zone_is_refused_with_its_line() {
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    let api = resolver.addr("api");
    let cases = zones::in_dir(&source::root().join("testdata/zones/refused"));
    assert!(cases.len() >= 8, "only {}", cases.len());
    for case in cases {
        let text = std::fs::read(&case.path).expect("a zone file");
        let text = String::from_utf8_lossy(&text);
        let first = text.lines().next().and_then(|line| line.strip_prefix("; refused: "));
        let words: Vec<&str> =
            first.unwrap_or_else(|| panic!("{}: no first line", case.name)).split(": ").collect();
        let zone = case.path.to_str().expect("UTF-8");
        refused(user.zonetool(&["register", "alice", "--zone", zone]), USAGE, &words);
    }
    let waiting = http::get(api, "/v1/status").json()["mempool_operations"].clone();
    assert_eq!(waiting, 0, "nothing was sent");
    let alice = http::get(api, "/v1/names/alice").json();
    assert_eq!((&alice["standing"], &alice["pending"]), (&"available".into(), &false.into()));
}

/// A stamp over the tip, still to be worked.
fn stamp(api: SocketAddr, work: u64) -> Stamp {
    let price = http::get(api, "/v1/price").json();
    Stamp {
        anchor: price["anchor"].as_str().expect("an anchor").parse().expect("an id"),
        work,
        nonce: 0,
    }
}

fn worked(mut operation: Operation) -> Operation {
    let (subject, stamp) = (operation.stamp_subject(Network::Dev), *operation.stamp());
    let found = PowHasher::new(Network::Dev).search_stamp(&subject, stamp, 1 << 16);
    *operation.stamp_mut() = found.expect("so little work is found");
    operation
}

#[test]
fn the_node_names_the_rule_that_an_operation_breaks() {
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    let api = resolver.addr("api");
    user.register("alice", &zones::path("minimal"));
    let refuse = |operation: Operation, rule: &str| {
        let body = json!({ "operation": hex(&operation.to_bytes()) }).to_string();
        let answer = http::post(api, "/v1/ops", &body);
        assert_eq!(answer.json()["rule"], rule, "{answer:?}");
        assert!((400..500).contains(&answer.status), "{answer:?}");
        assert_ne!(answer.json()["message"], "", "{answer:?}");
    };
    // Updates of alice by a key that does not have her.
    let prices = http::get(api, "/v1/price").json();
    let price = |what: &str| prices[what].as_u64().expect("a price");
    let alice = http::get(api, "/v1/names/alice").json();
    let title: Hash = alice["entry"]["title"].as_str().expect("a title").parse().expect("a hash");
    let now = alice["time"].as_u64().expect("a time");
    let update = |reference: Hash, valid_until, change: fn(&mut SignedOperation)| {
        let (key, name) = (SecretKey::from_seed(&[7; 32]), Name::parse("alice").expect("a name"));
        let action = Action::Update { sequence: 1, records: RecordSet::default() };
        let mut named = SignedOperation::sign(
            &signing_context(Network::Dev.params(), 2),
            name,
            reference,
            valid_until,
            action,
            &key,
            stamp(api, price("update")),
        );
        change(&mut named);
        worked(Operation::Named(named))
    };
    let soon = now + 600;
    refuse(update(title, soon, |_| ()), "not-owner");
    refuse(update(Hash([6; 32]), soon, |_| ()), "title");
    refuse(update(title, now - 1, |_| ()), "validity");
    refuse(update(title, now + 10 * 86_400, |_| ()), "validity");
    refuse(update(title, soon, |named| named.signature.0[0] ^= 1), "signature");
    // Commitments, which anybody can make: with too little work, with less than they claim, with
    // work for another chain.
    let commit = |stamp| Operation::Commit { commitment: Hash([8; 32]), stamp };
    refuse(worked(commit(stamp(api, price("register") - 1))), "underpaid");
    refuse(commit(stamp(api, u64::MAX)), "stamp-work");
    refuse(
        worked(commit(Stamp { anchor: Hash([9; 32]), ..stamp(api, price("register")) })),
        "stamp-anchor",
    );
    assert_eq!(http::get(api, "/v1/status").json()["mempool_operations"], 0);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_api_refuses_what_is_no_request_of_ours() {
    let machine = Machine::new(Counting::start().addr);
    let resolver = machine.resolver();
    let api = resolver.addr("api");
    let long = format!("{{\"operation\": \"{}\"}}", "00".repeat(1 << 20));
    let json = "Content-Type: application/json\r\n";
    for (method, path, headers, body, status, code) in [
        ("POST", "/v1/ops", json, long.as_str(), 413, "too-large"),
        ("POST", "/v1/ops", json, "{", 400, "bad-request"),
        ("POST", "/v1/ops", json, "{\"operation\": \"zz\"}", 400, "bad-request"),
        ("POST", "/v1/ops", json, "{\"operation\": \"00\"}", 400, "bad-request"),
        ("POST", "/v1/ops", json, "{\"operation\": \"\", \"more\": 1}", 400, "bad-request"),
        ("POST", "/v1/ops", "", "{\"operation\": \"00\"}", 415, "bad-request"),
        ("GET", "/v1/names/NOT_A_NAME", "", "", 400, "bad-request"),
        ("GET", "/v1/blocks/4294967296", "", "", 400, "bad-request"),
        ("GET", "/v1/blocks/999999", "", "", 404, "not-found"),
        ("GET", "/v1/nothing-here", "", "", 404, "not-found"),
        ("GET", "/v1/status", "Host: attacker.example\r\n", "", 403, "forbidden"),
        ("GET", "/v1/status", "Origin: http://attacker.example\r\n", "", 403, "forbidden"),
    ] {
        let answer = http::send(api, method, path, headers, body);
        assert_eq!(
            (answer.status, &answer.json()["code"]),
            (status, &json!(code)),
            "{method} {path}: {answer:?}"
        );
    }
    assert_eq!(http::get(api, "/healthz").status, 200);
}

/// What a client needs to know of the API is in the document that it serves.
#[test]
fn the_api_describes_itself() {
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    user.register("alice", &zones::path("minimal"));
    let api = resolver.addr("api");
    let document = http::get(api, "/openapi.json").json();
    let paths = document["paths"].as_object().expect("paths");
    for path in [
        "/v1/status",
        "/v1/names/{name}",
        "/v1/names/{name}/proof",
        "/v1/ops",
        "/v1/price",
        "/healthz",
        "/readyz",
        "/metrics",
    ] {
        assert!(paths.contains_key(path), "{path} in {:?}", paths.keys());
    }
    assert!(paths.keys().any(|path| path.starts_with("/v1/blocks/{")), "{:?}", paths.keys());
    let status = http::get(api, "/v1/status").json();
    assert_eq!((&status["network"], &status["synced"]), (&json!("dev"), &json!(true)));
    let schema = &document["components"]["schemas"]["Status"]["properties"];
    for key in status.as_object().expect("an object").keys() {
        assert!(schema[key].is_object(), "{key} is described");
    }
    assert_eq!(http::get(api, "/v1/names/alice").json()["standing"], "active");
    assert_eq!(http::get(api, "/v1/names/nobodys").json()["standing"], "available");
    assert_eq!(http::get(api, "/v1/names/alice/proof").json()["name"], "alice");
    assert_eq!(http::get(api, "/v1/blocks/0").json()["height"], 0);
    assert_eq!(http::get(api, "/readyz").status, 200);
    let metrics = http::get(api, "/metrics");
    assert!(metrics.status == 200 && metrics.body.contains("# TYPE "), "{metrics:?}");
}

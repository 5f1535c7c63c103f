//! The first to commit wins, though another has registered first: two nodes that know of one
//! Register each, and then of both.

use std::fs;

use serde_json::Value;
use tests::{
    dig,
    node::Host,
    program::{Daemon, User},
    tools,
    upstream::Counting,
    wait, zones,
};

/// On the dev network a name settles for a block and a second. Node A's clock is ahead of B's by
/// this, and so is the block that it makes: as no block's time is before its parent's, the next
/// ones are of the same second, and the name settles for as long as the test takes.
const AHEAD_S: u32 = 240;

fn height(host: &Host, node: &Daemon) -> u64 {
    host.status(node.addr("api"))["height"].as_u64().expect("a height")
}

/// Goes on with a registration as far as it goes without a block.
fn step(user: &User, code: i32) -> Value {
    let zone = zones::path("alice");
    let zone = zone.to_str().expect("UTF-8");
    let args = ["register", "alice", "--zone", zone, "--wait", "--no-mine", "--timeout", "1"];
    let done = user.zonetool(&args);
    assert_eq!(done.code, code, "{done:?}");
    done.json()
}

/// Mines a block that records an operation.
fn mine(user: &User) {
    let mined = user.zonetool(&["mine", "--blocks", "1", "--threads", "1"]).ok().json();
    assert_eq!((&mined["operations"], &mined["tip"]), (&1.into(), &true.into()), "{mined}");
}

fn key(user: &User) -> String {
    let shown = user.zonetool(&["whoami"]).ok().json();
    shown["owner"].as_str().expect("a key").to_owned()
}

/// That at this node the name is the user's, and settles.
fn settles(host: &Host, node: &Daemon, owner: &str) {
    let api = node.addr("api");
    wait::until(&format!("alice is {owner}'s at {api}"), || {
        host.owner(api, "alice").filter(|(found, _)| found == owner)
    });
    let shown = host.ask(api, &["show", "alice"]).ok().json();
    assert_eq!(shown["standing"], "settling", "{shown}");
}

/// A resolver that uses this node says that the name does not resolve yet, and does not ask legacy
/// DNS.
fn does_not_resolve(host: &Host, node: &Daemon) {
    let upstream = Counting::start();
    let (url, asked) = (format!("http://{}", node.addr("api")), upstream.addr.to_string());
    let args = ["--dev", "--node", &url, "--listen", "127.0.0.1:0", "--upstream", &asked, "--json"];
    let home = host.data();
    let home = home.parent().expect("a home");
    let resolver = Daemon::start("resolver", &args, home);
    let reply = dig::ask(resolver.addr("dns"), "www.alice.", "A", "");
    assert_eq!((reply.status.as_str(), reply.answer.len()), ("NXDOMAIN", 0), "{reply:?}");
    assert_eq!(reply.ede, [0], "{reply:?}");
    assert!(!upstream.asked().iter().any(|name| name.contains("alice")));
}

#[test]
fn an_older_commitment_displaces_a_younger_one_that_registered_first() {
    const TEST: &str = "an_older_commitment_displaces_a_younger_one_that_registered_first";
    let Some(library) = tools::faketime(TEST) else { return };
    if !tools::available(TEST, &["dig"]) {
        return;
    }
    let (host_a, host_b) = (Host::new(), Host::new());
    // Both commit on one chain, Bob a block before Mallory.
    let node = host_a.node(&["--mine", "off"]);
    let (mut bob, mut mallory) = (host_a.user(&node), host_a.user(&node));
    let (bobs, mallorys) = (key(&bob), key(&mallory));
    for user in [&bob, &mallory] {
        step(user, 6);
        mine(user);
    }
    node.interrupt();
    fs::create_dir(host_b.data()).expect("room for data");
    for entry in fs::read_dir(host_a.data()).expect("data").flatten() {
        if entry.file_name().to_string_lossy().starts_with("blocks-") {
            fs::copy(entry.path(), host_b.data().join(entry.file_name())).expect("a copy");
        }
    }
    // Mallory registers first, at A. Bob's Register waits at B.
    let any = "/ip4/127.0.0.1/tcp/0";
    let a = host_a.node_ahead(&library, AHEAD_S, &["--mine", "off", "--listen", any]);
    let b = host_b.node(&["--mine", "off"]);
    mallory.move_to(a.addr("api"));
    bob.move_to(b.addr("api"));
    step(&mallory, 6);
    mine(&mallory);
    settles(&host_a, &a, &mallorys);
    step(&bob, 6);
    assert_eq!((height(&host_a, &a), height(&host_b, &b)), (3, 2));
    b.interrupt();
    // They connect: both have Mallory's registration, and Bob's displaces it.
    let b = host_b.node(&["--mine", "off", "--peer", &a.p2p()[0]]);
    bob.move_to(b.addr("api"));
    settles(&host_b, &b, &mallorys);
    does_not_resolve(&host_b, &b);
    mine(&bob);
    for (host, node) in [(&host_a, &a), (&host_b, &b)] {
        settles(host, node, &bobs);
        assert_eq!(height(host, node), 4);
    }
    does_not_resolve(&host_b, &b);
    let taken = step(&mallory, 7);
    let message = taken["error"]["message"].as_str().expect("a message");
    let bobs_key = bob.zonetool(&["key", "show"]).ok().json();
    assert!(message.contains(bobs_key["owner_text"].as_str().expect("a key")), "{taken}");
}

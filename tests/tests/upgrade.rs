//! The rehearsal of an upgrade (docs/protocol.md, section 12): a network crosses an activation with
//! nodes that know the branch and one that does not.

use serde_json::{Value, json};
use tests::{http, node::Host, program::Daemon, wait, zones};

/// From the second start of the nodes to the activation, in seconds: they are up by then.
const LEAD_S: u64 = 15;

/// The version in the header of a node's tip.
fn tip_version(api: std::net::SocketAddr) -> Option<u32> {
    let height = http::look(api, "/v1/status")?["height"].as_u64()?;
    let block = http::look(api, &format!("/v1/blocks/{height}"))?;
    u32::from_str_radix(block["bytes"].as_str()?.get(..8)?, 16).ok()
}

fn protocol(host: &Host, node: &Daemon) -> Value {
    host.status(node.addr("api"))["protocol"].clone()
}

#[test]
fn a_network_crosses_an_activation() {
    let (new_host, other_host, old_host) = (Host::new(), Host::new(), Host::new());
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/0"];
    let old = old_host.node(&[&listen[..], &["--mine", "off"]].concat());
    let old_address = old.p2p()[0].clone();
    let before = new_host.node(&["--peer", &old_address]);
    let user = new_host.user(&before);
    user.register("alice", &zones::path("minimal"));
    assert_eq!(protocol(&new_host, &before)["branch"], 2);
    wait::until("the old node knows alice", || old_host.owner(old.addr("api"), "alice"));
    assert_eq!(before.interrupt().code(), Some(0));

    // Two nodes are upgraded.
    let status = old_host.status(old.addr("api"));
    let now = [&status["tip_time"], &status["tip_age"]].map(|part| part.as_u64().expect("seconds"));
    let from = now[0] + now[1] + LEAD_S;
    let branch = format!("3@{from}/newtld");
    let rehearsed = ["--rehearse-upgrade", &branch];
    let new = new_host.node(&[&rehearsed[..], &listen, &["--peer", &old_address]].concat());
    let new_address = new.p2p()[0].clone();
    let peers = ["--mine", "off", "--peer", &new_address, "--peer", &old_address];
    let other = other_host.node(&[&rehearsed[..], &peers].concat());
    let user = user.at(new.addr("api"));
    let announced =
        json!({ "branch": 2, "next": { "number": 3, "from": from }, "upgrade_needed": null });
    assert_eq!(protocol(&new_host, &new), announced);
    old_host.has_peers(old.addr("api"), 2);

    wait::until("the activation", || (protocol(&new_host, &new)["branch"] == 3).then_some(()));
    // What is signed now is signed under the new rules, by a name of before too.
    let zone = zones::path("alice");
    user.zonetool(&["update", "alice", "--zone", zone.to_str().expect("UTF-8"), "--wait"]).ok();
    user.register("after-the-date", &zones::path("minimal"));
    assert_eq!(tip_version(new.addr("api")), Some(3));
    let reserved =
        user.zonetool(&["register", "newtld", "--zone", zone.to_str().expect("UTF-8"), "--wait"]);
    assert_eq!(reserved.code, 7, "{reserved:?}");
    wait::until("the other upgraded node follows", || {
        other_host.owner(other.addr("api"), "after-the-date")
    });

    // The old one says so, stays where it was, and keeps its peers, whom it does not blame.
    wait::until("an upgrade is needed", || {
        (protocol(&old_host, &old)["upgrade_needed"] == 3).then_some(())
    });
    assert_eq!(tip_version(old.addr("api")), Some(2));
    assert_eq!(old_host.owner(old.addr("api"), "after-the-date"), None);
    old_host.has_peers(old.addr("api"), 2);
    let known = http::get_admin(old.admin(), "/v1/peers").json();
    for peer in known["peers"].as_array().expect("a list") {
        assert_eq!(peer["score"], 0, "{known}");
    }
    let said = old_host.ask(old.addr("api"), &["status"]);
    assert_eq!(said.json()["protocol"]["upgrade_needed"], 3, "{said:?}");

    // Upgraded on the same data, it follows.
    assert_eq!(old.interrupt().code(), Some(0));
    let upgraded =
        old_host.node(&[&rehearsed[..], &["--mine", "off", "--peer", &new_address]].concat());
    wait::until("the upgraded node knows the name", || {
        old_host.owner(upgraded.addr("api"), "after-the-date")
    });
    assert_eq!(protocol(&old_host, &upgraded)["upgrade_needed"], Value::Null);
}

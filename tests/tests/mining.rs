//! Mining from outside of the node, when the node itself does not mine.

use tests::{node::Host, zones};

fn zone() -> String {
    zones::path("alice").to_str().expect("UTF-8").to_owned()
}

/// Whoever waits mines, after it has said so.
#[test]
fn a_registration_goes_through_though_nobody_mines() {
    let host = Host::new();
    let node = host.node(&["--mine", "off"]);
    let user = host.user(&node);
    let zone = zone();
    let register = ["register", "alice", "--zone", &zone, "--wait"];
    // Left to others, nothing comes.
    let alone = user.zonetool(&[&register[..], &["--no-mine", "--timeout", "5"]].concat());
    assert_eq!(alone.code, 6, "{alone:?}");
    let done = user.zonetool(&register).ok();
    assert_eq!(done.json()["state"], "active", "{done:?}");
    assert!(done.stderr.contains("mining on this machine"), "{done:?}");
    assert_eq!(host.status(node.addr("api"))["mining"], "off");
}

#[test]
fn a_miner_outside_mines_what_waits_or_what_it_is_told_to() {
    let host = Host::new();
    let node = host.node(&["--mine", "off"]);
    let user = host.user(&node);
    let mined = user.zonetool(&["mine", "--always", "--blocks", "3", "--threads", "1"]).ok();
    let heights: Vec<u64> = mined
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a document a line"))
        .map(|block| block["height"].as_u64().expect("a height"))
        .collect();
    assert_eq!(heights, [1, 2, 3]);
    assert_eq!(host.status(node.addr("api"))["height"], 3);
    // Of its own accord only when there is a reason.
    let zone = zone();
    let waiting =
        user.zonetool(&["register", "bob", "--zone", &zone, "--no-mine", "--timeout", "1"]);
    assert_eq!(waiting.code, 6, "the commitment waits: {waiting:?}");
    let mined = user.zonetool(&["mine", "--blocks", "1"]).ok();
    assert_eq!(mined.json()["operations"], 1, "{mined:?}");
}

//! `zonetool peer resolve` against real nodes: what is seen for the first time, again, after a
//! change, and every way of putting another key in the place of the right one.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;
use tests::{
    program::{Outcome, User},
    users::{self, World, refused},
    zones,
};

fn resolve(user: &User, more: &[&str]) -> Outcome {
    user.zonetool(&[&["peer", "resolve", "alice"], more].concat())
}

fn pin_status(user: &User, more: &[&str]) -> String {
    resolve(user, more).ok().json()["pin_status"].as_str().expect("a pin_status").to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn what_was_seen_before_decides() {
    let world = World::new();
    let (alice, words) = world.person("alice", &["--locator", "https://alice.example/"]);
    let bob = User::new(world.node.addr("api"));
    refused(bob.zonetool(&["peer", "resolve", "nobody"]), 3, "nobody is not registered");
    refused(bob.zonetool(&["peer", "resolve", "al_ice"]), 2, "is not a name");
    let saved = bob.home().join("alice.proof");
    let first = resolve(&bob, &["--save", text(&saved)]).ok().json();
    let shown = alice.zonetool(&["peer", "show", "alice"]).ok().json();
    assert_eq!((&first["pin_status"], &first["header"]), (&"first".into(), &"node".into()));
    assert_eq!((&first["messaging"], &first["seen"]), (&shown["messaging"], &Value::Null));
    let pins = bob.home().join(".local/share/namechain/peers/dev/pins");
    assert_eq!(fs::metadata(&pins).expect("the pins").permissions().mode() & 0o777, 0o600);
    let again = resolve(&bob, &[]).ok().json();
    assert_eq!(
        (&again["pin_status"], &again["seen"]["identity"]),
        (&"same".into(), &shown["messaging"]["identity"])
    );
    let told = bob.zonetool_text(&["peer", "resolve", "alice"]).ok().stdout;
    assert!(
        told.contains("pin          same") && told.contains("blocks below the node's tip"),
        "{told}"
    );

    // One rotation vouches for itself; of two, the records between are asked for.
    let rotate =
        || alice.zonetool(&["peer", "rotate", "alice", "--words-file", &words, "--wait"]).ok();
    rotate();
    assert_eq!(pin_status(&bob, &[]), "rotated");
    rotate();
    rotate();
    assert_eq!(pin_status(&bob, &[]), "rotated");
    assert_eq!(pin_status(&bob, &[]), "same");
    // The file of the first look is a good proof of what stood then, and that is over.
    let offline = ["--offline", text(&saved), "--trust-file-header"];
    refused(resolve(&bob, &offline), 9, "older than those seen before");
    refused(
        resolve(&bob, &[&offline[..], &["--accept", "forked"]].concat()),
        9,
        "older than those seen before",
    );

    alice
        .zonetool(&["peer", "publish", "alice", "--index", "7", "--words-file", &words, "--wait"])
        .ok();
    refused(resolve(&bob, &[]), 9, "the old key did not sign for it");
    refused(resolve(&bob, &["--accept", "transferred"]), 9, "the old key did not sign for it");
    assert_eq!(pin_status(&bob, &["--accept", "unlinked"]), "unlinked");
    assert_eq!(pin_status(&bob, &[]), "same");

    alice.zonetool(&["peer", "revoke", "alice", "--wait"]).ok();
    let carol = User::new(world.node.addr("api"));
    refused(resolve(&carol, &[]), 3, "alice has no identity key");
    refused(resolve(&bob, &[]), 9, "alice has no identity key any more");
    assert_eq!(resolve(&bob, &["--accept", "gone"]).ok().json()["messaging"], Value::Null);
    alice.zonetool(&["peer", "publish", "alice", "--wait"]).ok();
    assert_eq!(pin_status(&bob, &[]), "same", "the same key as before");
    alice.zonetool(&["revoke", "alice", "--yes", "--wait"]).ok();
    refused(resolve(&bob, &[]), 9, "alice is revoked");
    refused(resolve(&carol, &[]), 9, "alice is revoked");
    assert_eq!(pin_status(&carol, &["--accept", "revoked"]), "revoked");
}

#[test]
fn a_buyer_is_not_the_seller() {
    let world = World::new();
    let (alice, _) = world.person("alice", &[]);
    let (friend, words) = world.user();
    let bob = User::new(world.node.addr("api"));
    assert_eq!(pin_status(&bob, &[]), "first");
    let owner =
        friend.zonetool(&["key", "show"]).ok().json()["owner"].as_str().expect("a key").to_owned();
    alice.zonetool(&["transfer", "alice", "--to", &owner, "--yes", "--wait"]).ok();
    friend.zonetool(&["accept", "alice", "--yes", "--wait"]).ok();
    friend.zonetool(&["peer", "publish", "alice", "--words-file", &words, "--wait"]).ok();
    refused(resolve(&bob, &[]), 9, "alice has another owner");
    refused(resolve(&bob, &["--accept", "unlinked"]), 9, "alice has another owner");
    assert_eq!(pin_status(&bob, &["--accept", "transferred"]), "transferred");
    assert_eq!(pin_status(&bob, &[]), "same");
}

/// A proof file with something else in it.
fn changed(file: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value =
        serde_json::from_str(&fs::read_to_string(file).expect("a proof")).expect("JSON");
    change(&mut value);
    let path = file.with_extension("changed");
    fs::write(&path, value.to_string()).expect("room");
    text(&path).to_owned()
}

#[test]
fn a_stored_proof_needs_no_node_and_proves_nothing_else() {
    let world = World::new();
    let (alice, _) = world.person("alice", &[]);
    world.person("carol", &[]);
    let bob = User::new(world.node.addr("api"));
    let (of_alice, of_carol) = (bob.home().join("alice.proof"), bob.home().join("carol.proof"));
    resolve(&bob, &["--save", text(&of_alice)]).ok();
    bob.zonetool(&["peer", "resolve", "carol", "--save", text(&of_carol)]).ok();
    let file: Value =
        serde_json::from_str(&fs::read_to_string(&of_alice).expect("a proof")).expect("JSON");
    let header = file["header"].as_str().expect("a header").to_owned();

    // Nobody answers there: nothing is asked.
    let closed = User::without_key("127.0.0.1:1".parse().expect("an address"));
    let offline =
        |more: &[&str]| resolve(&closed, &[&["--offline", text(&of_alice)], more].concat());
    refused(offline(&[]), 9, "is not known to be on the chain");
    let given = offline(&["--header", &header]).ok().json();
    assert_eq!((&given["pin_status"], &given["header"]), (&"first".into(), &"given".into()));
    assert_eq!(offline(&["--trust-file-header"]).ok().json()["pin_status"], "same");
    let wrong = format!("{}00", &header[..header.len() - 2]);
    let other = if wrong == header { format!("{}01", &header[..header.len() - 2]) } else { wrong };
    refused(offline(&["--header", &other]), 9, "not known to be on the chain");
    refused(offline(&["--header", "00"]), 2, "--header is not a header");
    assert_eq!(resolve(&closed, &["--trust-file-header"]).code, 2);

    let from = |file: &str| resolve(&closed, &["--offline", file, "--header", &header]);
    // Another name: as it is, and called by ours.
    refused(from(text(&of_carol)), 9, "the proof is of carol, not of alice");
    refused(from(&changed(&of_carol, |file| file["name"] = "alice".into())), 9, "");
    // Another network: what is hashed there is tagged otherwise.
    refused(
        from(&changed(&of_alice, |file| file["network"] = "test".into())),
        9,
        "the proof does not verify",
    );
    // Another sequence number, key, or anything: the entry is not the proven one.
    let entry = file["entry"].as_str().expect("an entry").to_owned();
    for at in (0..entry.len()).step_by(37) {
        let digit = if &entry[at..=at] == "0" { "1" } else { "0" };
        let entry = format!("{}{digit}{}", &entry[..at], &entry[at + 1..]);
        refused(
            from(&changed(&of_alice, |file| file["entry"] = entry.into())),
            9,
            "does not verify",
        );
    }
    refused(from(&changed(&of_alice, |file| file["entry"] = Value::Null)), 9, "does not verify");
    // Too old for whoever asks for the latest.
    alice.zonetool(&["peer", "publish", "alice", "--locator", "https://a.example/", "--wait"]).ok();
    let tip = bob.zonetool(&["peer", "resolve", "alice", "--save", text(&of_alice)]).ok().json();
    assert_eq!(tip["pin_status"], "same");
    refused(from(text(&of_alice)), 9, "");
    // With a header that is held, a node that nobody trusts serves as well.
    let old: Value =
        serde_json::from_str(&fs::read_to_string(&of_alice).expect("a proof")).expect("JSON");
    let newest = old["header"].as_str().expect("a header");
    assert_eq!(resolve(&bob, &["--header", newest]).ok().json()["header"], "given");
    refused(resolve(&bob, &["--header", &other]), 9, "");
}

/// Two nodes go on from the same chain, each with another record of the same number: who has seen
/// the one is not shown the other.
#[test]
fn what_a_reorganisation_has_undone_is_not_believed_silently() {
    let home = tempfile::tempdir().expect("a home");
    let (here, there) = (home.path().join("here"), home.path().join("there"));
    let node = users::node(home.path(), &here);
    let mut alice = User::without_key(node.addr("api"));
    let made = alice.zonetool(&["key", "new", "--no-passphrase"]).ok().json();
    let words: Vec<&str> =
        made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    let file = alice.home().join("words");
    fs::write(&file, words.join(" ")).expect("room");
    alice.register("alice", &zones::path("minimal"));
    node.interrupt();
    let copied = std::process::Command::new("cp").arg("-r").args([&here, &there]).status();
    assert!(copied.is_ok_and(|status| status.success()), "a copy of the chain");

    let (one, other) = (users::node(home.path(), &here), users::node(home.path(), &there));
    let mut bob = User::without_key(one.addr("api"));
    for (node, locator) in [(&one, "https://one.example/"), (&other, "https://other.example/")] {
        alice.move_to(node.addr("api"));
        let args = [
            "peer",
            "publish",
            "alice",
            "--locator",
            locator,
            "--words-file",
            text(&file),
            "--wait",
        ];
        alice.zonetool(&args).ok();
    }
    assert_eq!(pin_status(&bob, &[]), "first");
    bob.move_to(other.addr("api"));
    refused(resolve(&bob, &[]), 9, "another record with the same number");
    assert_eq!(pin_status(&bob, &["--accept", "forked"]), "forked");
}

//! The keys that speak for a name: `zonetool peer` against a real node of the dev network.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use tests::{
    program::User,
    users::{World, refused},
    zones,
};

fn steps(user: &User) -> Vec<(String, Option<u64>)> {
    let history = user.zonetool(&["peer", "history", "alice"]).ok().json();
    let steps = history["steps"].as_array().expect("steps").iter();
    steps
        .map(|step| (step["how"].as_str().expect("how").to_owned(), step["sequence"].as_u64()))
        .collect()
}

#[test]
fn a_key_is_published_rotated_and_withdrawn() {
    let world = World::new();
    let (user, words) = world.user();
    user.register("alice", &zones::path("minimal"));
    refused(user.zonetool(&["peer", "show", "alice"]), 3, "alice has no identity key");
    refused(user.zonetool(&["peer", "revoke", "alice"]), 3, "alice has no identity key");
    refused(
        user.zonetool(&["peer", "rotate", "alice", "--words-file", &words]),
        3,
        "has no identity key",
    );

    let published = ["peer", "publish", "alice", "--words-file", &words];
    let dry = user.zonetool(&[&published[..], &["--dry-run"]].concat()).ok().json();
    assert_eq!((&dry["action"], &dry["signed_as"]), (&"publish".into(), &"owner".into()));
    assert_eq!(fs::read_dir(user.keys()).expect("keys").count(), 1, "nothing was written");

    let first =
        user.zonetool(&[&published[..], &["--wait", "--locator", "https://a.example/"]].concat());
    let first = first.ok().json()["messaging"].clone();
    assert_eq!((&first["sequence"], &first["linked"]), (&1.into(), &false.into()));
    assert_eq!(first["locators"], Value::from(vec!["https://a.example/"]));
    let file = user.keys().join("identity-0.key");
    assert_eq!(fs::metadata(&file).expect("the identity key").permissions().mode() & 0o777, 0o600);
    // The file has the key now: no words are needed, and what is not given stays.
    refused(user.zonetool(&["peer", "publish", "alice"]), 7, "has exactly this record already");
    let allowed =
        user.zonetool(&["peer", "publish", "alice", "--x25519-alone", "yes", "--wait"]).ok().json();
    let allowed = &allowed["messaging"];
    assert_eq!((&allowed["x25519_alone"], &allowed["sequence"]), (&true.into(), &2.into()));
    assert_eq!(
        (&allowed["identity"], &allowed["locators"]),
        (&first["identity"], &first["locators"])
    );

    let rotated =
        user.zonetool(&["peer", "rotate", "alice", "--words-file", &words, "--wait"]).ok().json();
    let rotated = &rotated["messaging"];
    assert_eq!((&rotated["sequence"], &rotated["linked"]), (&3.into(), &true.into()));
    assert_ne!(rotated["identity"], first["identity"]);
    let shown = user.zonetool(&["peer", "show", "alice"]).ok().json();
    assert_eq!((&shown["messaging"], &shown["index"]), (rotated, &1.into()));
    assert_eq!(&user.zonetool(&["show", "alice"]).ok().json()["messaging"], rotated);

    user.zonetool(&["peer", "publish", "alice", "--index", "7", "--words-file", &words, "--wait"])
        .ok();
    user.zonetool(&["peer", "revoke", "alice", "--wait"]).ok();
    refused(user.zonetool(&["peer", "show", "alice"]), 3, "alice has no identity key");
    let again = user.zonetool(&["peer", "publish", "alice", "--wait"]).ok().json();
    assert_eq!(again["messaging"]["sequence"], 5);
    let expected = [("first", 1), ("same", 2), ("linked", 3), ("unlinked", 4)];
    let mut expected: Vec<(String, Option<u64>)> =
        expected.map(|(how, sequence)| (how.to_owned(), Some(sequence))).into();
    expected.extend([("withdrawn".to_owned(), None), ("first".to_owned(), Some(5))]);
    assert_eq!(steps(&user), expected);

    // What stands is proven with the name.
    let proof = user.home().join("alice.proof");
    let proven = user.zonetool_text(&["prove", "alice"]).ok().stdout;
    fs::write(&proof, proven).expect("room for a proof");
    let verified = user.zonetool(&["verify", proof.to_str().expect("UTF-8")]).ok().json();
    assert_eq!(verified["entry"]["messaging"], again["messaging"]);
    let told = user.zonetool(&["history", "alice"]).ok().json();
    let kinds: Vec<&str> = told["operations"]
        .as_array()
        .expect("operations")
        .iter()
        .filter_map(|operation| operation["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        ["register", "publish", "publish", "publish", "publish", "publish", "publish"]
    );
}

#[test]
fn only_the_owner_publishes_and_a_buyer_inherits_nothing() {
    let world = World::new();
    let ((user, words), (friend, other_words)) = (world.user(), world.user());
    user.register("alice", &zones::path("minimal"));
    refused(
        friend.zonetool(&["peer", "publish", "alice", "--words-file", &other_words]),
        4,
        "belongs to",
    );
    refused(
        user.zonetool(&["peer", "publish", "alice", "--words-file", &other_words]),
        4,
        "the words give",
    );
    refused(user.zonetool(&["peer", "publish", "alice", "--locator", "a b"]), 2, "printable ASCII");
    let published =
        user.zonetool(&["peer", "publish", "alice", "--words-file", &words, "--wait"]).ok().json();
    let sellers = published["messaging"]["identity"].clone();

    let owner =
        friend.zonetool(&["key", "show"]).ok().json()["owner"].as_str().expect("a key").to_owned();
    user.zonetool(&["transfer", "alice", "--to", &owner, "--yes", "--wait"]).ok();
    assert_eq!(user.zonetool(&["show", "alice"]).ok().json()["messaging"]["identity"], sellers);
    friend.zonetool(&["accept", "alice", "--yes", "--wait"]).ok();
    refused(friend.zonetool(&["peer", "show", "alice"]), 3, "alice has no identity key");
    let bought = friend
        .zonetool(&["peer", "publish", "alice", "--words-file", &other_words, "--wait"])
        .ok()
        .json();
    assert_eq!(bought["messaging"]["sequence"], 1);
    assert_ne!(bought["messaging"]["identity"], sellers);
    let told: Vec<String> = steps(&friend).into_iter().map(|(how, _)| how).collect();
    assert_eq!(told, ["first", "transferred", "first"]);
}

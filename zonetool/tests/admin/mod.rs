//! Commands that use the admin socket: where it is found, peers and bans.

use super::*;

#[test]
fn peers_are_listed_and_can_not_write_to_the_terminal() {
    let user = User::new();
    let node = Node::start_at(&user.home.path().join("admin.sock"), blocks());
    let listed = user.run(&node, &["peers"]);
    assert_eq!(
        (listed.code, &listed.json()["peers"][0]["score"]),
        (0, &Value::from(-20)),
        "{}",
        listed.stderr
    );
    let done = Command::new(env!("CARGO_BIN_EXE_zonetool"))
        .args(["--node", &node.url, "peers"])
        .output()
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    let line = "1 peer\nin  /ip4/192.0.2.1/tcp/7379  for 61 s, blocks only, latency 12 ms, \
                last block 90 s ago, height 7, score -20, evil/1";
    assert!(text.starts_with(line), "{text}");
    assert!(!text.contains("\nforged"), "{text}");
}

#[test]
fn bans_are_added_listed_and_lifted() {
    let user = User::new();
    let node = Node::start_at(&user.home.path().join("admin.sock"), blocks());
    assert_eq!(user.run(&node, &["bans"]).json()["bans"], serde_json::json!([]));
    let added = user.run(&node, &["bans", "add", "192.0.2.0/24", "--for", "7d"]);
    assert_eq!((added.code, &added.json()["target"]), (0, &Value::from("192.0.2.0/24")));
    let until = added.json()["until"].as_u64().unwrap();
    assert_eq!(user.run(&node, &["bans", "add", "12D3KooW"]).json()["until"], Value::Null);
    let listed = user.run(&node, &["bans"]).json();
    assert_eq!(listed["bans"][0]["until"], until);
    assert_eq!(listed["bans"][1]["target"], "12D3KooW");
    let none = user.run(&node, &["bans", "lift", "198.51.100.1"]);
    assert_eq!((none.code, &none.json()["error"]["code"]), (3, &Value::from("not-found")));
    assert_eq!(user.run(&node, &["bans", "lift", "12D3KooW"]).json()["lifted"], 1);
    assert_eq!(user.run(&node, &["bans", "lift", "--all"]).json()["lifted"], 1);
    assert_eq!(node.state().bans.len(), 0);
    for wrong in [&["lift"][..], &["lift", "a", "--all"], &["add"], &["add", "a", "--for", "7"]] {
        assert_eq!(user.run(&node, &[&["bans"], wrong].concat()).code, 2, "{wrong:?}");
    }
}

/// The socket is found in the data directory that is named, or in a default one; an HTTP address
/// does not do in its place.
#[test]
fn the_admin_socket_is_found() {
    let user = User::new();
    let run = |args: &[&str]| {
        let done = Command::new(env!("CARGO_BIN_EXE_zonetool"))
            .args(["--json"])
            .args(args)
            .env_clear()
            .env("HOME", user.home.path())
            .output()
            .unwrap();
        (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
    };
    let (code, text) = run(&["peers"]);
    assert!(code == 5 && text.contains(".local/share/namechain/dev/admin.sock"), "{text}");
    let (code, text) = run(&["--node", "http://127.0.0.1:1", "peers"]);
    assert!(code == 2 && text.contains("--data-dir"), "{text}");
    let dev = user.home.path().join(".local/share/namechain/dev");
    std::fs::create_dir_all(&dev).unwrap();
    let _node = Node::start_at(&dev.join("admin.sock"), blocks());
    assert_eq!(run(&["peers"]).0, 0);
    let state = user.home.path().join(".local/state/namechain");
    std::fs::create_dir_all(&state).unwrap();
    let _resolver = Node::start_at(&state.join("admin.sock"), blocks());
    let (code, text) = run(&["peers"]);
    assert!(code == 2 && text.contains("several programs"), "{text}");
    let dir = dev.to_str().unwrap();
    assert_eq!(run(&["peers", "--data-dir", dir]).0, 0);
    assert_eq!(run(&["--node", "http://127.0.0.1:1", "bans", "--data-dir", dir]).0, 0);
    let gone = user.home.path().to_str().unwrap();
    assert_eq!(run(&["peers", "--data-dir", gone]).0, 5);
}

//! `renew --all` and `list --ics` against a node of the tests.

use super::*;

/// A user who owns alice, whose lease ends in `seconds`, and the node that says so. What `list` has
/// found before says which names to look up.
fn owner_of_alice(seconds: i64) -> (Node, User) {
    let user = User::new();
    let mut entry = entry_of(user.key.public(), &[]);
    // The entry's lease ends 10,000,000 s from now.
    entry.expires = entry.expires.checked_add_signed(seconds - 10_000_000).unwrap();
    let node = Node::start(State {
        blocks_a_look: 10,
        version: "0.1.0".into(),
        entry: Some((alice(), entry)),
        ..State::default()
    });
    let key = user.run(&node, &["key", "show"]).json();
    let genesis = namechain_core::consensus::header::genesis(NETWORK).header.id(NETWORK);
    let cache = serde_json::json!({
        "owner": user.key.public(), "recovery": key["recovery"], "height": 0, "block": genesis,
        "names": ["alice", "somebodys"],
    });
    let directory = user.home.path().join(".local/share/namechain/names");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("dev.json"), cache.to_string()).unwrap();
    (node, user)
}

const DAY: i64 = 86_400;

#[test]
fn what_is_due_is_renewed() {
    for days in [30, -3] {
        let (node, user) = owner_of_alice(days * DAY);
        let before = node.state().entry.clone().unwrap().1.expires;
        let done = user.run(&node, &["renew", "--all", "--wait"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let renewed = done.json();
        assert_eq!((&renewed["name"], &renewed["state"]), (&"alice".into(), &"recorded".into()));
        assert_eq!(renewed["expires"], before + NETWORK.params().lease);
        assert!(renewed["expires_utc"].as_str().unwrap().ends_with('Z'), "{renewed}");
        assert_eq!(node.state().submitted, ["renew"]);
    }
}

#[test]
fn what_is_not_due_is_listed_with_its_day() {
    let (node, user) = owner_of_alice(200 * DAY);
    let done = user.read(&node, &["renew", "--all"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("; alice can be renewed from 20"), "{}", done.stderr);
    assert!(done.stderr.contains("(in 109 days)"), "{}", done.stderr);
    assert!(node.state().submitted.is_empty());
}

#[test]
fn a_dry_run_renews_nothing() {
    let (node, user) = owner_of_alice(30 * DAY);
    let done = user.run(&node, &["renew", "--all", "--dry-run"]);
    assert_eq!((done.code, &done.json()["dry_run"]), (0, &true.into()), "{}", done.stderr);
    assert!(node.state().submitted.is_empty());
}

/// What is refused is named, and the exit code says why.
#[test]
fn what_could_not_be_renewed_is_an_error() {
    let (node, user) = owner_of_alice(30 * DAY);
    node.state().refusal = Some(Refusal {
        code: "full".into(),
        rule: None,
        message: "the mempool is full".into(),
        hint: None,
    });
    let done = user.run(&node, &["renew", "--all"]);
    assert_eq!(done.code, 7, "{}", done.stderr);
    let error = done.json()["error"].clone();
    assert_eq!(error["message"], "the node refuses: the mempool is full");
    let words = "alice is not renewed: the node refuses: the mempool is full";
    assert!(done.stderr.contains(words), "{}", done.stderr);
}

/// RFC 5545 §3.1: lines end with CR and LF.
#[test]
fn the_calendar_is_a_file_that_programs_read() {
    let (node, user) = owner_of_alice(30 * DAY);
    let done = user.read(&node, &["list", "--ics"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines: Vec<&str> = done.stdout.strip_suffix("\r\n").unwrap().split("\r\n").collect();
    assert_eq!(lines.len(), 11, "{lines:?}");
    assert_eq!((lines[0], lines[10]), ("BEGIN:VCALENDAR", "END:VCALENDAR"));
    assert_eq!(lines[7], "SUMMARY:The lease of alice ends");
    assert!(!done.stdout.contains('\\'), "{}", done.stdout);
}

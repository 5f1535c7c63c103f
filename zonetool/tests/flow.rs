//! Registering and updating against a node that makes blocks as it is asked, and against nodes that
//! refuse, forget and lie. The real node is spoken to in the workspace's end-to-end tests.

mod admin;
mod node;
mod renewing;
mod schema;
mod user;

use std::{os::unix::fs::PermissionsExt, process::Command};

use namechain_core::{
    api_types::Refusal,
    codec::Decode,
    consensus::header::signing_context,
    types::{
        Action, Hash, Name, Operation, PublicKey, Record, RecordSet, SecretKey, SignedOperation,
        Stamp, commitment,
    },
};
use node::{Commit, Fate, NETWORK, Node, State, entry_of};
use serde_json::Value;
use user::User;

/// A key that nobody here has.
fn stranger() -> PublicKey {
    SecretKey::from_seed(&[5; 32]).public()
}

fn alice() -> Name {
    Name::parse("alice").unwrap()
}

fn records() -> RecordSet {
    RecordSet::new(vec![Record { owner: vec![0], rtype: 1, ttl: 300, rdata: vec![192, 0, 2, 1] }])
        .unwrap()
}

/// An operation of `key` under the title of [`entry_of`], or with this reference.
fn signed(key: &SecretKey, reference: Hash, action: Action) -> SignedOperation {
    let stamp = Stamp { anchor: Hash::ZERO, work: 1, nonce: 0 };
    let context = signing_context(NETWORK.params(), 2);
    SignedOperation::sign(&context, alice(), reference, u64::MAX, action, key, stamp)
}

fn blocks() -> State {
    State { height: 100, blocks_a_look: 3, version: "0.1.0".into(), ..State::default() }
}

#[test]
fn registering_commits_waits_and_registers() {
    let (node, user) = (Node::start(blocks()), User::new());
    let done = user.register(&node, &["--wait"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let result = done.json();
    assert_eq!(result["state"], "active");
    assert_eq!(result["owner"], user.key.public().to_string());
    let state = node.state();
    assert_eq!(state.submitted, ["commit", "register"]);
    let (_, entry) = state.entry.as_ref().unwrap();
    assert_eq!(result["recorded"], entry.registered_height);
    assert_eq!(result["expires"], entry.expires);
    assert!(state.height - 6 >= entry.settles_height, "it waited until the name is served");
    for words in ["commit: worked", "register: worked", "is settled"] {
        assert!(done.stderr.contains(words), "'{words}' in {}", done.stderr);
    }
}

#[test]
fn without_wait_it_ends_with_the_submission() {
    let (node, user) = (Node::start(blocks()), User::new());
    let done = user.register(&node, &[]);
    assert_eq!(
        (done.code, done.json()["state"].as_str()),
        (0, Some("submitted")),
        "{}",
        done.stderr
    );
    assert!(node.state().pending.is_some());
}

#[test]
fn it_waits_until_it_is_as_deep_as_it_should_be() {
    let (node, user) = (Node::start(blocks()), User::new());
    let done = user.register(&node, &["--wait", "--depth", "20"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let result = done.json();
    assert!(result["depth"].as_u64().unwrap() >= 20, "{result}");
    // Progress has a line at once, and then one every ten seconds: of what the last waiting was for
    // there is the first.
    assert!(done.stderr.contains("alice: recorded at height"), "{}", done.stderr);
    let without_wait = user.register(&node, &["--depth", "20"]);
    assert_eq!(without_wait.code, 2, "{}", without_wait.stderr);
}

/// A reorganisation while it waits: another has the name, or nobody.
#[test]
fn what_a_reorganisation_undoes_is_told() {
    let user = User::new();
    let other = stranger();
    for (fate, words) in [
        (Fate::LostTo(other), "alice is taken: it belongs to ncowner1"),
        (Fate::Undone, "a reorganisation has undone"),
        (Fate::DisplacedBy(other), "an older commitment has displaced your registration"),
    ] {
        let node = Node::start(State { fate: Some(fate), ..blocks() });
        let done = user.register(&node, &["--wait", "--depth", "20"]);
        assert_eq!(done.code, 7, "{}{}", done.stdout, done.stderr);
        let error = done.json()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
}

#[test]
fn status_is_watched_until_the_node_is_synced() {
    let user = User::new();
    let node = Node::start(State { catching_up: 3, ..blocks() });
    let done = user.run(&node, &["status", "--watch"]);
    assert_eq!((done.code, &done.json()["synced"]), (0, &true.into()), "{}", done.stderr);
    assert!(done.stderr.contains("blocks 100 of 3100, 100 a second, 10 s left"), "{}", done.stderr);
    let node = Node::start(State { syncing: true, ..blocks() });
    let late = user.run(&node, &["status", "--watch", "--timeout", "0"]);
    assert_eq!(late.code, 6, "{}", late.stderr);
}

#[test]
fn an_interrupted_registration_goes_on() {
    let (node, user) = (Node::start(State { blocks_a_look: 0, ..blocks() }), User::new());
    let interrupted = user.register(&node, &["--wait", "--timeout", "0"]);
    assert_eq!(
        (interrupted.code, interrupted.json()["error"]["code"].as_str()),
        (6, Some("timeout"))
    );
    node.state().blocks_a_look = 20;
    let done = user.register(&node, &["--wait"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(node.state().submitted, ["commit", "register"]);
}

/// A commitment with too little work, perhaps a stranger's copy of ours, is of no use and does no
/// harm.
#[test]
fn a_commitment_that_is_worth_too_little_is_not_used() {
    let user = User::new();
    let poor = commitment(NETWORK, &alice(), &user.key.public(), &user.key.salt(NETWORK, &alice()));
    let copy = Commit { id: Hash([3; 32]), work: 1, recorded: Some(50), spent: false };
    let node = Node::start(State { commitments: [(poor, vec![copy])].into(), ..blocks() });
    let done = user.register(&node, &["--wait"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(node.state().submitted, ["commit", "register"]);
    assert_ne!(done.json()["commit"], copy.id.to_string());
}

/// The worked Commit is kept: a node that forgot it gets it again, and nothing is worked twice.
#[test]
fn a_forgotten_commitment_is_submitted_again() {
    let (node, user) = (Node::start(State { forgetful: true, ..blocks() }), User::new());
    let lost = user.register(&node, &["--wait"]);
    assert_eq!(lost.code, 7, "{}", lost.stderr);
    assert!(lost.json()["error"]["message"].as_str().unwrap().contains("dropped the commitment"));
    let journal = user.home.path().join(".local/share/namechain/registrations/dev");
    let file = std::fs::read_dir(journal).unwrap().next().unwrap().unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    node.state().forgetful = false;
    let done = user.register(&node, &["--wait"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("submitted the commitment worked earlier"), "{}", done.stderr);
    assert_eq!(done.stderr.matches("commit: worked").count(), 0, "{}", done.stderr);
    assert!(!file.path().exists(), "the registration is done");
}

/// A registration that an earlier run submitted settles: it is waited for, not paid again.
#[test]
fn a_registration_of_an_earlier_run_is_waited_for() {
    let (node, user) = (Node::start(blocks()), User::new());
    let first = user.register(&node, &[]);
    assert_eq!((first.code, first.json()["state"].as_str()), (0, Some("submitted")));
    let done = user.register(&node, &["--wait"]);
    assert_eq!((done.code, done.json()["state"].as_str()), (0, Some("active")), "{}", done.stderr);
    assert_eq!(done.json()["operation"], first.json()["operation"]);
    assert_eq!(node.state().history.len(), 1);
    // Once it has settled there is nothing to go on with.
    let again = user.register(&node, &["--wait"]);
    assert_eq!(again.code, 7, "{}", again.stderr);
    assert_eq!(again.json()["error"]["code"], "already-yours");
}

#[test]
fn what_is_refused_before_any_work() {
    let user = User::new();
    let stranger = stranger();
    let with_entry = |owner| State { entry: Some((alice(), entry_of(owner, &[]))), ..blocks() };
    for (state, command, code, words) in [
        (State { syncing: true, ..blocks() }, "register", 8, "not synced"),
        (with_entry(stranger), "register", 7, "alice is taken: it belongs to ncowner1"),
        (with_entry(user.key.public()), "register", 7, "you own alice already"),
        (with_entry(stranger), "update", 4, "alice belongs to ncowner1"),
        (blocks(), "update", 3, "alice is not registered"),
    ] {
        let node = Node::start(state);
        let done = user.run(&node, &[command, "alice", "--zone", "alice.zone", "--wait"]);
        assert_eq!(done.code, code, "{words}: {}{}", done.stdout, done.stderr);
        let error = done.json()["error"].clone();
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(error["exit"], code);
        assert!(node.state().submitted.is_empty(), "{words}");
    }
}

#[test]
fn a_refusal_of_the_node_is_shown_with_rule_and_hint() {
    let user = User::new();
    for (code, rule, exit) in [
        ("rule", Some("sequence"), 7),
        ("rule", Some("name-taken"), 7),
        ("rule", Some("not-owner"), 4),
        ("rule", Some("name-unregistered"), 3),
        ("rule", Some("underpaid"), 7),
        ("conflict", None, 7),
        ("unavailable", None, 8),
        ("full", None, 7),
    ] {
        let refusal = Refusal {
            code: code.into(),
            rule: rule.map(str::to_owned),
            message: "no\u{1b}[2J\nnever".into(),
            hint: Some("try\u{202e} later".into()),
        };
        let node = Node::start(State { refusal: Some(refusal), ..blocks() });
        let done = user.register(&node, &[]);
        assert_eq!(done.code, exit, "{code} {rule:?}: {}", done.stderr);
        let error = done.json()["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("the node refuses: no"), "{message}");
        assert_eq!(
            rule.is_some_and(|rule| message.ends_with(&format!("[rule {rule}]"))),
            rule.is_some()
        );
        assert_eq!(error["hint"], "try\u{202e} later");
        assert!(!done.stdout.contains(['\u{1b}', '\u{202e}']), "{}", done.stdout);
    }
}

#[test]
fn a_node_that_forgets_is_told_from_one_that_is_slow() {
    let (node, user) = (Node::start(State { forgetful: true, ..blocks() }), User::new());
    let done = user.register(&node, &["--wait"]);
    assert_eq!(done.code, 7, "{}", done.stderr);
    assert!(done.json()["error"]["message"].as_str().unwrap().contains("dropped the commitment"));
}

#[test]
fn updating_replaces_and_does_nothing_twice() {
    let user = User::new();
    let node =
        Node::start(State { entry: Some((alice(), entry_of(user.key.public(), &[]))), ..blocks() });
    let update = || user.run(&node, &["update", "alice", "--zone", "alice.zone", "--wait"]);
    let done = update();
    assert_eq!((done.code, done.json()["state"].as_str()), (0, Some("active")), "{}", done.stderr);
    assert_eq!(done.json()["sequence"], 1);
    let again = update();
    assert_eq!(
        (again.code, again.json()["state"].as_str()),
        (0, Some("unchanged")),
        "{}",
        again.stderr
    );
    assert_eq!(node.state().submitted, ["update"]);
    let shown = user.run(&node, &["show", "alice"]).json();
    assert_eq!(shown["records"][0]["data"], "192.0.2.1");
    let zone = user.run(&node, &["zone", "alice"]).json();
    assert_eq!(zone["zone"], "$ORIGIN alice.\n@ 300 IN A 192.0.2.1\n");
}

#[test]
fn a_node_that_lies_does_no_harm() {
    let user = User::new();
    let mut entry = entry_of(stranger(), records().records());
    entry.records[0].owner = "zz".into();
    let state = State {
        entry: Some((alice(), entry)),
        version: "\u{1b}]0;x\u{7}\u{9b}\n".into(),
        ..blocks()
    };
    let node = Node::start(state);
    let shown = user.run(&node, &["show", "alice"]);
    assert_eq!(shown.code, 5, "{}", shown.stdout);
    let done = user.run(&node, &["status"]);
    assert_eq!(done.code, 0);
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!done.stdout.contains(control), "{}", done.stdout);
    assert_eq!(done.json()["version"], "\u{1b}]0;x\u{7}\u{9b}\n");
}

fn owned_by(user: &User) -> State {
    State { entry: Some((alice(), entry_of(user.key.public(), records().records()))), ..blocks() }
}

#[test]
fn a_dry_run_shows_what_is_signed_and_sends_nothing() {
    let user = User::new();
    let (node, to) = (Node::start(owned_by(&user)), stranger());
    let args = ["transfer", "alice", "--to", &to.to_string()];
    let dry = user.run(&node, &[&args[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert!(node.state().submitted.is_empty() && !dry.stderr.contains("worked"), "{}", dry.stderr);
    let shown = dry.json();
    assert_eq!((&shown["action"], &shown["signed_as"]), (&"transfer".into(), &"owner".into()));
    assert_eq!(
        (&shown["sequence"], &shown["price"], &shown["work"]),
        (&1.into(), &2.into(), &3.into())
    );
    assert_eq!(shown["fields"], serde_json::json!([{ "field": "to", "value": to }]));
    // Exactly this is signed then.
    let done = user.run(&node, &[&args[..], &["--yes", "--wait"]].concat());
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let bytes = hex::decode(&node.state().history[0].operation).unwrap();
    let Operation::Named(named) = Operation::from_bytes(&bytes).unwrap() else { panic!("no name") };
    // The time of validity may be a second later.
    let context = signing_context(NETWORK.params(), 2);
    let until = shown["valid_until"].as_u64().unwrap();
    assert!((until..until + 60).contains(&named.valid_until));
    let shown_then = SignedOperation { valid_until: until, ..named };
    assert_eq!(shown["message"], hex::encode(shown_then.signing_message(&context)));
    assert_eq!(done.json()["recorded"], node.state().history[0].height);
}

/// The same sequence number, recorded for another operation: nobody is told that theirs was.
#[test]
fn an_operation_that_was_overtaken_is_told() {
    let user = User::new();
    let update = Action::Update { sequence: 1, records: records() };
    let other = signed(&user.key, Hash([7; 32]), update);
    let node = Node::start(State { overtaken_by: Some(other), ..owned_by(&user) });
    let to = stranger().to_string();
    let done = user.run(&node, &["transfer", "alice", "--to", &to, "--yes", "--wait"]);
    assert_eq!(done.code, 7, "{}", done.stderr);
    let message = done.json()["error"]["message"].clone();
    assert_eq!(message, "another operation on alice was recorded instead: update [rule sequence]");
}

/// A person is told what a node has pruned, and where to ask instead; a script by a field.
#[test]
fn what_a_node_has_pruned_is_told() {
    let user = User::new();
    let node = Node::start(owned_by(&user));
    let to = stranger().to_string();
    assert_eq!(user.run(&node, &["transfer", "alice", "--to", &to, "--yes", "--wait"]).code, 0);
    let whole = user.run(&node, &["history", "alice"]);
    assert_eq!((whole.json()["pruned_below"].clone(), whole.stderr.as_str()), (Value::Null, ""));
    assert!(!user.read(&node, &["status"]).stdout.contains("pruned"));
    node.state().pruned_below = Some(90);
    let status = user.read(&node, &["status"]);
    let line = "blocks   kept from height 90 on, older ones are pruned";
    assert!(status.stdout.contains(line), "{}", status.stdout);
    assert!(status.stdout.contains("--node URL"), "{}", status.stdout);
    let status = user.run(&node, &["status"]).json();
    assert_eq!((&status["pruned"], &status["first_block"]), (&true.into(), &90.into()));
    let told = "operations below block 90 are missing: this node has pruned their blocks; ask a \
                node that keeps all blocks: --node URL\n";
    let history = user.run(&node, &["history", "alice"]);
    assert_eq!((history.code, history.stderr.as_str()), (0, told));
    assert_eq!(history.json()["pruned_below"], 90);
    assert_eq!(history.json()["operations"].as_array().unwrap().len(), 1);
    // Where nothing is left, the name is not called unregistered.
    node.state().history.clear();
    let history = user.run(&node, &["history", "alice"]);
    assert_eq!((history.code, history.stderr.as_str()), (0, told));
    // Keys can't be judged without those before them.
    let keys = user.run(&node, &["peer", "history", "alice"]);
    let error = keys.json()["error"].clone();
    assert_eq!((keys.code, &error["code"]), (3, &"pruned".into()), "{error}");
    assert!(error["hint"].as_str().unwrap().contains("--node URL"), "{error}");
}

#[test]
fn a_history_of_nonsense_is_refused() {
    let user = User::new();
    let node = Node::start(owned_by(&user));
    let to = stranger().to_string();
    assert_eq!(user.run(&node, &["transfer", "alice", "--to", &to, "--yes", "--wait"]).code, 0);
    let history = user.run(&node, &["history", "alice"]);
    assert_eq!(
        (history.code, &history.json()["operations"][0]["to"]),
        (0, &to.into()),
        "{}",
        history.stderr
    );
    // Of another name; in a circle; no operation at all.
    assert_eq!(user.run(&node, &["history", "bob"]).code, 5);
    node.state().next = Some(0);
    assert_eq!(user.run(&node, &["history", "alice"]).code, 5);
    node.state().next = None;
    node.state().history[0].operation = "\u{1b}".into();
    assert_eq!(user.run(&node, &["history", "alice"]).code, 5);
}

#[test]
fn a_scan_that_breaks_off_says_where_to_go_on() {
    let user = User::new();
    let node = Node::start(owned_by(&user));
    let scan = user.run(&node, &["key", "scan", "--from", "5", "--name", "alice"]);
    assert_eq!(scan.code, 3, "{}", scan.stderr);
    assert!(scan.stderr.contains("zonetool key scan --from 5 --name alice"), "{}", scan.stderr);
    // Past the tip there are no blocks to read: what is given is looked at all the same.
    let scan =
        user.run(&node, &["key", "scan", "--from", "1000", "--name", "alice", "--name", "bob"]);
    assert_eq!(scan.code, 0, "{}", scan.stderr);
    let found = scan.json()["found"].clone();
    assert_eq!(
        (&found["names"][0]["name"], found["names"].as_array().unwrap().len()),
        (&"alice".into(), 1)
    );
    let syncing = Node::start(State { syncing: true, ..owned_by(&user) });
    assert_eq!(user.run(&syncing, &["key", "scan"]).code, 8);
}

/// A name whose registration is on its way is not said to be free.
#[test]
fn a_registration_on_its_way_is_told() {
    let (node, user) = (Node::start(State { blocks_a_look: 0, ..blocks() }), User::new());
    let message = || {
        let shown = user.run(&node, &["show", "alice"]);
        assert_eq!(shown.code, 3, "{}", shown.stderr);
        let error = shown.json()["error"].clone();
        assert_eq!(error["code"], "not-registered");
        error["message"].as_str().unwrap().to_owned()
    };
    assert_eq!(message(), "alice is not registered");
    assert_eq!(user.register(&node, &["--wait", "--timeout", "0"]).code, 6);
    assert!(
        message().ends_with("the commitment of this machine waits for a block"),
        "{}",
        message()
    );
    node.state().blocks_a_look = 1;
    user.run(&node, &["status"]);
    node.state().blocks_a_look = 0;
    let recorded = message();
    assert!(recorded.contains("is recorded, and the name can be registered after "), "{recorded}");
    node.state().blocks_a_look = 20;
    user.run(&node, &["status"]);
    node.state().blocks_a_look = 0;
    assert_eq!(user.register(&node, &[]).code, 0);
    assert!(message().contains("its registration waits for the next block"), "{}", message());
}

/// Whether it can be done is looked up before a script is told that it needs a confirmation.
#[test]
fn it_looks_before_it_asks() {
    let user = User::new();
    let nobodys = Node::start(blocks());
    for command in [&["accept", "alice"][..], &["revoke", "alice"]] {
        assert_eq!(user.run(&nobodys, command).json()["error"]["code"], "not-registered");
    }
    let strangers =
        Node::start(State { entry: Some((alice(), entry_of(stranger(), &[]))), ..blocks() });
    assert_eq!(user.run(&strangers, &["revoke", "alice"]).json()["error"]["code"], "not-owner");
    let accept = user.run(&strangers, &["accept", "alice"]).json();
    assert_eq!(accept["error"]["rule"], "transfer-missing", "{accept}");
    let ours = Node::start(owned_by(&user));
    assert_eq!(user.run(&ours, &["revoke", "alice"]).json()["error"]["code"], "no-terminal");
}

/// `--to NAME` is that name's owner, which is shown.
#[test]
fn a_name_stands_for_its_owner() {
    let user = User::new();
    let node = Node::start(owned_by(&user));
    let done = user.run(&node, &["transfer", "alice", "--to", "alice", "--yes", "--dry-run"]);
    let shown = user.run(&node, &["whoami"]).json();
    let owner = shown["owner_text"].as_str().unwrap();
    assert!(done.stderr.contains(&format!("the owner of alice is {owner}")), "{}", done.stderr);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let nobody = user.run(&node, &["transfer", "alice", "--to", "carol", "--yes"]);
    assert_eq!(nobody.json()["error"]["message"], "carol is not registered");
    let typed = owner.replace("ncowner1", "ncowner1q");
    assert_eq!(user.run(&node, &["transfer", "alice", "--to", &typed, "--yes"]).code, 2);
}

/// The worked operation is stored: a node that lost it gets it again, and nothing is worked twice.
#[test]
fn a_lost_update_is_sent_again() {
    let user = User::new();
    let node = Node::start(State { forgetful: true, ..owned_by(&user) });
    std::fs::write(user.home.path().join("alice.zone"), "@ 300 A 192.0.2.7\n").unwrap();
    let update = || user.run(&node, &["update", "alice", "--zone", "alice.zone", "--wait"]);
    let lost = update();
    assert_eq!(lost.json()["error"]["code"], "dropped", "{}", lost.stderr);
    assert_eq!(lost.stderr.matches("update: worked").count(), 1, "{}", lost.stderr);
    node.state().forgetful = false;
    let done = update();
    assert_eq!((done.code, &done.json()["state"]), (0, &"active".into()), "{}", done.stderr);
    assert!(done.stderr.contains("the update worked earlier was used"), "{}", done.stderr);
    assert!(!done.stderr.contains("update: worked"), "{}", done.stderr);
}

#[test]
fn another_network_is_refused() {
    let (node, user) = (Node::start(blocks()), User::new());
    let refused = user.run(&node, &["--network", "main", "show", "alice"]);
    assert_eq!((refused.code, &refused.json()["error"]["code"]), (7, &"other-network".into()));
    assert_eq!(user.run(&node, &["--network", "dev", "show", "alice"]).code, 3);
    assert_eq!(user.run(&node, &["--network", "mian", "show", "alice"]).code, 2);
}

#[test]
fn the_price_of_a_name_follows_from_its_length() {
    let (node, user) = (Node::start(blocks()), User::new());
    let all = user.run(&node, &["price"]).json();
    let prices = all["prices"].as_array().unwrap();
    let price = |at: usize| prices[at]["price"].as_u64().unwrap();
    assert_eq!(prices.len(), 4);
    assert!(price(0) > price(1) && price(1) > price(2) && price(2) > price(3), "{all}");
    let one = user.run(&node, &["price", "alice"]).json();
    assert_eq!(one["prices"][0]["price"], prices[2]["price"], "{one}");
    assert_eq!(user.run(&node, &["price", "com"]).json()["error"]["code"], "reserved");
}

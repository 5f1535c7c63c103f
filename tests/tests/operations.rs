//! Every operation on a name, its history, proofs of it, and finding it again: `zonetool` against a
//! real node of the dev network, where a transfer can be accepted two seconds later.

use std::{fs, path::PathBuf};

use namechain_core::{
    codec::Encode,
    consensus::work::PowHasher,
    types::{Network, Operation, PublicKey, SecretKey, Stamp, commitment},
};
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    http,
    node::Host,
    program::{Daemon, Outcome, User},
    tools, wait, zones,
};

/// A node of its own, and somebody who makes it mine: on demand, a block needs something to record.
struct World {
    _home: TempDir,
    node: Daemon,
    driver: User,
}

impl World {
    fn new() -> World {
        let home = tempfile::tempdir().expect("a home");
        let data = home.path().join("node");
        let data = data.to_str().expect("UTF-8");
        let args = ["--network", "dev", "--api", "127.0.0.1:0", "--data-dir", data, "--json"];
        let node = Daemon::start("namechaind", &args, home.path());
        let driver = User::new(node.addr("api"));
        driver.register("driver", &zones::path("minimal"));
        World { _home: home, node, driver }
    }

    /// A user with a new key, and the file that holds its 24 words.
    fn user(&self) -> (User, PathBuf) {
        let user = User::without_key(self.node.addr("api"));
        let made = user.zonetool(&["key", "new", "--no-passphrase"]).ok().json();
        let words: Vec<&str> =
            made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
        assert_eq!(words.len(), 24);
        let file = user.home().join("words");
        fs::write(&file, words.join(" ")).expect("room for the words");
        (user, file)
    }

    /// One more block.
    fn block(&self) {
        let zone = zones::path("minimal");
        let text = fs::read_to_string(&zone).expect("a zone");
        let height = self.driver.zonetool(&["status"]).ok().json()["height"].clone();
        let file = self.driver.home().join("driver.zone");
        fs::write(&file, format!("{text}\nheight 300 TXT \"{height}\"\n"))
            .expect("room for a zone");
        let file = file.to_str().expect("UTF-8");
        self.driver.zonetool(&["update", "driver", "--zone", file, "--wait"]).ok();
    }
}

fn owner(user: &User) -> String {
    user.zonetool(&["key", "show"]).ok().json()["owner"].as_str().expect("a key").to_owned()
}

/// The same key with a checksum.
fn owner_text(user: &User) -> String {
    user.zonetool(&["key", "show"]).ok().json()["owner_text"].as_str().expect("a key").to_owned()
}

fn refused(outcome: Outcome, exit: i32, words: &[&str]) {
    assert_eq!(outcome.code, exit, "{outcome:?}");
    let error = outcome.json()["error"].clone();
    let said = format!("{} {}", error["message"], error["hint"]);
    for word in words {
        assert!(said.contains(word), "'{word}' in {said}");
    }
    assert_eq!(error["exit"], exit);
    assert!(!outcome.stderr.contains("worked"), "work for what is refused: {outcome:?}");
}

/// Commits to `name` as `zonetool register` does before it goes on.
fn commit(world: &World, user: &User, name: &str) {
    let file = fs::read_to_string(user.keys().join("owner.key")).expect("the key file");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    // Its first half is the owner's seed, written as a key is.
    let PublicKey(seed) =
        file["secret"].as_str().expect("a secret")[..64].parse().expect("32 bytes");
    let key = SecretKey::from_seed(&seed);
    let (network, name) = (Network::Dev, name.parse().expect("a name"));
    let api = world.node.addr("api");
    let price = http::get(api, "/v1/price").json();
    let anchor = price["anchor"].as_str().expect("an id").parse().expect("an id");
    let stamp = Stamp { anchor, work: price["register"].as_u64().expect("a price"), nonce: 0 };
    let commitment = commitment(network, &name, &key.public(), &key.salt(network, &name));
    let mut operation = Operation::Commit { commitment, stamp };
    let subject = operation.stamp_subject(network);
    *operation.stamp_mut() = PowHasher::new(network)
        .search_stamp(&subject, stamp, u64::MAX)
        .expect("a nonce that has the work");
    let bytes: String = operation.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let body = serde_json::json!({ "operation": bytes });
    let taken = http::post(api, "/v1/ops", &body.to_string());
    assert!((200..300).contains(&taken.status), "{taken:?}");
}

fn kinds(user: &User, name: &str) -> Vec<String> {
    let history = user.zonetool(&["history", name]).ok().json();
    let operations = history["operations"].as_array().expect("operations").clone();
    // Under each title the numbers begin again; what makes a title, and what is done once, has
    // none.
    let mut sequence = 0;
    for operation in &operations {
        match operation["kind"].as_str() {
            Some("update" | "transfer" | "publish") => {
                sequence += 1;
                assert_eq!(operation["sequence"], sequence, "{history}");
            }
            Some("register" | "accept" | "recover") => sequence = 0,
            _ => assert!(operation["sequence"].is_null(), "{history}"),
        }
    }
    operations
        .iter()
        .map(|operation| operation["kind"].as_str().expect("a kind").to_owned())
        .collect()
}

#[test]
fn a_name_changes_hands() {
    let world = World::new();
    let ((seller, _), (buyer, _), (stranger, _)) = (world.user(), world.user(), world.user());
    seller.register("alice", &zones::path("minimal"));
    let (from, to) = (owner(&seller), owner(&buyer));
    let (from_text, to_text) = (owner_text(&seller), owner_text(&buyer));

    // Nothing is offered yet, and an offer takes an agreement.
    refused(buyer.zonetool(&["accept", "alice", "--yes"]), 7, &["transfer-missing"]);
    refused(seller.zonetool(&["transfer", "alice", "--to", &to]), 2, &["--yes"]);
    refused(
        stranger.zonetool(&["transfer", "alice", "--to", &to, "--yes"]),
        4,
        &[&from_text, "not-owner"],
    );

    let transfer = ["transfer", "alice", "--to", &to_text, "--yes", "--wait"];
    let done = seller.zonetool(&transfer).ok().json();
    assert_eq!(
        (done["state"].as_str(), done["owner"].as_str()),
        (Some("recorded"), Some(from.as_str()))
    );
    let recorded = done["recorded"].as_u64().expect("a height");
    assert_eq!(done["transfer"]["opens_height"], recorded + 1);
    let opens = done["transfer"]["opens_time"].as_u64().expect("a time");
    assert_eq!(opens, done["recorded_time"].as_u64().expect("a time") + 2);
    let shown = seller.zonetool(&["show", "alice"]).ok().json();
    assert_eq!(shown["transfer"]["to"], to.as_str());
    let text = seller.zonetool_text(&["show", "alice"]).ok().stdout;
    assert!(text.contains("which can accept it "), "{text}");

    refused(stranger.zonetool(&["accept", "alice", "--yes"]), 4, &[&to_text, "not-recipient"]);
    refused(
        seller.zonetool(&["transfer", "alice", "--to", &to, "--yes"]),
        7,
        &["transfer-pending", "cancel"],
    );
    // A dry run sends nothing.
    let dry = wait::until("the time at which the name can be accepted", || {
        let dry = buyer.zonetool(&["accept", "alice", "--dry-run"]);
        (dry.code == 0).then(|| dry.json())
    });
    assert_eq!(
        (dry["dry_run"].as_bool(), dry["signed_as"].as_str()),
        (Some(true), Some("recipient"))
    );
    let done = buyer.zonetool(&["accept", "alice", "--yes", "--wait"]).ok().json();
    assert_eq!((&done["owner"], &done["sequence"]), (&Value::from(to.as_str()), &dry["sequence"]));
    let shown = buyer.zonetool(&["show", "alice"]).ok().json();
    assert_eq!((&shown["owner"], &shown["transfer"]), (&Value::from(to.as_str()), &Value::Null));
    assert_eq!(shown["records"], Value::Array(Vec::new()), "a buyer inherits no records");
    assert_eq!(shown["recovery"], buyer.zonetool(&["key", "show"]).ok().json()["recovery"]);
    let file = zones::path("alice");
    let file = file.to_str().expect("UTF-8");
    refused(seller.zonetool(&["update", "alice", "--zone", file]), 4, &[&to_text]);
    buyer.zonetool(&["update", "alice", "--zone", file, "--wait"]).ok();
    assert_eq!(kinds(&stranger, "alice"), ["register", "transfer", "accept", "update"]);
}

#[test]
fn an_offer_is_withdrawn_by_either_key() {
    let world = World::new();
    let ((user, words), (buyer, _)) = (world.user(), world.user());
    let words = words.to_str().expect("UTF-8");
    user.register("alice", &zones::path("minimal"));
    let to = owner(&buyer);
    refused(user.zonetool(&["cancel", "alice"]), 7, &["transfer-missing"]);
    for with in [vec![], vec!["--with-recovery", "--words-file", words]] {
        user.zonetool(&["transfer", "alice", "--to", &to, "--yes", "--wait"]).ok();
        let done =
            user.zonetool(&[&["cancel", "alice", "--wait"], with.as_slice()].concat()).ok().json();
        assert_eq!(done["signer"] == done["owner"], with.is_empty(), "{done}");
        assert_eq!(user.zonetool(&["show", "alice"]).ok().json()["transfer"], Value::Null);
        world.block();
        refused(buyer.zonetool(&["accept", "alice", "--yes"]), 7, &["transfer-missing"]);
    }
    assert_eq!(kinds(&user, "alice"), ["register", "transfer", "cancel", "transfer", "cancel"]);
}

/// The key was stolen and the name is on its way to the thief: the words bring it back.
#[test]
fn the_words_recover_a_name() {
    let world = World::new();
    let ((victim, words), (thief, thiefs_words)) = (world.user(), world.user());
    victim.register("alice", &zones::path("minimal"));
    let to = owner(&thief);
    victim.zonetool(&["transfer", "alice", "--to", &to, "--yes", "--wait"]).ok();
    let (fresh, _) = world.user();
    let words = words.to_str().expect("UTF-8");
    let thiefs_words = thiefs_words.to_str().expect("UTF-8");
    let recover = ["recover", "alice", "--owner", "mine"];
    let run = |user: &User, more: &[&str]| user.zonetool(&[&recover, more].concat());
    refused(run(&fresh, &["--words-file", words]), 2, &["--yes"]);
    refused(run(&thief, &["--yes", "--words-file", thiefs_words]), 4, &["not-recovery"]);
    let dry = run(&fresh, &["--dry-run"]).ok().json();
    assert_eq!((&dry["signed_as"], &dry["sequence"]), (&"recovery".into(), &Value::Null));
    let done = run(&fresh, &["--yes", "--wait", "--words-file", words]).ok().json();
    assert_eq!(done["owner"], owner(&fresh).as_str());
    let shown = fresh.zonetool(&["show", "alice"]).ok().json();
    assert_eq!((&shown["owner"], &shown["transfer"]), (&done["owner"], &Value::Null));
    assert_ne!(shown["records"], Value::Array(Vec::new()), "recovering keeps the records");
    assert_eq!(
        shown["recovery"],
        victim.zonetool(&["key", "show"]).ok().json()["recovery"],
        "it stays"
    );
    world.block();
    refused(thief.zonetool(&["accept", "alice", "--yes"]), 7, &["transfer-missing"]);
    refused(victim.zonetool(&["revoke", "alice", "--yes"]), 4, &["not-keyholder"]);
    // The words are on no output and in no file of the new wallet.
    let kept = fs::read_to_string(fresh.keys().join("owner.key")).expect("the key file");
    let first = fs::read_to_string(words).expect("the words");
    assert!(!kept.contains(&first), "the words are not kept");
}

#[test]
fn a_revoked_name_is_over() {
    let world = World::new();
    let (user, _) = world.user();
    user.register("alice", &zones::path("minimal"));
    refused(user.zonetool(&["revoke", "alice"]), 2, &["--yes"]);
    let dry = user.zonetool_text(&["revoke", "alice", "--dry-run"]).ok().stdout;
    for words in ["revoke", "alice", "(owner)", "expected hashes", "Nothing is signed"] {
        assert!(dry.contains(words), "'{words}' in {dry}");
    }
    assert_eq!(user.zonetool(&["show", "alice"]).ok().json()["standing"], "active");
    user.zonetool(&["revoke", "alice", "--yes", "--wait"]).ok();
    let shown = user.zonetool(&["show", "alice"]).ok().json();
    assert_eq!(
        (&shown["standing"], &shown["records"]),
        (&"revoked".into(), &Value::Array(Vec::new()))
    );
    assert!(
        user.zonetool_text(&["show", "alice"]).ok().stdout.contains("revoked: it does not resolve")
    );
    for args in [
        vec!["renew", "alice"],
        vec!["cancel", "alice"],
        vec!["revoke", "alice", "--yes"],
        vec!["transfer", "alice", "--to", &owner(&user), "--yes"],
    ] {
        refused(user.zonetool(&args), 7, &["name-revoked"]);
    }
    assert_eq!(kinds(&user, "alice"), ["register", "revoke"]);
}

/// 300 days after the registrations two names are renewed by one command, and the third, which was
/// revoked, is not touched. A second run finds nothing to do.
#[test]
fn all_names_are_renewed_in_the_last_quarter_of_their_leases() {
    const DAYS: u32 = 300;
    let test = "all_names_are_renewed_in_the_last_quarter_of_their_leases";
    let Some(library) = tools::faketime(test) else { return };
    let host = Host::new();
    let node = host.node(&[]);
    let mut user = host.user(&node);
    for name in ["alice", "bobby", "carol"] {
        user.register(name, &zones::path("minimal"));
    }
    user.zonetool(&["revoke", "carol", "--yes", "--wait"]).ok();
    let before = user.zonetool(&["show", "alice"]).ok().json()["expires"].clone();
    assert_eq!(node.interrupt().code(), Some(0));
    let later = host.node_ahead(&library, DAYS * 86_400, &[]);
    user.move_to(later.addr("api"));
    let run = |args: &[&str]| {
        let output = user.fed(&["faketime", "-f", &format!("+{DAYS}d")], args, b"");
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), output.stderr)
    };
    let (code, said, log) = run(&["--json", "renew", "--all", "--wait"]);
    assert_eq!(code, Some(0), "{said} {}", String::from_utf8_lossy(&log));
    let renewed: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect();
    let names: Vec<_> = renewed.iter().map(|it| (&it["name"], &it["state"])).collect();
    let recorded = Value::from("recorded");
    assert_eq!(names, [(&"alice".into(), &recorded), (&"bobby".into(), &recorded)]);
    let year = 365 * 86_400;
    assert_eq!(renewed[0]["expires"].as_u64(), before.as_u64().map(|before| before + year));
    let (code, said, log) = run(&["renew", "--all"]);
    let log = String::from_utf8_lossy(&log).into_owned();
    assert_eq!((code, said.as_str()), (Some(0), ""), "{log}");
    assert!(log.contains("can be renewed from"), "{log}");
}

#[test]
fn renewing_too_early_names_the_rule_and_the_date() {
    let world = World::new();
    let (user, _) = world.user();
    user.register("alice", &zones::path("minimal"));
    // In the last quarter of a lease of 365 days, so 273.75 days from now.
    let words = ["renew-early", "can be renewed from 20", "(in 27"];
    refused(user.zonetool(&["renew", "alice"]), 7, &words);
    refused(user.zonetool(&["renew", "nobody-has-it"]), 3, &["not registered"]);
    let all = user.zonetool_text(&["renew", "--all"]).ok();
    let words = "no name of your key can be renewed now; alice can be renewed from 20";
    assert!(all.stderr.contains(words), "{all:?}");
    refused(user.zonetool(&["renew", "alice", "--all"]), 2, &["cannot be used with"]);
    refused(user.zonetool(&["renew"]), 2, &["required"]);
    assert_eq!(kinds(&user, "alice"), ["register"]);
    refused(user.zonetool(&["history", "nobody-has-it"]), 3, &["not registered"]);
}

#[test]
fn a_proof_holds_and_a_changed_one_does_not() {
    let world = World::new();
    let (user, _) = world.user();
    user.register("alice", &zones::path("minimal"));
    let here = owner(&user);
    let file = user.home().join("alice.proof");
    let path = file.to_str().expect("UTF-8");
    let proof = user.zonetool_text(&["prove", "alice"]).ok().stdout;
    fs::write(&file, &proof).expect("room for a proof");

    // Offline: a header that nobody vouches for proves nothing.
    let offline = tests::program::command("zonetool", user.home()).args(["verify", path]).output();
    let offline = Outcome::from(offline.expect("zonetool runs"));
    assert_eq!((offline.code, offline.stdout.as_str()), (9, ""), "{offline:?}");
    assert!(offline.stderr.contains("its header is not known to be on the chain"), "{offline:?}");
    let elsewhere = ["--network", "main", "verify", path, "--trust-file-header"];
    let elsewhere = tests::program::command("zonetool", user.home()).args(elsewhere).output();
    let elsewhere = Outcome::from(elsewhere.expect("zonetool runs"));
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (7, ""), "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("the proof is of the network dev"), "{elsewhere:?}");
    let trusting = user.zonetool_text(&["verify", path, "--trust-file-header"]).ok();
    let says = |what: &str| trusting.stdout.contains(what);
    assert!(says(&owner_text(&user)) && says("present"), "{trusting:?}");

    let verified = user.zonetool(&["verify", path, "--name", "alice"]).ok().json();
    assert_eq!(
        (&verified["header"], &verified["entry"]["owner"]),
        (&"on-chain".into(), &here.as_str().into())
    );
    let before = verified["depth"].as_u64().expect("a depth");
    world.block();
    let verified = user.zonetool(&["verify", path]).ok().json();
    assert_eq!(verified["depth"], before + 1);

    let fields: Value = serde_json::from_str(&proof).expect("JSON");
    let header = fields["header"].as_str().expect("a header");
    let with_header = user.zonetool(&["verify", path, "--header", header]).ok().json();
    assert_eq!(with_header["proven"], "present");
    refused(user.zonetool(&["verify", path, "--name", "bob"]), 9, &["of alice, not of bob"]);
    refused(user.zonetool(&["verify", path, "--header", "00"]), 2, &["--header"]);

    // One digit of each field is another one.
    for field in ["header", "proof", "entry"] {
        let text = fields[field].as_str().expect("a field");
        for at in [0, text.len() / 2, text.len() - 1] {
            let digit = if &text[at..=at] == "1" { "2" } else { "1" };
            let changed = format!("{}{digit}{}", &text[..at], &text[at + 1..]);
            fs::write(&file, proof.replace(text, &changed)).expect("room for a proof");
            let outcome = user.zonetool(&["verify", path]);
            assert_eq!(outcome.code, 9, "{field} {at}: {outcome:?}");
        }
    }
    fs::write(&file, "@ 300 A 192.0.2.1\n").expect("room for a zone");
    refused(user.zonetool(&["verify", path]), 9, &["not a proof"]);

    // Absence, at an earlier height too, and a header of another chain.
    let absent = user.zonetool_text(&["prove", "nobody-has-it", "--height", "1"]).ok().stdout;
    fs::write(&file, &absent).expect("room for a proof");
    let verified = user.zonetool(&["verify", path]).ok().json();
    assert_eq!((&verified["proven"], &verified["height"]), (&"absent".into(), &1.into()));
    let other = World::new();
    let (elsewhere, _) = other.user();
    refused(elsewhere.zonetool(&["verify", path]), 9, &["block"]);
}

/// One recent header that somebody trusts verifies proofs of earlier states.
#[test]
fn a_later_header_serves_if_it_was_built_on_this_one() {
    let world = World::new();
    let (user, _) = world.user();
    user.register("alice", &zones::path("minimal"));
    let file = user.home().join("alice.proof");
    let path = file.to_str().expect("UTF-8");
    let at = user.zonetool(&["status"]).ok().json()["height"].to_string();
    world.block();
    world.block();
    let status = user.zonetool(&["status"]).ok().json();
    let tip = status["height"].to_string();
    let placed =
        user.zonetool_text(&["prove", "alice", "--height", &at, "--against", &tip]).ok().stdout;
    fs::write(&file, &placed).expect("room for a proof");
    let later: Value = serde_json::from_str(&placed).expect("JSON");
    let later = later["place"]["against"].as_str().expect("a header");
    let verified = user.zonetool(&["verify", path, "--header", later]).ok().json();
    assert_eq!(
        (&verified["proven"], &verified["built_on_by"]["block"]),
        (&"present".into(), &status["tip"])
    );
    let unrelated = later.replace(&later[208..272], &"00".repeat(32));
    refused(
        user.zonetool(&["verify", path, "--header", &unrelated]),
        9,
        &["not built on this one"],
    );
    refused(user.zonetool(&["prove", "alice", "--height", &at, "--against", &at]), 3, &["refuses"]);
}

#[test]
fn a_restored_key_finds_its_names() {
    let world = World::new();
    let ((user, words), (friend, _)) = (world.user(), world.user());
    for name in ["alice", "given-away", "revoked-one"] {
        user.register(name, &zones::path("minimal"));
    }
    friend.register("for-alice", &zones::path("minimal"));
    friend.register("not-mine", &zones::path("minimal"));
    user.zonetool(&["transfer", "given-away", "--to", &owner(&friend), "--yes", "--wait"]).ok();
    friend.zonetool(&["transfer", "for-alice", "--to", &owner(&user), "--yes", "--wait"]).ok();
    user.zonetool(&["revoke", "revoked-one", "--yes", "--wait"]).ok();
    friend.zonetool(&["accept", "given-away", "--yes", "--wait"]).ok();
    commit(&world, &user, "only-committed");

    let restored = User::without_key(world.node.addr("api"));
    let mut command = tests::program::command("zonetool", restored.home());
    let node = format!("http://{}", world.node.addr("api"));
    command.args(["--node", &node, "--json", "--keys"]).arg(restored.keys());
    command.args(["key", "restore", "--no-passphrase", "--scan", "--name", "only-committed"]);
    command.stdin(fs::File::open(words).expect("the words"));
    let outcome = Outcome::from(command.output().expect("zonetool runs")).ok();
    let found = outcome.json()["found"].clone();
    let names: Vec<(&str, &str, &str)> = found["names"]
        .as_array()
        .expect("names")
        .iter()
        .map(|name| {
            let text = |key: &str| name[key].as_str().expect("a text");
            (text("name"), text("key_is"), text("standing"))
        })
        .collect();
    assert_eq!(
        names,
        [
            ("alice", "owner", "active"),
            ("for-alice", "recipient", "active"),
            ("revoked-one", "owner", "revoked")
        ],
        "{found}"
    );
    assert_eq!(found["commitments"][0]["name"], "only-committed", "{found}");
    assert_eq!(owner(&restored), owner(&user));

    // By itself, from later on, and for people: what is further back is not found.
    let tip = restored.zonetool(&["status"]).ok().json()["height"].to_string();
    let later = restored.zonetool_text(&["key", "scan", "--from", &tip]).ok();
    assert!(later.stdout.contains("no names of this key were found"), "{later:?}");
    let given = restored.zonetool_text(&["key", "scan", "--from", &tip, "--name", "alice"]).ok();
    assert!(given.stdout.contains("alice: yours until 20"), "{given:?}");

    // The list finds the same, and a second time reads only the last blocks: nothing else changes.
    for _ in 0..2 {
        let listed = restored.zonetool(&["list"]).ok().json();
        let names = listed["names"].as_array().expect("names");
        let alice = names.iter().find(|name| name["name"] == "alice").expect("alice");
        assert_eq!((&alice["key_is"], &alice["standing"]), (&"owner".into(), &"active".into()));
        assert!(alice["expires"].is_u64(), "{alice}");
    }
    refused(restored.zonetool(&["available", "alice"]), 7, &["alice is"]);
    let free = restored.zonetool(&["available", "nobody-has-it"]).ok().json();
    assert_eq!(free["available"], true);
    refused(restored.zonetool(&["show", "com"]), 7, &["reserved"]);
}

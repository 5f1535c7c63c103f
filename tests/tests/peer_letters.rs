//! Letters between names: `zonetool peer seal` and `peer open` against a real node, and everything
//! that is refused.

use std::{fs, process::Output};

use serde_json::Value;
use tests::{
    program::User,
    tools,
    users::{World, refused_bytes},
    zones,
};

const SEAL: [&str; 5] = ["peer", "seal", "bob", "--from", "alice"];
const OPEN: [&str; 2] = ["peer", "open"];

/// Seals a text to bob; its envelope, and what was said.
fn seal(user: &User, more: &[&str], text: &[u8]) -> (Vec<u8>, Value) {
    let sealed = user.fed(&[], &[&["--json"], &SEAL[..], more].concat(), text);
    assert!(sealed.status.success(), "{sealed:?}");
    let told: Value = serde_json::from_slice(&sealed.stdout).expect("JSON");
    (unhex(told["envelope"].as_str().expect("an envelope")), told)
}

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(byte).collect()
}

fn open(user: &User, envelope: &[u8]) -> Output {
    user.fed(&[], &OPEN, envelope)
}

fn opened(user: &User, envelope: &[u8]) -> Value {
    let output = user.fed(&[], &[&["--json"], &OPEN[..]].concat(), envelope);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_letter_arrives_once() {
    let world = World::new();
    let ((alice, _), (bob, _)) = (world.person("alice", &[]), world.person("bob", &[]));
    // Through a pipe, as people do it.
    let sealed = alice.fed(&[], &SEAL, b"Come at dusk.\n");
    assert!(sealed.status.success(), "{sealed:?}");
    assert_eq!(sealed.stdout.len(), 2_048);
    let letter = open(&bob, &sealed.stdout);
    assert!(letter.status.success(), "{letter:?}");
    assert_eq!(letter.stdout, b"Come at dusk.\n");
    let told = String::from_utf8_lossy(&letter.stderr);
    assert!(told.contains("from alice (identity") && told.contains(", first), to bob"), "{told}");
    // The one-time key that opened it is gone, so it opens no more; with a key that stays, the
    // memory of letters refuses it.
    refused_bytes(&open(&bob, &sealed.stdout), 9, "no key here opens the envelope");
    let (file, kept) = (
        bob.home().join("bob.ncb"),
        bob.zonetool(&["peer", "bundle", "export", "bob"]).ok().json(),
    );
    fs::write(&file, unhex(kept["bundle"].as_str().expect("a bundle"))).expect("room");
    let file = file.to_str().expect("UTF-8");
    let (envelope, told) = seal(&alice, &["--bundle", file], b"Or at dawn.");
    assert_eq!((&told["kem"], &told["key"]), (&"X-Wing".into(), &"last-resort".into()));
    let letter = opened(&bob, &envelope);
    assert_eq!((&letter["text"], &letter["from"]), (&"Or at dawn.".into(), &"alice".into()));
    assert_eq!((&letter["pin_status"], &letter["once"]), (&"same".into(), &false.into()));
    refused_bytes(&open(&bob, &envelope), 9, "was opened before");

    // Each one-time key is given away once; then the key of last resort serves.
    let keys: Vec<Value> = (0..8).map(|_| seal(&alice, &[], b"?").1["key"].clone()).collect();
    let expected = ["1", "2", "3", "4", "5", "6", "7", "last-resort"];
    assert_eq!(keys, expected.map(Value::from));

    // Whoever it is not for learns nothing, and nothing that was changed is opened.
    let (envelope, _) = seal(&alice, &[], &[b'x'; 3_000]);
    assert_eq!(envelope.len(), 16_384);
    refused_bytes(&open(&alice, &envelope), 9, "not for any of your names");
    refused_bytes(
        &alice.fed(&[], &["peer", "open", "--to", "alice"], &envelope),
        9,
        "another name",
    );
    for (changed, code) in
        [(&envelope[..100], 9), (&[][..], 9), (&[&envelope[..], &[0]].concat()[..], 9)]
    {
        refused_bytes(&open(&bob, changed), code, "");
    }
    for at in [0, 1, 2, 3, 5, 900, 16_383] {
        let mut changed = envelope.clone();
        changed[at] ^= 0x40;
        refused_bytes(&open(&bob, &changed), 9, "");
    }
    assert_eq!(opened(&bob, &envelope)["text"], "x".repeat(3_000));
    refused_bytes(&alice.fed(&[], &SEAL, &[0; 65_537]), 2, "at most");
    refused_bytes(&alice.fed(&[], &SEAL, b""), 2, "no text");
    let empty = alice.fed(&[], &[&SEAL[..], &["--empty"]].concat(), b"");
    assert_eq!(opened(&bob, &empty.stdout)["text"], "");
}

#[test]
fn only_letters_of_the_present_key_are_believed() {
    let world = World::new();
    let ((alice, words), (bob, bobs)) = (world.person("alice", &[]), world.person("bob", &[]));
    let (before, _) = seal(&alice, &[], b"before");
    let (late, _) = seal(&alice, &[], b"late");
    let (to_old, _) = seal(&alice, &[], b"to the old key");
    // The recipient's rotation: what was on its way is still opened.
    bob.zonetool(&["peer", "rotate", "bob", "--words-file", &bobs, "--wait"]).ok();
    assert_eq!(opened(&bob, &to_old)["text"], "to the old key");
    assert_eq!(opened(&bob, &before)["text"], "before");
    // The sender's: what the old key signed is refused from then on.
    alice.zonetool(&["peer", "rotate", "alice", "--words-file", &words, "--wait"]).ok();
    refused_bytes(&open(&bob, &late), 9, "a key that alice has replaced");
    let (now, told) = seal(&alice, &[], b"now");
    assert_eq!(told["pin_status"], "rotated");
    // By a letter that was refused nothing was remembered.
    assert_eq!(opened(&bob, &now)["pin_status"], "rotated");
    // A key that nothing links: asked for first.
    alice
        .zonetool(&["peer", "publish", "alice", "--index", "9", "--words-file", &words, "--wait"])
        .ok();
    let (unlinked, _) = seal(&alice, &[], b"unlinked");
    refused_bytes(&open(&bob, &unlinked), 9, "the old key did not sign for it");
    let accepted = bob.fed(&[], &["peer", "open", "--accept", "unlinked"], &unlinked);
    assert_eq!(accepted.stdout, b"unlinked");
    // Nobody speaks for the sender.
    let (orphan, _) = seal(&alice, &[], b"orphan");
    alice.zonetool(&["peer", "revoke", "alice", "--wait"]).ok();
    refused_bytes(&open(&bob, &orphan), 9, "alice has no identity key any more");
    fs::remove_dir_all(bob.home().join(".local")).expect("what was seen");
    refused_bytes(&open(&bob, &orphan), 9, "the sender alice is unknown");
    refused_bytes(&alice.fed(&[], &SEAL, b"?"), 3, "alice has no identity key");
    refused_bytes(&bob.fed(&[], &SEAL, b"?"), 3, "alice has no identity key");
}

#[test]
fn without_a_bundle_only_who_allows_it_gets_letters() {
    let world = World::new();
    let (alice, _) = world.person("alice", &[]);
    let (bob, _) = world.person("bob", &["--bundle", "none"]);
    refused_bytes(
        &alice.fed(&[], &SEAL, b"?"),
        3,
        "bob takes no letters that are sealed to X25519 alone",
    );
    bob.zonetool(&["peer", "publish", "bob", "--x25519-alone", "yes", "--wait"]).ok();
    let (envelope, told) = seal(&alice, &[], b"plain");
    assert_eq!((&told["kem"], &told["key"]), (&"X25519".into(), &"x25519".into()));
    refused_bytes(&open(&bob, &envelope), 9, "not for any of your names that have a bundle");
    let letter = bob.fed(&[], &["peer", "open", "--to", "bob"], &envelope);
    assert_eq!(letter.stdout, b"plain", "{letter:?}");
    // Who takes the permission back does not open them either.
    let (envelope, _) = seal(&alice, &[], b"too late");
    bob.zonetool(&["peer", "publish", "bob", "--x25519-alone", "no", "--wait"]).ok();
    refused_bytes(
        &bob.fed(&[], &["peer", "open", "--to", "bob"], &envelope),
        9,
        "no key here opens",
    );
    refused_bytes(
        &alice.fed(&[], &[&SEAL[..], &["--no-bundle"]].concat(), b"?"),
        3,
        "takes no letters",
    );
}

#[test]
fn a_letter_has_its_time() {
    if !tools::available("a_letter_has_its_time", &["faketime"]) {
        return;
    }
    let world = World::new();
    let ((alice, _), (bob, _)) = (world.person("alice", &[]), world.person("bob", &[]));
    let (envelope, _) = seal(&alice, &["--days", "3"], b"soon");
    refused_bytes(&bob.fed(&["faketime", "+4 days"], &OPEN, &envelope), 9, "the letter expired at");
    assert_eq!(opened(&bob, &envelope)["text"], "soon");
    let early = alice.fed(&["faketime", "+1 day"], &SEAL, b"early");
    refused_bytes(&open(&bob, &early.stdout), 9, "written in the future");
    // A bundle has its time too, and an older one than was seen is refused.
    let export = |name: &str| {
        let file = bob.home().join(name);
        let bytes = bob.fed(&[], &["peer", "bundle", "export", "bob"], b"").stdout;
        fs::write(&file, bytes).expect("room");
        file.to_str().expect("UTF-8").to_owned()
    };
    let first = export("first");
    let given = |file: &str| [&SEAL[..], &["--bundle", file]].concat().join(" ");
    let words = given(&first);
    let words: Vec<&str> = words.split(' ').collect();
    refused_bytes(&alice.fed(&["faketime", "+31 days"], &words, b"?"), 9, "the bundle expired at");
    // A second later at least: times are in seconds.
    let made = bob.fed(&["faketime", "+5 seconds"], &["peer", "bundle", "make", "bob"], b"");
    assert!(made.status.success(), "{made:?}");
    let (_, told) = seal(&alice, &[], b"?");
    assert_eq!(told["key"], "0", "the node has the new one");
    refused_bytes(&alice.fed(&[], &words, b"?"), 9, "one was seen that was made at");
    let second = export("second");
    let garbage = bob.home().join("garbage");
    fs::write(&garbage, &fs::read(&second).expect("a bundle")[1..]).expect("room");
    let words = given(garbage.to_str().expect("UTF-8"));
    refused_bytes(
        &alice.fed(&[], &words.split(' ').collect::<Vec<_>>(), b"?"),
        9,
        "the bundle's version is",
    );
}

#[test]
fn bundles_are_handed_in_kept_and_passed_on() {
    let world = World::new();
    let ((mut alice, _), (mut bob, words)) = (world.person("alice", &[]), world.person("bob", &[]));
    let put = bob.zonetool(&["peer", "bundle", "put", "bob"]).ok().json();
    assert_eq!(
        (&put["sequence"], &put["one_time_left"], &put["bytes"]),
        (&1.into(), &8.into(), &11_067.into())
    );
    let (_, told) = seal(&alice, &[], b"?");
    assert_eq!(told["key"], "0");
    // A restart loses neither the bundle nor how far it was given away.
    let world = world.restarted();
    alice.move_to(world.node.addr("api"));
    bob.move_to(world.node.addr("api"));
    assert_eq!(seal(&alice, &[], b"?").1["key"], "1");
    // Another node has none until somebody brings it; then it gives no one-time key away.
    let file = alice.home().join("bob.ncb");
    fs::write(&file, alice.fed(&[], &["peer", "bundle", "export", "bob"], b"").stdout)
        .expect("room");
    let file = file.to_str().expect("UTF-8");
    tests::users::refused(
        alice.zonetool(&["peer", "bundle", "import", "alice", file]),
        9,
        "the bundle is of bob",
    );
    let imported = alice.zonetool(&["peer", "bundle", "import", "bob", file]).ok().json();
    assert_eq!(imported["one_time_left"], 6, "the same again changes nothing");
    // A new record without a new bundle: the old one is not given away any more, and not taken.
    let none = ["peer", "publish", "bob", "--bundle", "none", "--words-file", &words, "--wait"];
    bob.zonetool(&none).ok();
    tests::users::refused(
        bob.zonetool(&["peer", "bundle", "put", "bob"]),
        7,
        "does not belong to the current record",
    );
    refused_bytes(&alice.fed(&[], &SEAL, b"?"), 3, "bob takes no letters");
    refused_bytes(
        &alice.fed(&[], &[&SEAL[..], &["--bundle", file]].concat(), b"?"),
        9,
        "belongs to record 1",
    );
    bob.zonetool(&["peer", "bundle", "make", "bob"]).ok();
    let (envelope, told) = seal(&alice, &[], b"again");
    assert_eq!(told["key"], "0");
    assert_eq!(opened(&bob, &envelope)["text"], "again");
    tests::users::refused(
        alice.zonetool(&["peer", "bundle", "make", "nobody"]),
        3,
        "not registered",
    );
    tests::users::refused(
        alice.zonetool(&["peer", "bundle", "put", "bob"]),
        4,
        "is not in your directory of keys",
    );
}

#[test]
fn secrets_are_sealed_as_the_key_file_is() {
    let world = World::new();
    let (alice, _) = world.person("alice", &[]);
    let bob = User::without_key(world.node.addr("api"));
    let phrase = bob.home().join("phrase");
    fs::write(&phrase, "correct horse\n").expect("room");
    let phrase = ["--passphrase-file", phrase.to_str().expect("UTF-8")];
    let run = |args: &[&str]| bob.zonetool(&[&phrase[..], args].concat());
    let made = run(&["key", "new"]).ok().json();
    let words: Vec<&str> =
        made["words"].as_array().expect("words").iter().filter_map(Value::as_str).collect();
    let file = bob.home().join("words");
    fs::write(&file, words.join(" ")).expect("room");
    run(&["register", "bob", "--zone", zones::path("minimal").to_str().expect("UTF-8"), "--wait"])
        .ok();
    run(&["peer", "publish", "bob", "--words-file", file.to_str().expect("UTF-8"), "--wait"]).ok();
    let kept = fs::read_to_string(bob.keys().join("prekeys-0-bob.key")).expect("the prekeys");
    assert!(kept.contains("BEGIN AGE ENCRYPTED FILE") && !kept.contains("\"secret\""), "{kept}");
    let (envelope, _) = seal(&alice, &[], b"sealed twice");
    refused_bytes(&open(&bob, &envelope), 4, "a passphrase is needed");
    let letter = bob.fed(&[], &[&phrase[..], &OPEN[..]].concat(), &envelope);
    assert_eq!(letter.stdout, b"sealed twice", "{letter:?}");
    let kept_after = fs::read_to_string(bob.keys().join("prekeys-0-bob.key")).expect("the prekeys");
    assert_ne!(kept, kept_after, "the one-time key is gone from the file");
}

#[test]
fn bytes_are_not_for_a_terminal() {
    if !tools::available("bytes_are_not_for_a_terminal", &["script"]) {
        return;
    }
    let world = World::new();
    let ((alice, _), (bob, _)) = (world.person("alice", &[]), world.person("bob", &[]));
    let (binary, _) = seal(&alice, &[], &[0, 159, 146, 150]);
    let (text, _) = seal(&alice, &[], b"a\x1b[2Jb");
    let on_terminal = |user: &User, command: &str, input: &[u8]| {
        let file = user.home().join("input");
        fs::write(&file, input).expect("room");
        let zonetool = tests::program::path("zonetool");
        let (api, keys) = (world.node.addr("api"), user.keys());
        let line = format!(
            "{} --node http://{api} --keys {} {command} < {}",
            zonetool.display(),
            keys.display(),
            file.display()
        );
        let mut script = std::process::Command::new("script");
        script
            .args(["-qec", &line, "/dev/null"])
            .env("HOME", user.home())
            .env_remove("XDG_DATA_HOME");
        let output = script.stdin(std::process::Stdio::null()).output().expect("script runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = on_terminal(&bob, "peer open", &binary);
    assert!(
        code == Some(2) && said.contains("not text is not written to a terminal"),
        "{code:?} {said}"
    );
    // It was not used up by that.
    assert_eq!(opened(&bob, &binary)["body"], "009f9296");
    let (code, said) = on_terminal(&bob, "peer open", &text);
    assert!(code == Some(0) && said.contains("a\\x1b[2Jb"), "{code:?} {said}");
    let (code, said) = on_terminal(&alice, "peer seal bob --from alice", b"?");
    assert!(
        code == Some(2) && said.contains("an envelope is not written to a terminal"),
        "{code:?} {said}"
    );
    let (code, said) = on_terminal(&alice, "peer bundle export bob", b"");
    assert!(
        code == Some(2) && said.contains("a bundle is not written to a terminal"),
        "{code:?} {said}"
    );
}

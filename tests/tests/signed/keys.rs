//! The key: made once, kept, refused when others may read it; and its anchor, as others compute it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use tests::{
    dig,
    machine::Machine,
    program::{self, Daemon, User},
    tools,
    upstream::Counting,
    validator::{Anchors, Verdict},
};

use super::{machine, with_alice};

/// The file with the key of a machine's resolver.
fn key_file(machine: &Machine) -> std::path::PathBuf {
    machine.home().join("data/dnssec.key")
}

/// A resolver with these arguments that ends at once.
fn refused(home: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output: Output = program::command("resolver", home).args(args).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn the_key_outlives_the_resolver_and_its_anchor_is_what_others_compute() {
    let tools = ["dig", "delv", "ldns-key2ds"];
    if !tools::available(
        "the_key_outlives_the_resolver_and_its_anchor_is_what_others_compute",
        &tools,
    ) {
        return;
    }
    for algorithm in [13, 15] {
        let machine = machine(algorithm);
        let (resolver, user) = with_alice(&machine);
        let mode = fs::metadata(key_file(&machine)).expect("a key").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let told = user.zonetool(&["trust-anchor"]).ok().json();
        let (dnskey, ds) =
            (told["dnskey"].as_str().expect("DNSKEY"), told["ds"].as_str().expect("DS"));
        assert_eq!(
            (told["zone"].as_str(), told["algorithm"].as_u64()),
            (Some("namechain.alt."), Some(algorithm.into()))
        );
        assert_eq!(told["servers"][0], resolver.addr("dns").to_string());
        // The same from the file, without a resolver.
        let file = key_file(&machine);
        let from_file =
            user.zonetool(&["trust-anchor", "--key", file.to_str().expect("UTF-8")]).ok().json();
        assert_eq!((&from_file["ds"], &from_file["dnskey"]), (&told["ds"], &told["dnskey"]));
        // The tag and the digest as others find them.
        let dns = resolver.addr("dns");
        let reply = dig::ask(dns, "namechain.alt.", "DNSKEY", "");
        let squeezed: String = reply.rdata("DNSKEY").concat().split_whitespace().skip(3).collect();
        assert!(dnskey.ends_with(&format!(" 257 3 {algorithm} {squeezed}")), "{dnskey}: {reply:?}");
        let multi = Command::new("dig")
            .args([
                &format!("@{}", dns.ip()),
                "-p",
                &dns.port().to_string(),
                "+multi",
                "namechain.alt.",
                "DNSKEY",
            ])
            .output()
            .expect("dig runs");
        let tag = format!("key id = {}", told["key_tag"]);
        assert!(String::from_utf8_lossy(&multi.stdout).contains(&tag), "{tag}: {multi:?}");
        let path = machine.home().join("namechain.key");
        fs::write(&path, format!("{dnskey}\n")).expect("room");
        let ldns = Command::new("ldns-key2ds")
            .args(["-n", "-2"])
            .arg(&path)
            .output()
            .expect("ldns-key2ds runs");
        let theirs = String::from_utf8_lossy(&ldns.stdout);
        let data = |text: &str| {
            text.split("DS")
                .nth(1)
                .map(|data| data.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase())
        };
        assert_eq!(data(ds), data(&theirs), "{ldns:?}");
        let anchors = Anchors::of(&user, None);
        drop(resolver);
        let again = machine.resolver();
        let (verdict, said) = anchors.delv(again.addr("dns"), "www.alice.namechain.alt.", "A");
        assert_eq!(verdict, Verdict::Secure, "the old anchor still holds: {said}");
    }
}

/// A key that OpenSSL has made is as good.
#[test]
fn a_key_of_openssls_signs() {
    if !tools::available("a_key_of_openssls_signs", &["delv", "openssl"]) {
        return;
    }
    let kinds: [(&str, &[&str]); 2] =
        [("EC", &["-pkeyopt", "ec_paramgen_curve:P-256"]), ("ED25519", &[])];
    for (kind, options) in kinds {
        let home = tempfile::tempdir().expect("room");
        let key = home.path().join("made.key");
        let key = key.to_str().expect("UTF-8");
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", kind, "-out", key])
            .args(options)
            .output();
        let made = made.expect("openssl runs");
        assert!(made.status.success(), "{made:?}");
        fs::set_permissions(key, Permissions::from_mode(0o600)).expect("ours");
        let config = format!("[sign]\nkey = '{key}'\n");
        let machine = Machine::with_config(Counting::start().addr, &config);
        let (resolver, user) = with_alice(&machine);
        let anchors = Anchors::of(&user, None);
        let (verdict, said) = anchors.delv(resolver.addr("dns"), "www.alice.namechain.alt.", "A");
        assert_eq!(verdict, Verdict::Secure, "{kind}: {said}");
        assert!(!key_file(&machine).exists());
    }
}

#[test]
fn a_key_that_is_no_secret_is_refused() {
    let machine = Machine::new(Counting::start().addr);
    drop(machine.resolver());
    let (file, home) = (key_file(&machine), machine.home());
    let data = home.join("data");
    let mut args = vec![
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--upstream",
        "127.0.0.1:1",
    ];
    args.extend(["--data-dir", data.to_str().expect("UTF-8")]);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("ours");
    let (code, said) = refused(home, &args);
    assert!(
        code == Some(1)
            && said.contains("is not secret: other users may read or write it (mode 644)"),
        "{said}"
    );
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
    fs::write(&file, "-----BEGIN PRIVATE KEY-----\n").expect("ours");
    let (code, said) = refused(home, &args);
    assert!(code == Some(1) && said.contains("can't be used"), "{said}");
    assert_eq!(
        fs::read_to_string(&file).expect("a file"),
        "-----BEGIN PRIVATE KEY-----\n",
        "it is not replaced"
    );
}

#[test]
fn signing_can_be_turned_off() {
    if !tools::available("signing_can_be_turned_off", &["dig"]) {
        return;
    }
    let machine = Machine::with_config(Counting::start().addr, "[sign]\nenabled = false\n");
    let (resolver, user) = with_alice(&machine);
    assert!(!key_file(&machine).exists());
    let dns = resolver.addr("dns");
    let reply = dig::ask(dns, "www.alice.namechain.alt.", "A", "+dnssec");
    assert_eq!((reply.answer.len(), reply.rdata("A")), (1, vec!["192.0.2.2"]), "{reply:?}");
    let reply = dig::ask(dns, "nowhere.alice.namechain.alt.", "A", "+dnssec");
    assert_eq!((reply.status.as_str(), reply.authority.len()), ("NXDOMAIN", 1), "{reply:?}");
    assert!(dig::ask(dns, "namechain.alt.", "DNSKEY", "").answer.is_empty());
    let told = user.zonetool(&["trust-anchor"]);
    assert!(told.code == 3 && told.stdout.contains("does not sign"), "{told:?}");
}

/// A resolver that asks a node elsewhere has a key of its own, where programs keep what they
/// remember.
#[test]
fn a_resolver_without_a_node_signs_too() {
    if !tools::available("a_resolver_without_a_node_signs_too", &["dig", "delv"]) {
        return;
    }
    let machine = machine(13);
    let (with_node, alice) = with_alice(&machine);
    let home = tempfile::tempdir().expect("a home");
    let node = format!("http://{}", with_node.addr("api"));
    let args = [
        "--node",
        &node,
        "--listen",
        "127.0.0.1:0",
        "--api",
        "127.0.0.1:0",
        "--json",
        "--upstream",
        "127.0.0.1:1",
    ];
    let resolver = Daemon::start("resolver", &args, home.path());
    let file = home.path().join(".local/state/namechain/dnssec.key");
    assert_eq!(fs::metadata(&file).expect("a key").permissions().mode() & 0o777, 0o600);
    let user = User::without_key(resolver.addr("api")).running(&resolver);
    let (ours, theirs) = (Anchors::of(&user, None), Anchors::of(&alice, None));
    assert_ne!(ours.unbound, theirs.unbound, "two resolvers, two keys");
    let dns = resolver.addr("dns");
    for (name, expected) in
        [("www.alice.namechain.alt.", true), ("nowhere.alice.namechain.alt.", true)]
    {
        let (verdict, said) = ours.delv(dns, name, "A");
        assert_eq!(verdict == Verdict::Secure, expected, "{said}");
        let (verdict, said) = theirs.delv(dns, name, "A");
        assert_eq!(verdict, Verdict::Bogus, "another key: {said}");
    }
    assert!(dig::ask(dns, "www.alice.", "A", "+adflag").has("ad"), "the node is on this machine");
}

/// RFC 9824 §3.5.
#[test]
fn nxname_is_no_type_to_ask_for() {
    if !tools::available("nxname_is_no_type_to_ask_for", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let resolver = machine.resolver();
    for options in ["", "+tcp", "+dnssec"] {
        let reply = dig::ask(resolver.addr("dns"), "nobody.namechain.alt.", "TYPE128", options);
        assert_eq!(
            (reply.status.as_str(), reply.ede.as_slice()),
            ("FORMERR", &[30][..]),
            "{reply:?}"
        );
    }
}

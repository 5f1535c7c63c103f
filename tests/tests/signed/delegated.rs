//! Names that hand their zone to others: rightly unsigned where there is no DS, and where there is
//! one signed by a key that it vouches for.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tests::{
    dig,
    machine::Machine,
    nsd::Nsd,
    tools,
    upstream::Counting,
    validator::{Anchors, Validator, Verdict},
};

/// A child's zone, without keys.
fn child(origin: &str) -> String {
    format!(
        "$ORIGIN {origin}\n$TTL 300\n@ SOA ns1 host 1 2 3 4 60\n@ NS ns1\nns1 A 127.0.0.1\n@ A 192.0.2.201\n\
         www A 192.0.2.202\n*.wild TXT \"star\"\nalias CNAME www\n_443._tcp.www TLSA 3 1 1 {}\n",
        "AB".repeat(32)
    )
}

fn run(program: &str, args: &[&str], dir: &Path) -> String {
    let output = Command::new(program).args(args).current_dir(dir).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// A zone signed by a new key: its text, and the data of its DS record.
struct Signed {
    text: String,
    ds: String,
}

/// Signs with ldns, with more arguments for `ldns-signzone`.
fn sign(dir: &Path, origin: &str, algorithm: &str, more: &[&str]) -> Signed {
    let key = run("ldns-keygen", &["-a", algorithm, "-k", "-r", "/dev/urandom", origin], dir);
    let file: PathBuf = dir.join(format!("{key}.plain"));
    fs::write(&file, child(origin)).expect("room for a zone");
    let file = file.to_str().expect("UTF-8");
    run("ldns-signzone", &[more, &["-f", "signed", file, &key]].concat(), dir);
    let text = fs::read_to_string(dir.join("signed")).expect("a signed zone");
    let ds = fs::read_to_string(dir.join(format!("{key}.ds"))).expect("a DS record");
    let ds = ds.split("\tDS\t").nth(1).expect("DS").trim().to_owned();
    Signed { text, ds }
}

#[test]
fn a_name_with_a_ds_is_validated_below_it() {
    let tools = ["dig", "delv", "unbound", "nsd", "ldns-keygen", "ldns-signzone"];
    if !tools::available("a_name_with_a_ds_is_validated_below_it", &tools) {
        return;
    }
    let dir = tempfile::tempdir().expect("room");
    let signed =
        |origin: &str, algorithm: &str, more: &[&str]| sign(dir.path(), origin, algorithm, more);
    let own = signed("own.namechain.alt.", "ECDSAP256SHA256", &[]);
    let hashed = signed("hashed.namechain.alt.", "ED25519", &["-n"]);
    let deep = signed("lab.deep.namechain.alt.", "ECDSAP256SHA256", &[]);
    let wrong = signed("wrong.namechain.alt.", "ECDSAP256SHA256", &[]);
    let zones = [
        ("own.namechain.alt.", own.text.clone()),
        ("own.", child("own.")),
        ("hashed.namechain.alt.", hashed.text),
        ("lab.deep.namechain.alt.", deep.text),
        ("wrong.namechain.alt.", wrong.text),
        ("missing.namechain.alt.", child("missing.namechain.alt.")),
        ("plain.", child("plain.")),
    ]
    .map(|(origin, text)| (origin.to_owned(), text));
    let server = Nsd::start(&zones);
    let config = format!("[delegation]\nport = {}\nloopback = true\n", server.addr.port());
    let machine = Machine::with_config(Counting::start().addr, &config);
    let (resolver, user) = machine.start();
    let dns = resolver.addr("dns");
    // Another digest: a key that nobody has.
    let (fields, _) = own.ds.rsplit_once([' ', '\t']).expect("a digest");
    let ns = "@ 300 NS ns1\nns1 300 A 127.0.0.1\n";
    for (name, text) in [
        ("own", format!("{ns}@ 300 DS {}\n", own.ds)),
        ("hashed", format!("{ns}@ 300 DS {}\n", hashed.ds)),
        (
            "deep",
            format!(
                "@ 300 A 192.0.2.7\nlab 300 NS ns.lab\nns.lab 300 A 127.0.0.1\nlab 300 DS {}\n",
                deep.ds
            ),
        ),
        ("wrong", format!("{ns}@ 300 DS {fields} {}\n", "00".repeat(32))),
        ("missing", format!("{ns}@ 300 DS {}\n", own.ds)),
        ("plain", ns.to_owned()),
    ] {
        let file = machine.home().join(format!("{name}.zone"));
        fs::write(&file, text).expect("room for a zone");
        user.register(name, &file);
    }
    let anchors = Anchors::of(&user, None);
    let unbound = Validator::start(&anchors.unbound);
    let mut cases = Vec::new();
    for zone in ["own", "hashed", "lab.deep"] {
        for (below, rtype) in [
            ("", "A"),
            ("", "SOA"),
            ("", "DNSKEY"),
            ("", "DS"),
            ("www.", "A"),
            ("_443._tcp.www.", "TLSA"),
            ("alias.", "A"),
            ("x.wild.", "TXT"),
            ("www.", "MX"),
            ("nowhere.", "A"),
            ("a.b.nowhere.", "A"),
        ] {
            cases.push((format!("{below}{zone}.namechain.alt."), rtype, Verdict::Secure));
        }
    }
    for (name, rtype, verdict) in [
        ("deep.namechain.alt.", "A", Verdict::Secure),
        ("plain.namechain.alt.", "DS", Verdict::Secure),
        ("plain.namechain.alt.", "A", Verdict::Insecure),
        ("www.plain.namechain.alt.", "A", Verdict::Insecure),
        ("alias.plain.namechain.alt.", "A", Verdict::Insecure),
        ("nowhere.plain.namechain.alt.", "A", Verdict::Insecure),
        ("wrong.namechain.alt.", "DS", Verdict::Secure),
        ("www.wrong.namechain.alt.", "A", Verdict::Bogus),
        ("nowhere.wrong.namechain.alt.", "A", Verdict::Bogus),
        ("www.missing.namechain.alt.", "A", Verdict::Bogus),
    ] {
        cases.push((name.to_owned(), rtype, verdict));
    }
    for (name, rtype, expected) in cases {
        let (verdict, reply) = unbound.ask(&name, rtype);
        assert_eq!(verdict, expected, "unbound on {name} {rtype}: {reply:?}");
        let (verdict, said) = anchors.delv(dns, &name, rtype);
        assert_eq!(verdict, expected, "delv on {name} {rtype}: {said}");
    }
    // At the root the zone has another name, and is another zone.
    assert_eq!(dig::ask(dns, "www.own.", "A", "").rdata("A"), ["192.0.2.202"]);
}

/// RFC 4035 §3.1.4: what those are told who follow delegations themselves.
#[test]
fn referrals_come_with_the_ds_or_the_proof_that_there_is_none() {
    if !tools::available("referrals_come_with_the_ds_or_the_proof_that_there_is_none", &["dig"]) {
        return;
    }
    let machine = Machine::new(Counting::start().addr);
    let (resolver, user) = machine.start();
    let ns = "@ 300 NS ns1\nns1 300 A 127.0.0.1\n";
    for (name, text) in
        [("fenced", format!("{ns}@ 300 DS 1 13 2 {}\n", "AB".repeat(32))), ("plain", ns.to_owned())]
    {
        let file = machine.home().join(format!("{name}.zone"));
        fs::write(&file, text).expect("room for a zone");
        user.register(name, &file);
    }
    for (zone, mount, options, types) in [
        ("fenced", "namechain.alt.", "+dnssec", vec!["DS", "NS", "RRSIG"]),
        ("plain", "namechain.alt.", "+dnssec", vec!["NS", "NSEC", "RRSIG"]),
        ("fenced", "namechain.alt.", "", vec!["NS"]),
        ("fenced", "", "+dnssec", vec!["NS"]),
    ] {
        let options = format!("+norecurse {options}");
        let reply = dig::ask(resolver.addr("dns"), &format!("www.{zone}.{mount}"), "A", &options);
        let mut found: Vec<&str> = reply.authority.iter().map(|row| row.rtype.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, types, "{reply:?}");
        assert!(!reply.has("aa") && !reply.has("ad"), "{reply:?}");
        let nsec = reply.authority.iter().find(|row| row.rtype == "NSEC");
        assert!(
            nsec.is_none_or(|row| row.rdata == "plain\\000.namechain.alt. NS RRSIG NSEC"),
            "{reply:?}"
        );
    }
}

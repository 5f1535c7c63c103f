//! The chain's names, signed: what those say who check signatures (delv, unbound, drill), each with
//! the anchor that `zonetool trust-anchor` prints.

mod changed;
mod dane;
mod delegated;
mod keys;

use std::{fs, process::Command};

use tests::{
    dig,
    machine::Machine,
    program::{Daemon, User},
    tools,
    upstream::Counting,
    validator::{Anchors, Validator, Verdict},
};

/// A zone with one of everything.
const ZONE: &str = "$TTL 300
@ A 192.0.2.1
@ MX 10 Mail
@ TXT \"Hello World\" \"second\"
@ TYPE65280 \\# 3 414243
@ CAA 0 issue \"CA.example\"
mail A 192.0.2.3
mail AAAA 2001:db8::3
WWW A 192.0.2.2
many A 192.0.2.30
many A 192.0.2.4
many A 192.0.2.200
many A 192.0.2.31
_sip._tcp SRV 1 2 5060 WWW
www HTTPS 1 . alpn=h2
naptr NAPTR 1 2 \"U\" \"SIP+E2U\" \"!^.*$!sip:a@b!\" .
ftp CNAME WWW
chain CNAME ftp
dangling CNAME nowhere
back CNAME a.b.ent
*.wild A 192.0.2.5
*.wild MX 5 mail
*.aliases CNAME www
old DNAME new
host.new A 192.0.2.6
a.b.ent A 192.0.2.7
sub NS ns.sub
ns.sub A 127.0.0.1
";

/// What is asked, the response code to those who know DNSSEC, and whether there is an answer.
const QUESTIONS: [(&str, &str, bool); 36] = [
    ("alice.namechain.alt.", "A", true),
    ("alice.namechain.alt.", "MX", true),
    ("alice.namechain.alt.", "TXT", true),
    ("alice.namechain.alt.", "TYPE65280", true),
    ("alice.namechain.alt.", "CAA", true),
    ("AlIcE.NameChain.ALT.", "A", true),
    ("www.alice.namechain.alt.", "A", true),
    ("www.alice.namechain.alt.", "HTTPS", true),
    ("many.alice.namechain.alt.", "A", true),
    ("_sip._tcp.alice.namechain.alt.", "SRV", true),
    ("naptr.alice.namechain.alt.", "NAPTR", true),
    // Aliases.
    ("ftp.alice.namechain.alt.", "A", true),
    ("chain.alice.namechain.alt.", "A", true),
    ("chain.alice.namechain.alt.", "CNAME", true),
    ("old.alice.namechain.alt.", "DNAME", true),
    ("host.old.alice.namechain.alt.", "A", true),
    // Wildcards: signed as the name that was asked for.
    ("x.wild.alice.namechain.alt.", "A", true),
    ("x.y.z.wild.alice.namechain.alt.", "MX", true),
    ("x.aliases.alice.namechain.alt.", "A", true),
    ("*.wild.alice.namechain.alt.", "A", true),
    // The zone itself.
    ("namechain.alt.", "SOA", true),
    ("namechain.alt.", "DNSKEY", true),
    // No such data.
    ("namechain.alt.", "A", false),
    ("namechain.alt.", "NS", false),
    ("www.alice.namechain.alt.", "TXT", false),
    ("alice.namechain.alt.", "SOA", false),
    ("alice.namechain.alt.", "DS", false),
    ("x.wild.alice.namechain.alt.", "TXT", false),
    ("wild.alice.namechain.alt.", "A", false),
    ("ent.alice.namechain.alt.", "A", false),
    ("b.ent.alice.namechain.alt.", "TXT", false),
    ("sub.alice.namechain.alt.", "DS", false),
    // No such name.
    ("nowhere.alice.namechain.alt.", "A", false),
    ("x.www.alice.namechain.alt.", "A", false),
    ("a.nobody.namechain.alt.", "A", false),
    ("com.namechain.alt.", "A", false),
];

/// Aliases that lead to nothing: there is something in the answer section, and a denial behind it.
const DANGLING: [(&str, &str); 4] = [
    ("dangling.alice.namechain.alt.", "A"),
    ("back.alice.namechain.alt.", "MX"),
    ("x.aliases.alice.namechain.alt.", "TXT"),
    ("nothing.old.alice.namechain.alt.", "A"),
];

/// A machine whose resolver has signed with this algorithm from the first start on.
fn machine(algorithm: u8) -> Machine {
    Machine::with_config(Counting::start().addr, &format!("[sign]\nalgorithm = {algorithm}\n"))
}

/// Its resolver and a user whose name `alice` has [`ZONE`].
fn with_alice(machine: &Machine) -> (Daemon, User) {
    let (resolver, user) = machine.start();
    let file = machine.home().join("alice.zone");
    fs::write(&file, ZONE).expect("room for a zone");
    user.register("alice", &file);
    (resolver, user)
}

/// Below a second suffix everything is as below the first, signed with the same key.
#[test]
fn a_second_suffix_is_signed_like_the_first() {
    if !tools::available("a_second_suffix_is_signed_like_the_first", &["dig", "delv", "unbound"]) {
        return;
    }
    let config = "suffixes = ['namechain.alt', 'Namechain.internal.']\n";
    let machine = Machine::with_config(Counting::start().addr, config);
    let (resolver, user) = with_alice(&machine);
    let dns = resolver.addr("dns");
    let anchors = Anchors::of(&user, None);
    let unbound = Validator::start(&anchors.unbound);
    let dangling = DANGLING.map(|(name, rtype)| (name, rtype, true));
    for (canonical, rtype, found) in QUESTIONS.into_iter().chain(dangling) {
        let name = &(canonical[..canonical.len() - "namechain.alt.".len()].to_owned()
            + "namechain.internal.");
        let (verdict, said) = anchors.delv(dns, name, rtype);
        assert_eq!(verdict, Verdict::Secure, "delv on {name} {rtype}: {said}");
        assert!(!said.contains("namechain.alt"), "{name} {rtype}: {said}");
        let (verdict, reply) = unbound.ask(name, rtype);
        assert_eq!(verdict, Verdict::Secure, "unbound on {name} {rtype}: {reply:?}");
        assert_eq!(reply.answer.is_empty(), !found, "{name} {rtype}: {reply:?}");
    }
    // The first is there too, and what is beside them is not.
    let (verdict, said) = anchors.delv(dns, "www.alice.namechain.alt.", "A");
    assert_eq!(verdict, Verdict::Secure, "{said}");
    let told = user.zonetool(&["trust-anchor"]).ok().json();
    assert_eq!(
        (&told["zone"], &told["also"][0]["zone"]),
        (&"namechain.alt.".into(), &"namechain.internal.".into())
    );
}

/// Everything that can be asked is signed so that others find it right, by either algorithm.
#[test]
fn delv_and_unbound_say_secure() {
    if !tools::available("delv_and_unbound_say_secure", &["dig", "delv", "unbound"]) {
        return;
    }
    for algorithm in [13, 15] {
        let machine = machine(algorithm);
        let (resolver, user) = with_alice(&machine);
        let dns = resolver.addr("dns");
        let anchors = Anchors::of(&user, None);
        let unbound = Validator::start(&anchors.unbound);
        let dangling = DANGLING.map(|(name, rtype)| (name, rtype, true));
        for (name, rtype, found) in QUESTIONS.into_iter().chain(dangling) {
            let (verdict, said) = anchors.delv(dns, name, rtype);
            assert_eq!(verdict, Verdict::Secure, "{algorithm}: delv on {name} {rtype}: {said}");
            let negative = said.contains("; negative response, fully validated");
            assert!(
                negative != found || dangling.contains(&(name, rtype, found)),
                "{name} {rtype}: {said}"
            );
            let (verdict, reply) = unbound.ask(name, rtype);
            assert_eq!(
                verdict,
                Verdict::Secure,
                "{algorithm}: unbound on {name} {rtype}: {reply:?}"
            );
            assert_eq!(reply.status, "NOERROR", "{name} {rtype}: {reply:?}");
            assert_eq!(reply.answer.is_empty(), !found, "{name} {rtype}: {reply:?}");
        }
    }
}

/// drill climbs from a signature to the key; kdig shows what it gets.
#[test]
fn drill_and_kdig_agree() {
    if !tools::available("drill_and_kdig_agree", &["drill", "kdig"]) {
        return;
    }
    for algorithm in [13, 15] {
        let machine = machine(algorithm);
        let (resolver, user) = with_alice(&machine);
        let dns = resolver.addr("dns");
        let (at, port) = (format!("@{}", dns.ip()), dns.port().to_string());
        let anchors = Anchors::of(&user, None);
        for (name, rtype, denied) in [
            ("www.alice.namechain.alt.", "A", false),
            ("ftp.alice.namechain.alt.", "CNAME", false),
            ("x.wild.alice.namechain.alt.", "A", false),
            ("nowhere.alice.namechain.alt.", "A", true),
            ("www.alice.namechain.alt.", "TXT", true),
            ("b.ent.alice.namechain.alt.", "A", true),
            ("sub.alice.namechain.alt.", "DS", true),
        ] {
            let drill = Command::new("drill")
                .args(["-S", "-k", &anchors.file("dnskey"), "-p", &port, name, rtype, &at])
                .output()
                .expect("drill runs");
            let said = String::from_utf8_lossy(&drill.stdout);
            assert!(
                drill.status.success() && said.contains(";; Chase successful"),
                "{name} {rtype}: {said}"
            );
            assert_eq!(said.contains("Existence is denied by:"), denied, "{name} {rtype}: {said}");
            let kdig = Command::new("kdig")
                .args([
                    at.as_str(),
                    "-p",
                    &port,
                    "+dnssec",
                    "+noall",
                    "+answer",
                    "+authority",
                    name,
                    rtype,
                ])
                .output()
                .expect("kdig runs");
            let said = String::from_utf8_lossy(&kdig.stdout);
            let signatures = said.lines().filter(|line| line.contains("\tRRSIG\t")).count();
            assert_eq!(signatures, if denied { 2 } else { 1 }, "{name} {rtype}: {said}");
            assert!(said.contains(&format!(" {algorithm} ")), "{said}");
        }
    }
}

/// Who does not ask for signatures gets none, and the response codes that everybody knows (RFC 9824
/// §5).
#[test]
fn what_those_without_dnssec_see() {
    if !tools::available("what_those_without_dnssec_see", &["dig"]) {
        return;
    }
    let machine = machine(13);
    let (resolver, _user) = with_alice(&machine);
    let dns = resolver.addr("dns");
    for (name, rtype, found) in QUESTIONS {
        let plain = dig::ask(dns, name, rtype, "");
        let signed = dig::ask(dns, name, rtype, "+dnssec");
        let compact = dig::ask(dns, name, rtype, "+ednsflags=0xc000");
        let secured = |reply: &dig::Reply| {
            let rows = reply.answer.iter().chain(&reply.authority);
            rows.filter(|row| row.rtype == "RRSIG" || row.rtype == "NSEC").count()
        };
        assert_eq!((secured(&plain), plain.answer.is_empty()), (0, !found), "{plain:?}");
        assert!(secured(&signed) > 0 && signed.status == "NOERROR", "{signed:?}");
        let exists = !signed
            .authority
            .iter()
            .any(|row| row.rtype == "NSEC" && row.rdata.ends_with(" TYPE128"));
        let rcode = if exists { "NOERROR" } else { "NXDOMAIN" };
        assert_eq!(
            (plain.status.as_str(), compact.status.as_str()),
            (rcode, rcode),
            "{name} {rtype}"
        );
        let soa = |reply: &dig::Reply| {
            reply
                .authority
                .iter()
                .find(|row| row.rtype == "SOA")
                .map(|row| (row.owner.clone(), row.rdata.clone()))
        };
        assert_eq!(soa(&plain), soa(&signed), "{name} {rtype}");
    }
}

/// At the root nobody can vouch for our key, so nothing is signed there; but what the chain says
/// was validated, and those on this machine who ask are told so.
#[test]
fn ad_is_for_this_machine_at_both_mounts() {
    if !tools::available("ad_is_for_this_machine_at_both_mounts", &["dig"]) {
        return;
    }
    let machine = machine(13);
    let (resolver, _user) = with_alice(&machine);
    let dns = resolver.addr("dns");
    for (name, rtype) in [
        ("www.alice.", "A"),
        ("www.alice.", "TXT"),
        ("nowhere.alice.", "A"),
        ("chain.alice.", "A"),
        ("www.alice.namechain.alt.", "A"),
        ("nowhere.alice.namechain.alt.", "A"),
    ] {
        // Twice: the second answer is one that was kept.
        for _ in 0..2 {
            assert!(dig::ask(dns, name, rtype, "+adflag").has("ad"), "{name} {rtype}");
            assert!(dig::ask(dns, name, rtype, "+dnssec +noadflag").has("ad"), "{name} {rtype}");
            assert!(!dig::ask(dns, name, rtype, "+noadflag").has("ad"), "{name} {rtype}");
        }
    }
    let root = dig::ask(dns, "www.alice.", "A", "+dnssec");
    assert!(root.answer.iter().all(|row| row.rtype == "A"), "{root:?}");
    let legacy = dig::ask(dns, "www.example.com.", "A", "+adflag");
    assert!(!legacy.has("ad"), "{legacy:?}");
}

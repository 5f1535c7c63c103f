//! Answers of legacy DNS are validated: zones from a real server, signed with the tools of ldns and
//! then spoilt in every way that has a name; unbound with the same trust anchor says what is right.

use std::net::SocketAddr;

use tests::{
    dig,
    machine::Machine,
    signed::{World, Zone},
    tools,
    unbound::Unbound,
    upstream::Relay,
};

const TOOLS: [&str; 6] = ["dig", "nsd", "unbound", "ldns-keygen", "ldns-signzone", "ldns-key2ds"];
const RECORDS: &str = "www IN A 192.0.2.1\nalias IN CNAME www.example.\nover IN CNAME www.plain.example.\n*.wild IN A 192.0.2.9\n\
                       moved IN DNAME good.example.\na.b.c IN A 192.0.2.3\n";

/// Without the lines for which this holds.
fn without(lines: Vec<String>, gone: impl Fn(&str) -> bool) -> Vec<String> {
    lines.into_iter().filter(|line| !gone(line)).collect()
}

fn zones() -> Vec<Zone> {
    let zone = |label| Zone::new(label, RECORDS);
    let nsec3: &[&str] = &["-n", "-t", "0"];
    vec![
        zone("good"),
        Zone { sign: Some(nsec3), ..zone("nsec3") },
        Zone {
            sign: Some(&["-n", "-p", "-t", "5", "-s", "aabb"]),
            records: format!("{RECORDS}sub IN NS ns.elsewhere.test.\n"),
            ..zone("optout")
        },
        Zone { algorithm: "RSASHA256", ..zone("rsa") },
        Zone { algorithm: "RSASHA1_NSEC3", sign: Some(nsec3), ..zone("sha1") },
        Zone { algorithm: "ECDSAP384SHA384", ..zone("p384") },
        Zone { algorithm: "ED25519", ..zone("ed25519") },
        Zone { sign: None, ..zone("plain") },
        Zone {
            change: |lines| {
                lines.iter().map(|line| line.replace("192.0.2.1", "192.0.2.66")).collect()
            },
            ..zone("bit")
        },
        Zone { sign: Some(&["-i", "20200101000000", "-e", "20210101000000"]), ..zone("expired") },
        Zone { sign: Some(&["-i", "20600101000000", "-e", "20700101000000"]), ..zone("future") },
        Zone { change: |lines| without(lines, |line| line.contains("DNSKEY")), ..zone("nokey") },
        Zone { change: |lines| without(lines, |line| line.contains("RRSIG")), ..zone("nosig") },
        Zone { change: |lines| without(lines, |line| line.contains("NSEC")), ..zone("nonsec") },
        Zone { ds: |ds| ds.replace(" 13 2 ", " 250 2 "), ..zone("algorithm") },
        Zone { ds: |ds| ds.replace(" 13 2 ", " 13 250 "), ..zone("digest") },
        Zone { ds: |ds| ds.split_at(ds.len() - 8).0.to_owned() + "00000000", ..zone("wrongds") },
        Zone { sign: Some(&["-n", "-t", "200"]), ..zone("iterations") },
    ]
}

/// What is asked, and what is to come: status, AD, extended error.
const CASES: &[(&str, &str, &str, bool, &[u16])] = &[
    ("www.good.example", "A", "NOERROR", true, &[]),
    ("good.example", "DNSKEY", "NOERROR", true, &[]),
    ("good.example", "DS", "NOERROR", true, &[]),
    ("good.example", "SOA", "NOERROR", true, &[]),
    ("www.good.example", "AAAA", "NOERROR", true, &[]),
    ("www.good.example", "DS", "NOERROR", true, &[]),
    ("none.good.example", "A", "NXDOMAIN", true, &[]),
    ("b.c.good.example", "A", "NOERROR", true, &[]),
    ("any.wild.good.example", "A", "NOERROR", true, &[]),
    ("any.wild.good.example", "AAAA", "NOERROR", true, &[]),
    ("alias.good.example", "A", "NOERROR", true, &[]),
    ("over.good.example", "A", "NOERROR", false, &[]),
    ("www.moved.good.example", "A", "NOERROR", true, &[]),
    ("none.moved.good.example", "A", "NXDOMAIN", true, &[]),
    ("www.nsec3.example", "A", "NOERROR", true, &[]),
    ("www.nsec3.example", "AAAA", "NOERROR", true, &[]),
    ("none.nsec3.example", "A", "NXDOMAIN", true, &[]),
    ("c.nsec3.example", "A", "NOERROR", true, &[]),
    ("x.y.wild.nsec3.example", "A", "NOERROR", true, &[]),
    ("any.wild.nsec3.example", "TXT", "NOERROR", true, &[]),
    ("www.optout.example", "A", "NOERROR", true, &[]),
    ("none.optout.example", "A", "NXDOMAIN", false, &[]),
    ("sub.optout.example", "DS", "NOERROR", true, &[]),
    ("www.rsa.example", "A", "NOERROR", true, &[]),
    ("www.sha1.example", "A", "NOERROR", true, &[]),
    ("none.sha1.example", "A", "NXDOMAIN", true, &[]),
    ("www.p384.example", "A", "NOERROR", true, &[]),
    ("www.ed25519.example", "A", "NOERROR", true, &[]),
    ("www.plain.example", "A", "NOERROR", false, &[]),
    ("none.plain.example", "A", "NXDOMAIN", false, &[]),
    ("plain.example", "DS", "NOERROR", true, &[]),
    ("www.bit.example", "A", "SERVFAIL", false, &[6]),
    ("www.expired.example", "A", "SERVFAIL", false, &[7]),
    ("www.future.example", "A", "SERVFAIL", false, &[8]),
    ("www.nokey.example", "A", "SERVFAIL", false, &[9]),
    ("www.nosig.example", "A", "SERVFAIL", false, &[10]),
    ("www.nonsec.example", "A", "NOERROR", true, &[]),
    ("none.nonsec.example", "A", "SERVFAIL", false, &[12]),
    ("www.nonsec.example", "AAAA", "SERVFAIL", false, &[12]),
    ("any.wild.nonsec.example", "A", "SERVFAIL", false, &[12]),
    ("www.algorithm.example", "A", "NOERROR", false, &[1]),
    ("www.digest.example", "A", "NOERROR", false, &[2]),
    ("www.wrongds.example", "A", "SERVFAIL", false, &[9]),
    ("www.iterations.example", "A", "NOERROR", true, &[]),
    ("none.iterations.example", "A", "NXDOMAIN", false, &[27]),
    ("www.example", "A", "NOERROR", true, &[]),
    ("nothing-at-all.example", "A", "NXDOMAIN", true, &[]),
    (".", "NS", "NOERROR", true, &[]),
];

fn config(upstream: SocketAddr, world: &World, mode: &str) -> String {
    format!(
        "upstream = '{upstream}'\n[validate]\nmode = '{mode}'\ntrust-anchors = '{}'\n",
        world.anchor().display()
    )
}

#[test]
fn every_case_has_its_verdict_and_unbound_agrees() {
    if !tools::available("every_case_has_its_verdict_and_unbound_agrees", &TOOLS) {
        return;
    }
    let world = World::start(&zones());
    let upstream = Unbound::recursing(&world.zones, world.nsd.addr, None);
    let judge = Unbound::recursing(&world.zones, world.nsd.addr, Some(&world.anchor()));
    for mode in ["auto", "on"] {
        let machine = Machine::with_upstreams(&config(upstream.plain, &world, mode));
        let resolver = machine.resolver();
        let dns = resolver.addr("dns");
        for pass in ["new", "kept"] {
            let questions: Vec<(String, String)> = CASES
                .iter()
                .map(|(name, rtype, ..)| ((*name).to_owned(), (*rtype).to_owned()))
                .collect();
            let ours = dig::ask_all(dns, &questions, "+adflag");
            let right = dig::ask_all(judge.plain, &questions, "+adflag");
            let mut wrong = Vec::new();
            for ((case, ours), right) in CASES.iter().zip(ours).zip(right) {
                let (name, rtype, status, authentic, ede) = *case;
                if (ours.status.as_str(), ours.has("ad"), ours.ede.as_slice())
                    != (status, authentic, ede)
                {
                    wrong.push(format!("{name} {rtype}: {ours:?}"));
                }
                if (right.status.as_str(), right.has("ad")) != (status, authentic) {
                    wrong.push(format!(
                        "unbound says of {name} {rtype}: {} {}",
                        right.status,
                        right.has("ad")
                    ));
                }
            }
            assert!(wrong.is_empty(), "{mode}, {pass}:\n{}", wrong.join("\n"));
        }
    }
}

#[test]
fn who_asks_gets_what_it_asked_for() {
    if !tools::available("who_asks_gets_what_it_asked_for", &TOOLS) {
        return;
    }
    let world = World::start(&zones());
    let upstream = Unbound::recursing(&world.zones, world.nsd.addr, None);
    let machine = Machine::with_upstreams(&config(upstream.plain, &world, "auto"));
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    for pass in ["new", "kept"] {
        let plain = dig::ask(dns, "www.good.example", "A", "+noadflag");
        assert!(!plain.has("ad") && plain.rdata("RRSIG").is_empty(), "{pass}: {plain:?}");
        let signed = dig::ask(dns, "www.good.example", "A", "+dnssec");
        assert!(signed.has("ad") && signed.rdata("RRSIG").len() == 1, "{pass}: {signed:?}");
        let denied = dig::ask(dns, "none.nsec3.example", "A", "+dnssec");
        let proofs = denied.authority.iter().filter(|row| row.rtype == "NSEC3").count();
        assert!(denied.has("ad") && proofs > 0, "{pass}: {denied:?}");
        let denied = dig::ask(dns, "none.nsec3.example", "A", "+adflag");
        let types: Vec<&str> = denied.authority.iter().map(|row| row.rtype.as_str()).collect();
        assert_eq!((denied.has("ad"), types), (true, vec!["SOA"]), "{pass}");
        // Whoever checks by itself gets what there is, and no word of ours on it.
        let unchecked = dig::ask(dns, "www.bit.example", "A", "+cdflag +adflag");
        assert_eq!(
            (unchecked.rdata("A"), unchecked.has("ad")),
            (vec!["192.0.2.66"], false),
            "{pass}"
        );
        let unchecked = dig::ask(dns, "www.good.example", "A", "+cdflag +adflag +dnssec");
        assert_eq!((unchecked.rdata("RRSIG").len(), unchecked.has("ad")), (1, false), "{pass}");
        let over_tcp = dig::ask(dns, "www.bit.example", "A", "+tcp");
        assert_eq!(
            (over_tcp.status.as_str(), over_tcp.ede.as_slice()),
            ("SERVFAIL", &[6][..]),
            "{pass}"
        );
    }
}

#[test]
fn an_upstream_that_strips_is_used_as_it_is_and_one_that_passed_must_go_on() {
    if !tools::available(
        "an_upstream_that_strips_is_used_as_it_is_and_one_that_passed_must_go_on",
        &TOOLS,
    ) {
        return;
    }
    let world = World::start(&[Zone::new("good", RECORDS)]);
    let passes = Unbound::recursing(&world.zones, world.nsd.addr, None);
    let names =
        ["www", "other", "third"].map(|name| format!("{name}.good.example. 300 IN A 192.0.2.77"));
    let strips = Unbound::start(&names);
    // Alone: it still resolves, which is said once.
    let machine = Machine::with_upstreams(&config(strips.plain, &world, "auto"));
    let resolver = machine.resolver();
    for name in ["www.good.example", "other.good.example", "third.good.example"] {
        let reply = dig::ask(resolver.addr("dns"), name, "A", "+adflag");
        assert_eq!((reply.rdata("A"), reply.has("ad")), (vec!["192.0.2.77"], false));
    }
    assert_eq!(resolver.log().matches("does not support DNSSEC").count(), 1);
    // Told to validate whatever comes, it refuses.
    let machine = Machine::with_upstreams(&config(strips.plain, &world, "on"));
    let strict = machine.resolver();
    let refused = dig::ask(strict.addr("dns"), "www.good.example", "A", "");
    assert_eq!(refused.status, "SERVFAIL");
    assert!(
        refused.ede.iter().all(|code| (6..=12).contains(code)) && !refused.ede.is_empty(),
        "{refused:?}"
    );
    // Off, nobody looks.
    let machine = Machine::with_upstreams(&config(strips.plain, &world, "off"));
    let off = machine.resolver();
    assert_eq!(dig::ask(off.addr("dns"), "www.good.example", "A", "").rdata("A"), ["192.0.2.77"]);
    // One that has passed and then strips: nothing is taken from it unchecked.
    let relay = Relay::start(passes.plain);
    let machine = Machine::with_upstreams(&config(relay.addr, &world, "auto"));
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    assert!(dig::ask(dns, "alias.good.example", "CNAME", "+adflag").has("ad"));
    relay.lead_to(strips.plain);
    let forged = dig::ask(dns, "www.good.example", "A", "");
    // Signatures are missing; or, before that is known, the proof that the name is no zone of its
    // own without them.
    assert!(
        forged.status == "SERVFAIL" && matches!(forged.ede.as_slice(), [10 | 12]),
        "{forged:?}"
    );
    // Beside one that passes, one that strips is not asked.
    let both = format!("['{}', '{}']", strips.plain, passes.plain);
    let machine = Machine::with_upstreams(&format!(
        "upstream = {both}\n[validate]\ntrust-anchors = '{}'\n",
        world.anchor().display()
    ));
    let resolver = machine.resolver();
    for name in ["www.good.example", "a.b.c.good.example", "any.wild.good.example"] {
        let reply = dig::ask(resolver.addr("dns"), name, "A", "+adflag");
        assert!(reply.has("ad") && reply.rdata("A") != ["192.0.2.77"], "{reply:?}");
    }
}

#[test]
fn a_zone_that_is_told_to_be_unsigned_is_taken_as_it_is() {
    if !tools::available("a_zone_that_is_told_to_be_unsigned_is_taken_as_it_is", &TOOLS) {
        return;
    }
    let world = World::start(&zones());
    let upstream = Unbound::recursing(&world.zones, world.nsd.addr, None);
    let insecure = format!("{}insecure = ['bit.example']\n", config(upstream.plain, &world, "on"));
    let machine = Machine::with_upstreams(&insecure);
    let resolver = machine.resolver();
    let reply = dig::ask(resolver.addr("dns"), "www.bit.example", "A", "+adflag");
    assert_eq!((reply.rdata("A"), reply.has("ad")), (vec!["192.0.2.66"], false));
    assert!(dig::ask(resolver.addr("dns"), "www.good.example", "A", "+adflag").has("ad"));
    // A zone with upstreams of its own is validated if it says so.
    for (validate, status) in [("", "NOERROR"), ("validate = true\n", "SERVFAIL")] {
        let forward = format!(
            "{}[[forward]]\nzone = 'bit.example'\nupstream = '{}'\n{validate}",
            config(upstream.plain, &world, "auto"),
            upstream.plain
        );
        let machine = Machine::with_upstreams(&forward);
        let resolver = machine.resolver();
        let reply = dig::ask(resolver.addr("dns"), "www.bit.example", "A", "");
        assert_eq!(reply.status, status, "{validate}{reply:?}");
    }
}

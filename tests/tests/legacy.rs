//! Legacy DNS through the resolver: what a real authoritative server says, it says too.

use std::{fs, process::Command};

use tests::{
    compare::{self, Depth},
    dig,
    machine::Machine,
    nsd::Nsd,
    source, tools, zones,
};

/// The zones in `testdata/legacy`, with their origins.
fn legacy_zones() -> Vec<(String, String)> {
    let dir = source::root().join("testdata/legacy");
    let zones = zones::in_dir(&dir).into_iter().map(|zone| {
        let text = fs::read_to_string(&zone.path).expect("a zone file");
        (format!("{}.", zone.name), text)
    });
    zones.collect()
}

/// The same zones, signed with new keys by the tools of ldns.
fn signed_zones() -> Vec<(String, String)> {
    let dir = tempfile::tempdir().expect("a directory");
    let run = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(&dir).output().expect("it runs");
        assert!(output.status.success(), "{program}: {output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    let sign = |(origin, text): (String, String)| {
        fs::write(dir.path().join("zone"), text).expect("room for a zone");
        let key = run("ldns-keygen", &["-a", "ECDSAP256SHA256", "-r", "/dev/urandom", &origin]);
        run("ldns-signzone", &["-o", &origin, "zone", &key]);
        (origin, fs::read_to_string(dir.path().join("zone.signed")).expect("a signed zone"))
    };
    legacy_zones().into_iter().map(sign).collect()
}

fn through_us(test: &str, options: &str, zones: fn() -> Vec<(String, String)>) {
    if !tools::available(test, &["dig", "nsd", "ldns-signzone"]) {
        return;
    }
    let zones = zones();
    let authority = Nsd::start(&zones);
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let mut questions = Vec::new();
    for (origin, _) in &zones {
        questions.extend(compare::questions(&dig::transfer(authority.addr, origin)));
        questions.extend([(origin.clone(), "SOA".to_owned()), (origin.clone(), "NS".to_owned())]);
    }
    // What is above or beside the zone is not its business, and an alias that leaves it is followed
    // (below).
    questions.retain(|(name, rtype)| {
        if name.starts_with("elsewhere.") && rtype != "CNAME" {
            return false;
        }

        zones.iter().any(|(origin, _)| name == origin || name.ends_with(&format!(".{origin}")))
    });
    assert!(questions.len() > 150, "only {}", questions.len());
    let dns = resolver.addr("dns");
    for pass in ["from the server", "from the cache"] {
        let lines = compare::differences(authority.addr, dns, &questions, options, Depth::PassedOn);
        let shown = lines.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(
            lines.is_empty(),
            "{pass}: {} of {} differ:\n{shown}",
            lines.len(),
            questions.len()
        );
    }
}

#[test]
fn answers_over_udp_are_those_of_the_server() {
    through_us("answers_over_udp_are_those_of_the_server", "+notcp", legacy_zones);
}

#[test]
fn answers_over_tcp_are_those_of_the_server() {
    through_us("answers_over_tcp_are_those_of_the_server", "+tcp", legacy_zones);
}

#[test]
fn answers_of_a_signed_zone_are_those_of_the_server() {
    through_us("answers_of_a_signed_zone_are_those_of_the_server", "+dnssec +cdflag", signed_zones);
}

#[test]
fn answers_without_edns_are_those_of_the_server() {
    through_us("answers_without_edns_are_those_of_the_server", "+noedns", legacy_zones);
}

/// An authoritative server leaves it to others where an alias leads that leaves its zone; we ask
/// on.
#[test]
fn an_alias_that_leaves_its_zone_is_followed() {
    if !tools::available("an_alias_that_leaves_its_zone_is_followed", &["dig", "nsd"]) {
        return;
    }
    let mut zones = legacy_zones();
    let text =
        "$ORIGIN example.net.\n@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\nwww 60 A 192.0.2.90\n";
    zones.push(("example.net.".to_owned(), text.to_owned()));
    let authority = Nsd::start(&zones);
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let reply = dig::ask(resolver.addr("dns"), "elsewhere.example.org.", "A", "");
    assert_eq!(reply.status, "NOERROR", "{reply:?}");
    assert_eq!(
        (reply.rdata("CNAME"), reply.rdata("A")),
        (vec!["www.example.net."], vec!["192.0.2.90"]),
        "{reply:?}"
    );
}

#[test]
fn what_does_not_fit_is_cut_and_whole_over_tcp() {
    if !tools::available("what_does_not_fit_is_cut_and_whole_over_tcp", &["dig", "nsd"]) {
        return;
    }
    let authority = Nsd::start(&legacy_zones());
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    for (name, rtype, count) in [("big.example.org.", "TXT", 8), ("pool.example.org.", "AAAA", 120)]
    {
        for options in ["+ignore +bufsize=4096", "+ignore +noedns"] {
            let cut = dig::ask(dns, name, rtype, options);
            assert!(cut.has("tc") && cut.size <= 1_232, "{name} {options}: {cut:?}");
        }
        let whole = dig::ask(dns, name, rtype, "+tcp");
        assert_eq!(
            (whole.rdata(rtype).len(), whole.has("tc")),
            (count, false),
            "{name}: {whole:?}"
        );
        assert_eq!(
            dig::ask(dns, name, rtype, "").rdata(rtype).len(),
            count,
            "dig asks again over TCP"
        );
    }
}

/// An answer is kept no longer than it may be: with TTL 0 not at all, and "there is none" as long
/// as the SOA says.
#[test]
fn a_server_that_goes_away_is_missed_only_for_what_is_not_kept() {
    if !tools::available(
        "a_server_that_goes_away_is_missed_only_for_what_is_not_kept",
        &["dig", "nsd"],
    ) {
        return;
    }
    let authority = Nsd::start(&legacy_zones());
    let machine = Machine::new(authority.addr);
    let resolver = machine.resolver();
    let dns = resolver.addr("dns");
    let asked = [
        ("www.example.org.", "A", "NOERROR"),
        ("missing.example.org.", "A", "NXDOMAIN"),
        ("www.nobodys.", "MX", "NOERROR"),
        ("unknown.example.org.", "TYPE65280", "NOERROR"),
    ];
    let before = asked.map(|(name, rtype, status)| {
        let reply = dig::ask(dns, name, rtype, "");
        assert_eq!(reply.status, status, "{name}: {reply:?}");
        (reply.answer.len(), reply.authority.len())
    });
    assert_eq!(dig::ask(dns, "none.example.org.", "A", "").rdata("A"), ["192.0.2.61"]);
    drop(authority);
    for ((name, rtype, status), sections) in asked.into_iter().zip(before) {
        let reply = dig::ask(dns, name, rtype, "");
        assert_eq!(
            (reply.status.as_str(), (reply.answer.len(), reply.authority.len())),
            (status, sections),
            "{name}"
        );
    }
    for name in ["none.example.org.", "mail.example.org."] {
        let reply = dig::ask(dns, name, "A", "");
        assert_eq!(
            (reply.status.as_str(), reply.ede.is_empty()),
            ("SERVFAIL", false),
            "{name}: {reply:?}"
        );
    }
}
